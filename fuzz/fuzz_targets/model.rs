//! Turns the fuzzer's bytes into scripts of operations, and runs them on a file and on the model of
//! `tests/model`.
#![no_main]

#[path = "../../tests/model/rules.rs"]
mod rules;
#[path = "../../tests/model/script.rs"]
mod script;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let (steps, _) = data.as_chunks::<4>();
    let script: Vec<rules::Op> =
        steps.iter().take(200).map(|&[kind, index, low, high]| (kind, index, u16::from_le_bytes([low, high])).into()).collect();
    script::run(&script);
});
