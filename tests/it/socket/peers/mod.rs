//! Peers that are written in Python, C and Go.

use std::process::{Command, Stdio};

use memfile::socket::recv;
use memfile::{Seal, SealedFile, Seals};
use nix::sys::socket::SockType;
use tempfile::TempDir;

use super::{assert_refused, pair, sealed, too_many};
use crate::support::check::{MISSING_BOTH, NO_MEMORY_FILE, PATH_ONLY, holes, missing};
use crate::support::noexec;
use crate::support::skip::skip;

#[test]
fn a_peer_in_python_sends_and_receives() {
    if let Some(peer) = python(include_str!("peer.py")) {
        exchange_with(peer, b"from Python");
    }
}

#[test]
fn a_peer_in_c_sends_and_receives() {
    let folder = folder();
    let program = folder.path().join("peer");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/socket/peers/peer.c");
    match Command::new("cc").args(["-Wall", "-Werror", source, "-o"]).arg(&program).status() {
        Ok(status) => assert!(status.success(), "{status}"),
        Err(error) => return skip(format_args!("no cc: {error}")),
    }
    exchange_with(Command::new(program), b"from C");
}

#[test]
fn a_peer_in_go_sends_and_receives() {
    let folder = folder();
    let program = folder.path().join("peer-go");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/socket/peers/peer.go");
    let mut go = Command::new("go");
    // A program of one file needs neither a module nor the network.
    go.args(["build", "-o"]).arg(&program).arg(source).env("GO111MODULE", "off").env("GOTOOLCHAIN", "local");
    // The cache is kept from one run to the next.
    let cache = concat!(env!("CARGO_TARGET_TMPDIR"), "/go");
    let own = folder.path().starts_with(env!("CARGO_TARGET_TMPDIR"));
    go.env("GOCACHE", if own { cache.into() } else { folder.path().join("go") });
    match go.status() {
        Ok(status) => assert!(status.success(), "{status}"),
        Err(error) => return skip(format_args!("no go: {error}")),
    }
    exchange_with(Command::new(program), b"from Go");
}

/// A folder to build a program in: in the build folder, or elsewhere if that belongs to another
/// user.
fn folder() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).or_else(|_| tempfile::tempdir()).unwrap()
}

/// A command that runs this Python program. `None` if Python is not installed.
fn python(program: &str) -> Option<Command> {
    match Command::new("python3").arg("--version").output() {
        Ok(output) if output.status.success() => {}
        other => {
            skip(format_args!("no python3: {other:?}"));
            return None;
        }
    }
    let mut python = Command::new("python3");
    python.args(["-c", program]);
    Some(python)
}

fn exchange_with(mut peer: Command, text: &[u8]) {
    let (ours, theirs) = pair(SockType::SeqPacket);
    let child = peer.stdin(theirs).stdout(Stdio::piped()).spawn().unwrap();
    drop(peer);
    sealed("from Rust").send(&ours, b"hello").unwrap();

    let mut payload = [0; 64];
    let (len, file) = SealedFile::recv(&ours, &mut payload).unwrap();
    assert_eq!((&payload[..len], &file.map().unwrap()[..]), (&b"sealed"[..], text));
    let error = SealedFile::recv(&ours, &mut payload).unwrap_err();
    assert_refused(error, &missing(Seal::Write.into(), Seals::empty()));
    let error = SealedFile::recv(&ours, &mut payload).unwrap_err();
    assert_refused(error, &too_many(1));
    assert!(SealedFile::recv(&ours, &mut payload).unwrap_err().is_closed_by_peer());

    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "hello from Rust 15\n");
}

#[test]
fn every_kind_from_python_is_proven_or_refused() {
    let Some(mut python) = python(include_str!("kinds.py")) else { return };
    let (ours, theirs) = pair(SockType::SeqPacket);
    let mut child = python.stdin(theirs).spawn().unwrap();
    drop(python);

    let not_sealable = match noexec::implies_sealing() {
        true => MISSING_BOTH.into(),
        false => missing(Seals::CONSTANT, Seal::Seal.into()),
    };
    let kinds: [(&str, Result<(), String>); 12] = [
        ("sealed", Ok(())),
        ("sealed, with Exec", Ok(())),
        ("Shrink and Write alone", Ok(())),
        ("through a read-only descriptor", Ok(())),
        ("no seals", Err(MISSING_BOTH.into())),
        ("not sealable", Err(not_sealable)),
        ("without Shrink", Err(missing(Seal::Shrink.into(), Seals::empty()))),
        ("FutureWrite instead of Write", Err(missing(Seal::Write.into(), Seal::FutureWrite.into()))),
        ("a hole", Err(holes(4096, 0))),
        ("a file on disk", Err(NO_MEMORY_FILE.into())),
        ("a pipe", Err(NO_MEMORY_FILE.into())),
        ("O_PATH", Err(PATH_ONLY.into())),
    ];
    for (kind, expected) in kinds {
        let (mut payload, mut fds) = ([0; 64], [None]);
        let received = recv(&ours, &mut payload, &mut fds).unwrap();
        assert_eq!(String::from_utf8_lossy(&payload[..received.bytes]), kind);
        let [Some(fd)] = fds else { panic!("{kind}: no descriptor") };
        match SealedFile::try_from(fd) {
            Ok(file) => {
                assert_eq!(expected, Ok(()), "{kind}");
                assert_eq!(&file.map().unwrap()[..], b"from Python", "{kind}");
            }
            Err(error) => assert_eq!(Err(error.to_string()), expected, "{kind}"),
        }
    }
    assert!(SealedFile::recv(&ours, &mut [0; 64]).unwrap_err().is_closed_by_peer());
    assert!(child.wait().unwrap().success());
}
