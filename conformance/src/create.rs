//! Creation: names, flags and the state of a new file (1.1).

use std::ffi::CString;
use std::os::fd::AsRawFd;

use memfile::{CreateOptions, Exec, HugeTlb, MemFile};
use rustix::io::Errno;

use crate::probe::{
    EXEC, MFD_ALLOW_SEALING, MFD_CLOEXEC, MFD_EXEC, MFD_HUGETLB, MFD_NOEXEC_SEAL, SEAL, needs,
    needs_executable_default, page, proc_path, reopen, unless_forbidden,
};
use crate::raw;
use crate::table::{EACCES, EINVAL, Expect, OK, Table, Try, one_of, same, skip};

const EFAULT: Expect = Expect::Errno(Errno::FAULT);

fn with_name(name: &[u8]) -> Try {
    let name = [name, b"\0"].concat();
    raw::memfd_create(name.as_ptr().cast(), 0).map(|_| 0)
}

/// Creates a file, and reads its name back from `/proc`.
fn kept(name: &[u8]) -> Try {
    let file = MemFile::create_cstr(&CString::new(name).unwrap_or_default(), CreateOptions::new())?;
    reopen(&file, rustix::fs::OFlags::RDONLY)?;
    let link = rustix::fs::readlink(proc_path(&file), Vec::new())?;
    same("link", link.to_bytes(), &[b"/memfd:", name, b" (deleted)"].concat()[..])?;
    same("name", &file.name()?[..], name)?;
    Ok(0)
}

fn policy(policy: Exec, sealing: bool) -> Try<MemFile> {
    unless_forbidden(CreateOptions::new().exec(policy).allow_sealing(sealing).create("policy").map_err(Into::into))
}

pub(crate) fn rows(table: &mut Table) {
    names(table);
    flags(table);
    new_file(table);
    initial_seals(table);
    huge(table);
    table.row("1.1/limit/descriptors", Expect::Errno(Errno::MFILE), || {
        raw::in_child(|| {
            let limit = rustix::process::Rlimit { current: Some(3), maximum: Some(3) };
            rustix::process::setrlimit(rustix::process::Resource::Nofile, limit)?;
            MemFile::create_default("one too many")?;
            Ok(0)
        })
    });
}

fn names(table: &mut Table) {
    table.row("1.1/name/null", EFAULT, || raw::memfd_create(std::ptr::null(), 0).map(|_| 0));
    table.row("1.1/name/bad-pointer", EFAULT, || raw::memfd_create(std::ptr::without_provenance(8), 0).map(|_| 0));
    table.row("1.1/name/null-and-bad-flag", EINVAL, || raw::memfd_create(std::ptr::null(), 0x40).map(|_| 0));
    table.row("1.1/name/249", OK, || with_name(&[b'n'; 249]));
    table.row("1.1/name/250", EINVAL, || with_name(&[b'n'; 250]));
    table.row("1.1/name/2047", EINVAL, || with_name(&[b'n'; 2047]));
    table.row("1.1/name/unterminated", EINVAL, || raw::memfd_create([0xff_u8; 2048].as_ptr().cast(), 0).map(|_| 0));
    table.row("1.1/name/crate-249", OK, || MemFile::create_default("n".repeat(249)).map(|_| 0).map_err(Into::into));
    table.row("1.1/name/crate-250", Expect::Message("more than the 249"), || {
        MemFile::create_default("n".repeat(250))?;
        Ok(0)
    });
    table.row("1.1/name/crate-nul", Expect::Message("NUL"), || {
        MemFile::create_default("a\0b")?;
        Ok(0)
    });
    let kept_names: [(&str, &[u8]); 6] = [
        ("empty", b""),
        ("slash", b"a/b/../c"),
        ("newline", b"a\nb"),
        ("not-utf-8", b"\xff\xfe\x80"),
        ("deleted", b"x (deleted)"),
        ("longest", &[b'z'; 249]),
    ];
    for (what, name) in kept_names {
        table.row(format!("1.1/name-kept/{what}"), OK, move || kept(name));
    }
    table.row("1.1/name/twice", OK, || {
        let (a, b) = (MemFile::create_default("twin")?, MemFile::create_default("twin")?);
        let inodes = (rustix::fs::fstat(&a)?.st_ino, rustix::fs::fstat(&b)?.st_ino);
        same("distinct", inodes.0 != inodes.1, true)?;
        Ok(0)
    });
}

