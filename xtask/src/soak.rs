//! Random faults for a given time, in rings of every kind, growing or not: processes are killed and
//! stopped, fork, execute, attach and detach. Then crashes in a row.

use crate::passes::{Output, root};
use crate::test_path;
use std::process::Command;

const CRASH: &str = "tests/stress/crash.rs";
const LEAKS: &str = "tests/stress/leaks.rs";
const STORM: &str = "tests/stress/storm.rs";

pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    let minutes: f64 = match arguments {
        [] => 10.0,
        [flag, minutes] if flag == "--minutes" => minutes
            .parse()
            .map_err(|_| format!("--minutes: found \"{minutes}\", expected a number"))?,
        _ => return Err("usage: cargo run -p xtask -- soak [--minutes M]".to_owned()),
    };
    // The storms get most of the time, because more can fail in them.
    let of_spsc = minutes / 4.0;
    test(CRASH, None, minutes)?;
    test(CRASH, Some("soak"), of_spsc)?;
    test(LEAKS, Some("ten_thousand_crashes_leak_nothing"), minutes)?;
    test(STORM, Some("soak"), minutes - of_spsc)
}

/// Runs the tests of a source file, or one that is otherwise ignored.
fn test(path: &str, ignored: Option<&str>, minutes: f64) -> Result<(), String> {
    let module = test_path::module(path);
    let mut cargo = Command::new("cargo");
    cargo
        .args(["test", "--release", "--locked", "--package", "slipring"])
        .args(["--test", test_path::program(path), "--", "--nocapture"])
        .current_dir(root())
        .env("SLIPRING_SOAK_MINUTES", minutes.to_string());
    match ignored {
        Some(test) => cargo.args(["--exact", "--ignored", &format!("{module}{test}")]),
        None => cargo.arg(module),
    };
    Output::Shown.of(&mut cargo)
}

#[cfg(test)]
mod tests {
    use super::{CRASH, LEAKS, STORM};
    use crate::passes::root;
    use crate::tree::read;

    #[test]
    fn every_ignored_test_is_in_its_file() {
        let leaks = "fn ten_thousand_crashes_leak_nothing()";
        for (path, test) in [(CRASH, "fn soak()"), (LEAKS, leaks), (STORM, "fn soak()")] {
            assert!(
                read(&root().join(path)).unwrap().contains(test),
                "{path}: no {test}"
            );
        }
    }
}
