//! Programs that must not compile, as doctests. Each is the program below, which compiles, and one more
//! line, which must make it fail.
//!
//! They are doctests, because those compare the code of the error, which stays the same while compilers
//! change their messages. Only nightly compares the code. Every compiler checks that the program compiles
//! without the line.

macro_rules! must_not_compile {
    ($($code:ident: $line:literal,)*) => {
        must_not_compile! { @ "
            use memfile::{CreateOptions, Holes, MemFile, Map, SealedFile, SharedMap, SharedView};
            use std::sync::atomic::Ordering::Relaxed;

            let file = MemFile::create_sealable(\"unsealed\").unwrap();
            let mut sealed = SealedFile::from_bytes(\"sealed\", &[1; 8]).unwrap();
            let mut map = sealed.map().unwrap();
            let mut copy = sealed.map_copy_on_write().unwrap();
            let sharable = CreateOptions::new().allow_sealing(true).create(\"shared\").unwrap();
            sharable.set_len(8).unwrap();
            let mut shared = sharable.share().unwrap();
            let mut view = SharedView::try_from(shared.reader().unwrap()).unwrap();
            let mut kept: &mut [u8] = &mut [];
        " $($code: $line,)* }
    };
    (@ $program:literal $($code:ident: $line:literal,)*) => {
        #[doc = concat!("```\n", $program, "\n```\n")]
        $(#[doc = concat!("```compile_fail,", stringify!($code), "\n", $program, "\n", $line, "\n```\n")])*
        #[allow(dead_code, reason = "it is there for its documentation")]
        struct Programs;
    };
}

must_not_compile! {
    // A map of constant bytes is read-only.
    E0594: "map[0] = 1;",
    E0596: "map.fill(1);",
    // A slice does not outlive its map, and while it can be written, nothing else can use the map.
    E0505: "let slice = &map[..]; drop(map); slice.len();",
    E0597: "let slice: &'static [u8] = &map;",
    E0502: "let slice = &mut copy[..]; copy.len(); slice.fill(1);",
    // Memory that others may change is never a slice, and an unproven file has only shared maps.
    E0308: "let slice: &[u8] = &shared;",
    E0308: "let slice: &[u8] = &view;",
    E0608: "shared[0];",
    E0599: "file.map();",
    E0599: "shared.map();",
    // A view cannot write.
    E0599: "view.write_all_at(&[1], 0);",
    E0599: "view.atomic::<u8>(0).unwrap().store(1, Relaxed);",
    // An integer in the map does not outlive it, in any thread.
    E0505: "let atomic = shared.atomic::<u8>(0).unwrap(); drop(shared); atomic.load(Relaxed);",
    E0597: "let atomic = shared.atomic::<u8>(0).unwrap(); std::thread::spawn(move || atomic.load(Relaxed));",
    // Nor does it outlive the growth that moves it.
    E0502: "let atomic = shared.atomic::<u8>(0).unwrap(); shared.grow(16).unwrap(); atomic.load(Relaxed);",
    E0502: "let atomic = view.atomic::<u8>(0).unwrap(); view.refresh(&shared, Holes::Refuse).unwrap(); atomic.load(Relaxed);",
    // Only integers of four bytes can be waited on, and only writers can wake.
    E0599: "shared.atomic::<u64>(0).unwrap().wait(0).unwrap();",
    E0599: "view.atomic::<u32>(0).unwrap().wake_one().unwrap();",
    // Only integers that fit a word, and have no invalid values.
    E0277: "shared.atomic::<bool>(0).unwrap();",
    E0277: "shared.atomic::<u128>(0).unwrap();",
    // A file that was frozen, shared or sealed is not used in its former state.
    E0382: "let frozen = shared.freeze(); shared.write_all_at(&[1], 0);",
    E0505: "let atomic = shared.atomic::<u8>(0).unwrap(); let frozen = shared.freeze(); atomic.store(1, Relaxed);",
    E0382: "let writer = file.share(); file.set_len(1);",
    E0382: "let sealed = file.into_sealed(); file.set_len(1);",
    // The closure that fills a file cannot keep the slice.
    E0521: "SealedFile::create_with(\"kept\", 8, |bytes| kept = bytes);",
    // A value that is not `Sync` cannot be used by two threads, even if it borrows from a map.
    E0277: "let cell = std::cell::Cell::new(&map[..]); std::thread::scope(|s| { s.spawn(|| cell.get()); });",
    // The proof is made by this crate alone.
    E0451: "SealedFile { file, proof: todo!() };",
    // A draft cannot be sealed while it is written, or used after it was sealed.
    E0382: "let draft = SealedFile::options().draft(\"draft\", 8).unwrap(); draft.seal().unwrap(); draft.len();",
    E0505: "let mut draft = SealedFile::options().draft(\"draft\", 8).unwrap(); let slice = &mut draft[..]; draft.seal().unwrap(); slice.fill(1);",
}
