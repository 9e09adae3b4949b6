//! The ring of `examples/ring.rs`, between processes, one of which may be hostile or killed.

use std::hint::spin_loop;
use std::io::ErrorKind::{InvalidData, InvalidInput, TimedOut};
use std::sync::atomic::Ordering::Relaxed;
use std::thread::sleep;
use std::time::{Duration, Instant};

use memfile::{MemFile, SharedMap};

use crate::support::peer::{Channel, Peer};
use crate::support::rounds;
use example::{DATA, RECEIVED, Receiver, SENT, Sender, create};

#[allow(dead_code, unreachable_pub, reason = "the example is a program")]
#[path = "../../../examples/ring.rs"]
mod example;

const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(1);
const WORD: usize = size_of::<usize>();

/// The bytes of record `number`. Lengths vary, and the bytes depend on the number.
fn record(number: usize) -> impl Iterator<Item = u8> {
    (0..number % 150).map(move |i| (number.wrapping_mul(0x9e37_79b9) >> 8).wrapping_add(i) as u8)
}

/// In a small ring both sides often have to wait for each other, spinning or asleep.
#[test]
fn many_records_in_order() {
    let count = rounds(1_000_000) as usize;
    let Some(peer) = Peer::start(|channel| {
        let mut sender = Sender::new(received(channel)).unwrap();
        let mut bytes = Vec::new();
        for number in 0..count {
            if number % 50_000 == 0 {
                sleep(SHORT);
            }
            bytes.clear();
            bytes.extend(record(number));
            sender.send(&bytes, LONG).unwrap();
        }
    }) else {
        return;
    };
    let file = create(4096).unwrap();
    peer.channel().send(b'r', &[file.as_fd()]);
    let mut receiver = Receiver::new(file).unwrap();
    let mut bytes = Vec::new();
    for number in 0..count {
        if number % 50_000 == 25_000 {
            sleep(SHORT);
        }
        receiver.recv(&mut bytes, LONG).unwrap();
        assert!(bytes.iter().copied().eq(record(number)), "record {number}");
    }
    peer.finish();
    assert_eq!(receiver.recv(&mut bytes, SHORT).unwrap_err().kind(), TimedOut);
}

/// Whether an answer arrives before, while or after the receiver falls asleep, it always wakes up.
#[test]
fn answers_at_any_moment() {
    const COUNT: u32 = 20_000;
    /// Receives, and checks that no wake-up was lost, in which case the call would time out.
    fn receive(receiver: &mut Receiver, bytes: &mut Vec<u8>) {
        let start = Instant::now();
        receiver.recv(bytes, LONG).unwrap();
        assert!(start.elapsed() < LONG, "a wake-up was lost");
    }
    /// Spins for a varying time: at most for longer than a receiver does before it sleeps.
    fn dawdle(number: u32) {
        (0..number.wrapping_mul(0x9e37_79b9) % 1024).for_each(|_| spin_loop());
    }
    let Some(peer) = Peer::start(|channel| {
        let mut receiver = Receiver::new(received(channel)).unwrap();
        let mut sender = Sender::new(received(channel)).unwrap();
        let mut bytes = Vec::new();
        for number in 0..COUNT {
            receive(&mut receiver, &mut bytes);
            dawdle(number);
            sender.send(&bytes, LONG).unwrap();
        }
    }) else {
        return;
    };
    let (there, back) = (create(64).unwrap(), create(64).unwrap());
    peer.channel().send(b'r', &[there.as_fd()]);
    peer.channel().send(b'r', &[back.as_fd()]);
    let (mut sender, mut receiver) = (Sender::new(there).unwrap(), Receiver::new(back).unwrap());
    let mut bytes = Vec::new();
    for number in 0..COUNT {
        dawdle(number ^ COUNT);
        sender.send(&number.to_ne_bytes(), LONG).unwrap();
        receive(&mut receiver, &mut bytes);
        assert_eq!(bytes, number.to_ne_bytes());
    }
    peer.finish();
}

/// A sender that is killed leaves only whole records, and another can continue after them.
#[test]
fn a_killed_sender() {
    for _ in 0..20 {
        let Some(peer) = Peer::start(|channel| {
            let mut sender = Sender::new(received(channel)).unwrap();
            for number in 0_u64.. {
                sender.send(&[number as u8; 5000], LONG).unwrap();
            }
        }) else {
            return;
        };
        let file = create(1 << 14).unwrap();
        peer.channel().send(b'r', &[file.as_fd()]);
        let mut receiver = Receiver::new(file.try_clone().unwrap()).unwrap();
        let mut peer = Some(peer);
        let mut bytes = Vec::new();
        for number in 0_u8.. {
            if number == 100 {
                peer = None;
            }
            match receiver.recv(&mut bytes, if peer.is_some() { LONG } else { SHORT }) {
                Ok(()) => assert_eq!(bytes, [number; 5000]),
                Err(error) => {
                    assert!(peer.is_none());
                    assert_eq!(error.kind(), TimedOut);
                    break;
                }
            }
        }
        let mut successor = Sender::new(file).unwrap();
        successor.send(b"the next", SHORT).unwrap();
        receiver.recv(&mut bytes, SHORT).unwrap();
        assert_eq!(bytes, b"the next");
    }
}

