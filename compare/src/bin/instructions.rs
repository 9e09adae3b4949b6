//! Makes each call once between marks that callgrind sees: `ci/instructions` runs it. Prints the order of the calls.

use compare::calls::{self, Meter};

struct Print;

impl Meter for Print {
    fn measure<T>(&mut self, call: &'static str, who: &'static str, f: impl FnOnce() -> T) -> T {
        println!("{call}\t{who}");
        measured(f)
    }
}

/// Callgrind finds this function by its name, counts within it, and writes the count at each return.
#[inline(never)]
fn measured<T>(f: impl FnOnce() -> T) -> T {
    // Even an empty call must not be optimized away, because the parts are matched by their order.
    std::hint::black_box(());
    f()
}

fn main() {
    calls::all(&mut Print);
}
