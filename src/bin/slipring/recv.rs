//! `slipring recv`.

use super::args::{Receive, Transfer};
use super::failure::Failure;
use super::framing;
use super::signals;
use super::stdio::Stream;
use super::transfer::{self, Deadline, OpenedRing};
use nix::sys::signal::Signal;
use slipring::error::{Disconnected, PopTimeoutError};
use slipring::{Consumer, Protocol, Ring, Role};
use std::io::{self, ErrorKind};
use std::thread;

pub(crate) fn run(args: &Receive) -> Result<(), Failure> {
    let args = &args.transfer;
    signals::catch_termination();
    loop {
        let opened = transfer::open_or_create(args)?;
        let is_done = match &opened.ring {
            transfer::Ring::Spsc(ring) => receive(ring, &opened, args)?,
            transfer::Ring::Mpmc(ring) => receive(ring, &opened, args)?,
        };
        if is_done {
            return Ok(());
        }
    }
}

/// The reason to stop before the end of the stream.
enum Stop {
    Failed(Failure),
    Output(io::Error),
    Signal,
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Receives the whole stream. Returns `false` if the temporary ring was closed before this process
/// attached.
fn receive<P: Protocol>(
    ring: &Ring<[u8], P>,
    opened: &OpenedRing,
    args: &Transfer,
) -> Result<bool, Failure> {
    let attached = ring.consumer();
    let mut consumer = attached.map_err(|error| Failure::of(&args.ring, error))?;
    if opened.is_temporary() && ring.is_closed() {
        return Ok(false);
    }
    let received = receive_all(&mut consumer, opened, args);
    drop(consumer);
    match received {
        Ok(()) => Ok(true),
        Err(Stop::Failed(failure)) => Err(failure),
        Err(Stop::Output(error)) if error.kind() == ErrorKind::BrokenPipe => {
            signals::end_by(Signal::SIGPIPE)
        }
        Err(stop) => match (signals::received(), stop) {
            (Some(signal), _) => signals::end_by(signal),
            (None, Stop::Output(error)) => Err(error.into()),
            (None, _) => Ok(true),
        },
    }
}

/// Whether a producer has sent to this process.
///
/// This is a producer that was attached when this process opened the ring, or has attached since.
/// It is also one that ended earlier, if no other consumer has received its messages.
fn has_producer(opened: &OpenedRing, args: &Transfer) -> Result<bool, Failure> {
    let before = &opened.before;
    let had_holder = |role| before.seats_of(role).any(|seat| seat.holders > 0);
    let is_unread = !before.is_empty() || !had_holder(Role::Consumer);
    let was_sent = had_holder(Role::Producer);
    Ok(is_unread && was_sent || opened.was_attached(Role::Producer, &args.ring)?)
}

fn receive_all<P: Protocol>(
    consumer: &mut Consumer<[u8], P>,
    opened: &OpenedRing,
    args: &Transfer,
) -> Result<(), Stop> {
    let framing = args.framing();
    let mut output = Stream::of(io::stdout()).map_err(Stop::Output)?;
    let mut message = Vec::new();
    let mut deadline = Deadline::after(args.timeout);
    let (mut messages, mut bytes) = (0, 0);
    while args.count.is_none_or(|count| messages < count) {
        if signals::received().is_some() {
            return Err(Stop::Signal);
        }
        match consumer.read_timeout(deadline.wait()) {
            Ok(next) => {
                next.get_into(&mut message);
                messages += 1;
                bytes += message.len() as u64;
                if let Err(error) = framing::write(&mut output, framing, &mut message) {
                    // For the next consumer.
                    next.put_back();
                    return Err(Stop::Output(error));
                }
                drop(next);
                deadline = Deadline::after(args.timeout);
            }
            Err(PopTimeoutError::TimedOut) if !deadline.is_over() => {}
            Err(PopTimeoutError::TimedOut) => {
                return Err(Failure::timed_out(&args.ring, "the ring is empty").into());
            }
            Err(PopTimeoutError::Disconnected(Disconnected::Closed)) => break,
            Err(PopTimeoutError::Disconnected(gone))
                if args.follow || messages == 0 && !has_producer(opened, args)? =>
            {
                if deadline.is_over() {
                    return Err(Failure::timed_out(&args.ring, gone).into());
                }
                thread::sleep(deadline.wait());
            }
            Err(PopTimeoutError::Disconnected(Disconnected::Died { pid })) => {
                let reason = format!("the producer, process {pid}, died after {bytes} bytes");
                return Err(Failure::peer_lost(&args.ring, reason).into());
            }
            Err(PopTimeoutError::Disconnected(_)) => break,
            Err(error) => return Err(Failure::of(&args.ring, error).into()),
        }
    }
    Ok(())
}
