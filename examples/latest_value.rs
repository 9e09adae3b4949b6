//! One process writes a thousand values a second. Others sleep until a new one comes, and read it whole.
//! Run it with `cargo run --example latest_value`.

use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use core::sync::atomic::fence;
use core::time::Duration;
use std::io::{Error, ErrorKind, Result, stdin};
use std::os::fd::AsFd;
use std::process::Command;
use std::time::Instant;

use memfile::{MemFile, SharedMap, SharedView};
use rustix::time::{ClockId, clock_gettime};

/// The file begins with a sequence number, which is odd while the value is being changed.
pub(crate) const SEQUENCE: usize = 0;
pub(crate) const VALUE: usize = 64;
/// What the file holds: one value, which is replaced as a whole.
pub type Value = [u8; 1024];

/// The only writer: nobody else can change the file.
#[derive(Debug)]
pub struct Writer(SharedMap);

impl Writer {
    /// Creates the file.
    pub fn create() -> Result<Self> {
        Ok(Self(SharedMap::create("latest value", (VALUE + size_of::<Value>()) as u64)?))
    }

    /// A descriptor for a reader.
    pub fn reader(&self) -> Result<MemFile> {
        Ok(self.0.reader()?)
    }

    /// Replaces the value and wakes the readers, but never waits for them.
    pub fn write(&mut self, value: &Value) -> Result<()> {
        let sequence = self.0.atomic::<u32>(SEQUENCE)?;
        let before = sequence.load(Relaxed);
        sequence.store(before.wrapping_add(1), Relaxed);
        // A reader that sees a byte of the new value also sees the odd number.
        fence(Release);
        self.0.write_all_at(value, VALUE)?;
        sequence.store(before.wrapping_add(2), Release);
        // Any process that has the file can make this fail. The value is there all the same, and a reader
        // that was not woken finds it when its time has passed.
        let _ = sequence.wake_all();
        Ok(())
    }
}

/// A reader, in any process.
#[derive(Debug)]
pub struct Reader {
    view: SharedView,
    last: u32,
}

impl Reader {
    /// Maps the file.
    pub fn new(file: MemFile) -> Result<Self> {
        Ok(Self { view: file.try_into()?, last: 0 })
    }

    /// Sleeps until a value comes that this reader has not seen, and returns the latest.
    ///
    /// Fails with `TimedOut` if no new value comes in time, or if the writer has died in the middle of
    /// writing one.
    pub fn next(&mut self, timeout: Duration) -> Result<Value> {
        let sequence = self.view.atomic::<u32>(SEQUENCE)?;
        let start = Instant::now();
        loop {
            let before = sequence.load(Acquire);
            let is_whole = before % 2 == 0;
            if is_whole && before != self.last {
                let mut value = [0; size_of::<Value>()];
                self.view.read_exact_at(&mut value, VALUE)?;
                // If a byte of the copy was new, the number that is loaded now is new too.
                fence(Acquire);
                if sequence.load(Relaxed) == before {
                    self.last = before;
                    return Ok(value);
                }
            }
            let left = timeout.saturating_sub(start.elapsed());
            if left.is_zero() {
                let why =
                    if is_whole { "there is no new value" } else { "the writer stopped in the middle of a value" };
                return Err(Error::new(ErrorKind::TimedOut, why));
            }
            // If the number has changed already, this returns at once.
            sequence.wait_timeout(before, left)?;
        }
    }
}

const READERS: usize = 3;
const COUNT: u64 = 2000;
const END: Value = [0xff; size_of::<Value>()];

fn main() -> Result<()> {
    if std::env::args().nth(1).as_deref() == Some("--reader") { read() } else { write() }
}

fn write() -> Result<()> {
    let mut writer = Writer::create()?;
    let this = std::env::current_exe()?;
    let start = |_| Command::new(&this).arg("--reader").stdin(writer.reader()?).spawn();
    let readers: Vec<_> = (0..READERS).map(start).collect::<Result<_>>()?;
    for number in 0..COUNT {
        writer.write(&value(number))?;
        std::thread::sleep(Duration::from_millis(1));
    }
    writer.write(&END)?;
    for mut reader in readers {
        reader.wait()?;
    }
    Ok(())
}

fn read() -> Result<()> {
    let mut reader = Reader::new(MemFile::from_fd(stdin().as_fd().try_clone_to_owned()?)?)?;
    let (mut seen, mut torn) = (0, 0);
    loop {
        let value = reader.next(Duration::from_secs(5))?;
        if value == END {
            break;
        }
        seen += 1;
        torn += usize::from(!is_whole(&value));
    }
    let cpu: Duration = clock_gettime(ClockId::ProcessCPUTime).try_into().unwrap_or_default();
    println!("a reader saw {seen} of {COUNT} values, {torn} of them torn, in {cpu:.2?} of CPU time");
    Ok(())
}

/// Repeats a number, so that a torn value contains two different ones.
pub(crate) fn value(number: u64) -> Value {
    let mut value = [0; size_of::<Value>()];
    value.chunks_exact_mut(8).for_each(|chunk| chunk.copy_from_slice(&number.to_ne_bytes()));
    value
}

pub(crate) fn is_whole(value: &Value) -> bool {
    value.chunks_exact(8).all(|chunk| value.starts_with(chunk))
}
