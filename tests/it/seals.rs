//! [`Seal`] and [`Seals`] as values.

use std::collections::HashSet;

use memfile::{Cause, CreateOptions, Exec, HugeTlb, MemFile, Seal, SealedFile, SealedFileOptions, Seals};

use crate::support::check::{NO_MEMORY_FILE, PATH_ONLY, refused};
use crate::support::noexec;

const ALL: [Seal; 6] = [Seal::Seal, Seal::Shrink, Seal::Grow, Seal::Write, Seal::FutureWrite, Seal::Exec];

/// A seal that no kernel has yet.
const UNKNOWN: Seals = Seals::from_bits_retain(0x80);

#[test]
fn bits_are_those_of_the_kernel() {
    let bits = [
        libc::F_SEAL_SEAL,
        libc::F_SEAL_SHRINK,
        libc::F_SEAL_GROW,
        libc::F_SEAL_WRITE,
        libc::F_SEAL_FUTURE_WRITE,
        libc::F_SEAL_EXEC,
    ];
    for (seal, bits) in ALL.into_iter().zip(bits) {
        assert_eq!(i64::from(seal as u32), i64::from(bits), "{seal:?}");
        assert_eq!(Seals::from(seal).bits(), seal as u32, "{seal:?}");
    }
    assert_eq!(Seals::all().bits(), 0x3f);
}

#[test]
fn presets() {
    assert_eq!(Seals::IMMUTABLE, Seal::Seal | Seal::Shrink | Seal::Grow | Seal::Write);
    assert_eq!(Seals::FIXED_SIZE, Seal::Shrink | Seal::Grow);
    assert_eq!(Seals::CONSTANT, Seal::Shrink | Seal::Write);
    assert_eq!(Seals::default(), Seals::empty());
}

#[test]
fn operators_take_a_seal_or_a_set_on_either_side() {
    use Seal::{Grow, Shrink, Write};
    let set = |seals: &[Seal]| seals.iter().copied().collect::<Seals>();
    let (one, two) = (set(&[Shrink]), set(&[Shrink, Write]));

    assert_eq!([Shrink | Write, Shrink | set(&[Write]), one | Write, one | set(&[Write])], [set(&[Shrink, Write]); 4]);
    assert_eq!([Shrink & two, two & Shrink, two & one, Shrink & Shrink], [one; 4]);
    assert_eq!([Grow & two, two & Grow, Grow & Shrink], [Seals::empty(); 3]);
    assert_eq!([Write ^ two, two ^ Write, two ^ set(&[Write])], [one; 3]);
    assert_eq!([Shrink ^ Write, Shrink ^ set(&[Write])], [two; 2]);
    assert_eq!([two - Write, two - set(&[Write, Grow]), Shrink - Write, Shrink - set(&[Grow])], [one; 4]);
    assert_eq!([Shrink - two, Shrink - Shrink], [Seals::empty(); 2]);
}

#[test]
fn assigning_operators() {
    let mut seals = Seals::empty();
    seals |= Seal::Write;
    seals |= Seals::FIXED_SIZE;
    assert_eq!(seals, Seal::Write | Seal::Shrink | Seal::Grow);
    seals &= Seals::CONSTANT;
    assert_eq!(seals, Seals::CONSTANT);
    seals &= Seal::Write;
    assert_eq!(seals, Seal::Write.into());
    seals ^= Seal::Write;
    seals ^= Seals::CONSTANT;
    assert_eq!(seals, Seals::CONSTANT);
    seals -= Seal::Write;
    seals -= Seals::FIXED_SIZE;
    assert_eq!(seals, Seals::empty());
    seals.extend([Seal::Grow, Seal::Exec]);
    assert_eq!(seals, Seal::Grow | Seal::Exec);
}

#[test]
fn contains_all_intersects_any() {
    let seals = Seal::Write | Seal::Shrink;
    assert!(seals.contains(Seal::Write) && seals.contains(seals) && seals.contains(Seals::empty()));
    assert!(!seals.contains(Seal::Grow) && !seals.contains(Seal::Write | Seal::Grow));
    assert!(seals.intersects(Seal::Write) && seals.intersects(Seal::Write | Seal::Grow));
    assert!(!seals.intersects(Seal::Grow) && !seals.intersects(Seals::empty()));
    assert!(!Seals::empty().intersects(Seals::all()));
}

