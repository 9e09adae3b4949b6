//! Hand-over: bytes to readers in other processes, by a sealed file, a pipe and a socket.

use std::env;
use std::fs;
use std::io::{IoSlice, IoSliceMut, PipeWriter, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};

use memfile::SealedFile;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};

use crate::bytes::{pattern, size};
use crate::files;
use crate::race::{Clock::Wall, Result, candidate, race};
use crate::report::{Line, Report};

/// The argument that makes this program a reader.
pub const READER: &str = "--reader";

const SIZES: [usize; 10] = [64, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20, 4 << 20, 16 << 20, 64 << 20];

pub fn run(report: &mut Report) {
    report.paragraph(include_str!("handover.md"));
    if crate::with_huge_policy("advise", || measure(report)).is_none() {
        report.paragraph("(This process may not change the policy.)");
        measure(report);
    }
}

fn measure(report: &mut Report) {
    for (readers, name, title) in
        [(1, "handover-1", "Hand-over to one reader"), (8, "handover-8", "Hand-over to eight readers")]
    {
        let mut readers: Vec<Reader> = (0..readers).map(|_| Reader::start()).collect();
        let races: Vec<_> = SIZES.map(|len| (len, hand_over(&mut readers, len))).into();
        let named: Vec<_> = races.iter().map(|(len, results)| (size(*len), results.clone())).collect();
        report.races(title, &named);
        let line = |i: usize| -> Line {
            let point = |(len, results): &(usize, Vec<Result>)| (*len as f64, results[i].seconds * 1e6);
            (races[0].1[i].name, races.iter().map(point).collect())
        };
        report.chart(name, title, ("bytes", "microseconds"), &[line(0), line(1), line(2), line(3), line(4)]);
        if let [_, _, ..] = readers[..] {
            memory(report, &mut readers);
        }
    }
}

/// A child process, and the ways to it.
struct Reader {
    child: Child,
    socket: UnixStream,
    pipe: PipeWriter,
}

impl Reader {
    fn start() -> Self {
        let (ours, theirs) = UnixStream::pair().expect("a socket pair");
        let (output, input) = std::io::pipe().expect("a pipe");
        let child = Command::new(env::current_exe().expect("this program"))
            .arg(READER)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::from(OwnedFd::from(output)))
            .spawn()
            .expect("a child");
        Self { child, socket: ours, pipe: input }
    }

    /// Says what comes, and how long it is.
    fn announce(&mut self, how: u8, len: usize) {
        let mut message = [how; 9];
        message[1..].copy_from_slice(&(len as u64).to_ne_bytes());
        self.socket.write_all(&message).expect("the reader listens");
    }

    fn send(&mut self, sealed: &SealedFile) {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let fds = [sealed.as_fd()];
        assert!(control.push(SendAncillaryMessage::ScmRights(&fds)));
        sendmsg(&self.socket, &[IoSlice::new(b"f")], &mut control, SendFlags::empty()).expect("sendmsg");
    }

    /// The answer: the sum, or the proportional set size.
    fn answer(&mut self) -> u64 {
        let mut answer = [0; 8];
        self.socket.read_exact(&mut answer).expect("an answer");
        u64::from_ne_bytes(answer)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let _ = self.socket.shutdown(std::net::Shutdown::Both);
        let _ = self.child.wait();
    }
}

