//! A row consists of a name, the expected result, and what it does. A line is printed for each.

use std::fmt;
use std::process::ExitCode;

use rustix::io::Errno;

/// Why a row has no value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Stop {
    /// The kernel returned this errno.
    Errno(Errno),
    /// The crate returned an error of its own, with this message.
    Message(String),
    /// This signal ended the child that ran the row.
    Signal(i32),
    /// A check of the row failed.
    Wrong(String),
    /// The row does not apply here.
    Skip(String),
}

/// The result of a row: a value, which is 0 if the row only has to succeed.
pub(crate) type Try<T = u64> = Result<T, Stop>;

pub(crate) fn skip<T>(why: impl Into<String>) -> Try<T> {
    Err(Stop::Skip(why.into()))
}

/// Fails the row unless `left` is `right`.
pub(crate) fn same<T: PartialEq + fmt::Debug>(what: &str, left: T, right: T) -> Try<()> {
    if left == right {
        return Ok(());
    }
    Err(Stop::Wrong(format!("{what}: {left:?} is not {right:?}")))
}

impl From<Errno> for Stop {
    fn from(errno: Errno) -> Self {
        Self::Errno(errno)
    }
}

impl From<memfile::Error> for Stop {
    fn from(error: memfile::Error) -> Self {
        match error.raw_os_error() {
            Some(errno) => Self::Errno(Errno::from_raw_os_error(errno)),
            None => Self::Message(error.to_string()),
        }
    }
}

impl<T> From<memfile::ErrorWith<T>> for Stop {
    fn from(error: memfile::ErrorWith<T>) -> Self {
        error.into_error().into()
    }
}

impl From<std::io::Error> for Stop {
    fn from(error: std::io::Error) -> Self {
        match (error.raw_os_error(), error.downcast::<memfile::Error>()) {
            (_, Ok(error)) => error.into(),
            (Some(errno), _) => Self::Errno(Errno::from_raw_os_error(errno)),
            (None, Err(error)) => Self::Wrong(error.to_string()),
        }
    }
}

/// The expected result of a row.
#[derive(Clone, Debug)]
pub(crate) enum Expect {
    Value(u64),
    /// A value up to this one, because kernels differ.
    AtMost(u64),
    Errno(Errno),
    /// An error of the crate itself whose message contains this.
    Message(&'static str),
    Signal(i32),
    /// Any of these, because kernels differ.
    OneOf(Vec<Expect>),
    /// A known bug of kernels: the right result, and the one that is seen until the kernel is fixed.
    Defect {
        right: Box<Expect>,
        seen: Box<Expect>,
    },
}

pub(crate) const OK: Expect = Expect::Value(0);
pub(crate) const EPERM: Expect = Expect::Errno(Errno::PERM);
pub(crate) const EBUSY: Expect = Expect::Errno(Errno::BUSY);
pub(crate) const EINVAL: Expect = Expect::Errno(Errno::INVAL);
pub(crate) const EACCES: Expect = Expect::Errno(Errno::ACCESS);
pub(crate) const EBADF: Expect = Expect::Errno(Errno::BADF);
pub(crate) const EWOULDBLOCK: Expect = Expect::Errno(Errno::WOULDBLOCK);

pub(crate) fn one_of(answers: impl Into<Vec<Expect>>) -> Expect {
    Expect::OneOf(answers.into())
}

pub(crate) fn defect(right: Expect, seen: Expect) -> Expect {
    Expect::Defect { right: right.into(), seen: seen.into() }
}

impl Expect {
    fn admits(&self, came: &Try) -> bool {
        match (self, came) {
            (Self::Value(value), Ok(came)) => value == came,
            (Self::AtMost(most), Ok(came)) => came <= most,
            (Self::Errno(errno), Err(Stop::Errno(came))) => errno == came,
            (Self::Message(part), Err(Stop::Message(came))) => came.contains(part),
            (Self::Signal(signal), Err(Stop::Signal(came))) => signal == came,
            (Self::OneOf(answers), _) => answers.iter().any(|answer| answer.admits(came)),
            (Self::Defect { right, .. }, _) => right.admits(came),
            _ => false,
        }
    }
}

fn errno_name(errno: Errno) -> String {
    match errno {
        Errno::PERM => "EPERM".into(),
        Errno::NOENT => "ENOENT".into(),
        Errno::WOULDBLOCK => "EWOULDBLOCK".into(),
        Errno::BADF => "EBADF".into(),
        Errno::NOMEM => "ENOMEM".into(),
        Errno::ACCESS => "EACCES".into(),
        Errno::FAULT => "EFAULT".into(),
        Errno::BUSY => "EBUSY".into(),
        Errno::NODEV => "ENODEV".into(),
        Errno::INVAL => "EINVAL".into(),
        Errno::MFILE => "EMFILE".into(),
        Errno::NOEXEC => "ENOEXEC".into(),
        Errno::TXTBSY => "ETXTBSY".into(),
        Errno::FBIG => "EFBIG".into(),
        Errno::NOSPC => "ENOSPC".into(),
        Errno::NOSYS => "ENOSYS".into(),
        Errno::OPNOTSUPP => "EOPNOTSUPP".into(),
        other => format!("errno {}", other.raw_os_error()),
    }
}

fn value(value: u64) -> String {
    match value {
        0 => "ok".into(),
        value => format!("{value:#x}"),
    }
}

impl fmt::Display for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(expected) => f.write_str(&value(*expected)),
            Self::AtMost(most) => write!(f, "at most {most:#x}"),
            Self::Errno(errno) => f.write_str(&errno_name(*errno)),
            Self::Message(part) => write!(f, "\"{part}\""),
            Self::Signal(signal) => write!(f, "signal {signal}"),
            Self::OneOf(answers) => {
                let texts: Vec<String> = answers.iter().map(ToString::to_string).collect();
                f.write_str(&texts.join(" or "))
            }
            Self::Defect { right, .. } => right.fmt(f),
        }
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Errno(errno) => f.write_str(&errno_name(*errno)),
            Self::Message(message) => write!(f, "\"{message}\""),
            Self::Signal(signal) => write!(f, "signal {signal}"),
            Self::Wrong(what) => f.write_str(what),
            Self::Skip(why) => write!(f, "skip: {why}"),
        }
    }
}

