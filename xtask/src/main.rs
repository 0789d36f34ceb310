//! What the project does with itself beyond one cargo command:
//!
//! - `cargo run -p xtask -- models` runs the models under loom, twice, and under shuttle;
//! - `cargo run -p xtask -- spin` runs the models of the protocol, which need Spin and a C compiler;
//! - `cargo run -p xtask -- mutants` demands that the models find every ordering needed; with
//!   part of a path or of a mistake's name, those only;
//! - `cargo run -p xtask -- seeded` demands that the tests find mistakes that only bad peers and deaths
//!   bring to light; with part of a name, those only.

mod mistakes;
mod models;
mod mutants;
mod passes;
mod seeded;
mod spin;

use std::env;
use std::process::ExitCode;

fn main() -> ExitCode {
    let done = match env::args().nth(1).as_deref() {
        Some("models") => models::run(),
        Some("spin") => spin::run(),
        Some("seeded") => seeded::run(&env::args().nth(2).unwrap_or_default()),
        Some("mutants") => mutants::run(&env::args().nth(2).unwrap_or_default()),
        _ => Err(
            "usage: cargo run -p xtask -- <models | mutants [part of a path or name] | seeded [part of a name] | spin>"
                .to_owned(),
        ),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("{reason}");
            ExitCode::FAILURE
        }
    }
}
