//! What the command line says.

use super::framing::Framing;
use clap::{Args, Parser, Subcommand, ValueEnum};
use slipring::Backing;
use std::time::Duration;

/// Looks at rings in shared memory, fills and empties them, and mends what the dead have left.
///
/// A ring is named as in programs: /name (POSIX shared memory), file:/path, sysv:0x1234, sysv:id:7,
/// or memfd:N for a memfd that is open as descriptor N.
///
/// Exit status: 0; 1 if it could not be done; 2 if it was asked for in the wrong way; 3 if the other side
/// died, or left work behind; 124 if it timed out.
#[derive(Debug, Parser)]
#[command(name = "slipring", version, max_term_width = 100)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Shows the rings of this machine.
    ///
    /// Rings in /dev/shm and in System V segments are found; files are shown if they are named. What may not be looked at is
    /// called unreadable, and may not be a ring. A memfd has no name, and is not found; neither is what has a name that is
    /// not UTF-8.
    List(List),
    /// Shows what is known of a ring: who has it, what is in it, what was recovered.
    Stat(Stat),
    /// Makes a ring of byte strings.
    ///
    /// It has every option of the library that is a property of the ring. How a process waits, prefaults and locks
    /// memory is for each process to say. Rings of values are made by programs, which have the type: its size and
    /// alignment are fixed where they are compiled.
    Create(Create),
    /// Makes a ring larger, or smaller, while it is in use.
    ///
    /// Messages that are in it stay, and are taken first. Nobody needs to be told: senders and receivers go on to the new
    /// ring by themselves, and the memory of the old one goes when the last of them has. Only rings in shared memory
    /// with a name and in files can grow.
    Grow(Grow),
    /// Removes a ring that nobody uses.
    ///
    /// Nobody can begin to use it meanwhile; who has it open without a seat finds it closed. With --force the name goes
    /// as it is.
    Rm(Remove),
    /// Sends standard input through a ring.
    ///
    /// If there is no ring of the name, one is made that goes when both sides have ended; then send waits
    /// until everything was taken, as a writer to a named pipe does.
    Send(Send),
    /// Writes what comes through a ring to standard output.
    ///
    /// If there is no ring of the name, one is made that goes when both sides have ended. Ends when the senders have
    /// ended; with status 3 if one died. A message counts as received when it was written.
    Recv(Receive),
    /// Says what is wrong with a ring, and what to do about it.
    Doctor(Doctor),
    /// Removes rings that nobody holds, if you agree.
    Gc(Collect),
    /// Shows messages as they pass, without taking them.
    Tap(Tap),
    /// Shows all rings as they change: what goes in and out, how full they are, who died.
    ///
    /// A stall is a look at which messages were there and none had been taken since the look before. Without a terminal it
    /// prints lines.
    Top(Top),
    /// Measures what this machine does with a ring, for two seconds.
    Bench(Bench),
    /// Prints what completes commands in a shell.
    Completions(Completions),
    /// Prints a manual page.
    Man,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// Rings to show besides those in /dev/shm and in System V segments, as file:/path.
    pub(crate) rings: Vec<Backing>,
    /// As JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Stat {
    pub(crate) ring: Backing,
    /// As JSON.
    #[arg(long, conflicts_with = "prometheus")]
    pub(crate) json: bool,
    /// In the text format that Prometheus scrapes.
    #[arg(long)]
    pub(crate) prometheus: bool,
    /// Again and again, every so many seconds.
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "1", value_parser = seconds)]
    pub(crate) watch: Option<Duration>,
}

