//! Messages from one process to another: the ring of `examples/ring.rs`, a pipe, a socket, and shared
//! memory for one message with an eventfd in each direction.

use std::env;
use std::fs::File;
use std::io::{Read, Write, pipe};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, exit, id};
use std::time::{Duration, Instant};

use memfile::{MemFile, SharedMap};
use rustix::event::{EventfdFlags, eventfd};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::bytes::pattern;
use crate::race::median;
use crate::report::{Report, Wanted, size, time, times};
use ring::{Receiver, Sender};

#[allow(dead_code, reason = "the example is a program")]
#[path = "../../../examples/ring.rs"]
mod ring;

/// The argument that makes this program the other process.
pub const ARGUMENT: &str = "--stream";

const SIZES: [usize; 3] = [64, 1 << 10, 16 << 10];
const ROUNDS: usize = 21;
/// A timeout that ends the other process if this one has ended.
const PATIENCE: Duration = Duration::from_secs(60);

/// The ways, one in each column. The others are compared with the first.
const WAYS: [&str; 5] = ["pipe", "socket", "eventfd", "ring", APART];
/// A ring between processes that are bound to two processors.
const APART: &str = "ring, apart";

pub fn run(report: &mut Report) {
    report.paragraph(include_str!("stream.md"));
    let stream = measure(report, "Messages in one direction, time of each", |len| (256 << 10) / len + 64);
    let round_trip = measure(report, "A message and its answer, of the same size", |_| 1);
    let mut goal = |what, least, reached: f64| report.goal(what, Wanted::AtLeast(least), Some(reached));
    goal("stream, 64 B: ring against pipe", 20.0, stream[0][0]);
    goal("stream, 16 KiB: ring against pipe", 2.5, stream[2][0]);
    goal("round trip, 64 B: ring against pipe, both awake", 3.0, round_trip[0][1]);
}

/// A table for `count` messages of each size, followed by one answer. Returns how many times as fast as the
/// pipe both rings are.
fn measure(report: &mut Report, title: &str, count: impl Fn(usize) -> usize) -> Vec<[f64; 2]> {
    let races = SIZES.map(|len| race(len, count(len)));
    let speed = |pipe: &[f64], way: &[f64]| median(&pipe.iter().zip(way).map(|(a, b)| a / b).collect::<Vec<_>>());
    let row = |(len, [pipe, others @ ..]): (usize, &[Vec<f64>; 5])| {
        let speeds = others.iter().map(|way| times(speed(pipe, way)));
        [size(len), time(median(pipe))].into_iter().chain(speeds).collect()
    };
    let caption = format!(
        "**{title}.** Column \"pipe\": wall-clock time, lower is better. Other columns: how many times as \
         fast, higher is better; below 1.00× is slower."
    );
    let head: Vec<&str> = ["size"].into_iter().chain(WAYS).collect();
    report.table(&caption, &head, &SIZES.into_iter().zip(&races).map(row).collect::<Vec<_>>());
    races.iter().map(|[pipe, .., ring, apart]| [speed(pipe, ring), speed(pipe, apart)]).collect()
}

/// The seconds per message of each way, by rounds in which all take turns.
fn race(len: usize, count: usize) -> [Vec<f64>; 5] {
    let message = pattern(len);
    let mut answer = Vec::new();
    let mut others = WAYS.map(|way| Other::start(way, len, count));
    let mut seconds = [const { Vec::new() }; 5];
    let repeat = 1024 / count + 1;
    let processors = sched_getaffinity(None).expect("sched_getaffinity");
    for _ in 0..ROUNDS {
        for ((way, other), seconds) in WAYS.iter().zip(&mut others).zip(&mut seconds) {
            if *way == APART {
                bind(0);
            }
            let mut exchange = || {
                (0..count).for_each(|_| other.link.send(&message));
                other.link.receive(&mut answer, len);
            };
            exchange();
            let start = Instant::now();
            (0..repeat).for_each(|_| exchange());
            seconds.push(start.elapsed().as_secs_f64() / (repeat * count) as f64);
            sched_setaffinity(None, &processors).expect("sched_setaffinity");
        }
    }
    seconds
}

/// Binds this process to one of its processors, if it has that many.
fn bind(which: usize) {
    let all = sched_getaffinity(None).expect("sched_getaffinity");
    if let Some(processor) = (0..CpuSet::MAX_CPU).filter(|&processor| all.is_set(processor)).nth(which) {
        let mut one = CpuSet::new();
        one.set(processor);
        sched_setaffinity(None, &one).expect("sched_setaffinity");
    }
}

/// One end of a connection.
trait Link {
    fn send(&mut self, message: &[u8]);
    fn receive(&mut self, message: &mut Vec<u8>, len: usize);
}

/// A pipe in each direction, or a socket.
struct Bytes {
    input: File,
    output: File,
}

impl Link for Bytes {
    fn send(&mut self, message: &[u8]) {
        self.output.write_all(message).expect("the other side reads");
    }

    fn receive(&mut self, message: &mut Vec<u8>, len: usize) {
        message.resize(len, 0);
        self.input.read_exact(message).unwrap_or_else(|error| gone(&error));
    }
}

