//! What it costs a ring that anybody in it may be killed, and what a kill costs the others.
//!
//! This program starts itself again, as the processes at the ends of the rings. `price` sets
//! single messages against a ring that is the same but for intents, and batches against single
//! messages. `dead` sets a ring in which somebody died against one in which nobody did. `stall`
//! kills who is in everybody's way, and looks how long the others stand.
//!
//! How far apart two cores are changes while a program runs, on virtual machines most of all. So
//! the subjects take turns in short slices, one way round and the other, and each is set against
//! the one beside it. The medians of these ratios are shown with their quartiles, apart for near
//! and far cores as a bare exchange of two lines finds them before and after.

mod dead;
mod ends;
mod object;
mod peers;
mod price;
mod relay;
mod stall;
mod survivors;

use clap::{Parser, ValueEnum};
use common::Result;
use peers::{Role, Shape};
use std::process::ExitCode;

#[derive(Parser)]
#[command(about = "The price of surviving")]
struct Options {
    /// Half a minute instead of some
    #[arg(long)]
    quick: bool,
    /// One part only
    #[arg(long)]
    only: Option<Part>,
    /// What cargo says to benchmarks
    #[arg(long, hide = true)]
    bench: bool,
    /// Which of the other processes to be
    #[arg(long, hide = true, requires = "prefix")]
    role: Option<Role>,
    /// What the names of everything shared start with
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

/// How much is measured.
#[derive(Clone, Copy)]
struct Effort {
    rounds: u64,
    kills: u64,
    patient_kills: u64,
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
        return peers::take_part(role, prefix, &options.shape);
    }
    let effort = match options {
        // A test run, which only wants to know that it works.
        Options { bench: false, .. } => Effort {
            rounds: 1,
            kills: 6,
            patient_kills: 0,
        },
        Options { quick: true, .. } => Effort {
            rounds: 6,
            kills: 200,
            patient_kills: 10,
        },
        _ => Effort {
            rounds: 60,
            kills: 1000,
            patient_kills: 100,
        },
    };
    let is_wanted = |part| options.only.is_none_or(|only| only == part);
    if is_wanted(Part::Price) {
        price::conduct(effort)?;
    }
    if is_wanted(Part::Dead) {
        dead::conduct(effort)?;
    }
    if is_wanted(Part::Stall) {
        stall::conduct(effort)?;
    }
    Ok(())
}
