//! Which files can be mapped, and copying into and out of a map.

use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
use std::sync::{Barrier, mpsc};
use std::thread;
#[cfg(all(target_arch = "x86_64", target_pointer_width = "64"))]
use std::{
    arch::asm,
    ptr,
    sync::atomic::{AtomicPtr, AtomicU8, AtomicUsize},
};

use libc::{EACCES, EPERM};
use memfile::kernel::Feature;
use memfile::{Cause, Holes, MemFile, Seal, Seals, SharedMap, SharedView};

use super::{file, map, view};
use crate::support::assert_goes_anywhere;
use crate::support::check::{
    MAP_DENIED, MISSING_SHRINK, NO_ADDRESS_SPACE, NO_MEMORY_FILE, SEALED_FUTURE_WRITE, SEALED_WRITE, range, refused,
};
use crate::support::proc_self::{descriptors_of, mappings};
use crate::support::skip::lacks;
use crate::support::{child, pattern, rounds, seccomp};

#[test]
fn is_send_sync_and_static() {
    assert_goes_anywhere::<SharedMap>();
    assert_goes_anywhere::<SharedView>();
}

/// A file without the seal Shrink is refused, whatever other seals it has.
#[test]
fn needs_shrink() {
    let mut others = vec![Seals::empty(), Seal::Grow.into()];
    if !lacks(Feature::ExecSeal) {
        others.push(Seal::Exec.into());
    }
    for seals in others {
        let file = MemFile::create_sealable("shared seals").unwrap();
        file.write_all_at(b"1234", 0).unwrap();
        file.add_seals(seals).unwrap();
        let message = MISSING_SHRINK;
        let error = SharedView::try_from(OwnedFd::from(file.try_clone().unwrap())).unwrap_err();
        assert_eq!(error.to_string(), message);
        assert_eq!(error.error().seals(), Seals::from(Seal::Shrink));
        let file = SharedMap::try_from(file).unwrap_err();
        assert_eq!(file.to_string(), message);
        assert!(file.error().is_unproven());
        let mut bytes = [0; 4];
        file.into_inner().read_exact_at(&mut bytes, 0).unwrap();
        assert_eq!(&bytes, b"1234", "the error returned another file");
    }
    // Shrink alone is enough.
    let alone = MemFile::create_sealable("shared seals").unwrap();
    alone.set_len(10).unwrap();
    alone.add_seal(Seal::Shrink).unwrap();
    let map = SharedMap::try_from(alone).unwrap();
    map.as_mem_file().set_len(100_000).unwrap();
    assert_eq!((map.len(), map.is_empty()), (10, false), "the map has grown with the file");
    refused(map.read_exact_at(&mut [0], 10), None, &range(10, 11, 10));
}

#[test]
fn what_cannot_be_mapped_for_writing() {
    for (seal, message) in [(Seal::Write, SEALED_WRITE), (Seal::FutureWrite, SEALED_FUTURE_WRITE)] {
        let file = file("shared write", 100);
        file.add_seal(seal).unwrap();
        let error = SharedMap::try_from(file).unwrap_err();
        assert_eq!((error.to_string().as_str(), error.error().raw_os_error()), (message, Some(EPERM)));
        assert_eq!(error.error().cause(), Cause::Sealed);
        let view = SharedView::map(error.into_inner(), Holes::Accept).unwrap();
        assert_eq!(view.len(), 100);
    }
    let read_only = file("shared write", 100).reopen_read_only().unwrap();
    refused(SharedMap::map(read_only, Holes::Accept), EACCES, MAP_DENIED);
    assert!(mappings("shared write").is_empty());
    let pipe = rustix::pipe::pipe().unwrap().0;
    refused(SharedView::try_from(pipe), libc::EINVAL, NO_MEMORY_FILE);
}

/// A map that is refused for another reason is not blamed on a seal.
#[test]
fn what_a_sandbox_or_a_lack_of_memory_forbids() {
    seccomp::alone(|| {
        let (plain, sealed) = (file("shared refused", 100), file("shared refused", 100));
        sealed.add_seal(Seal::FutureWrite).unwrap();
        let refuse = |errno| seccomp::on_bits("mmap", 3, libc::MAP_SHARED.unsigned_abs(), seccomp::errno(errno));
        refuse(EPERM);
        refused(SharedMap::try_from(plain), EPERM, &MAP_DENIED.replace("EACCES", "EPERM"));
        refuse(libc::ENOMEM);
        refused(SharedMap::try_from(sealed), libc::ENOMEM, &format!("mmap: ENOMEM: {NO_ADDRESS_SPACE}"));
    });
}

