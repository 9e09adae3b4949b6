//! The sequence lock of `examples/latest_value.rs`, between processes.

use std::io::ErrorKind;
use std::sync::atomic::Ordering::Release;
use std::time::Duration;

use memfile::{MemFile, SharedMap};

use crate::support::noexec;
use crate::support::peer::{Channel, Peer};
use example::{Reader, SEQUENCE, VALUE, Value, Writer, is_whole, value};

#[allow(dead_code, unreachable_pub, reason = "the example is a program")]
#[path = "../../../examples/latest_value.rs"]
mod example;

const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(20);

/// The other process writes as fast as it can, until it is killed. Every value repeats one number,
/// so a torn value would have two.
#[test]
fn values_are_whole() {
    if noexec::leaves_no_choice() {
        return;
    }
    let Some(peer) = Peer::start(|channel| {
        let mut writer = Writer::create().unwrap();
        channel.send(b'f', &[writer.reader().unwrap().as_fd()]);
        for number in 1.. {
            writer.write(&value(number)).unwrap();
        }
    }) else {
        return;
    };
    let mut reader = Reader::new(received(peer.channel())).unwrap();
    let mut last = 0;
    for _ in 0..100_000 {
        let value = reader.next(LONG).unwrap();
        assert!(is_whole(&value));
        let number = u64::from_ne_bytes(*value.first_chunk().unwrap());
        assert!(number > last, "{number} after {last}");
        last = number;
    }
    drop(peer);
    // The writer may have published one more value.
    let error = std::iter::repeat_with(|| reader.next(SHORT)).find_map(Result::err).unwrap();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
}

/// If a writer dies in the middle of a value, readers get an error, not a torn value.
#[test]
fn a_writer_that_dies_in_the_middle() {
    if noexec::leaves_no_choice() {
        return;
    }
    let Some(peer) = Peer::start(|channel| {
        let map = SharedMap::create("dies", (VALUE + size_of::<Value>()) as u64).unwrap();
        map.atomic::<u32>(SEQUENCE).unwrap().store(1, Release);
        map.write_all_at(b"half", VALUE).unwrap();
        channel.send(b'f', &[map.reader().unwrap().as_fd()]);
    }) else {
        return;
    };
    let mut reader = Reader::new(received(peer.channel())).unwrap();
    peer.finish();
    for _ in 0..2 {
        let error = reader.next(SHORT).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert_eq!(error.to_string(), "the writer stopped in the middle of a value");
    }
}

/// Each reader gets the latest value once, no matter when it starts.
#[test]
fn each_value_once() {
    if noexec::leaves_no_choice() {
        return;
    }
    let mut writer = Writer::create().unwrap();
    let mut one = Reader::new(writer.reader().unwrap()).unwrap();
    assert_eq!(one.next(SHORT).unwrap_err().to_string(), "there is no new value");
    for number in 1..10 {
        writer.write(&value(number)).unwrap();
        writer.write(&value(number + 100)).unwrap();
        let mut other = Reader::new(writer.reader().unwrap()).unwrap();
        for reader in [&mut one, &mut other] {
            assert!(reader.next(LONG).unwrap() == value(number + 100));
            assert_eq!(reader.next(SHORT).unwrap_err().kind(), ErrorKind::TimedOut);
        }
    }
}

fn received(channel: &Channel) -> MemFile {
    MemFile::from_fd(channel.expect(b'f').pop().unwrap()).unwrap()
}
