//! Chaos for as long as is asked for: processes that are killed, stopped, fork, execute, come and
//! go, in rings of every kind, which grow meanwhile or not; and crashes in a row.

use crate::passes::root;
use std::process::Command;

pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    let minutes: f64 = match arguments {
        [] => 10.0,
        [flag, minutes] if flag == "--minutes" => minutes
            .parse()
            .map_err(|_| format!("{minutes} is no number of minutes"))?,
        _ => return Err("usage: cargo run -p xtask -- soak [--minutes M]".to_owned()),
    };
    // What dies of one producer and one consumer; crashes in a row; and the storms, which have more that can go wrong.
    let of_spsc = minutes / 4.0;
    test("crash", &[], minutes)?;
    test("crash", &["soak", "--exact", "--ignored"], of_spsc)?;
    test("leaks", &["ten_thousand", "--ignored"], minutes)?;
    test(
        "storm",
        &["soak", "--exact", "--ignored"],
        minutes - of_spsc,
    )
}

fn test(name: &str, arguments: &[&str], minutes: f64) -> Result<(), String> {
    let status = Command::new("cargo")
        .args(["test", "--release", "--locked", "--package", "slipring"])
        .args(["--test", name, "--"])
        .args(arguments)
        .arg("--nocapture")
        .current_dir(root())
        .env("SLIPRING_SOAK_MINUTES", minutes.to_string())
        .status()
        .map_err(|error| format!("cargo: {error}"))?;
    match status.success() {
        true => Ok(()),
        false => Err(format!("{name}: {status}")),
    }
}
