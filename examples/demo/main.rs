//! Starts this program again several times, and sends messages between the processes.
//!
//! Without options it streams 20 million messages of 64 bytes, and checks every one. Then it plays
//! ping-pong, and compares the round trip with an exchange of two cache lines between the same
//! processes. With `--input` and `--output` it sends a file instead. With `--producers` and
//! `--consumers` it streams from many to many. With `--kill` it kills these processes meanwhile.

mod file;
mod floor;
mod many;
mod ping_pong;
mod processes;
mod stream;

use clap::{Parser, ValueEnum};
use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

#[derive(Parser, Clone)]
#[command(about = "Stream messages between two processes, then play ping-pong")]
struct Options {
    /// Number of messages to stream
    #[arg(long, default_value_t = 20_000_000)]
    messages: u64,
    /// Bytes per message, at least 8
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(8..))]
    bytes: u32,
    /// Capacity of the ring, in messages
    #[arg(long, default_value_t = 1024)]
    capacity: usize,
    /// Number of processes that push
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=64))]
    producers: u64,
    /// Number of processes that pop
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=64))]
    consumers: u64,
    /// Kill and replace processes at random
    #[arg(long)]
    kill: bool,
    /// File to send through the ring
    #[arg(long, requires = "output")]
    input: Option<PathBuf>,
    /// File to write the received bytes to
    #[arg(long, requires = "input")]
    output: Option<PathBuf>,
    /// Role of this process
    #[arg(long, hide = true, requires = "prefix")]
    role: Option<Role>,
    /// Index of this process within its role
    #[arg(long, hide = true, default_value_t = 0)]
    index: u64,
    /// Prefix of the names of the rings
    #[arg(long, hide = true)]
    prefix: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Role {
    Sender,
    Receiver,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("demo: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Returns whether every message arrived intact.
fn run(options: &Options) -> Result<bool> {
    if let (Some(role), Some(prefix)) = (options.role, &options.prefix) {
        return run_role(options, role, prefix).map(|()| true);
    }
    match (&options.input, &options.output) {
        (Some(input), Some(output)) => file::run(options, input, output),
        _ if options.kill || options.producers + options.consumers > 2 => many::run(options),
        _ => Ok(stream::run(options)? & ping_pong::run(options)?),
    }
}

fn run_role(options: &Options, role: Role, prefix: &str) -> Result<()> {
    match (role, &options.input, &options.output) {
        (Role::Sender, Some(input), _) => file::send(prefix, input),
        (Role::Receiver, _, Some(output)) => file::receive(prefix, output),
        _ if prefix.ends_with(ping_pong::SUFFIX) => ping_pong::run_role(options, role, prefix),
        (Role::Sender, ..) if prefix.ends_with(many::SUFFIX) => many::produce(options, prefix),
        (Role::Receiver, ..) if prefix.ends_with(many::SUFFIX) => many::consume(options, prefix),
        (Role::Sender, ..) => stream::send(options, prefix),
        (Role::Receiver, ..) => stream::receive(options, prefix),
    }
}