#[test]
fn counting() {
    assert_eq!((Seals::empty().len(), Seals::CONSTANT.len(), Seals::all().len()), (0, 2, 6));
    assert!(Seals::empty().is_empty() && !UNKNOWN.is_empty());
    assert!(Seals::all().is_all() && (Seals::all() | UNKNOWN).is_all() && !Seals::IMMUTABLE.is_all());
}

#[test]
fn not_yields_only_known_seals() {
    assert_eq!(!Seals::empty(), Seals::all());
    assert_eq!(!Seals::all(), Seals::empty());
    assert_eq!(!Seals::IMMUTABLE, Seal::FutureWrite | Seal::Exec);
    assert_eq!(!(UNKNOWN | Seal::Exec), Seals::all() - Seal::Exec);
}

#[test]
fn iteration_is_in_the_order_of_the_bits() {
    assert!(Seals::all().iter().eq(ALL));
    assert!(Seals::empty().iter().eq([]));
    assert!((Seal::Exec | Seal::Seal | Seal::Grow).into_iter().eq([Seal::Seal, Seal::Grow, Seal::Exec]));
    assert!((&(UNKNOWN | Seal::Write)).into_iter().eq([Seal::Write]));
    assert_eq!(ALL.into_iter().rev().collect::<Seals>(), Seals::all());
    assert!(ALL.is_sorted());
    assert_eq!(Seals::all().into_iter().collect::<HashSet<_>>().len(), 6);
}

#[test]
fn iteration_knows_its_length_and_its_end() {
    let mut seals = (UNKNOWN | Seal::Write | Seal::Exec).into_iter();
    for left in [2, 1, 0] {
        assert_eq!((seals.size_hint(), seals.len()), ((left, Some(left)), left));
        assert_eq!(seals.next().is_some(), left > 0);
    }
    assert_eq!(seals.next(), None);
}

#[test]
fn unknown_bits_are_kept() {
    let seals = UNKNOWN | Seal::Write;
    assert_eq!(seals.bits(), 0x88);
    assert!(seals.contains(UNKNOWN) && !Seals::all().contains(UNKNOWN));
    assert_eq!(seals - Seal::Write, UNKNOWN);
    assert_eq!(Seals::from_bits_truncate(0x88), Seal::Write.into());
    assert_eq!(Seals::from_bits_retain(u32::MAX).bits(), u32::MAX);
}

#[test]
fn debug_names_the_seals() {
    assert_eq!(format!("{:?}", Seals::empty()), "Seals { }");
    assert_eq!(format!("{:?}", Seals::from(Seal::Seal)), "Seals { Seal }");
    assert_eq!(format!("{:?}", Seal::Shrink | Seal::Seal), "Seals { Seal | Shrink }");
    assert_eq!(format!("{:?}", Seals::all()), "Seals { Seal | Shrink | Grow | Write | FutureWrite | Exec }");
    assert_eq!(format!("{:?}", UNKNOWN | Seal::Grow), "Seals { Grow | 0x80 }");
}

#[test]
fn display_names_the_seals() {
    for seal in ALL {
        assert_eq!(seal.to_string(), format!("{seal:?}"));
        assert_eq!(seal.to_string(), Seals::from(seal).to_string());
    }
    assert_eq!(Seals::empty().to_string(), "none");
    assert_eq!(Seals::CONSTANT.to_string(), "Shrink | Write");
    assert_eq!(Seals::all().to_string(), "Seal | Shrink | Grow | Write | FutureWrite | Exec");
    assert_eq!((UNKNOWN | Seal::Exec).to_string(), "Exec | 0x80");
    assert_eq!(UNKNOWN.to_string(), "0x80");
}

