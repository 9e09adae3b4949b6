//! Settings of the kernel that concern huge pages, changed for the time of a test.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;

use rustix::fs::FlockOperation;

use super::skip;

/// A setting of the kernel, changed until this is dropped. Tests in other threads and processes
/// wait for their turn.
pub(crate) struct Setting {
    file: File,
    before: String,
}

impl Setting {
    /// Waits for its turn. `None` if this process may not change the setting, after saying so.
    #[track_caller]
    pub(crate) fn take(path: &str) -> Option<Self> {
        match OpenOptions::new().read(true).write(true).open(path) {
            Err(error) => {
                skip::skip(format_args!("{path}: {error}"));
                None
            }
            Ok(file) => {
                rustix::fs::flock(&file, FlockOperation::LockExclusive).unwrap();
                let before = read(&file);
                Some(Self { file, before })
            }
        }
    }

    pub(crate) fn set(&self, value: &str) -> std::io::Result<()> {
        self.file.write_all_at(value.as_bytes(), 0)
    }
}

impl Drop for Setting {
    fn drop(&mut self) {
        // Of several words the one that holds is in brackets.
        let before = self.before.split(['[', ']']).nth(1).unwrap_or(&self.before).to_owned();
        self.set(&before).unwrap();
    }
}

pub(crate) const POLICY: &str = "/sys/kernel/mm/transparent_hugepage/shmem_enabled";

/// While this is held, no test of this binary changes the policy for transparent huge pages. For
/// tests that count memory.
pub(crate) fn steady_policy() -> Option<File> {
    let file = File::open(POLICY).ok()?;
    rustix::fs::flock(&file, FlockOperation::LockShared).unwrap();
    Some(file)
}

fn read(file: &File) -> String {
    let mut text = [0; 256];
    let n = file.read_at(&mut text, 0).unwrap();
    String::from_utf8(text[..n].to_vec()).unwrap().trim().to_owned()
}

/// The pool of huge pages of the default size, with this many free ones.
pub(crate) struct Pool(#[allow(dead_code, reason = "put back when dropped")] Setting);

impl Pool {
    #[track_caller]
    pub(crate) fn of(pages: u64) -> Option<Self> {
        let setting = Setting::take("/proc/sys/vm/nr_hugepages")?;
        let used = meminfo("HugePages_Total:") - meminfo("HugePages_Free:") + meminfo("HugePages_Rsvd:");
        setting.set(&(used + pages).to_string()).unwrap();
        let pool = Self(setting);
        if meminfo("HugePages_Total:") == used + pages {
            return Some(pool);
        }
        skip::skip("no huge pages to be had");
        None
    }
}

fn meminfo(field: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap();
    let line = text.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

pub(crate) fn page() -> usize {
    usize::try_from(meminfo("Hugepagesize:")).unwrap() * 1024
}