/// The other process writes random values to the indices, the flags and the data. Every call must
/// return within its timeout.
#[test]
fn a_hostile_peer() {
    let Some(peer) = Peer::start(|channel| {
        let map = SharedMap::try_from(received(channel)).unwrap();
        channel.send(b'r', &[]);
        let mut random = 1_u64;
        loop {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            disturb(&map, random as usize);
        }
    }) else {
        return;
    };
    let file = create(4096).unwrap();
    peer.channel().send(b'r', &[file.as_fd()]);
    peer.channel().expect(b'r');
    let mut bytes = Vec::new();
    let (mut sent, mut got, mut wrong) = (0, 0, 0);
    for number in 0..3000 {
        let mut sender = Sender::new(file.try_clone().unwrap()).unwrap();
        let mut receiver = Receiver::new(file.try_clone().unwrap()).unwrap();
        let results = [sender.send(&[7; 4000][..number % 4000], SHORT), receiver.recv(&mut bytes, SHORT)];
        sent += usize::from(results[0].is_ok());
        got += usize::from(results[1].is_ok());
        for error in results.into_iter().filter_map(Result::err) {
            match error.kind() {
                InvalidData => wrong += 1,
                // Possible if the peer was not scheduled meanwhile.
                TimedOut => {}
                _ => panic!("{error}"),
            }
        }
    }
    assert!(sent > 0 && got > 0 && wrong > 0, "{sent} {got} {wrong}");
}

/// Makes a random change, some of which an honest peer could make, too.
fn disturb(map: &SharedMap, random: usize) {
    let value = random >> 8;
    let index = map.atomic::<usize>(if random & 1 == 0 { SENT } else { RECEIVED }).unwrap();
    let flag = map.atomic::<u32>(WORD + if random & 1 == 0 { SENT } else { RECEIVED }).unwrap();
    match (random >> 1) % 8 {
        0 => index.store(value, Relaxed),
        1 => index.store(value % 4096, Relaxed),
        2 => index.store((value % 4096) & !7, Relaxed),
        3 => index.store(0, Relaxed),
        4 => flag.store(value as u32 & 1, Relaxed),
        5 => drop(flag.wake_all().unwrap()),
        6 => map.write_all_at(&value.to_ne_bytes(), DATA + value % 4088).unwrap(),
        _ => map.write_all_at(&[0; 4096], DATA).unwrap(),
    }
}

/// A peer that keeps resetting the flag and waking the receiver cannot keep a call beyond its
/// timeout.
#[test]
fn a_peer_that_wakes_all_the_time() {
    let Some(peer) = Peer::start(|channel| {
        let map = SharedMap::try_from(received(channel)).unwrap();
        let flag = map.atomic::<u32>(SENT + WORD).unwrap();
        channel.send(b'r', &[]);
        loop {
            flag.store(0, Relaxed);
            flag.wake_all().unwrap();
        }
    }) else {
        return;
    };
    let file = create(4096).unwrap();
    peer.channel().send(b'r', &[file.as_fd()]);
    peer.channel().expect(b'r');
    let mut receiver = Receiver::new(file).unwrap();
    for _ in 0..100 {
        assert_eq!(receiver.recv(&mut Vec::new(), SHORT).unwrap_err().kind(), TimedOut);
    }
}

/// Indices and lengths around 0, the capacity of the ring, and the largest integer.
#[test]
fn wrong_indices_and_lengths() {
    let file = create(64).unwrap();
    let map = SharedMap::try_from(file.try_clone().unwrap()).unwrap();
    let values: Vec<usize> = (0..=72_usize).flat_map(|near| [near, near.wrapping_neg(), (1 << 31) + near]).collect();
    let mut bytes = Vec::new();
    for &received in &values {
        for &sent in &values {
            map.atomic(SENT).unwrap().store(sent, Relaxed);
            map.atomic(RECEIVED).unwrap().store(received, Relaxed);
            let free = received.wrapping_add(64).wrapping_sub(sent & !(WORD - 1));
            let mut sender = Sender::new(file.try_clone().unwrap()).unwrap();
            let result = sender.send(b"", Duration::ZERO).map_err(|error| error.kind());
            let expected = match free {
                WORD..=64 => Ok(()),
                0..WORD => Err(TimedOut),
                _ => Err(InvalidData),
            };
            assert_eq!(result, expected, "{sent} sent, {received} received");
        }
    }
    for (sent, len) in [16, 64].into_iter().flat_map(|sent| values.iter().map(move |&len| (sent, len))) {
        map.write_all_at(&[0; DATA], 0).unwrap();
        map.atomic(SENT).unwrap().store(sent, Relaxed);
        map.atomic(DATA).unwrap().store(len, Relaxed);
        let mut receiver = Receiver::new(file.try_clone().unwrap()).unwrap();
        let result = receiver.recv(&mut bytes, Duration::ZERO).map_err(|error| error.kind());
        assert_eq!(result, if len <= sent - WORD { Ok(()) } else { Err(InvalidData) }, "{len}");
    }
    let mut sender = Sender::new(create(64).unwrap()).unwrap();
    assert_eq!(sender.send(&[0; 64 - WORD + 1], LONG).unwrap_err().kind(), InvalidInput);
    sender.send(&[0; 64 - WORD], LONG).unwrap();
}

/// A file from elsewhere may not be a ring.
#[test]
fn other_files() {
    for len in [0, 8, 100, DATA, DATA + 1, DATA + 4, DATA + 100, DATA + 4096 + 8] {
        let result = Sender::new(super::file("no ring", len as u64));
        // The capacity is a power of two, but too small for any record.
        let Ok(mut sender) = result else { continue };
        assert!([DATA + 1, DATA + 4].contains(&len));
        assert_eq!(sender.send(b"", LONG).unwrap_err().kind(), InvalidInput);
    }
}

fn received(channel: &Channel) -> MemFile {
    MemFile::from_fd(channel.expect(b'r').pop().unwrap()).unwrap()
}
