//! Creating: names, flags, huge pages, limits.

use std::ffi::{CStr, CString};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use memfile::{CreateOptions, Exec, HugeTlb, MemFile};
use rustix::fs::{OFlags, fcntl_getfl};
use rustix::io::{FdFlags, fcntl_getfd};

use crate::seed::HUGE_TLB_SIZES;
use crate::support::check::refused;
use crate::support::seccomp;
use crate::support::skip::skip;

#[test]
fn a_name_comes_back_as_it_was() {
    let longest = "n".repeat(249);
    for name in ["", "config", "with/slash", "/absolute", "two\nlines", "tab\t and space ", "grüße", &longest] {
        let file = MemFile::create_default(name).unwrap();
        assert_eq!(&*file.name().unwrap(), name.as_bytes());
    }
}

#[test]
fn a_c_name_need_not_be_utf8() {
    let longest = CString::new([0xff; 249]).unwrap();
    for name in [c"", c"caf\xe9", c"\xff\xfe", &longest] {
        let file = MemFile::create_cstr(name, CreateOptions::new()).unwrap();
        assert_eq!(&*file.name().unwrap(), name.to_bytes());
        let file = CreateOptions::new().create_cstr(name).unwrap();
        assert_eq!(&*file.name().unwrap(), name.to_bytes());
    }
}

#[test]
fn names_need_not_be_unique() {
    let (first, second) = (MemFile::create_default("same").unwrap(), MemFile::create_default("same").unwrap());
    first.write_all_at(b"first", 0).unwrap();
    assert_eq!(second.len().unwrap(), 0);
}

/// The crate checks the name itself: the filter kills the child if it calls `memfd_create`.
#[test]
fn a_bad_name_is_refused_before_any_system_call() {
    const TOO_LONG: &str = "the name has 250 bytes, more than the 249 that fit";
    const FAR_TOO_LONG: &str = "the name has 100000 bytes, more than the 249 that fit";
    const NUL: &str = "the name contains a NUL byte";

    seccomp::alone(|| {
        seccomp::always("memfd_create", seccomp::Action::KillProcess);
        let create = |name: &str| MemFile::create(name, CreateOptions::new());
        let create_cstr = |name: &CStr| MemFile::create_cstr(name, CreateOptions::new());

        refused(create(&"n".repeat(250)), None, TOO_LONG);
        refused(create(&"n".repeat(100_000)), None, FAR_TOO_LONG);
        refused(create_cstr(&CString::new("n".repeat(250)).unwrap()), None, TOO_LONG);
        for name in ["\0", "a\0b", "trailing\0", &format!("{}\0", "n".repeat(248))] {
            refused(create(name), None, NUL);
        }
    });
}

#[test]
fn a_new_file_is_empty_and_open_for_both() {
    let file = MemFile::create_default("new").unwrap();
    assert_eq!(file.len().unwrap(), 0);
    assert!(file.is_empty().unwrap());
    assert_eq!(fcntl_getfl(&file).unwrap() & OFlags::RWMODE, OFlags::RDWR);
    assert_eq!(rustix::fs::tell(&file).unwrap(), 0);
}

#[test]
fn close_on_exec_is_on_unless_switched_off() {
    let flags = |options: CreateOptions| fcntl_getfd(options.create("flags").unwrap()).unwrap();
    for exec in [Exec::Deny, Exec::KernelDefault] {
        let options = CreateOptions::new().exec(exec);
        assert_eq!(flags(options), FdFlags::CLOEXEC);
        assert_eq!(flags(options.close_on_exec(true)), FdFlags::CLOEXEC);
        assert_eq!(flags(options.close_on_exec(false)), FdFlags::empty());
        assert_eq!(flags(options.close_on_exec(false).allow_sealing(true)), FdFlags::empty());
    }
    assert_eq!(fcntl_getfd(MemFile::create_default("default").unwrap()).unwrap(), FdFlags::CLOEXEC);
    assert_eq!(fcntl_getfd(MemFile::create_sealable("sealable").unwrap()).unwrap(), FdFlags::CLOEXEC);
}

#[test]
fn huge_pages_of_the_sizes_that_exist() {
    let sizes = Path::new("/sys/kernel/mm/hugepages");
    if !sizes.exists() {
        return skip("this kernel has no huge pages");
    }
    for size in HUGE_TLB_SIZES {
        let bytes = size.bytes().unwrap();
        let result = CreateOptions::new().huge_tlb(size).create("huge");
        if sizes.join(format!("hugepages-{}kB", bytes / 1024)).exists() {
            assert_eq!(result.unwrap().metadata().unwrap().blksize(), bytes, "{size:?}");
        } else {
            const MESSAGE: &str = "memfd_create: ENODEV: this machine has no huge pages of that size: /sys/kernel/mm/hugepages lists those it has";
            assert!(refused(result, libc::ENODEV, MESSAGE).is_unsupported());
        }
    }
}

#[test]
fn huge_pages_of_the_default_size() {
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap();
    let Some(line) = meminfo.lines().find_map(|line| line.strip_prefix("Hugepagesize:")) else {
        return skip("this kernel has no huge pages");
    };
    let size = line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024;
    assert_eq!(HugeTlb::Default.bytes(), None);

    let file = CreateOptions::new().huge_tlb(HugeTlb::Default).create("huge").unwrap();
    assert_eq!(file.metadata().unwrap().blksize(), size);
    assert!(file.is_memfd().unwrap());

    refused(
        file.set_len(1),
        libc::EINVAL,
        "ftruncate: EINVAL: the length is not a multiple of the file's huge page size",
    );
    file.set_len(size).unwrap();
    const NO_WRITE: &str = "pwrite: EINVAL: a file of huge pages does not support write(2): fill it through a mapping, for example with `create_with`";
    refused(file.write_at(b"x", 0), libc::EINVAL, NO_WRITE);
    refused(file.write_all_at(b"x", 0), libc::EINVAL, NO_WRITE);
    let mut byte = [1];
    file.read_exact_at(&mut byte, size - 1).unwrap();
    assert_eq!(byte, [0], "a hole does not read as zero");
}

#[test]
fn options_are_plain_values() {
    const OPTIONS: CreateOptions = CreateOptions::new().allow_sealing(true).close_on_exec(false).exec(Exec::Allow);
    assert_eq!(OPTIONS, OPTIONS);
    assert_ne!(OPTIONS, CreateOptions::new());
    assert_eq!(CreateOptions::default(), CreateOptions::new());
    const HUGE: CreateOptions = CreateOptions::new().huge_tlb(HugeTlb::Huge2MB);
    assert_ne!(HUGE, CreateOptions::new());
    assert_eq!(HUGE, CreateOptions::new().huge_tlb(HugeTlb::Huge1GB).huge_tlb(HugeTlb::Huge2MB));
    assert_eq!(Exec::default(), Exec::Deny);
}
