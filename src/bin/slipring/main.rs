//! Looks at rings, fills and empties them, and mends what the dead have left, without a program written for
//! it.

mod args;
mod bench;
mod create;
mod doctor;
mod failure;
mod framing;
mod gc;
mod grow;
mod json;
mod list;
mod manual;
mod output;
mod people;
mod pulse;
mod recv;
mod remove;
mod rings;
mod send;
mod signals;
mod stat;
mod stream;
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
    // Who receives has a message in its hands when the pipe breaks, and gives it back first.
    if !matches!(command, Command::Recv(_)) {
        signals::die_of_broken_pipes();
    }
    match command {
        Command::List(asked) => list::run(&asked),
        Command::Stat(asked) => stat::run(&asked),
        Command::Create(asked) => create::run(&asked),
        Command::Grow(asked) => grow::run(&asked),
        Command::Rm(asked) => remove::run(&asked),
        Command::Send(asked) => send::run(&asked),
        Command::Recv(asked) => recv::run(&asked),
        Command::Doctor(asked) => doctor::run(&asked),
        Command::Gc(asked) => gc::run(&asked),
        Command::Tap(asked) => tap::run(&asked),
        Command::Top(asked) => top::run(&asked),
        Command::Bench(asked) => bench::run(&asked),
        Command::Completions(asked) => manual::complete(&asked),
        Command::Man => manual::print(),
    }
}
