//! Prints what this kernel supports; please include it in bug reports.
//! Run it with `cargo run --example support`.

fn main() {
    println!("memfile {}", env!("CARGO_PKG_VERSION"));
    println!("{}", memfile::kernel::Support::probe());
}
