//! What the project does with itself beyond one cargo command:
//!
//! - `cargo run -p xtask -- models` runs the models under loom, twice, and under shuttle;
//! - `cargo run -p xtask -- mutants` demands that the models find every ordering needed.

mod models;
mod mutants;
mod passes;

use std::env;
use std::process::ExitCode;

fn main() -> ExitCode {
    let done = match env::args().nth(1).as_deref() {
        Some("models") => models::run(),
        Some("mutants") => mutants::run(),
        _ => Err("usage: cargo run -p xtask -- <models | mutants>".to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("{reason}");
            ExitCode::FAILURE
        }
    }
}