fn came_text(came: &Try) -> String {
    match came {
        Ok(came) => value(*came),
        Err(stop) => stop.to_string(),
    }
}

type Run = Box<dyn FnOnce() -> Try>;

/// All rows, in order.
#[derive(Default)]
pub(crate) struct Table {
    rows: Vec<(String, Expect, Run)>,
}

impl Table {
    pub(crate) fn row(&mut self, name: impl Into<String>, expect: Expect, run: impl FnOnce() -> Try + 'static) {
        self.rows.push((name.into(), expect, Box::new(run)));
    }

    /// Runs the rows in order, and prints a line for each.
    pub(crate) fn run(self, filters: &[String]) -> ExitCode {
        let (mut passed, mut failed, mut skipped, mut defects) = (0, 0, 0, 0);
        for (name, expect, run) in self.rows {
            if !filters.is_empty() && !filters.iter().any(|part| name.contains(part)) {
                continue;
            }
            let came = run();
            match (&came, &expect) {
                (Err(Stop::Skip(why)), _) => {
                    skipped += 1;
                    println!("skip {name} {why}");
                }
                (_, Expect::Defect { right, seen }) if right.admits(&came) => {
                    passed += 1;
                    println!("ok {name} (fixed: {right}, no longer {seen})");
                }
                (_, Expect::Defect { right, seen }) if seen.admits(&came) => {
                    passed += 1;
                    defects += 1;
                    println!("xfail {name} {}, should be {right}", came_text(&came));
                }
                _ if expect.admits(&came) => {
                    passed += 1;
                    match expect {
                        Expect::OneOf(_) | Expect::AtMost(_) => println!("ok {name} ({})", came_text(&came)),
                        _ => println!("ok {name}"),
                    }
                }
                _ => {
                    failed += 1;
                    println!("FAIL {name} expected {expect}, got {}", came_text(&came));
                }
            }
        }
        println!("{passed} passed ({defects} as known defects), {failed} failed, {skipped} skipped");
        ExitCode::from(u8::from(failed > 0))
    }
}