fn flags(table: &mut Table) {
    let bad: [u32; 11] = [0x20, 0x40, 0x80, 0x100, 0x200, 1 << 25, 1 << 31, !1, !2, !0, 500_u32.wrapping_neg()];
    for flags in bad {
        table.row(format!("1.1/flags/{flags:#x}"), EINVAL, move || raw::memfd(flags).map(|_| 0));
    }
    table.row("1.1/flags/exec-and-noexec", EINVAL, || raw::memfd(MFD_EXEC | MFD_NOEXEC_SEAL).map(|_| 0));
    table.row("1.1/flags/huge-size-alone", EINVAL, || raw::memfd(21 << 26).map(|_| 0));
    for flags in [0, MFD_CLOEXEC, MFD_ALLOW_SEALING, MFD_CLOEXEC | MFD_ALLOW_SEALING] {
        table.row(format!("1.1/flags/{flags:#x}"), OK, move || raw::memfd(flags).map(|_| 0));
    }
    for (name, flag) in [("MFD_EXEC", MFD_EXEC), ("MFD_NOEXEC_SEAL", MFD_NOEXEC_SEAL)] {
        let known = one_of([OK, EINVAL, EACCES]);
        table.row(format!("1.1/flags/{name}"), known, move || raw::memfd(flag).map(|_| 0));
    }
}

fn new_file(table: &mut Table) {
    table.row("1.1/new/length", OK, || Ok(MemFile::create_default("new")?.len()?));
    table.row("1.1/new/links", OK, || Ok(rustix::fs::fstat(MemFile::create_default("new")?)?.st_nlink as u64));
    table.row("1.1/new/position", OK, || Ok(rustix::fs::tell(MemFile::create_default("new")?)?));
    table.row("1.1/new/read-write", OK, || {
        let flags = rustix::fs::fcntl_getfl(MemFile::create_default("new")?)?;
        same("mode", flags & rustix::fs::OFlags::RWMODE, rustix::fs::OFlags::RDWR)?;
        Ok(0)
    });
    for close in [true, false] {
        table.row(format!("1.1/new/close-on-exec-{close}"), OK, move || {
            let file = CreateOptions::new().close_on_exec(close).create("new")?;
            let flags = rustix::io::fcntl_getfd(&file)?;
            same("FD_CLOEXEC", flags.contains(rustix::io::FdFlags::CLOEXEC), close)?;
            Ok(0)
        });
    }
    table.row("1.1/new/clone-close-on-exec", OK, || {
        let file = CreateOptions::new().close_on_exec(false).create("new")?.try_clone()?;
        same("FD_CLOEXEC", rustix::io::fcntl_getfd(&file)?, rustix::io::FdFlags::CLOEXEC)?;
        Ok(0)
    });
    table.row("1.1/new/tmpfs", Expect::Value(0x0102_1994), || {
        Ok(rustix::fs::fstatfs(MemFile::create_default("new")?)?.f_type as u64)
    });
    let mode = |fd: &dyn Fn() -> Try<MemFile>| -> Try { Ok(u64::from(rustix::fs::fstat(fd()?)?.st_mode & 0o7777)) };
    table.row("1.1/mode/default", Expect::Value(0o777), move || {
        needs_executable_default()?;
        mode(&|| policy(Exec::KernelDefault, false))
    });
    table.row("1.1/mode/allow", Expect::Value(0o777), move || mode(&|| policy(Exec::Allow, false)));
    table.row("1.1/mode/deny", Expect::Value(0o666), move || mode(&|| policy(Exec::Deny, false)));
    table.row("1.1/mode/deny-unsealed", Expect::Value(0o666), move || mode(&|| policy(Exec::DenyUnsealed, false)));
    table.row("1.1/mode/umask-ignored", Expect::Value(0o666), move || {
        raw::in_child(|| {
            raw::set_umask(0o777);
            mode(&|| policy(Exec::Deny, false))
        })
    });
    table.row("1.1/zero/grown", OK, || {
        let file = MemFile::create_default("zero")?;
        file.set_len(3 * page() as u64)?;
        let mut bytes = vec![1; 3 * page()];
        file.read_exact_at(&mut bytes, 0)?;
        Ok(bytes.iter().map(|&byte| u64::from(byte)).sum())
    });
    table.row("1.1/zero/shrunk-and-grown", OK, || {
        let file = MemFile::create_default("zero")?;
        file.write_all_at(&[b'A'; 100], 0)?;
        file.set_len(10)?;
        file.set_len(100)?;
        let mut bytes = [1; 100];
        file.read_exact_at(&mut bytes, 0)?;
        same("head", &bytes[..10], &[b'A'; 10][..])?;
        Ok(bytes[10..].iter().map(|&byte| u64::from(byte)).sum())
    });
    table.row("1.1/new/socket-is-none", EINVAL, || {
        let (socket, _) = std::os::unix::net::UnixStream::pair()?;
        MemFile::from_fd(socket.into())?;
        Ok(0)
    });
    table.row("1.1/new/distinct-descriptors", OK, || {
        let file = MemFile::create_default("new")?;
        let clone = file.try_clone()?;
        same("distinct", file.as_fd().as_raw_fd() != clone.as_fd().as_raw_fd(), true)?;
        Ok(0)
    });
}

