//! This process starts itself several times more, and those send each other messages through rings.
//!
//! Without options it streams 20 million messages of 64 bytes and checks every one, then
//! plays ping-pong and sets the round trip against the bare exchange of two cache lines
//! between the same two processes. With `--input` and `--output` it sends a file instead. With
//! `--producers` and `--consumers` it streams from many to many, and with `--kill` it kills them
//! all the while.

mod crowd;
mod file;
mod floor;
mod ping_pong;
mod processes;
mod stream;

use clap::{Parser, ValueEnum};
use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

#[derive(Parser, Clone)]
#[command(about = "Streams messages between two processes, then plays ping-pong")]
struct Options {
    /// How many messages to stream
    #[arg(long, default_value_t = 20_000_000)]
    messages: u64,
    /// How long a message is, at least 8
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(8..))]
    bytes: u32,
    /// How many messages the ring holds
    #[arg(long, default_value_t = 1024)]
    capacity: usize,
    /// How many processes push
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=64))]
    producers: u64,
    /// How many processes pop
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=64))]
    consumers: u64,
    /// Kill one process after the other, and start another in its place
    #[arg(long)]
    kill: bool,
    /// A file to send through the ring
    #[arg(long, requires = "output")]
    input: Option<PathBuf>,
    /// Where to write what came out
    #[arg(long, requires = "input")]
    output: Option<PathBuf>,
    /// Which of the two other processes to be
    #[arg(long, hide = true, requires = "prefix")]
    role: Option<Part>,
    /// Which of those with the same role to be
    #[arg(long, hide = true, default_value_t = 0)]
    index: u64,
    /// What the names of the rings start with
    #[arg(long, hide = true)]
    prefix: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
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

/// Whether everything arrived as it was sent.
fn run(options: &Options) -> Result<bool> {
    if let (Some(part), Some(prefix)) = (options.role, &options.prefix) {
        return take_part(options, part, prefix).map(|()| true);
    }
    match (&options.input, &options.output) {
        (Some(input), Some(output)) => file::conduct(options, input, output),
        _ if options.kill || options.producers + options.consumers > 2 => crowd::conduct(options),
        _ => Ok(stream::conduct(options)? & ping_pong::conduct(options)?),
    }
}

fn take_part(options: &Options, part: Part, prefix: &str) -> Result<()> {
    match (part, &options.input, &options.output) {
        (Part::Sender, Some(input), _) => file::send(prefix, input),
        (Part::Receiver, _, Some(output)) => file::receive(prefix, output),
        _ if prefix.ends_with(ping_pong::SUFFIX) => ping_pong::play(options, part, prefix),
        (Part::Sender, ..) if prefix.ends_with(crowd::SUFFIX) => crowd::produce(options, prefix),
        (Part::Receiver, ..) if prefix.ends_with(crowd::SUFFIX) => crowd::consume(options, prefix),
        (Part::Sender, ..) => stream::send(options, prefix),
        (Part::Receiver, ..) => stream::receive(options, prefix),
    }
}
