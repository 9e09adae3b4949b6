//! A program that uses every public item of memfile 0.3.2, and records the results.

use std::fs::{File, Metadata};
use std::io::{Read, Result, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::fs::FileExt;
use std::process::{Command, Stdio};

use super::memfile_under_test::{CreateOptions, FromFdError, HugeTlb, MemFile, Seal, Seals};

/// Every size of huge pages that exists on some processor.
pub(crate) const HUGE_TLB_SIZES: [HugeTlb; 12] = {
    use HugeTlb::*;

    [
        Huge64KB, Huge512KB, Huge1MB, Huge2MB, Huge8MB, Huge16MB, Huge32MB, Huge256MB, Huge512MB, Huge1GB, Huge2GB,
        Huge16GB,
    ]
};

/// One line for each result.
type Transcript = Vec<String>;

pub(crate) fn run() -> Result<Transcript> {
    let mut seen = Transcript::new();
    seals_as_values(&mut seen);
    creating(&mut seen)?;
    reading_and_writing(&mut seen)?;
    sealing(&mut seen)?;
    descriptors(&mut seen)?;
    refused_descriptors(&mut seen)?;
    children(&mut seen)?;
    Ok(seen)
}

fn seals_as_values(seen: &mut Transcript) {
    const EMPTY: Seals = Seals::empty();
    const TWO: Seals = Seals::from_bits_truncate(0x2 | 0x8);
    const COUNTS: (usize, bool, bool, u32) = (TWO.len(), TWO.is_empty(), TWO.is_all(), TWO.bits());
    seen.push(format!("{EMPTY:?} {TWO:?} {COUNTS:?} {}", Seals::all().is_all()));

    let grow: Seals = Seal::Grow.into();
    for set in [
        Seal::Seal | Seal::Write,
        Seal::Seal | TWO,
        TWO | Seal::Grow,
        TWO | grow,
        Seal::Write & Seal::Shrink,
        Seal::Write & TWO,
        TWO & Seal::Shrink,
        TWO & grow,
        Seal::Write ^ Seal::Grow,
        Seal::Write ^ TWO,
        TWO ^ Seal::Grow,
        TWO ^ grow,
        Seal::Write - Seal::Grow,
        Seal::Grow - TWO,
        TWO - Seal::Write,
        TWO - grow,
        !TWO & (Seal::Grow | Seal::FutureWrite | Seal::Write),
    ] {
        seen.push(format!("{set:?} {:?} {:?}", set.bits(), set.iter().collect::<Vec<Seal>>()));
        seen.push(format!("{} {}", set.contains(Seal::Write), set.contains(TWO)));
        seen.push(format!("{} {}", set.intersects(Seal::Write), set.intersects(TWO)));
    }

    let mut set = EMPTY;
    set |= Seal::Write;
    set |= grow;
    set &= Seal::Write | Seal::Grow;
    set ^= Seal::Shrink;
    set -= Seal::Write;
    seen.push(format!("{set:?} {}", set == (Seal::Grow | Seal::Shrink)));
    let mut iterator = set.into_iter();
    seen.push(format!("{:?} {:?} {:?}", iterator.next(), iterator.next(), iterator.next()));
    for seal in &set {
        seen.push(format!("{seal:?} {}", seal as u32));
    }
    seen.push(format!("{:?} {:?}", Seal::Seal.cmp(&Seal::Write), TWO.cmp(&grow)));
}

fn creating(seen: &mut Transcript) -> Result<()> {
    let options = CreateOptions::new().allow_sealing(true);
    let files = [
        MemFile::create("one", options)?,
        MemFile::create_cstr(c"two", CreateOptions::default())?,
        MemFile::create_default("three")?,
        MemFile::create_sealable("four")?,
        options.create("five")?,
        options.create_cstr(c"six")?,
    ];
    for file in &files {
        let link = std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
        let metadata: Metadata = file.metadata()?;
        seen.push(format!("{link:?} {} {}", metadata.len(), metadata.is_file()));
        seen.push(format!("{:?}", file.get_seals()?.contains(Seal::Seal)));
        seen.push(format!("{:?}", rustix::io::fcntl_getfd(file)?));
    }
    for size in HUGE_TLB_SIZES {
        let created = CreateOptions::new().huge_tlb(size).create("huge");
        let errno = created.map(drop).map_err(|error| error.raw_os_error());
        seen.push(format!("{size:?} {} {errno:?}", size as u32));
    }
    Ok(())
}

fn reading_and_writing(seen: &mut Transcript) -> Result<()> {
    let mut file = MemFile::create_default("contents")?;
    file.write_all(b"Hello world!")?;
    file.flush()?;
    file.seek(SeekFrom::Start(6))?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    seen.push(text);

    file.write_all_at(b"W", 6)?;
    let mut bytes = [0; 5];
    file.read_exact_at(&mut bytes, 6)?;
    let counts = (file.read_at(&mut bytes, 9)?, file.write_at(b"?", 11)?, file.stream_position()?);
    seen.push(format!("{bytes:?} {counts:?}"));
    seen.push(format!("{:?}", file.read_exact_at(&mut bytes, 9).map_err(|error| error.kind())));
    seen.push(format!("{:?}", FileExt::read_exact_at(&file, &mut bytes, 9).map_err(|error| error.kind())));

    let mut clone = file.try_clone()?;
    clone.rewind()?;
    file.set_len(4)?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    seen.push(format!("{text} {}", clone.stream_position()?));
    seen.push(format!("{:?}", file.set_len(u64::MAX).map_err(|error| (error.kind(), error.raw_os_error()))));
    Ok(())
}

fn sealing(seen: &mut Transcript) -> Result<()> {
    let mut file = MemFile::create("foo", CreateOptions::new().allow_sealing(true))?;
    file.write_all(b"Hello world!")?;
    file.add_seal(Seal::Grow)?;
    seen.push(format!("{:?}", file.write_all(b"more").map_err(|error| (error.kind(), error.raw_os_error()))));
    file.add_seals(Seal::Write | Seal::Shrink | Seal::Grow)?;
    seen.push(format!("{:?}", file.write(b"x").map_err(|error| (error.kind(), error.raw_os_error()))));
    seen.push(format!("{:?}", file.set_len(1).map_err(|error| (error.kind(), error.raw_os_error()))));
    seen.push(format!("{:?}", file.get_seals()?.contains(Seal::Write | Seal::Shrink | Seal::Grow)));
    file.add_seals(Seals::from(Seal::FutureWrite))?;
    file.add_seal(Seal::Seal)?;
    seen.push(format!("{:?}", file.add_seal(Seal::Grow).map_err(|error| (error.kind(), error.raw_os_error()))));

    let unsealable = MemFile::create_default("unsealable")?;
    seen.push(format!("{:?}", unsealable.add_seal(Seal::Grow).map_err(|error| (error.kind(), error.raw_os_error()))));
    Ok(())
}

fn descriptors(seen: &mut Transcript) -> Result<()> {
    let file = MemFile::create_sealable("descriptor")?;
    let number: RawFd = file.as_raw_fd();
    let borrowed: BorrowedFd<'_> = file.as_fd();
    seen.push(format!("{} {}", borrowed.as_raw_fd() == number, AsFd::as_fd(&file).as_raw_fd() == number));

    let fd: OwnedFd = file.into_fd();
    let file = MemFile::from_fd(fd)?;
    let fd: OwnedFd = file.into();
    let file = MemFile::try_from(fd)?;
    // SAFETY: The number comes from `into_raw_fd`.
    let file = unsafe { MemFile::from_raw_fd(file.into_raw_fd()) };
    let file: File = file.into_file();
    seen.push(format!("{}", file.as_raw_fd() == number));
    Ok(())
}

fn refused_descriptors(seen: &mut Transcript) -> Result<()> {
    fn refused() -> Result<FromFdError> {
        let (reader, _) = rustix::pipe::pipe()?;
        Ok(MemFile::from_fd(reader).expect_err("a pipe is not a memory file"))
    }
    let error = refused()?;
    let number = error.fd().as_raw_fd();
    seen.push(format!("{:?} {:?}", error.error().kind(), error.error().raw_os_error()));
    let (error, fd) = error.into_parts();
    seen.push(format!("{:?} {}", error.raw_os_error(), fd.as_raw_fd() == number));
    seen.push(format!("{:?}", refused()?.into_error().raw_os_error()));
    let fd: OwnedFd = refused()?.into_fd();
    seen.push(format!("{}", rustix::io::fcntl_getfd(fd).is_ok()));
    seen.push(format!("{:?}", std::io::Error::from(refused()?).kind()));
    Ok(())
}

fn children(seen: &mut Transcript) -> Result<()> {
    let mut file = MemFile::create_default("stdin")?;
    file.write_all(b"for the child")?;
    file.rewind()?;
    let output = Command::new("cat").stdin(Stdio::from(file)).output()?;
    seen.push(String::from_utf8_lossy(&output.stdout).into_owned());
    Ok(())
}
