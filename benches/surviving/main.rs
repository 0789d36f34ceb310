//! The cost of crash tolerance, and the cost of a crash to the survivors.
//!
//! This program starts itself again for the processes at the endpoints of the rings. `price`
//! compares single messages with a queue that has no intents, and batches with single messages.
//! `dead` compares a ring with a killed participant with a ring without one. `stall` kills a
//! process that blocks all others, and measures how long they stay blocked.
//!
//! The distance of two cores changes while a program runs, most of all on virtual machines.
//! Therefore the subjects take turns in short slices, in both orders, and each slice is compared
//! with its neighbour. The output shows the medians of these ratios and their quartiles. Near and
//! far cores are separate: an exchange of two cache lines before and after each round tells them
//! apart.

mod dead;
mod object;
mod price;
mod processes;
mod rings;
mod stall;
mod stall_processes;
mod steps;

use bench_support::Result;
use clap::{Parser, ValueEnum};
use processes::{Role, Shape};
use std::process::ExitCode;

#[derive(Parser)]
#[command(about = "Measure the cost of crash tolerance")]
struct Options {
    /// Run for half a minute instead of some minutes
    #[arg(long)]
    quick: bool,
    /// Run one part only
    #[arg(long)]
    only: Option<Part>,
    /// Passed by cargo to benchmarks
    #[arg(long, hide = true)]
    bench: bool,
    /// Role of this process
    #[arg(long, hide = true, requires = "prefix")]
    role: Option<Role>,
    /// Prefix of all shared names
    #[arg(long, hide = true)]
    prefix: Option<String>,
    #[command(flatten)]
    shape: Shape,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    Price,
    Dead,
    Stall,
}

/// The amount of work.
#[derive(Clone, Copy)]
struct Effort {
    rounds: u64,
    kills: u64,
    slow_kills: u64,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("surviving: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<()> {
    if let (Some(role), Some(prefix)) = (options.role, &options.prefix) {
        return processes::run_part(role, prefix, &options.shape);
    }
    let effort = match options {
        // A test run only checks that the benchmark works.
        Options { bench: false, .. } => Effort {
            rounds: 1,
            kills: 6,
            slow_kills: 0,
        },
        Options { quick: true, .. } => Effort {
            rounds: 6,
            kills: 200,
            slow_kills: 10,
        },
        _ => Effort {
            rounds: 60,
            kills: 1000,
            slow_kills: 100,
        },
    };
    let is_wanted = |part| options.only.is_none_or(|only| only == part);
    if is_wanted(Part::Price) {
        price::measure_and_print(effort)?;
    }
    if is_wanted(Part::Dead) {
        dead::measure_and_print(effort)?;
    }
    if is_wanted(Part::Stall) {
        stall::measure_and_print(effort)?;
    }
    Ok(())
}
