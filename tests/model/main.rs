//! Random scripts of operations by several handles, on a file and on a model of the rules.
//!
//! `MEMFILE_MODEL_CASES` sets the number of scripts. Each has 50 steps on average. A script that
//! fails is shrunk to a short one.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "in a test a panic is the report")]
#![allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "the model's files are small")]
#![allow(unsafe_code, reason = "forked children")]
#![allow(unreachable_pub, reason = "shared with the fuzz target")]

mod rules;
mod script;

use core::sync::atomic::{AtomicUsize, Ordering};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use rules::Op;

#[test]
fn the_file_follows_the_model() {
    let cases = std::env::var("MEMFILE_MODEL_CASES").map_or(600, |cases| cases.parse().unwrap());
    let steps = AtomicUsize::new(0);
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let scripts = vec(any::<(u8, u8, u16)>().prop_map(Op::from), 1..100);
    let result = TestRunner::new(config).run(&scripts, |script| {
        steps.fetch_add(script.len(), Ordering::Relaxed);
        script::run(&script);
        Ok(())
    });
    if let Err(failure) = result {
        panic!("{failure}");
    }
    println!("{} steps in {cases} scripts", steps.into_inner());
}
