//! A ring that carries records from one process to another, with system calls only to wait and to wake.
//! Run it with `cargo run --release --example ring`.

use core::sync::atomic::Ordering::{Acquire, Relaxed, SeqCst};
use core::time::Duration;
use std::io::{ErrorKind, Result, stdin};
use std::{env, os::fd::AsFd, process::Command, thread::yield_now, time::Instant};

use memfile::{MemFile, Seals, SharedMap};

const WORD: usize = size_of::<usize>();
/// Two indices, each in a cache line of its own: how many bytes were sent, and how many received. A flag
/// follows each index: 1 if the other side sleeps until the index changes.
pub(crate) const SENT: usize = 0;
pub(crate) const RECEIVED: usize = 128;
pub(crate) const DATA: usize = 256;

/// The side that sends. It continues where the previous sender stopped.
pub type Sender = Ring<SENT, RECEIVED>;
/// The side that receives. If it replaces another receiver, it may get the last records again.
pub type Receiver = Ring<RECEIVED, SENT>;

/// The ring as one side sees it. The other side can write to all of the memory at any time, so every value
/// is loaded once, and checked before it is used.
#[derive(Debug)]
pub struct Ring<const OWN: usize, const OTHER: usize> {
    map: SharedMap,
    capacity: usize,
    /// This side's own index. At least `available` bytes after it are free (for the sender) or were sent
    /// (for the receiver).
    position: usize,
    available: usize,
}

/// Creates the file. Its capacity is a power of two.
pub fn create(capacity: usize) -> Result<MemFile> {
    let file = MemFile::create_sealable("ring")?;
    file.set_len((DATA + capacity.next_power_of_two()) as u64)?;
    file.add_seals(Seals::FIXED_SIZE)?;
    Ok(file)
}

impl Sender {
    /// Waits for room, and sends a record.
    pub fn send(&mut self, record: &[u8], timeout: Duration) -> Result<()> {
        let size = self.size(record.len()).ok_or(ErrorKind::InvalidInput)?;
        self.wait(size, timeout)?;
        self.map.atomic(self.place(0))?.store(record.len(), Relaxed);
        let (first, rest) = record.split_at(record.len().min(self.map.len() - self.place(WORD)));
        self.map.write_all_at(first, self.place(WORD))?;
        self.map.write_all_at(rest, DATA)?;
        self.advance(size)
    }
}

impl Receiver {
    /// Waits for a record, and replaces the contents of `record` with it.
    pub fn recv(&mut self, record: &mut Vec<u8>, timeout: Duration) -> Result<()> {
        self.wait(WORD, timeout)?;
        let len = self.map.atomic(self.place(0))?.load(Relaxed);
        let size = self.size(len).filter(|&size| size <= self.available).ok_or(ErrorKind::InvalidData)?;
        record.resize(len, 0);
        let (first, rest) = record.split_at_mut(len.min(self.map.len() - self.place(WORD)));
        self.map.read_exact_at(first, self.place(WORD))?;
        self.map.read_exact_at(rest, DATA)?;
        self.advance(size)
    }
}

impl<const OWN: usize, const OTHER: usize> Ring<OWN, OTHER> {
    /// Maps the file.
    pub fn new(file: MemFile) -> Result<Self> {
        let map = SharedMap::try_from(file)?;
        let capacity = map.len().checked_sub(DATA).filter(|len| len.is_power_of_two()).ok_or(ErrorKind::InvalidData)?;
        let position = map.atomic::<usize>(OWN)?.load(Acquire) & !(WORD - 1);
        Ok(Self { map, capacity, position, available: 0 })
    }

    /// The bytes that a record and its length take, in whole words, or `None` if the ring is too small.
    fn size(&self, len: usize) -> Option<usize> {
        len.checked_add(WORD)?.checked_next_multiple_of(WORD).filter(|&size| size <= self.capacity)
    }

    fn place(&self, ahead: usize) -> usize {
        DATA + (self.position.wrapping_add(ahead) & (self.capacity - 1))
    }

    fn wait(&mut self, wanted: usize, timeout: Duration) -> Result<()> {
        let mut start = None;
        let mut waited = || start.get_or_insert_with(Instant::now).elapsed();
        while self.available < wanted {
            let (index, sleeps) = (self.map.atomic::<usize>(OTHER)?, self.map.atomic::<u32>(OTHER + WORD)?);
            let seen = index.load(Acquire);
            let end = seen.wrapping_add(if OWN == SENT { self.capacity } else { 0 });
            let available = Some(end.wrapping_sub(self.position)).filter(|&len| len <= self.capacity);
            self.available = available.ok_or(ErrorKind::InvalidData)?;
            if self.available < wanted && waited() < Duration::from_micros(50) {
                // The other side may run on this processor, or write more records on another one.
                yield_now();
            } else if self.available < wanted {
                let left = timeout.checked_sub(waited()).ok_or(ErrorKind::TimedOut)?;
                // All SeqCst operations here and in `advance` have one order. So either this load sees
                // the new index, or `advance` sees the flag, clears it, and wakes this side.
                sleeps.store(1, SeqCst);
                if index.load(SeqCst) == seen {
                    sleeps.wait_timeout(1, left)?;
                }
            }
        }
        Ok(())
    }

    /// Hands `size` bytes over to the other side, and wakes it if it sleeps.
    fn advance(&mut self, size: usize) -> Result<()> {
        self.position = self.position.wrapping_add(size);
        self.available -= size;
        // The receiver returns a quarter of the ring at a time, or all that it has received.
        if OWN == RECEIVED && self.available > 0 && self.position % (self.capacity / 4) >= size {
            return Ok(());
        }
        self.map.atomic(OWN)?.store(self.position, SeqCst);
        let sleeps = self.map.atomic::<u32>(OWN + WORD)?;
        if sleeps.load(SeqCst) != 0 {
            sleeps.store(0, SeqCst);
            // The other side can make this fail, but then it only sleeps longer itself.
            let _ = sleeps.wake_one();
        }
        Ok(())
    }
}

fn main() -> Result<()> {
    const COUNT: usize = 1_000_000;
    let wait = Duration::from_secs(10);
    if env::args().len() > 1 {
        let mut receiver = Receiver::new(MemFile::from_fd(stdin().as_fd().try_clone_to_owned()?)?)?;
        let mut record = Vec::new();
        for number in 0..COUNT {
            receiver.recv(&mut record, wait)?;
            assert_eq!(record, format!("record {number}").as_bytes());
        }
        println!("received {COUNT} records in order");
        return Ok(());
    }
    let file = create(64 << 10)?;
    let mut child = Command::new(env::current_exe()?).arg("--receiver").stdin(file.try_clone()?).spawn()?;
    let mut sender = Sender::new(file)?;
    for number in 0..COUNT {
        sender.send(format!("record {number}").as_bytes(), wait)?;
    }
    child.wait().map(drop)
}
