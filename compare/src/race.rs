//! Measures candidates side by side: they take turns in one process, and the result is the median of their ratios.

use std::hint::black_box;

use rustix::time::{ClockId, clock_gettime};

/// CPU time of the thread, which other programs on the machine disturb least, or wall-clock time, for
/// work that other processes do too.
#[derive(Copy, Clone, PartialEq, Eq)]
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

/// One way to do the work. It is given a number of runs, and returns the seconds of one.
pub struct Candidate<'a> {
    name: &'static str,
    run: Box<dyn FnMut(Clock, usize) -> f64 + 'a>,
}

/// A candidate that runs `f`. The result of `f` is dropped after the clock has stopped.
pub fn candidate<'a, T>(name: &'static str, mut f: impl FnMut() -> T + 'a) -> Candidate<'a> {
    prepared(name, || (), move |()| f())
}

/// A candidate that runs `f` with a value that `make` has made before the clock started. Each measured
/// series follows an unmeasured one of the same kind, so that the kernel's free memory is in the state in
/// which this candidate leaves it, and not the previous one.
pub fn prepared<'a, S, T>(
    name: &'static str,
    mut make: impl FnMut() -> S + 'a,
    mut f: impl FnMut(S) -> T + 'a,
) -> Candidate<'a> {
    let run = move |clock: Clock, repeat: usize| {
        (0..repeat).for_each(|_| drop(f(make())));
        let prepared: Vec<S> = (0..repeat).map(|_| make()).collect();
        let mut made = Vec::with_capacity(repeat);
        let start = clock.now();
        for input in prepared {
            made.push(black_box(f(input)));
        }
        (clock.now() - start) / repeat as f64
    };
    Candidate { name, run: Box::new(run) }
}

/// The times of all candidates at one size, by rounds.
pub struct Race {
    /// The name of the row in a table.
    pub label: String,
    pub bytes: usize,
    pub clock: Clock,
    times: Vec<(&'static str, Vec<f64>)>,
}

impl Race {
    fn times(&self, name: &str) -> Option<&[f64]> {
        self.times.iter().find_map(|(candidate, times)| (*candidate == name).then_some(&times[..]))
    }

    /// The median time of a candidate, if it took part.
    pub fn seconds(&self, name: &str) -> Option<f64> {
        self.times(name).map(median)
    }

    /// The median of how many times as fast as `baseline` a candidate was in the same round.
    pub fn speed(&self, name: &str, baseline: &str) -> Option<f64> {
        let ratios = self.times(baseline)?.iter().zip(self.times(name)?).map(|(baseline, time)| baseline / time);
        Some(median(&ratios.collect::<Vec<_>>()))
    }

    /// Replaces several candidates by the one with the lowest median, under a common name.
    pub fn only_best(mut self, of: &[&str], name: &'static str) -> Self {
        let (mut group, others): (Vec<_>, _) =
            self.times.into_iter().partition(|(candidate, _)| of.contains(candidate));
        group.sort_by(|(_, a), (_, b)| median(a).total_cmp(&median(b)));
        self.times = others;
        self.times.extend(group.into_iter().take(1).map(|(_, times)| (name, times)));
        self
    }
}

/// Lets the candidates take turns. Each of them begins a round as often as the others (A B C, B C A, C A B …),
/// so that work that one leaves to the kernel is not always charged to the same other.
pub fn race(label: String, bytes: usize, clock: Clock, effort: Effort, mut candidates: Vec<Candidate<'_>>) -> Race {
    let mut times = vec![Vec::new(); candidates.len()];
    let count = candidates.len();
    for turn in 0..effort.rounds {
        for i in (turn..turn + count).map(|i| i % count) {
            times[i].push((candidates[i].run)(clock, effort.repeat));
        }
    }
    let times = candidates.iter().map(|candidate| candidate.name).zip(times).collect();
    Race { label, bytes, clock, times }
}

pub fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// How many rounds to make, and how often to repeat the work in each.
#[derive(Copy, Clone)]
pub struct Effort {
    pub rounds: usize,
    pub repeat: usize,
}

/// The effort for work on this many bytes.
pub fn effort(bytes: usize) -> Effort {
    let rounds = match bytes {
        b if b <= 4 << 20 => 21,
        b if b <= 64 << 20 => 11,
        _ => 5,
    };
    Effort { rounds, repeat: ((8 << 20) / bytes.max(1)).clamp(1, 64) }
}

/// The smallest size from which on `name` stays at least as fast as `baseline`. The races are in the
/// order of their sizes; those in which one of the two did not take part do not count.
pub fn ahead_from(races: &[Race], name: &str, baseline: &str) -> Option<usize> {
    let speeds = races.iter().filter_map(|race| Some((race.bytes, race.speed(name, baseline)?)));
    let speeds: Vec<_> = speeds.collect();
    speeds.iter().rev().take_while(|(_, speed)| *speed >= 1.0).last().map(|(bytes, _)| *bytes)
}
