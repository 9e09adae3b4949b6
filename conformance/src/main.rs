//! Tests how this kernel treats memory files and seals. Prints a line for each row, and the totals.
//!
//! It needs nothing but the kernel: built statically, it is a single file that runs on any device. It finds out what
//! the kernel can do by trying, never from its version. A row that does not apply is skipped, with the reason. The exit
//! status is 1 if a row failed.
//!
//! If there are arguments, only rows whose names contain one of them are run.

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
    // Rows that exceed RLIMIT_FSIZE or write to closed pipes expect an errno. SIGIO tells the holder of a lease.
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
