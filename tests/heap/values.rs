//! Seals, options, errors and names as values.

use memfile::{Cause, CreateOptions, Error, Exec, HugeTlb, MemFile, Seal, SealedFile, Seals};

#[test]
fn seals() {
    let set = Seal::Shrink | Seal::Write;
    assert_eq!(set, Seals::CONSTANT);
    assert_eq!((set.len(), set.contains(Seal::Write), set.intersects(Seal::Grow)), (2, true, false));
    assert_eq!((set - Seal::Write) | Seal::Grow, Seals::FIXED_SIZE);
    assert_eq!((!set & set, set ^ set), (Seals::empty(), Seals::empty()));
    assert!(set.iter().eq([Seal::Shrink, Seal::Write]));
    assert_eq!(set.iter().collect::<Seals>(), set);
    assert!(format!("{set:?}").contains("Write") && !format!("{}", set - Seal::Write).contains("Write"));
    assert!(!format!("{}", Seals::from_bits_retain(0x80)).is_empty());
}

#[test]
fn options() {
    let options = CreateOptions::new().allow_sealing(true).exec(Exec::Allow);
    assert_ne!(options, CreateOptions::default());
    let error = options.huge_tlb(HugeTlb::Huge2MB).create("huge").unwrap_err();
    assert_eq!(error.call(), Some("memfd_create"));
    let file = options.create("plain").unwrap();
    assert_eq!(file.get_seals().unwrap(), Seals::empty());
    assert_eq!(CreateOptions::new().create("none").unwrap().get_seals().unwrap(), Seal::Seal | Seal::Exec);
}

#[test]
fn names_and_paths() {
    for name in ["", "a name", &"n".repeat(249)] {
        let file = MemFile::create_default(name).unwrap();
        assert_eq!(*file.name().unwrap(), *name.as_bytes());
        assert_eq!(
            file.proc_path().to_str().unwrap(),
            format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file))
        );
        assert!(file.is_memfd().unwrap());
    }
    for name in ["a\0b", &"n".repeat(250)] {
        let error = MemFile::create_default(name).unwrap_err();
        assert_eq!((error.raw_os_error(), error.cause()), (None, Cause::InvalidInput));
    }
}

#[test]
fn errors() {
    let file = MemFile::create_sealable("errors").unwrap();
    file.set_len(5).unwrap();
    let error = file.read_exact_at(&mut [0; 6], 0).unwrap_err();
    assert_eq!(error.raw_os_error(), None);
    let _ = (format!("{error} {error:?}"), std::io::Error::from(error));
    file.add_seals(Seals::IMMUTABLE).unwrap();
    for error in [
        file.write_all_at(b"1", 0).unwrap_err(),
        file.set_len(4).unwrap_err(),
        file.set_len(6).unwrap_err(),
        file.punch_hole(0, 1).unwrap_err(),
        file.add_seal(Seal::Exec).unwrap_err(),
    ] {
        assert_eq!(error.raw_os_error(), Some(libc::EPERM), "{error}");
    }
    let (error, file) = SealedFile::try_from(MemFile::create_sealable("open").unwrap()).unwrap_err().into_parts();
    assert_eq!(error.cause(), Cause::MissingSeals);
    assert_eq!(file.len().unwrap(), 0);
}

/// Every probe runs, whatever it finds.
#[test]
fn support() {
    let support = memfile::kernel::Support::probe();
    let _ = format!("{support} {support:?}");
    assert_eq!(support.get(memfile::kernel::Feature::Sealing), Ok::<(), Error>(()));
}