/// All readers have summed the bytes when a run ends.
fn hand_over(readers: &mut [Reader], len: usize) -> Vec<Result> {
    let bytes = pattern(len);
    let expected = files::sum(&bytes);
    let readers = std::cell::RefCell::new(readers);
    let check = |readers: &mut [Reader]| readers.iter_mut().for_each(|reader| assert_eq!(reader.answer(), expected));
    let give = |sealed: &SealedFile| {
        let mut readers = readers.borrow_mut();
        for reader in readers.iter_mut() {
            reader.announce(b'f', len);
            reader.send(sealed);
        }
        check(&mut readers);
    };
    let huge = SealedFile::options().huge_pages(true);
    let kept = SealedFile::from_bytes("bench", &bytes).expect("a sealed file");
    let pipe = || {
        let mut readers = readers.borrow_mut();
        for reader in readers.iter_mut() {
            reader.announce(b'p', len);
            reader.pipe.write_all(&bytes).expect("write");
        }
        check(&mut readers);
    };
    let socket = || {
        let mut readers = readers.borrow_mut();
        for reader in readers.iter_mut() {
            reader.announce(b's', len);
            reader.socket.write_all(&bytes).expect("write");
        }
        check(&mut readers);
    };
    let candidates = vec![
        candidate("sealed file", || give(&SealedFile::from_bytes("bench", &bytes).expect("a sealed file"))),
        candidate("pipe", pipe),
        candidate("socket", socket),
        candidate("sealed file, huge pages", || give(&huge.from_bytes("bench", &bytes).expect("a sealed file"))),
        candidate("sealed file, there before", || give(&kept)),
    ];
    let (rounds, repeat) = crate::race::effort(len * 4);
    race(Wall, rounds.min(11), repeat, candidates)
}

/// What eight readers of 64 MiB take together: the sum of their proportional set sizes.
fn memory(report: &mut Report, readers: &mut [Reader]) {
    const LEN: usize = 64 << 20;
    let bytes = pattern(LEN);
    let mut total = |how: u8, give: &mut dyn FnMut(&mut Reader)| {
        for reader in readers.iter_mut() {
            reader.announce(how, LEN);
            give(reader);
        }
        readers.iter_mut().for_each(|reader| _ = reader.answer());
        readers.iter_mut().for_each(|reader| reader.announce(b'm', 0));
        readers.iter_mut().map(Reader::answer).sum::<u64>()
    };
    let pipe = total(b'p', &mut |reader| reader.pipe.write_all(&bytes).expect("write"));
    let sealed = SealedFile::from_bytes("bench", &bytes).expect("a sealed file");
    let file = total(b'k', &mut |reader| reader.send(&sealed));
    let cell = |bytes: u64| format!("{} MiB", bytes >> 20);
    report.table(
        &["Pss of eight readers of 64 MiB", "sealed file", "pipe or socket"],
        &[vec![String::new(), cell(file), cell(pipe)]],
    );
}

/// The child: reads as told on its standard input, a socket, and answers there. Its standard output is a pipe to read.
pub fn read() {
    let mut socket = UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned().expect("a descriptor"));
    let mut pipe = fs::File::from(std::io::stdout().as_fd().try_clone_to_owned().expect("a descriptor"));
    let mut buffer = Vec::new();
    let mut kept = None;
    let mut message = [0; 9];
    while socket.read_exact(&mut message).is_ok() {
        let len = u64::from_ne_bytes(message[1..].try_into().expect("8 bytes")) as usize;
        let answer = match message[0] {
            how @ (b'p' | b's') => {
                // It only grows, so that it is warm the next time.
                let used = len.max(buffer.len());
                buffer.resize(used, 0);
                let source: &mut dyn Read = if how == b'p' { &mut pipe } else { &mut socket };
                source.read_exact(&mut buffer[..len]).expect("the bytes");
                files::sum(&buffer[..len])
            }
            how @ (b'f' | b'k') => {
                let sealed =
                    SealedFile::try_from(receive(&socket)).map_err(|error| error.into_error()).expect("a proof");
                let map = sealed.map().expect("mmap");
                let sum = files::sum(&map);
                if how == b'k' {
                    buffer = Vec::new();
                    kept = Some(map);
                }
                sum
            }
            _ => pss(),
        };
        socket.write_all(&answer.to_ne_bytes()).expect("the other side listens");
    }
    drop(kept);
}

fn receive(socket: &UnixStream) -> OwnedFd {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    recvmsg(socket, &mut [IoSliceMut::new(&mut byte)], &mut control, RecvFlags::CMSG_CLOEXEC).expect("recvmsg");
    let fds = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    });
    fds.expect("a descriptor")
}

/// The memory of this process, what is shared divided by the number of those that share it.
fn pss() -> u64 {
    let rollup = fs::read_to_string("/proc/self/smaps_rollup").expect("smaps_rollup");
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:")).expect("a line for Pss");
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kib << 10
}
