//! Huge pages: kernel settings that a test changes while it runs, and maps that are aligned to
//! them.

use std::ffi::c_void;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::FileExt;
use std::ptr;

use memfile::kernel::{Feature, Support};
use rustix::fs::{FlockOperation, MemfdFlags};
use rustix::mm::{MapFlags, ProtFlags, mmap, mmap_anonymous, munmap};

use super::proc_self::{allocated, smaps};
use super::skip;

/// A kernel setting, which is restored on drop. Until then, tests in other threads and processes
/// cannot take it.
pub(crate) struct Setting {
    file: File,
    before: String,
}

impl Setting {
    /// Waits until no other test has the setting. If this process may not change it, prints that
    /// the test is skipped and returns `None`.
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

    pub(crate) fn set(&self, value: &str) -> io::Result<()> {
        self.file.write_all_at(value.as_bytes(), 0)
    }
}

impl Drop for Setting {
    fn drop(&mut self) {
        // If the file lists all values, the current one is in brackets.
        let before = self.before.split(['[', ']']).nth(1).unwrap_or(&self.before).to_owned();
        self.set(&before).unwrap();
    }
}

pub(crate) const POLICY: &str = "/sys/kernel/mm/transparent_hugepage/shmem_enabled";

/// Until this is dropped, no test changes the policy for transparent huge pages. Tests that count
/// memory need this.
pub(crate) fn steady_policy() -> Option<File> {
    let file = File::open(POLICY).ok()?;
    rustix::fs::flock(&file, FlockOperation::LockShared).unwrap();
    Some(file)
}

/// Whether memory files get ordinary pages under the current policy. If not, prints that the test
/// is skipped. Call this only while holding [`steady_policy`].
#[track_caller]
pub(crate) fn has_small_pages() -> bool {
    let file = File::from(rustix::fs::memfd_create("small pages", MemfdFlags::CLOEXEC).unwrap());
    file.write_all_at(&[1], 0).unwrap();
    let memory = allocated(&file);
    if memory > super::page() {
        skip::skip(format_args!("a file of one byte has {memory} bytes of memory, by the policy in {POLICY}"));
    }
    memory <= super::page()
}

/// Has the size of a transparent huge page.
pub(crate) const SIZE_IN_SYS: &str = "/sys/kernel/mm/transparent_hugepage/hpage_pmd_size";

/// The size of a transparent huge page, or an error if the kernel has none.
pub(crate) fn transparent_page() -> io::Result<usize> {
    Ok(std::fs::read_to_string(SIZE_IN_SYS)?.trim().parse().unwrap())
}

/// The size of a transparent huge page. If the kernel has none, or if they are too large for a test
/// (512 MiB), prints that the test is skipped and returns `None`.
#[track_caller]
pub(crate) fn affordable_page() -> Option<usize> {
    let size = match transparent_page() {
        Ok(size) => size,
        Err(error) => {
            skip::skip(format_args!("no transparent huge pages: {error}"));
            return None;
        }
    };
    if size > 32 << 20 {
        skip::skip(format_args!("huge pages of {size} bytes"));
        return None;
    }
    Some(size)
}

/// Not from `libc`, because some C libraries that are tested are too old to have this constant.
pub(crate) const MADV_COLLAPSE: i32 = 25;

/// Whether MADV_COLLAPSE works under the current policy. Tries it without the crate, and checks
/// that the crate reports the same.
pub(crate) fn collapses() -> bool {
    let page = affordable_page().unwrap();
    let file = File::from(rustix::fs::memfd_create("collapses", MemfdFlags::CLOEXEC).unwrap());
    file.set_len(page as u64).unwrap();
    file.write_all_at(b"touched", 0).unwrap();
    let map = Aligned::map(&file, page);
    map.touch(page);
    let collapses = map.advise(page, MADV_COLLAPSE).is_ok() && allocated(&file) >= page as u64;
    assert_eq!(Support::probe().get(Feature::Collapse).is_ok(), collapses);
    collapses
}

const POLICIES: [&str; 6] = ["never", "advise", "within_size", "always", "deny", "force"];

/// Calls `body` with the policy and the size of a huge page, under each policy for transparent huge
/// pages that this process may set, or else under the current one.
#[track_caller]
pub(crate) fn under_each_policy(body: impl Fn(&str, usize)) {
    let Some(page) = affordable_page() else { return };
    let Some(policy) = Setting::take(POLICY) else { return body("as it is", page) };
    for value in POLICIES {
        match policy.set(value) {
            Ok(()) => body(value, page),
            Err(error) => skip::skip(format_args!("the policy {value}: {error}")),
        }
    }
}

/// A shared read-only map of a whole file, aligned to the size of a huge page.
pub(crate) struct Aligned {
    space: *mut c_void,
    room: usize,
    base: *mut c_void,
    len: usize,
}

impl Aligned {
    /// Maps the file through a new read-only descriptor, because some kernels before 6.7 map a sealed
    /// file shared through no other.
    pub(crate) fn map(file: impl AsFd, page: usize) -> Self {
        let file = File::open(format!("/proc/self/fd/{}", file.as_fd().as_raw_fd())).unwrap();
        let len = usize::try_from(file.metadata().unwrap().len()).unwrap();
        let room = len + page;
        // SAFETY: The kernel chooses the address.
        let space = unsafe { mmap_anonymous(ptr::null_mut(), room, ProtFlags::empty(), MapFlags::PRIVATE) }.unwrap();
        let base = space.map_addr(|address| address.next_multiple_of(page));
        // SAFETY: The range lies within that space, and nothing else uses it.
        unsafe { mmap(base, len, ProtFlags::READ, MapFlags::SHARED | MapFlags::FIXED, &file, 0) }.unwrap();
        Self { space, room, base, len }
    }

    /// Reads a byte of each huge page.
    pub(crate) fn touch(&self, page: usize) {
        for offset in (0..self.len).step_by(page) {
            // SAFETY: The offset lies within the mapping, which is as long as the file.
            let byte = unsafe { self.base.cast::<u8>().add(offset) };
            // SAFETY: As above, and the mapping is readable.
            unsafe { byte.read_volatile() };
        }
    }

    /// Calls `madvise` on the first `len` bytes. The advice must not change the contents.
    pub(crate) fn advise(&self, len: usize, advice: i32) -> io::Result<()> {
        assert!(len <= self.len);
        // SAFETY: The range lies within the mapping, to which there are no references.
        match unsafe { libc::madvise(self.base, len, advice) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

impl Drop for Aligned {
    fn drop(&mut self) {
        // SAFETY: This is the whole space, to which there are no references.
        unsafe { munmap(self.space, self.room) }.unwrap();
    }
}

/// How many bytes of the file are mapped with huge pages if it is mapped aligned. `name` is its
/// name, and no other map of a memory file of that name may exist.
pub(crate) fn by_huge_pages(file: impl AsFd, name: &str) -> usize {
    let page = affordable_page().unwrap();
    let map = Aligned::map(file, page);
    map.touch(page);
    usize::try_from(smaps(name, "ShmemPmdMapped")).unwrap() * 1024
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
        skip::skip("the kernel cannot reserve enough huge pages");
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