#[test]
fn empty() {
    let map = map("shared empty", 0);
    let view = view(&map);
    assert!(map.is_empty() && view.is_empty());
    assert!(mappings("shared empty").is_empty());
    map.write_all_at(&[], 0).unwrap();
    map.read_exact_at(&mut [], 0).unwrap();
    view.read_exact_at(&mut [], 0).unwrap();
    refused(map.write_all_at(&[], 1), None, &range(1, 1, 0));
    refused(map.atomic::<u8>(0), None, &range(0, 1, 0));
    refused(view.atomic::<usize>(0), None, &range(0, size_of::<usize>() as u64, 0));
}

/// `as_ptr` gives the address of the same memory, for other code.
#[test]
fn by_address() {
    let map = map("shared address", 4096);
    let view = view(&map);
    assert!(!map.is_empty() && !view.is_empty());
    // SAFETY: The address lies within the map, and no other thread uses it.
    unsafe { map.as_ptr().wrapping_add(4095).write_volatile(7) };
    // SAFETY: The address lies within the view.
    assert_eq!(unsafe { view.as_ptr().wrapping_add(4095).read_volatile() }, 7);
    assert_eq!(map.atomic::<u8>(4095).unwrap().load(Relaxed), 7);
}

/// All alignments and lengths, across the end of a page and up to the end of the file.
#[test]
fn copies() {
    const LEN: usize = 8192 + 5;
    let map = map("shared copies", LEN as u64);
    let view = view(&map);
    let mut model = vec![0_u8; LEN];
    let mut next = 0_u8;
    for base in [0, 4096 - 20, 8192 - 20, LEN - 160] {
        for offset in base..base + 16 {
            // Around the lengths at which the copy changes to other instructions.
            let lengths = (0..=140).chain([191, 192, 193, 255, 256, 1023, 1024, 1535, 1536, 1537, 4096]);
            for len in lengths.filter(|len| offset + len <= LEN) {
                let source: Vec<u8> = (0..len)
                    .map(|_| {
                        next = next.wrapping_add(7);
                        next
                    })
                    .collect();
                map.write_all_at(&source, offset).unwrap();
                model[offset..offset + len].copy_from_slice(&source);
                let mut target = vec![0; len + 2];
                map.read_exact_at(&mut target[1..=len], offset).unwrap();
                assert_eq!((target[0], &target[1..=len], target[len + 1]), (0, &source[..], 0));
                target.fill(0);
                view.read_exact_at(&mut target[1..=len], offset).unwrap();
                assert_eq!((target[0], &target[1..=len], target[len + 1]), (0, &source[..], 0));
            }
        }
    }
    let mut whole = vec![0; LEN];
    map.read_exact_at(&mut whole, 0).unwrap();
    assert!(whole == model, "other bytes were written, too");
    map.as_mem_file().read_exact_at(&mut whole, 0).unwrap();
    assert!(whole == model);
}

