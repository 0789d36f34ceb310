//! Command line tool: inspects, fills, drains and repairs rings without a program written for them.

mod args;
mod bench;
mod create;
mod discover;
mod doctor;
mod failure;
mod framing;
mod gc;
mod grow;
mod holder;
mod json;
mod list;
mod manual;
mod metrics;
mod output;
mod rates;
mod recv;
mod remove;
mod send;
mod signals;
mod stat;
mod stdio;
mod summary;
mod table;
mod tap;
mod top;
mod transfer;

use self::args::{Arguments, Command};
use self::failure::Failure;
use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("slipring: {failure}");
            ExitCode::from(failure.status)
        }
    }
}

fn run(command: Command) -> Result<(), Failure> {
    // recv may hold a message when the pipe breaks. It must put the message back before it ends.
    if !matches!(command, Command::Recv(_)) {
        signals::reset_broken_pipe();
    }
    match command {
        Command::List(args) => list::run(&args),
        Command::Stat(args) => stat::run(&args),
        Command::Create(args) => create::run(&args),
        Command::Grow(args) => grow::run(&args),
        Command::Rm(args) => remove::run(&args),
        Command::Send(args) => send::run(&args),
        Command::Recv(args) => recv::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Gc(args) => gc::run(&args),
        Command::Tap(args) => tap::run(&args),
        Command::Top(args) => top::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Completions(args) => manual::complete(&args),
        Command::Man => manual::print(),
    }
}
