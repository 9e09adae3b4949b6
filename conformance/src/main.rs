//! What this kernel does with memory files and seals: one line for each row, and a total.
//!
//! It needs nothing but the kernel: built statically it is one file for any device. What a kernel can do is found by
//! trying, never by its version; a row that cannot apply is skipped and says why. The exit status is 1 if a row failed.
//!
//! Arguments, if any, are parts of names: only rows that hold one of them are run.

mod attack;
mod collapse;
mod create;
mod exec;
mod hugetlb;
mod mapping;
mod operations;
mod peers;
mod pins;
mod policy;
mod probe;
mod proof;
mod raw;
mod seals;
mod shared;
mod size;
mod table;

use std::process::ExitCode;

use table::Table;

fn main() -> ExitCode {
    // Rows that exceed RLIMIT_FSIZE or write to closed pipes ask for the errno, and the holder of a lease is told by SIGIO.
    raw::ignore_signals();
    probe::print();
    let mut table = Table::default();
    for section in [
        create::rows,
        seals::rows,
        operations::rows,
        mapping::rows,
        shared::rows,
        exec::rows,
        policy::rows,
        hugetlb::rows,
        collapse::rows,
        pins::rows,
        size::rows,
        proof::rows,
        attack::rows,
        peers::rows,
    ] {
        section(&mut table);
    }
    let filters: Vec<String> = std::env::args().skip(1).collect();
    table.run(&filters)
}
