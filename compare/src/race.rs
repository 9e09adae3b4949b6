//! Side-by-side measuring: the candidates take turns in one process, and what counts is the median of their ratios.

use std::hint::black_box;

use rustix::time::{ClockId, clock_gettime};

/// CPU time of the thread, which other programs on the machine disturb least, or the time on the wall, for work that
/// other processes do too.
#[derive(Copy, Clone)]
pub enum Clock {
    Cpu,
    Wall,
}

impl Clock {
    pub fn now(self) -> f64 {
        let time = clock_gettime(match self {
            Self::Cpu => ClockId::ThreadCPUTime,
            Self::Wall => ClockId::Monotonic,
        });
        time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
    }
}

/// One way to do the work. It runs so many times, and yields the seconds of one run.
pub struct Candidate<'a> {
    name: &'static str,
    run: Box<dyn FnMut(Clock, usize) -> f64 + 'a>,
}

/// What `f` makes is dropped after the clock has stopped. Each measured series follows an unmeasured one of its kind, which
/// leaves the kernel's free memory as this candidate leaves it, and not as the one before did.
pub fn candidate<'a, T>(name: &'static str, mut f: impl FnMut() -> T + 'a) -> Candidate<'a> {
    let run = move |clock: Clock, repeat: usize| {
        (0..repeat).for_each(|_| drop(f()));
        let mut made = Vec::with_capacity(repeat);
        let start = clock.now();
        for _ in 0..repeat {
            made.push(black_box(f()));
        }
        (clock.now() - start) / repeat as f64
    };
    Candidate { name, run: Box::new(run) }
}

/// A candidate's median time, and the median of how many times as fast as the first it was in the same round.
#[derive(Clone, Debug)]
pub struct Result {
    pub name: &'static str,
    pub seconds: f64,
    pub speed: f64,
}

/// Lets the candidates take turns, and each of them the first turn, so that what one leaves to the kernel to clean up is not
/// always paid by the same other: A B C, B C A, C A B …
pub fn race(clock: Clock, rounds: usize, repeat: usize, mut candidates: Vec<Candidate<'_>>) -> Vec<Result> {
    let mut times = vec![Vec::new(); candidates.len()];
    let count = candidates.len();
    for turn in 0..rounds {
        for i in (turn..turn + count).map(|i| i % count) {
            times[i].push((candidates[i].run)(clock, repeat));
        }
    }
    let first = times[0].clone();
    let result = |(candidate, times): (&Candidate<'_>, Vec<f64>)| Result {
        name: candidate.name,
        speed: median(first.iter().zip(&times).map(|(first, time)| first / time).collect()),
        seconds: median(times),
    };
    candidates.iter().zip(times).map(result).collect()
}

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// How many rounds to make for work on so many bytes, and how often to repeat it in each.
pub fn effort(bytes: usize) -> (usize, usize) {
    let rounds = if bytes > 64 << 20 { 5 } else { 21 };
    (rounds, ((8 << 20) / bytes.max(1)).clamp(1, 64))
}
