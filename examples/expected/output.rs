//! Each example prints what the file of its name here says, where `[..]` stands for what varies within a line. After an intended
//! change: `TRYCMD=overwrite ci/examples`, and put the `[..]` back.

use std::error::Error;
use std::path::Path;
use std::{env, fs};

type Result = std::result::Result<(), Box<dyn Error>>;

#[test]
fn every_example_prints_what_is_expected() -> Result {
    go_to_the_root()?;
    let examples: Vec<_> = trycmd::cargo::compile_examples(["--all-features"])?.collect();
    for (name, _) in &examples {
        let expected = format!("examples/expected/{name}.trycmd");
        assert!(Path::new(&expected).exists(), "{expected} is missing");
    }
    trycmd::TestCases::new().register_bins(examples).case("examples/expected/*.trycmd");
    Ok(())
}

#[test]
fn every_example_says_how_to_run_it_and_is_in_the_guide() -> Result {
    go_to_the_root()?;
    let guide = fs::read_to_string("docs/examples.md")?;
    for entry in fs::read_dir("examples")? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let name = path.file_stem().and_then(|name| name.to_str()).ok_or("a name that is not UTF-8")?;
        let source = fs::read_to_string(&path)?;
        let second = source.lines().nth(1).unwrap_or_default();
        let command = ["", "--release "].map(|flag| format!("//! Run it with `cargo run {flag}--example {name}"));
        assert!(
            command.iter().any(|command| second.starts_with(command)),
            "{path:?} does not say in line 2 how to run it"
        );
        assert!(
            guide.lines().any(|line| line.starts_with('|') && line.contains(&format!("`{name}`"))),
            "docs/examples.md does not list {name}"
        );
    }
    Ok(())
}

// The examples read files of the repository.
fn go_to_the_root() -> Result {
    Ok(env::set_current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))?)
}
