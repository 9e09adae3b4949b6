//! [`Support`]: that its report agrees with what the calls do, and how it is printed.

use memfile::kernel::{Feature, Support};
use memfile::{Cause, CreateOptions, Error, Exec, Holes, HugeTlb, MemFile, Seal, SealedFile, Seals};

use crate::support::huge::{POLICY, steady_policy};
use crate::support::skip::skip;
use crate::support::{child, noexec, seccomp};

const FEATURES: [Feature; 12] = [
    Feature::MemfdCreate,
    Feature::Sealing,
    Feature::ExecFlags,
    Feature::Executable,
    Feature::FutureWrite,
    Feature::ExecSeal,
    Feature::HonestWriteSeal,
    Feature::MapSealedShared,
    Feature::Populate,
    Feature::Collapse,
    Feature::ProcFd,
    Feature::HugeTlb,
];

/// A new sealable file, which every `vm.memfd_noexec` permits.
fn sealable() -> Result<MemFile, Error> {
    CreateOptions::new().allow_sealing(true).exec(Exec::Deny).create("kernel")
}

/// Uses the feature in one call. `None` if the crate has a fallback, so that no call shows whether
/// the kernel has the feature.
fn try_to_use(feature: Feature) -> Option<Result<(), Error>> {
    let sealed = |seal: Seal| sealable().and_then(|file| file.add_seal(seal));
    Some(match feature {
        Feature::MemfdCreate => sealable().map(drop),
        Feature::Executable => CreateOptions::new().exec(Exec::Allow).create("kernel").map(drop),
        Feature::Sealing => sealed(Seal::Grow),
        Feature::FutureWrite => sealed(Seal::FutureWrite),
        Feature::ExecSeal => sealed(Seal::Exec),
        Feature::Populate => sealable().and_then(|file| {
            file.set_len(4096)?;
            file.add_seals(Seals::IMMUTABLE)?;
            // Before Linux 6.7 a sealed file can only be mapped through a read-only descriptor.
            SealedFile::options().holes(Holes::Populate).verify(file.reopen_read_only()?)?;
            Ok(())
        }),
        Feature::ProcFd => sealable().and_then(|file| file.reopen_read_only()).map(drop),
        Feature::HugeTlb => {
            CreateOptions::new().allow_sealing(true).huge_tlb(HugeTlb::Default).create("kernel").map(drop)
        }
        _ => return None,
    })
}

/// On this kernel, a feature is reported as available if and only if using it succeeds.
#[test]
fn get_agrees_with_the_calls() {
    let support = Support::probe();
    for feature in FEATURES {
        let reported = support.get(feature).map_err(|error| error.raw_os_error());
        if let Some(used) = try_to_use(feature) {
            assert_eq!(reported, used.map_err(|error| error.raw_os_error()), "{feature:?}");
        }
    }
    for size in support.huge_tlb_sizes() {
        CreateOptions::new().huge_tlb(size).create("kernel").unwrap();
    }
}

/// A missing feature is reported with the errno of the call that failed. The other features are
/// still reported as available.
#[test]
fn get_says_why_a_feature_is_missing() {
    seccomp::alone(|| {
        let _steady = steady_policy();
        let missing = |support: &Support| -> Vec<(Feature, Option<i32>)> {
            let error = |feature| Some((feature, support.get(feature).err()?.raw_os_error()));
            FEATURES.into_iter().filter_map(error).collect()
        };
        let before = missing(&Support::probe());
        // A filter lasts as long as its thread, so it gets a thread of its own.
        let without = |refuse: fn()| {
            let probe = move || {
                refuse();
                Support::probe()
            };
            std::thread::spawn(probe).join().unwrap()
        };

        let support = without(|| seccomp::on_seals(Seal::FutureWrite as u32, seccomp::errno(libc::EINVAL)));
        let error = support.get(Feature::FutureWrite).unwrap_err();
        assert_eq!((error.call(), error.raw_os_error()), (Some("fcntl(F_ADD_SEALS)"), Some(libc::EINVAL)));
        assert!(error.is_unsupported());
        let mut expected = before.clone();
        expected.retain(|&(feature, _)| feature != Feature::FutureWrite);
        let mut found = missing(&support);
        found.retain(|&(feature, _)| feature != Feature::FutureWrite);
        assert_eq!(found, expected);

        // Kernels before 6.7 refuse shared mappings of a write-sealed file.
        let support =
            without(|| seccomp::on_bits("mmap", 3, libc::MAP_SHARED.unsigned_abs(), seccomp::errno(libc::EPERM)));
        let error = support.get(Feature::MapSealedShared).unwrap_err();
        assert_eq!((error.call(), error.raw_os_error()), (Some("mmap"), Some(libc::EPERM)));

        // Kernels before 6.3 do not know the flag.
        let support =
            without(|| seccomp::on_bits("memfd_create", 1, libc::MFD_NOEXEC_SEAL, seccomp::errno(libc::EINVAL)));
        let error = support.get(Feature::ExecFlags).unwrap_err();
        assert_eq!((error.call(), error.raw_os_error()), (Some("memfd_create"), Some(libc::EINVAL)));

        // A kernel that lacks Exec too cannot be tested with it, and needs not be.
        let support = without(|| {
            let flags = libc::MFD_EXEC | libc::MFD_NOEXEC_SEAL;
            seccomp::on_bits("memfd_create", 1, flags, seccomp::errno(libc::EINVAL));
            seccomp::on_seals(Seal::Exec as u32, seccomp::errno(libc::EINVAL));
        });
        support.get(Feature::HonestWriteSeal).unwrap();

        let support = without(|| seccomp::always("memfd_create", seccomp::errno(libc::ENOSYS)));
        for feature in FEATURES {
            match support.get(feature) {
                Ok(()) => panic!("{feature:?} without any file"),
                // Without a file, the kernel cannot be tested.
                Err(error) if feature == Feature::HonestWriteSeal => {
                    assert_eq!((error.cause(), error.call()), (Cause::ForgedWrite, None));
                }
                Err(error) => {
                    let parts = (error.call(), error.raw_os_error());
                    assert_eq!(parts, (Some("memfd_create"), Some(libc::ENOSYS)), "{feature:?}");
                    assert!(error.is_unsupported());
                }
            }
        }
        assert_eq!(support.default_exec(), Exec::Deny);
        assert_eq!(support.huge_tlb_sizes().count(), 0);
    });
}