/// If a copy wrote a byte twice, the second write could undo that of another process, which answers
/// the first. The test single-steps the copy. After each instruction the handler counts the bytes
/// that were written, and changes them, so that a second write would be counted again.
#[cfg(all(target_arch = "x86_64", target_pointer_width = "64"))]
#[test]
fn copies_write_each_byte_once() {
    const LEN: usize = 1600;
    static BYTES: AtomicPtr<u8> = AtomicPtr::new(ptr::null_mut());
    static WRITTEN: AtomicUsize = AtomicUsize::new(0);

    extern "C" fn look(_: libc::c_int) {
        for i in 0..LEN {
            // SAFETY: The mapping has that many bytes, and exists while the copy is stepped.
            let byte = unsafe { AtomicU8::from_ptr(BYTES.load(Relaxed).wrapping_add(i)) };
            if byte.load(Relaxed) == 1 {
                byte.store(2, Relaxed);
                WRITTEN.fetch_add(1, Relaxed);
            }
        }
    }

    child::alone(|| {
        let map = map("shared once", LEN as u64);
        let access = rustix::mm::ProtFlags::READ | rustix::mm::ProtFlags::WRITE;
        let flags = rustix::mm::MapFlags::SHARED;
        // SAFETY: The kernel chooses the address.
        let base = unsafe { rustix::mm::mmap(ptr::null_mut(), LEN, access, flags, map.as_fd(), 0) }.unwrap();
        BYTES.store(base.cast(), Relaxed);
        // SAFETY: The handler only makes atomic accesses.
        unsafe { libc::signal(libc::SIGTRAP, look as extern "C" fn(libc::c_int) as libc::sighandler_t) };
        for len in (0..200).chain([1535, 1536, 1537, LEN]) {
            map.write_all_at(&[0; LEN], 0).unwrap();
            WRITTEN.store(0, Relaxed);
            // SAFETY: Sets the trap flag, so that each instruction is followed by a SIGTRAP.
            unsafe { asm!("pushfq", "or qword ptr [rsp], 0x100", "popfq") };
            let result = map.write_all_at(&[1; LEN][..len], 0);
            // SAFETY: Clears the trap flag.
            unsafe { asm!("pushfq", "and qword ptr [rsp], ~0x100", "popfq") };
            result.unwrap();
            assert_eq!(WRITTEN.load(Relaxed), len);
        }
    });
}

#[test]
fn copies_out_of_bounds() {
    const LEN: usize = 100;
    let map = map("shared bounds", LEN as u64);
    let view = view(&map);
    map.write_all_at(&[1; LEN], 0).unwrap();
    let beyond = [
        (LEN + 1, 0),
        (LEN, 1),
        (LEN - 1, 2),
        (0, LEN + 1),
        (4096, 1),
        (usize::MAX, 0),
        (usize::MAX, 1),
        (usize::MAX - 1, 4),
        (isize::MAX as usize, 1),
    ];
    for (offset, len) in beyond {
        let mut target = vec![9; len];
        let message = &range(offset as u64, offset.saturating_add(len) as u64, LEN as u64);
        let error = refused(map.read_exact_at(&mut target, offset), None, message);
        assert!(error.is_out_of_bounds());
        refused(view.read_exact_at(&mut target, offset), None, message);
        refused(map.write_all_at(&target, offset), None, message);
        assert!(target.iter().all(|&byte| byte == 9), "bytes were copied despite the error");
    }
    let mut whole = [0; LEN];
    map.read_exact_at(&mut whole, 0).unwrap();
    assert_eq!(whole, [1; LEN], "bytes were copied despite the error");
    map.read_exact_at(&mut [], LEN).unwrap();
}

/// The pages of a view are mapped read-only.
#[test]
fn views_are_read_only() {
    let map = map("shared view", 4096);
    map.write_all_at(&[3; 16], 0).unwrap();
    let view = view(&map);
    let kinds: Vec<_> =
        mappings("shared view").iter().map(|line| line.split_whitespace().nth(1).unwrap().to_owned()).collect();
    assert!(kinds.contains(&"r--s".into()) && kinds.contains(&"rw-s".into()), "{kinds:?}");
    for order in [Relaxed, Acquire, SeqCst, Release, AcqRel] {
        assert_eq!(view.atomic::<u8>(3).unwrap().load(order), 3);
        assert_eq!(view.atomic::<u16>(2).unwrap().load(order), 0x0303);
        assert_eq!(view.atomic::<u32>(4).unwrap().load(order), 0x0303_0303);
        assert_eq!(view.atomic::<usize>(8).unwrap().load(order), usize::MAX / 255 * 3);
    }
}

/// A view shows what others write, and stays valid without the writer and without a descriptor.
#[test]
fn a_view_outlives_the_writer() {
    let map = map("shared outlives", 100);
    let view = view(&map);
    map.write_all_at(b"seen", 50).unwrap();
    let mut seen = [0; 4];
    view.read_exact_at(&mut seen, 50).unwrap();
    assert_eq!(&seen, b"seen");
    drop(map);
    assert_eq!(descriptors_of("shared outlives"), 0);
    seen.fill(0);
    view.read_exact_at(&mut seen, 50).unwrap();
    assert_eq!(&seen, b"seen");
    assert_eq!(format!("{view:?}"), "SharedView { len: 100 }");
    drop(view);
    assert!(mappings("shared outlives").is_empty());
}

