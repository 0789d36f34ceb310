//! Commands and options.

mod values;

use self::values::{bytes, duration, octal, schema};
use super::framing::Framing;
use clap::{Args, Parser, Subcommand, ValueEnum};
use slipring::Backing;
use std::time::Duration;

/// Inspect, fill, drain and repair rings in shared memory.
///
/// A ring is named as in programs: /name (POSIX shared memory), file:/path, sysv:0x1234, sysv:id:7,
/// or memfd:N for a memfd that is open as descriptor N.
///
/// Durations are numbers of seconds, or have units: 0.5, 250ms, 2min.
///
/// Exit status: 0 on success; 1 on failure; 2 on a usage error; 3 if the other side died, or ended
/// before the transfer was complete; 124 on a timeout.
#[derive(Debug, Parser)]
#[command(name = "slipring", version, max_term_width = 100)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the rings of this machine.
    ///
    /// Rings in /dev/shm and in System V segments are found; files are shown if they are named. An
    /// object without read permission is listed as unreadable, and may not be a ring. Memfds have
    /// no names and are not found. Names that are not UTF-8 are not found either.
    List(List),
    /// Show the state of a ring: its participants, its messages and its recoveries.
    Stat(Stat),
    /// Create a ring of byte strings.
    ///
    /// Every option of the library that is a property of the ring can be set. How a process waits,
    /// prefaults and locks memory is an option of each process. Only a program can create a ring of
    /// values: the size and alignment of its type are fixed at compile time.
    Create(Create),
    /// Change the capacity of a ring while it is in use.
    ///
    /// Messages in the ring stay, and are received first. Producers and consumers move to the new
    /// segment without a restart. The memory of the old segment is reclaimed when the last of them
    /// has moved. Only rings in named shared memory and in files can grow.
    Grow(Grow),
    /// Remove a ring that has no participants.
    ///
    /// No process can attach during the removal. A process that has the ring open without a seat
    /// finds it closed. With --force only the name is removed, without these checks.
    Rm(Remove),
    /// Send standard input through a ring.
    ///
    /// A ring that does not exist is created, and is removed when both sides have ended. Then send
    /// waits until every message was received, as a writer to a named pipe does.
    Send(Send),
    /// Write the messages of a ring to standard output.
    ///
    /// A ring that does not exist is created, and is removed when both sides have ended. The
    /// command ends when the producers have ended, with status 3 if one died. A message counts as
    /// received when it was written.
    Recv(Receive),
    /// Diagnose a ring and print what to do.
    Doctor(Doctor),
    /// Remove rings without participants, after confirmation.
    Gc(Collect),
    /// Show messages as they pass, without consuming them.
    Tap(Tap),
    /// Show the rates, depths and dead participants of all rings, continuously.
    ///
    /// A stall is a refresh at which the ring has messages, and none was received since the
    /// previous refresh. Without a terminal, top prints lines.
    Top(Top),
    /// Measure a ring between two processes on this machine, for two seconds.
    Bench(Bench),
    /// Print a shell completion script.
    Completions(Completions),
    /// Print the manual page.
    Man,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// Rings to list besides those in /dev/shm and in System V segments, such as file:/path.
    pub(crate) rings: Vec<Backing>,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Stat {
    /// Name of the ring.
    pub(crate) ring: Backing,
    /// Print JSON.
    #[arg(long, conflicts_with = "prometheus")]
    pub(crate) json: bool,
    /// Print metrics in the text format of Prometheus.
    #[arg(long)]
    pub(crate) prometheus: bool,
    /// Refresh every second, or at the given interval.
    #[arg(long, value_name = "DURATION", num_args = 0..=1, default_missing_value = "1s")]
    #[arg(value_parser = duration)]
    pub(crate) watch: Option<Duration>,
}