/// The seals of a new file, by flags or exec policy, and by whether sealing was requested.
fn initial_seals(table: &mut Table) {
    let raw_flags = [
        ("0", 0, SEAL),
        ("cloexec", MFD_CLOEXEC, SEAL),
        ("exec", MFD_EXEC, SEAL),
        ("sealing", MFD_ALLOW_SEALING, 0),
        ("sealing-exec", MFD_ALLOW_SEALING | MFD_EXEC, 0),
        ("noexec", MFD_NOEXEC_SEAL, EXEC),
        ("sealing-noexec", MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL, EXEC),
    ];
    for (name, flags, seals) in raw_flags {
        table.row(format!("1.1/seals/{name}"), Expect::Value(seals), move || {
            if flags & MFD_EXEC != 0 {
                needs("MFD_EXEC")?;
            } else if flags & MFD_NOEXEC_SEAL != 0 {
                needs("MFD_NOEXEC_SEAL")?;
            } else {
                needs_executable_default()?;
            }
            raw::get_seals(raw::memfd(flags)?)
        });
    }
    let policies = [Exec::Deny, Exec::DenyUnsealed, Exec::Allow, Exec::KernelDefault];
    for (exec, sealing) in policies.into_iter().flat_map(|exec| [(exec, false), (exec, true)]) {
        // The crate makes a file sealable only if requested, whatever the kernel implies. Under two policies the kernel
        // may add Exec.
        let expect = match (sealing, exec) {
            (false, Exec::Deny) => one_of([Expect::Value(SEAL), Expect::Value(SEAL | EXEC)]),
            (true, Exec::Deny) => one_of([OK, Expect::Value(EXEC)]),
            (false, Exec::KernelDefault) => one_of([Expect::Value(SEAL), Expect::Value(SEAL | EXEC)]),
            (true, Exec::KernelDefault) => one_of([OK, Expect::Value(EXEC)]),
            (false, _) => Expect::Value(SEAL),
            (true, _) => OK,
        };
        table.row(format!("1.1/seals/crate-{exec:?}-{sealing}"), expect, move || {
            Ok(u64::from(policy(exec, sealing)?.get_seals()?.bits()))
        });
    }
}

fn huge(table: &mut Table) {
    let sizes = [
        HugeTlb::Default,
        HugeTlb::Huge64KB,
        HugeTlb::Huge512KB,
        HugeTlb::Huge1MB,
        HugeTlb::Huge2MB,
        HugeTlb::Huge8MB,
        HugeTlb::Huge16MB,
        HugeTlb::Huge32MB,
        HugeTlb::Huge256MB,
        HugeTlb::Huge512MB,
        HugeTlb::Huge1GB,
        HugeTlb::Huge2GB,
        HugeTlb::Huge16GB,
    ];
    for size in sizes {
        let there = match size.bytes() {
            Some(bytes) => format!("/sys/kernel/mm/hugepages/hugepages-{}kB", bytes / 1024),
            None => "/sys/kernel/mm/hugepages".into(),
        };
        table.row(format!("1.1/huge/{size:?}"), OK, move || {
            if std::fs::metadata("/sys/kernel/mm").is_err() {
                return skip("no /sys to tell the sizes");
            }
            let created = CreateOptions::new().huge_tlb(size).create("huge");
            match (std::fs::metadata(&there).is_ok(), created) {
                (true, created) => created.map(|_| 0).map_err(Into::into),
                (false, Ok(_)) => skip("made, though /sys does not list it"),
                (false, Err(error)) => {
                    let nodev = Errno::NODEV.raw_os_error();
                    same(
                        "errno",
                        [Some(nodev), Some(Errno::NOSYS.raw_os_error())].contains(&error.raw_os_error()),
                        true,
                    )?;
                    same("unsupported", error.is_unsupported(), true)?;
                    Ok(0)
                }
            }
        });
    }
    table.row("1.1/huge/without-rights", OK, || {
        if !rustix::process::geteuid().is_root() {
            return skip("not root");
        }
        raw::memfd(MFD_HUGETLB).or_else(|_| skip("no huge pages here"))?;
        raw::in_child(|| {
            raw::become_nobody().or_else(|_| skip("cannot become another user"))?;
            raw::memfd(MFD_HUGETLB).map(|_| 0)
        })
    });
}