#[derive(Debug, Args)]
pub(crate) struct Create {
    pub(crate) ring: Backing,
    #[command(flatten)]
    pub(crate) size: Size,
    /// One sender and one receiver, or many.
    #[arg(long, value_enum, default_value_t = Kind::Spsc)]
    pub(crate) kind: Kind,
    /// Permission bits, octal.
    #[arg(long, value_name = "BITS", value_parser = octal)]
    pub(crate) mode: Option<u32>,
    /// A number for the meaning of the messages; programs refuse rings with another.
    #[arg(long, value_name = "TAG", value_parser = number)]
    pub(crate) schema: Option<u64>,
    /// How long a death may go unnoticed at most.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) liveness_interval: Option<Duration>,
    /// What keeps wake-ups from being lost.
    #[arg(long, value_enum)]
    pub(crate) fences: Option<Fences>,
    /// Seats for producers of an MPMC ring.
    #[arg(long, value_name = "SEATS")]
    pub(crate) producers: Option<u32>,
    /// Seats for consumers of an MPMC ring.
    #[arg(long, value_name = "SEATS")]
    pub(crate) consumers: Option<u32>,
    /// What becomes of messages that a dead consumer of an MPMC ring had taken.
    #[arg(long, value_enum)]
    pub(crate) delivery: Option<Delivery>,
    /// Whose it is to be: a user id.
    #[arg(long, value_name = "UID")]
    pub(crate) owner: Option<u32>,
    /// The ring goes when the last participant leaves.
    #[arg(long)]
    pub(crate) unlink_when_left: bool,
    /// How it can have huge pages.
    #[arg(long, value_enum)]
    pub(crate) huge_pages: Option<HugePages>,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Size {
    /// How many messages the ring holds; rounded up to a power of two.
    #[arg(long, value_name = "MESSAGES", default_value_t = 64)]
    pub(crate) capacity: usize,
    /// The longest message in bytes.
    #[arg(long, value_name = "BYTES", default_value_t = 65536)]
    pub(crate) message_size: usize,
}

#[derive(Debug, Args)]
pub(crate) struct Grow {
    pub(crate) ring: Backing,
    /// How many messages it is to hold; rounded up to a power of two.
    #[arg(value_name = "MESSAGES")]
    pub(crate) capacity: usize,
}

#[derive(Debug, Args)]
pub(crate) struct Remove {
    #[arg(required = true)]
    pub(crate) rings: Vec<Backing>,
    /// Also while it is in use, and if it is broken.
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Send {
    #[command(flatten)]
    pub(crate) transfer: Transfer,
}

#[derive(Debug, Args)]
pub(crate) struct Receive {
    #[command(flatten)]
    pub(crate) transfer: Transfer,
}

#[derive(Debug, Args)]
pub(crate) struct Transfer {
    pub(crate) ring: Backing,
    /// Each line is a message.
    #[arg(long, conflicts_with = "frames")]
    pub(crate) lines: bool,
    /// Each message has its length before it: four bytes, little-endian.
    #[arg(long)]
    pub(crate) frames: bool,
    /// End after so many messages.
    #[arg(long, value_name = "MESSAGES")]
    pub(crate) count: Option<u64>,
    /// When the other side has ended, or died, wait for the next one.
    #[arg(long)]
    pub(crate) follow: bool,
    /// Give up when nothing could be sent or received for so long.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) timeout: Option<Duration>,
    #[command(flatten)]
    pub(crate) size: Size,
}

impl Transfer {
    pub(crate) fn framing(&self) -> Framing {
        match self {
            Self { lines: true, .. } => Framing::Lines,
            Self { frames: true, .. } => Framing::Frames,
            _ => Framing::Bytes,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Doctor {
    pub(crate) ring: Backing,
    /// Finishes what dead participants had begun, and says what that was.
    #[arg(long)]
    pub(crate) repair: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Collect {
    /// Only these rings.
    pub(crate) rings: Vec<Backing>,
    /// Without asking.
    #[arg(long)]
    pub(crate) yes: bool,
    /// Also rings with messages that nobody has read.
    #[arg(long)]
    pub(crate) force: bool,
    /// Only rings that were made so long ago.
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    pub(crate) older: Duration,
}

#[derive(Debug, Args)]
pub(crate) struct Tap {
    pub(crate) ring: Backing,
    /// How many messages to look at in a second, at most.
    #[arg(long, value_name = "MESSAGES", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rate: u32,
    /// End after so many messages.
    #[arg(long, value_name = "MESSAGES")]
    pub(crate) count: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct Top {
    /// Only these rings.
    pub(crate) rings: Vec<Backing>,
    /// From one look to the next.
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    pub(crate) interval: Duration,
    /// Without a terminal: end after so many looks.
    #[arg(long, value_name = "LOOKS")]
    pub(crate) count: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct Bench {
    /// As JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Completions {
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Kind {
    Spsc,
    Mpmc,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Fences {
    Membarrier,
    Symmetric,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Delivery {
    AtLeastOnce,
    AtMostOnce,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum HugePages {
    /// If the kernel has some at hand.
    Advised,
    /// From those that were set aside, or not at all.
    Reserved,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds")?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

fn octal(text: &str) -> Result<u32, String> {
    let digits = text.strip_prefix("0o").unwrap_or(text);
    u32::from_str_radix(digits, 8).map_err(|error| error.to_string())
}

fn number(text: &str) -> Result<u64, String> {
    let parsed = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    parsed.map_err(|error| error.to_string())
}