#[derive(Debug, Args)]
pub(crate) struct Create {
    /// Name of the ring.
    pub(crate) ring: Backing,
    #[command(flatten)]
    pub(crate) size: Size,
    /// One producer and one consumer, or many of each.
    #[arg(long, value_enum, default_value_t = Kind::Spsc)]
    pub(crate) kind: Kind,
    /// Permission bits, octal.
    #[arg(long, value_name = "BITS", value_parser = octal)]
    pub(crate) mode: Option<u32>,
    /// Number that identifies the meaning of the messages. Programs refuse a ring with a different
    /// number.
    #[arg(long, value_name = "TAG", value_parser = schema)]
    pub(crate) schema: Option<u64>,
    /// Longest time that a death may remain undetected.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) liveness_interval: Option<Duration>,
    /// Kind of fences that prevent lost wake-ups.
    #[arg(long, value_enum)]
    pub(crate) fences: Option<Fences>,
    /// Seats for producers of an MPMC ring.
    #[arg(long, value_name = "SEATS")]
    pub(crate) producers: Option<u32>,
    /// Seats for consumers of an MPMC ring.
    #[arg(long, value_name = "SEATS")]
    pub(crate) consumers: Option<u32>,
    /// Treatment of messages that a dead consumer of an MPMC ring had claimed.
    #[arg(long, value_enum)]
    pub(crate) delivery: Option<Delivery>,
    /// Owner user ID.
    #[arg(long, value_name = "UID")]
    pub(crate) owner: Option<u32>,
    /// Remove the ring when the last participant leaves.
    #[arg(long)]
    pub(crate) unlink_when_left: bool,
    /// Source of huge pages.
    #[arg(long, value_enum)]
    pub(crate) huge_pages: Option<HugePages>,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Size {
    /// Number of messages that the ring holds, rounded up to a power of two.
    #[arg(long, value_name = "MESSAGES", default_value_t = 64)]
    pub(crate) capacity: usize,
    /// Largest message, in bytes or with a binary unit such as KiB.
    #[arg(long, value_name = "BYTES", default_value = "64KiB", value_parser = bytes)]
    pub(crate) message_size: usize,
}

#[derive(Debug, Args)]
pub(crate) struct Grow {
    /// Name of the ring.
    pub(crate) ring: Backing,
    /// New number of messages that the ring holds, rounded up to a power of two.
    #[arg(value_name = "MESSAGES")]
    pub(crate) capacity: usize,
}

#[derive(Debug, Args)]
pub(crate) struct Remove {
    /// Names of the rings.
    #[arg(required = true)]
    pub(crate) rings: Vec<Backing>,
    /// Remove the name even if the ring is in use or broken.
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
    /// Name of the ring.
    pub(crate) ring: Backing,
    /// Treat each line as a message.
    #[arg(long, conflicts_with = "frames")]
    pub(crate) lines: bool,
    /// Treat each frame as a message: its length in four bytes, little-endian, then the message.
    #[arg(long)]
    pub(crate) frames: bool,
    /// End after this number of messages.
    #[arg(long, value_name = "MESSAGES")]
    pub(crate) count: Option<u64>,
    /// Wait for the next peer when the other side has ended or died.
    #[arg(long)]
    pub(crate) follow: bool,
    /// Give up when no message could be sent or received for this long.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
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
    /// Name of the ring.
    pub(crate) ring: Backing,
    /// Finish the operations of dead participants, and print a summary.
    #[arg(long)]
    pub(crate) repair: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Collect {
    /// Consider only these rings.
    pub(crate) rings: Vec<Backing>,
    /// Do not ask for confirmation.
    #[arg(long)]
    pub(crate) yes: bool,
    /// Also remove rings with unread messages.
    #[arg(long)]
    pub(crate) force: bool,
    /// Consider only rings that are at least this old.
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = duration)]
    pub(crate) older: Duration,
}

#[derive(Debug, Args)]
pub(crate) struct Tap {
    /// Name of the ring.
    pub(crate) ring: Backing,
    /// Largest number of messages to inspect per second.
    #[arg(long, value_name = "MESSAGES", default_value_t = 1000)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rate: u32,
    /// End after this number of messages.
    #[arg(long, value_name = "MESSAGES")]
    pub(crate) count: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct Top {
    /// Show only these rings.
    pub(crate) rings: Vec<Backing>,
    /// Refresh interval.
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = duration)]
    pub(crate) interval: Duration,
    /// Without a terminal: end after this number of refreshes.
    #[arg(long, value_name = "REFRESHES")]
    pub(crate) count: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct Bench {
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// Shell that reads the script.
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
    /// Use huge pages that the kernel has available.
    Advised,
    /// Use reserved huge pages, or fail.
    Reserved,
}
