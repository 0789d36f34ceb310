//! Looks at rings, fills and empties them, and mends what the dead have left, without a program written for
//! it.

mod args;
mod create;
mod failure;
mod framing;
mod json;
mod list;
mod output;
mod people;
mod recv;
mod remove;
mod rings;
mod send;
mod signals;
mod stat;
mod table;
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
        Command::Rm(asked) => remove::run(&asked),
        Command::Send(asked) => send::run(&asked),
        Command::Recv(asked) => recv::run(&asked),
    }
}