/// Overloaded operators cannot be used in a `const`, so there are methods for that.
#[test]
fn sets_in_constants() {
    const UNION: Seals = Seals::FIXED_SIZE.union(Seals::CONSTANT);
    const DIFFERENCE: Seals = Seals::IMMUTABLE.difference(Seals::CONSTANT);
    assert_eq!(UNION, Seal::Shrink | Seal::Grow | Seal::Write);
    assert_eq!(DIFFERENCE, Seal::Seal | Seal::Grow);
    for a in 0..=0xff {
        for b in 0..=0xff {
            let (one, two) = (Seals::from_bits_retain(a), Seals::from_bits_retain(b));
            assert_eq!((one.union(two), one.difference(two)), (one | two, one - two));
        }
    }
}

/// Options can be constants, too.
#[test]
fn options_in_constants() {
    const CREATE: CreateOptions = CreateOptions::new().exec(Exec::Deny);
    const HUGE: CreateOptions = CREATE.huge_tlb(HugeTlb::Huge2MB);
    const OPTIONS: SealedFileOptions =
        SealedFile::options().create_options(CREATE).huge_pages(true).limit(5).holes(memfile::Holes::Allocate);
    assert_ne!(HUGE, CREATE);
    let copy = OPTIONS.from_reader("constant", &b"bytes"[..]).unwrap();
    assert_eq!(copy.get_seals().unwrap() - Seal::Exec, Seals::IMMUTABLE);
    let file = MemFile::create_sealable("constant").unwrap();
    file.set_len(5).unwrap();
    assert_eq!(OPTIONS.seal(file).unwrap().map().unwrap(), [0; 5]);
    let error = OPTIONS.from_reader("constant", &b"more bytes"[..]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::FileTooLarge);
}

/// `Seals::of` reads the seals of the file behind any descriptor.
#[test]
fn of_a_descriptor() {
    let file = CreateOptions::new().allow_sealing(true).exec(noexec::plain()).create("seals of").unwrap();
    assert_eq!(Seals::of(&file).unwrap(), noexec::implied());
    file.add_seals(Seals::FIXED_SIZE).unwrap();
    assert_eq!(Seals::of(file.as_file()).unwrap(), noexec::implied() | Seals::FIXED_SIZE);
    assert_eq!(Seals::of(file.as_fd()).unwrap(), noexec::implied() | Seals::FIXED_SIZE);

    let (reader, _writer) = rustix::pipe::pipe().unwrap();
    let error = refused(Seals::of(reader), libc::EINVAL, NO_MEMORY_FILE);
    assert_eq!(error.cause(), Cause::NotAMemoryFile);
    assert!(error.is_not_a_memory_file());
    let path = rustix::fs::open("/", rustix::fs::OFlags::PATH, rustix::fs::Mode::empty()).unwrap();
    let error = refused(Seals::of(path), libc::EBADF, PATH_ONLY);
    assert_eq!(error.cause(), Cause::NotAMemoryFile);
}

/// The methods of `bitflags::Flags` agree with the inherent ones.
#[test]
fn bitflags_agrees() {
    use bitflags::Flags;

    assert_eq!(<Seals as Flags>::all(), Seals::all());
    assert_eq!(<Seals as Flags>::empty(), Seals::empty());
    assert_eq!(Seals::FLAGS.len(), ALL.len());
    for (flag, seal) in Seals::FLAGS.iter().zip(ALL) {
        assert_eq!((flag.name(), *flag.value()), (&*format!("{seal:?}"), seal.into()));
        assert_eq!(<Seals as Flags>::from_name(flag.name()), Some(seal.into()));
    }
    for bits in 0..=0xff {
        let seals = Seals::from_bits_retain(bits);
        assert_eq!(<Seals as Flags>::from_bits_retain(bits), seals);
        assert_eq!(<Seals as Flags>::from_bits_truncate(bits), Seals::from_bits_truncate(bits));
        assert_eq!(Flags::bits(&seals), bits);
        assert_eq!(Flags::is_all(&seals), seals.is_all());
        assert_eq!(Flags::is_empty(&seals), seals.is_empty());
        assert_eq!(Flags::complement(seals), !seals);
    }
}
