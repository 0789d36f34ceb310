//! Random faults for a given time, in rings of every kind, growing or not: processes are killed and
//! stopped, fork, execute, attach and detach. Then crashes in a row.

use crate::passes::root;
use std::process::Command;

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
