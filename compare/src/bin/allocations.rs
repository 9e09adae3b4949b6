//! Shows that no call of `memfile` allocates: makes each call once, with an allocator that counts.

use std::alloc::{GlobalAlloc, Layout, System};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use compare::calls::{self, MEMFILE, Meter};

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: Every call is forwarded to `System`.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        // SAFETY: The caller upholds the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: The caller upholds the contract.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[derive(Default)]
struct Allocations {
    calls: usize,
    allocating: usize,
}

impl Meter for Allocations {
    fn measure<T>(&mut self, call: &'static str, who: &'static str, f: impl FnOnce() -> T) -> T {
        let before = ALLOCATIONS.load(Relaxed);
        let result = f();
        let count = ALLOCATIONS.load(Relaxed) - before;
        if who == MEMFILE {
            self.calls += 1;
            self.allocating += usize::from(count > 0);
        }
        if count > 0 {
            println!("{call} of {who}: {count} allocations");
        }
        result
    }
}

fn main() -> ExitCode {
    let mut meter = Allocations::default();
    calls::all(&mut meter);
    println!("{} calls of memfile, {} of them allocate", meter.calls, meter.allocating);
    ExitCode::from(u8::from(meter.allocating > 0))
}