/// What else the report says, by the kernel's own words.
#[test]
fn settings_are_those_of_the_kernel() {
    let _steady = steady_policy();
    let support = Support::probe();
    let file = rustix::fs::memfd_create("kernel", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
    let executable = rustix::fs::fstat(file).unwrap().st_mode & 0o111 != 0;
    assert_eq!(support.default_exec(), if executable { Exec::Allow } else { Exec::Deny });
    let policies = std::fs::read_to_string(POLICY).unwrap_or_default();
    let policy = policies.split_whitespace().find_map(|word| word.strip_prefix('[')?.strip_suffix(']'));
    assert_eq!(support.transparent_huge_pages(), policy);
}

/// A pid namespace has a `vm.memfd_noexec` of its own.
#[test]
fn default_exec_is_that_of_the_namespace() {
    child::alone_through(&["unshare", "--pid", "--fork", "--mount-proc"], || {
        if let Err(error) = std::fs::write(noexec::SYSCTL, "1") {
            return skip(format_args!("{}: {error}", noexec::SYSCTL));
        }
        assert_eq!(Support::probe().default_exec(), Exec::Deny);
    });
}

/// `Display` prints a table of two columns, for bug reports.
#[test]
fn display_is_a_table() {
    let support = Support::probe();
    let text = support.to_string();
    let rows: Vec<_> = text.lines().map(|line| (line[..34].trim_end(), line[34..].trim_start())).collect();
    assert_eq!(rows.len(), FEATURES.len() + 4, "{text}");

    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    assert_eq!(rows[0], ("kernel", release.trim_end()));
    for (feature, (name, answer)) in FEATURES.into_iter().zip(&rows[1..]) {
        match support.get(feature) {
            Ok(()) => assert!(answer.starts_with("yes (") && answer.ends_with(')'), "{feature:?}: {name} {answer}"),
            Err(error) => {
                assert!(
                    answer.starts_with("no  (") && answer.ends_with(&format!("): {error}")),
                    "{feature:?}: {answer}"
                );
            }
        }
    }
    let rest = &rows[1 + FEATURES.len()..];
    let names: Vec<_> = rest.iter().map(|row| row.0).collect();
    assert_eq!(names, ["without exec flags", "huge page sizes", "transparent huge pages"]);
    let default = if support.default_exec() == Exec::Allow { "executable" } else { "not executable" };
    assert_eq!(rest[0].1, default);
    let sizes = rest[1].1.split_whitespace().count();
    assert_eq!(sizes, 2 * support.huge_tlb_sizes().count(), "a number and a unit for each: {text}");
    assert_eq!(rest[2].1, support.transparent_huge_pages().unwrap_or("unknown"));
}

/// `Debug` prints one line for a log: each feature, with the reason if it is missing.
#[test]
fn debug_is_one_line() {
    let support = Support::probe();
    let debug = format!("{support:?}");
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let start = format!("Support {{ release: Some({:?}), features: {{MemfdCreate: Ok(()), ", release.trim_end());
    assert!(debug.starts_with(&start), "{debug}");
    for feature in FEATURES {
        assert!(debug.contains(&format!("{feature:?}: {:?}", support.get(feature))), "{debug}");
    }
    let sizes = support.huge_tlb_sizes().collect::<Vec<_>>();
    let end = format!(
        "default_exec: {:?}, huge_tlb_sizes: {sizes:?}, transparent_huge_pages: {:?} }}",
        support.default_exec(),
        support.transparent_huge_pages()
    );
    assert!(debug.ends_with(&end), "{debug}");
}