/// Memory for one message, and an eventfd in each direction. One announces a message, the other that it was
/// read, or that an answer is in its place.
struct Place {
    map: SharedMap,
    events: Bytes,
    count: Vec<u8>,
    asks: bool,
    /// Whether the last message has not been answered yet.
    pending: bool,
}

impl Place {
    fn tell(&mut self) {
        self.events.send(&1_u64.to_ne_bytes());
    }

    fn wait(&mut self) {
        self.events.receive(&mut self.count, 8);
    }
}

impl Link for Place {
    fn send(&mut self, message: &[u8]) {
        if self.asks && self.pending {
            self.wait();
        }
        self.map.write_all_at(message, 0).expect("within bounds");
        self.tell();
        self.pending = self.asks;
    }

    fn receive(&mut self, message: &mut Vec<u8>, len: usize) {
        if !self.asks && self.pending {
            self.tell();
        }
        self.wait();
        message.resize(len, 0);
        self.map.read_exact_at(message, 0).expect("within bounds");
        self.pending = !self.asks;
    }
}

/// A ring in each direction.
struct Rings(Receiver, Sender);

impl Link for Rings {
    fn send(&mut self, message: &[u8]) {
        self.1.send(message, PATIENCE).expect("the other side receives");
    }

    fn receive(&mut self, message: &mut Vec<u8>, _len: usize) {
        self.0.recv(message, PATIENCE).unwrap_or_else(|error| gone(&error));
    }
}

/// Reports that the other process has ended, and exits.
fn gone(error: &std::io::Error) -> ! {
    eprintln!("the other process: {error}");
    exit(1);
}

/// The other process, and this end of the connection to it.
struct Other {
    child: Child,
    link: Box<dyn Link>,
}

impl Other {
    fn start(way: &str, len: usize, count: usize) -> Self {
        let mut command = Command::new(env::current_exe().expect("this program"));
        command.args([ARGUMENT, way, &len.to_string(), &count.to_string()]);
        let rings = [(); 2].map(|()| ring::create((4 * len).max(32 << 10)).expect("memfd_create"));
        // The other process opens them through this one.
        command.args(rings.each_ref().map(|ring| format!("/proc/{}/fd/{}", id(), ring.as_raw_fd())));
        let ([input, output], [stdin, stdout]) = descriptors(way);
        let child = command.stdin(stdin).stdout(stdout).spawn().expect("a child");
        Self { child, link: connect(way, true, Bytes { input, output }, rings) }
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Input and output of this end, and those of the other end.
fn descriptors(way: &str) -> ([File; 2], [File; 2]) {
    let event = || File::from(eventfd(0, EventfdFlags::CLOEXEC).expect("eventfd"));
    let [there, back] = match way {
        "eventfd" => [event(), event()].map(|event| (clone(&event), event)),
        "socket" => {
            let (ours, theirs) = UnixStream::pair().expect("a socket pair");
            let [ours, theirs] = [ours, theirs].map(|end| File::from(OwnedFd::from(end)));
            [(clone(&theirs), clone(&ours)), (ours, theirs)]
        }
        _ => [pipe(), pipe()].map(|pipe| {
            let (read, write) = pipe.expect("a pipe");
            (File::from(OwnedFd::from(read)), File::from(OwnedFd::from(write)))
        }),
    };
    ([back.0, there.1], [there.0, back.1])
}

fn clone(file: &File) -> File {
    file.try_clone().expect("a descriptor")
}

/// `asks` says whether this is the process that measures.
fn connect(way: &str, asks: bool, bytes: Bytes, [there, back]: [MemFile; 2]) -> Box<dyn Link> {
    match way {
        "ring" | APART => {
            let (input, output) = if asks { (back, there) } else { (there, back) };
            Box::new(Rings(Receiver::new(input).expect("a ring"), Sender::new(output).expect("a ring")))
        }
        "eventfd" => {
            let map = SharedMap::try_from(there).map_err(|error| error.into_error()).expect("a map");
            Box::new(Place { map, events: bytes, count: Vec::new(), asks, pending: false })
        }
        _ => Box::new(bytes),
    }
}

/// The other process: it receives the given number of messages and answers with the last one, again and
/// again, until the first process ends or kills it.
pub fn answer(arguments: &[String]) {
    let [way, len, count, there, back] = arguments else { panic!("five arguments") };
    let [len, count] = [len, count].map(|number| number.parse().expect("a number"));
    let rings = [there, back].map(|path| {
        let file = File::options().read(true).write(true).open(path).expect("a ring");
        MemFile::from_fd(file.into()).expect("a memory file")
    });
    let input = File::from(std::io::stdin().as_fd().try_clone_to_owned().expect("a descriptor"));
    let output = File::from(std::io::stdout().as_fd().try_clone_to_owned().expect("a descriptor"));
    if way == APART {
        bind(1);
    }
    let mut link = connect(way, false, Bytes { input, output }, rings);
    let mut message = Vec::new();
    loop {
        for _ in 0..count {
            link.receive(&mut message, len);
        }
        link.send(&message);
    }
}
