//! Prints the public API that a JSON file of rustdoc's describes, an item a line: print-public-api FILE
//!
//! The tool cargo-public-api does the same, but only with a nightly compiler; this one reads what the stable compiler in use writes.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let file = std::env::args_os().nth(1).ok_or("usage: print-public-api FILE")?;
    let api = public_api::Builder::from_rustdoc_json(file)
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true)
        .build()?;
    for item in api.items() {
        println!("{item}");
    }
    Ok(())
}
