//! `slipring recv`.

use super::args::{Receive, Transfer};
use super::failure::Failure;
use super::framing;
use super::signals;
use super::stream::Stream;
use super::transfer::{self, Deadline, Joined};
use nix::sys::signal::Signal;
use slipring::error::{Disconnected, PopTimeoutError};
use slipring::{Consumer, Protocol, Ring, Role};
use std::io::{self, ErrorKind};
use std::thread;

pub(crate) fn run(asked: &Receive) -> Result<(), Failure> {
    let asked = &asked.transfer;
    signals::heed_endings();
    loop {
        let joined = transfer::join(asked)?;
        let is_done = match &joined.ring {
            transfer::Ring::Spsc(ring) => receive(ring, &joined, asked)?,
            transfer::Ring::Mpmc(ring) => receive(ring, &joined, asked)?,
        };
        if is_done {
            return Ok(());
        }
    }
}

/// Why receiving ended before its time.
enum Stop {
    Failed(Failure),
    Output(io::Error),
    Asked,
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Receives everything; `false` if the ring went away just before.
fn receive<P: Protocol>(
    ring: &Ring<[u8], P>,
    joined: &Joined,
    asked: &Transfer,
) -> Result<bool, Failure> {
    let attached = ring.consumer();
    let mut consumer = attached.map_err(|error| Failure::of(&asked.ring, error))?;
    if joined.is_temporary() && ring.is_closed() {
        return Ok(false);
    }
    let received = receive_all(&mut consumer, joined, asked);
    drop(consumer);
    match received {
        Ok(()) => Ok(true),
        Err(Stop::Failed(failure)) => Err(failure),
        Err(Stop::Output(error)) if error.kind() == ErrorKind::BrokenPipe => {
            signals::die_of(Signal::SIGPIPE)
        }
        Err(stop) => match (signals::received(), stop) {
            (Some(signal), _) => signals::die_of(signal),
            (None, Stop::Output(error)) => Err(error.into()),
            (None, _) => Ok(true),
        },
    }
}

/// Whether somebody has sent to this receiver: one who is there or has been, or one who ended before and whose
/// messages nobody else has received.
fn has_begun(joined: &Joined, asked: &Transfer) -> Result<bool, Failure> {
    let before = &joined.before;
    let has_had = |role| before.seats_of(role).any(|seat| seat.holders > 0);
    let is_unread = !before.is_empty() || !has_had(Role::Consumer);
    let was_sent = has_had(Role::Producer);
    Ok(is_unread && was_sent || joined.has_come(Role::Producer, &asked.ring)?)
}

fn receive_all<P: Protocol>(
    consumer: &mut Consumer<[u8], P>,
    joined: &Joined,
    asked: &Transfer,
) -> Result<(), Stop> {
    let framing = asked.framing();
    let mut output = Stream::of(io::stdout()).map_err(Stop::Output)?;
    let mut message = Vec::new();
    let mut deadline = Deadline::after(asked.timeout);
    let (mut messages, mut bytes) = (0, 0);
    while asked.count.is_none_or(|count| messages < count) {
        if signals::received().is_some() {
            return Err(Stop::Asked);
        }
        match consumer.read_timeout(deadline.slice()) {
            Ok(next) => {
                next.get_into(&mut message);
                messages += 1;
                bytes += message.len() as u64;
                if let Err(error) = framing::write(&mut output, framing, &mut message) {
                    // For the next one who receives.
                    next.put_back();
                    return Err(Stop::Output(error));
                }
                drop(next);
                deadline = Deadline::after(asked.timeout);
            }
            Err(PopTimeoutError::TimedOut) if !deadline.is_over() => {}
            Err(PopTimeoutError::TimedOut) => {
                return Err(Failure::timed_out(&asked.ring, "the ring is empty").into());
            }
            Err(PopTimeoutError::Disconnected(Disconnected::Closed)) => break,
            Err(PopTimeoutError::Disconnected(gone))
                if asked.follow || messages == 0 && !has_begun(joined, asked)? =>
            {
                if deadline.is_over() {
                    return Err(Failure::timed_out(&asked.ring, gone).into());
                }
                thread::sleep(deadline.slice());
            }
            Err(PopTimeoutError::Disconnected(Disconnected::Died { pid })) => {
                let reason = format!("the sender, process {pid}, died after {bytes} bytes");
                return Err(Failure::forsaken(&asked.ring, reason).into());
            }
            Err(PopTimeoutError::Disconnected(_)) => break,
            Err(error) => return Err(Failure::of(&asked.ring, error).into()),
        }
    }
    Ok(())
}
