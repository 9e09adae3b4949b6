//! Every system call that a public call makes fails with each errno, either once or every time. The
//! result must be an error with that errno and the name of the system call, or that of the
//! documented fallback. Nothing may panic, and no descriptor and no mapping may leak.

mod calls;
mod expect;

use std::fs;

use memfile::MemFile;

use crate::support::noexec;
use crate::support::proc_self::descriptors;
use crate::support::skip::skip;
use crate::support::supervisor::{self, Fault, watch};
use calls::all;

const ERRNOS: [i32; 8] =
    [libc::ENOSYS, libc::EPERM, libc::EACCES, libc::EINVAL, libc::ENOMEM, libc::EMFILE, libc::ENOSPC, libc::EINTR];

fn mappings() -> usize {
    fs::read_to_string("/proc/self/maps").unwrap().matches("/memfd:").count()
}

/// Injects every fault except `spared`, a system call and its errno. Returns how many it injected.
fn inject(again: bool, spared: Option<(&'static str, i32)>) -> usize {
    let mut faults = 0;
    for (name, prepare) in all() {
        for at in 0.. {
            let mut reached = false;
            for errno in ERRNOS {
                // The crate would repeat the call forever.
                if again && errno == libc::EINTR {
                    continue;
                }
                let spared = spared.filter(|spared| spared.1 == errno).map(|spared| spared.0);
                let fault = Fault { at, errno, again, spared };
                let before = (descriptors(), mappings());
                let (result, made) = watch(fault, prepare());
                let result = result.unwrap_or_else(|_| panic!("{name}: {fault:?} in {made:?} panicked"));
                assert_eq!((descriptors(), mappings()), before, "{name}: {fault:?} in {made:?} leaked something");
                let Some(&operation) = made.get(at) else { continue };
                reached = true;
                if Some(operation) == spared {
                    continue;
                }
                assert!(
                    expect::admits(name, &made, fault, &result),
                    "{name}: {operation} failed, {fault:?} in {made:?}: {result:?}"
                );
                faults += 1;
            }
            if !reached {
                break;
            }
        }
    }
    println!("{faults} faults injected");
    faults
}

/// Only an old kernel refuses the exec flags. The crate remembers that, which would change the
/// system calls of all later calls.
const EXEC_FLAGS_REFUSED: Option<(&str, i32)> = Some(("memfd_create", libc::EINVAL));

#[test]
fn each_call_fails_once() {
    supervisor::alone(|| assert!(inject(false, EXEC_FLAGS_REFUSED) > 1000));
}

#[test]
fn each_call_fails_every_time() {
    supervisor::alone(|| assert!(inject(true, EXEC_FLAGS_REFUSED) > 800));
}

#[test]
fn each_call_fails_on_an_old_kernel() {
    if noexec::implies_sealing() {
        return skip("vm.memfd_noexec is not 0: a new file has the seal Exec, which old kernels lack");
    }
    supervisor::alone(|| {
        let (result, made) = watch(Fault::once(0, libc::EINVAL), || MemFile::create_default("old"));
        result.unwrap().unwrap();
        let calls = ["memfd_create", "memfd_create", "fchmod", "fcntl(F_ADD_SEALS)", "fcntl(F_GET_SEALS)"];
        // The file was created with the seal Seal, so that adding it once more fails. The crate
        // then looks whether the file has it.
        assert_eq!(made, &calls);
        assert!(inject(false, None) > 1000);
    });
}
