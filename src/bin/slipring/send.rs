//! `slipring send`.

use super::args::{Send, Transfer};
use super::failure::Failure;
use super::framing::Cutter;
use super::signals;
use super::stream::Stream;
use super::transfer::{self, Deadline, Joined};
use indicatif::{ProgressBar, ProgressStyle};
use slipring::error::{Disconnected, PushTimeoutError};
use slipring::{Peer, Producer, Protocol, Ring, Role};
use std::mem;
use std::thread;
use std::time::Duration;

pub(crate) fn run(asked: &Send) -> Result<(), Failure> {
    let asked = &asked.transfer;
    signals::heed_endings();
    loop {
        let joined = transfer::join(asked)?;
        let is_done = match &joined.ring {
            transfer::Ring::Spsc(ring) => send(ring, &joined, asked)?,
            transfer::Ring::Mpmc(ring) => send(ring, &joined, asked)?,
        };
        if is_done {
            return Ok(());
        }
    }
}

/// Sends everything; `false` if the ring went away just before.
fn send<P: Protocol>(
    ring: &Ring<[u8], P>,
    joined: &Joined,
    asked: &Transfer,
) -> Result<bool, Failure> {
    let is_temporary = joined.is_temporary();
    let attached = ring.producer();
    let mut producer = attached.map_err(|error| Failure::of(&asked.ring, error))?;
    if is_temporary && ring.is_closed() {
        return Ok(false);
    }
    let sent = send_all(&mut producer, joined, asked).and_then(|()| match is_temporary {
        true => wait_until_taken(&producer, joined, asked),
        false => Ok(()),
    });
    if let Err(failure) = sent {
        let is_alone = matches!(producer.peer(), Ok(Peer::NeverCame | Peer::Left));
        if is_temporary && is_alone {
            drop(producer);
        } else {
            // What was sent is not all: who receives it is told that this end did not end well.
            mem::forget(producer);
        }
        if let Some(signal) = signals::received() {
            signals::die_of(signal);
        }
        return Err(failure);
    }
    Ok(true)
}

fn send_all<P: Protocol>(
    producer: &mut Producer<[u8], P>,
    joined: &Joined,
    asked: &Transfer,
) -> Result<(), Failure> {
    let longest = joined.before.message_size as usize;
    let unread = |error| Failure::new(format!("standard input: {error}"));
    let input = Stream::of(std::io::stdin()).map_err(unread)?;
    let bar = progress(input.size());
    let mut cutter = Cutter::new(input, asked.framing(), longest);
    let mut message = Vec::new();
    let mut sent = 0;
    while asked.count.is_none_or(|count| sent < count) {
        if !cutter.next(&mut message).map_err(unread)? {
            break;
        }
        push(producer, &message, joined, asked)?;
        sent += 1;
        bar.inc(message.len() as u64);
    }
    bar.finish();
    Ok(())
}

fn push<P: Protocol>(
    producer: &mut Producer<[u8], P>,
    message: &[u8],
    joined: &Joined,
    asked: &Transfer,
) -> Result<(), Failure> {
    let deadline = Deadline::after(asked.timeout);
    loop {
        match producer.push_timeout(message, deadline.slice()) {
            Ok(()) => return Ok(()),
            Err(PushTimeoutError::TimedOut) => {}
            Err(PushTimeoutError::Disconnected(gone)) => {
                if is_forsaken(gone, joined, asked)? {
                    return Err(forsaken(asked, gone, producer.len()));
                }
                thread::sleep(deadline.slice());
            }
            Err(error) => return Err(Failure::of(&asked.ring, error)),
        }
        check(deadline, asked, "the ring is full")?;
    }
}

/// Whether to go on waiting.
fn check(deadline: Deadline, asked: &Transfer, why: &str) -> Result<(), Failure> {
    if signals::received().is_some() {
        return Err(Failure::of(&asked.ring, "asked to end"));
    }
    match deadline.is_over() {
        true => Err(Failure::timed_out(&asked.ring, why)),
        false => Ok(()),
    }
}

/// When the last participant leaves, what is in the ring is gone: so this one waits for the other side to have
/// come, and to have taken all.
fn wait_until_taken<P: Protocol>(
    producer: &Producer<[u8], P>,
    joined: &Joined,
    asked: &Transfer,
) -> Result<(), Failure> {
    const MOMENT: Duration = Duration::from_millis(2);
    let mut deadline = Deadline::after(asked.timeout);
    let mut left = producer.len();
    loop {
        let peer = producer.peer();
        let peer = peer.map_err(|error| Failure::of(&asked.ring, error))?;
        let now_left = producer.len();
        let gone = match peer {
            Peer::Left => Some(Disconnected::Left),
            Peer::Died { pid } => Some(Disconnected::Died { pid }),
            Peer::Closed => Some(Disconnected::Closed),
            _ => None,
        };
        let has_come = peer != Peer::NeverCame && joined.has_come(Role::Consumer, &asked.ring)?;
        if has_come && now_left == 0 {
            return Ok(());
        }
        if let Some(gone) = gone {
            if is_forsaken(gone, joined, asked)? {
                return Err(forsaken(asked, gone, now_left));
            }
        }
        if now_left != left {
            left = now_left;
            deadline = Deadline::after(asked.timeout);
        }
        check(deadline, asked, "not everything was received")?;
        thread::sleep(MOMENT);
    }
}

/// Whether it is in vain to wait for somebody who receives.
fn is_forsaken(gone: Disconnected, joined: &Joined, asked: &Transfer) -> Result<bool, Failure> {
    Ok(match gone {
        Disconnected::Closed => true,
        _ => !asked.follow && joined.has_come(Role::Consumer, &asked.ring)?,
    })
}

fn forsaken(asked: &Transfer, gone: Disconnected, left: usize) -> Failure {
    let what = match gone {
        Disconnected::Died { pid } => format!("the receiver, process {pid}, has died"),
        Disconnected::Left => "the receiver has left".into(),
        _ => gone.to_string(),
    };
    Failure::forsaken(
        &asked.ring,
        format_args!("{what}; {left} messages were not taken"),
    )
}

/// On a terminal, and if it is known how much there is.
fn progress(size: Option<u64>) -> ProgressBar {
    let Some(size) = size else {
        return ProgressBar::hidden();
    };
    let look = "{bar:40} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
    let bar = ProgressBar::new(size);
    match ProgressStyle::with_template(look) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
