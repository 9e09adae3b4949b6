//! Makes each call once between marks that callgrind sees: `ci/instructions` runs it. Prints the order of the calls.

use compare::calls::{self, Meter};

struct Print;

impl Meter for Print {
    fn measure<T>(&mut self, call: &'static str, who: &'static str, f: impl FnOnce() -> T) -> T {
        println!("{call}\t{who}");
        measured(f)
    }
}

/// Callgrind counts within this function, by its name, and writes what it counted at each return.
#[inline(never)]
fn measured<T>(f: impl FnOnce() -> T) -> T {
    // Not even a call of nothing may be optimized away, or the parts come out of step.
    std::hint::black_box(());
    f()
}

fn main() {
    calls::all(&mut Print);
}
