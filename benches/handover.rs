//! Handing a sealed file over: a clone, and to another process and back.

#![allow(missing_docs, clippy::expect_used, reason = "a bench")]

mod common;

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Command, Stdio};

use common::{SIZES, criterion, pattern, size};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group};
use memfile::SealedFile;

fn clone(c: &mut Criterion) {
    let sealed = SealedFile::from_bytes("bench", b"bytes").expect("a sealed file");
    c.bench_function("try_clone", |b| b.iter(|| sealed.try_clone().expect("a descriptor")));
}

/// Set for the child.
const CHILD: &str = "MEMFILE_BENCH_CHILD";

/// Bytes to another process, which proves, maps and looks at them, and answers. It opens them by the path of this process's
/// descriptor, so the cost is that of the hand-over and of two messages over pipes.
fn process(c: &mut Criterion) {
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .env(CHILD, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a child");
    let (mut to, mut from) = (child.stdin.take().expect("a pipe"), child.stdout.take().expect("a pipe"));
    let mut group = c.benchmark_group("hand-over to a process");
    for len in SIZES {
        let bytes = pattern(len);
        group.throughput(Throughput::Bytes(len as u64));
        group.bench_function(BenchmarkId::from_parameter(size(len)), |b| {
            b.iter(|| {
                let sealed = SealedFile::from_bytes("bench", &bytes).expect("a sealed file");
                let path = sealed.as_mem_file().proc_path_of(std::process::id());
                let path = path.as_c_str().to_bytes();
                let mut message = [0; 64];
                message.iter_mut().zip(path).for_each(|(to, from)| *to = *from);
                to.write_all(&message).expect("the child listens");
                let mut answer = [0; 8];
                from.read_exact(&mut answer).expect("the child answers");
                assert_eq!(u64::from_ne_bytes(answer), len as u64);
            });
        });
    }
    group.finish();
    drop(to);
    child.wait().expect("the child ends");
}

fn child() {
    let mut input = File::from(std::io::stdin().as_fd().try_clone_to_owned().expect("a descriptor"));
    let mut message = [0; 64];
    while input.read_exact(&mut message).is_ok() {
        let path = core::str::from_utf8(&message).expect("a path").trim_end_matches('\0');
        let fd = OwnedFd::from(File::open(path).expect("the file is open"));
        let sealed = SealedFile::try_from(fd).map_err(|error| error.into_error()).expect("a proof");
        let map = sealed.map().expect("mmap");
        std::io::stdout().write_all(&(map.len() as u64).to_ne_bytes()).expect("write");
        std::io::stdout().flush().expect("write");
    }
}

criterion_group!(name = benches; config = criterion(); targets = clone, process);

fn main() {
    if std::env::var_os(CHILD).is_some() {
        return child();
    }
    benches();
    criterion().final_summary();
}