/// Two maps of one file show the same memory.
#[test]
fn two_maps() {
    let one = map("shared two", 10);
    let two = SharedMap::try_from(one.as_mem_file().try_clone().unwrap()).unwrap();
    one.atomic::<u8>(9).unwrap().store(1, Relaxed);
    assert_eq!(two.atomic::<u8>(9).unwrap().load(Relaxed), 1);
    let mut byte = [0];
    one.into_mem_file().read_exact_at(&mut byte, 9).unwrap();
    assert_eq!(byte, [1]);
    assert!(format!("{two:?}").starts_with("SharedMap { len: 10, file: MemFile { fd: "));
    assert_eq!(format!("{:?}", view(&two)), "SharedView { len: 10 }");
}

/// A map can be turned into an owned or a raw descriptor.
#[test]
fn conversions() {
    let name = "shared conversions";
    let one = map(name, 10);
    one.write_all_at(b"1", 9).unwrap();
    let number = one.as_raw_fd();
    assert_eq!((one.as_fd().as_raw_fd(), one.as_mem_file().as_raw_fd()), (number, number));
    let fd = OwnedFd::from(one);
    assert_eq!(fd.as_raw_fd(), number);
    assert!(mappings(name).is_empty(), "the file is still mapped");
    let two = SharedMap::try_from(fd).unwrap();
    assert_eq!(two.into_raw_fd(), number);
    assert!(mappings(name).is_empty(), "the file is still mapped");
    // SAFETY: `into_raw_fd` gave up the descriptor.
    let file = unsafe { MemFile::from_raw_fd(number) };
    let mut byte = [0];
    file.read_exact_at(&mut byte, 9).unwrap();
    assert_eq!(&byte, b"1");
    let three = SharedMap::try_from(file).unwrap();
    let file = MemFile::from(three);
    assert_eq!((file.as_raw_fd(), mappings(name).len()), (number, 0));

    // The error returns the descriptor.
    let pipe = rustix::pipe::pipe().unwrap().0;
    let number = pipe.as_raw_fd();
    let (error, pipe) = SharedMap::try_from(pipe).unwrap_err().into_parts();
    refused(Err::<(), _>(error), libc::EINVAL, NO_MEMORY_FILE);
    assert_eq!(pipe.as_raw_fd(), number);
}

/// Another file system may be mounted at `/proc`, with a different file under the number of the
/// descriptor. Then a view maps the descriptor itself.
#[test]
fn proc_can_show_another_file() {
    let prefix =
        ["unshare", "--mount", "sh", "-c", "umount -l /proc && mount -t tmpfs none /proc && exec \"$0\" \"$@\""];
    child::alone_through(&prefix, || {
        let file = file("shared proven", 10);
        file.write_all_at(&pattern(10), 0).unwrap();
        for process in ["self", "thread-self"] {
            let fds = format!("/proc/{process}/fd");
            std::fs::create_dir_all(&fds).unwrap();
            std::fs::write(format!("{fds}/{}", file.as_raw_fd()), b"this can shrink").unwrap();
        }
        let view = SharedView::map(&file, Holes::Accept).unwrap();
        let mut bytes = [0; 10];
        view.read_exact_at(&mut bytes, 0).unwrap();
        assert!(view.len() == 10 && bytes == pattern(10)[..], "{bytes:?}");
    });
}

/// A peer makes the file longer while a view is made of it. The view has no more bytes than those
/// whose holes it has looked for.
#[test]
fn the_policy_for_holes_covers_the_whole_view() {
    const LEN: u64 = 4096;
    let ready = Barrier::new(2);
    let (peers, files) = mpsc::channel::<MemFile>();
    thread::scope(|scope| {
        scope.spawn(|| {
            for file in files {
                ready.wait();
                file.set_len(1 << 30).unwrap();
            }
        });
        for _ in 0..rounds(20_000).min(20_000) {
            let file = MemFile::create_sealable("shared longer").unwrap();
            file.allocate(0, LEN).unwrap();
            file.add_seals(Seal::Shrink | Seal::FutureWrite).unwrap();
            peers.send(file.try_clone().unwrap()).unwrap();
            ready.wait();
            match SharedView::map(&file, Holes::Refuse) {
                Ok(view) => assert_eq!(view.len() as u64, LEN),
                Err(error) => assert_eq!(error.cause(), Cause::Holes),
            }
        }
        drop(peers);
    });
}
