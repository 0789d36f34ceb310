//! `slipring send`.

use super::args::{Send, Transfer};
use super::failure::Failure;
use super::framing::MessageReader;
use super::signals;
use super::stdio::Stream;
use super::transfer::{self, Deadline, OpenedRing};
use indicatif::{ProgressBar, ProgressStyle};
use slipring::error::{Disconnected, PushTimeoutError};
use slipring::{Peer, Producer, Protocol, Ring, Role};
use std::mem;
use std::thread;
use std::time::Duration;

pub(crate) fn run(args: &Send) -> Result<(), Failure> {
    let args = &args.transfer;
    signals::catch_termination();
    loop {
        let opened = transfer::open_or_create(args)?;
        let is_done = match &opened.ring {
            transfer::Ring::Spsc(ring) => send(ring, &opened, args)?,
            transfer::Ring::Mpmc(ring) => send(ring, &opened, args)?,
        };
        if is_done {
            return Ok(());
        }
    }
}

/// Sends the whole input. Returns `false` if the temporary ring was closed before this process
/// attached.
fn send<P: Protocol>(
    ring: &Ring<[u8], P>,
    opened: &OpenedRing,
    args: &Transfer,
) -> Result<bool, Failure> {
    let is_temporary = opened.is_temporary();
    let attached = ring.producer();
    let mut producer = attached.map_err(|error| Failure::of(&args.ring, error))?;
    if is_temporary && ring.is_closed() {
        return Ok(false);
    }
    let sent = send_all(&mut producer, opened, args).and_then(|()| match is_temporary {
        true => wait_until_received(&producer, opened, args),
        false => Ok(()),
    });
    if let Err(failure) = sent {
        let is_alone = matches!(producer.peer(), Ok(Peer::NeverCame | Peer::Left));
        if is_temporary && is_alone {
            drop(producer);
        } else {
            // The input was not sent completely. A leaked handle makes this process count as dead,
            // so that the consumer does not take the part for the whole.
            mem::forget(producer);
        }
        if let Some(signal) = signals::received() {
            signals::end_by(signal);
        }
        return Err(failure);
    }
    Ok(true)
}

fn send_all<P: Protocol>(
    producer: &mut Producer<[u8], P>,
    opened: &OpenedRing,
    args: &Transfer,
) -> Result<(), Failure> {
    let longest = opened.before.message_size as usize;
    let input = Stream::of(std::io::stdin()).map_err(Failure::input)?;
    let bar = progress(input.size());
    let mut reader = MessageReader::new(input, args.framing(), longest);
    let mut message = Vec::new();
    let mut sent = 0;
    while args.count.is_none_or(|count| sent < count) {
        if !reader.next(&mut message).map_err(Failure::input)? {
            break;
        }
        push(producer, &message, opened, args)?;
        sent += 1;
        bar.inc(message.len() as u64);
    }
    bar.finish();
    Ok(())
}

fn push<P: Protocol>(
    producer: &mut Producer<[u8], P>,
    message: &[u8],
    opened: &OpenedRing,
    args: &Transfer,
) -> Result<(), Failure> {
    let deadline = Deadline::after(args.timeout);
    loop {
        match producer.push_timeout(message, deadline.wait()) {
            Ok(()) => return Ok(()),
            Err(PushTimeoutError::TimedOut) => {}
            Err(PushTimeoutError::Disconnected(gone)) => {
                if is_final(gone, opened, args)? {
                    return Err(peer_lost(args, gone, producer.len()));
                }
                thread::sleep(deadline.wait());
            }
            Err(error) => return Err(Failure::of(&args.ring, error)),
        }
        check(deadline, args, "the ring is full")?;
    }
}

/// Fails on a termination signal, or when the time is over.
fn check(deadline: Deadline, args: &Transfer, reason: &str) -> Result<(), Failure> {
    if signals::received().is_some() {
        return Err(Failure::of(&args.ring, "interrupted"));
    }
    match deadline.is_over() {
        true => Err(Failure::timed_out(&args.ring, reason)),
        false => Ok(()),
    }
}

/// Waits until a consumer has attached and has received every message.
///
/// The ring is removed with its messages when the last participant leaves, so the producer must
/// stay until then.
fn wait_until_received<P: Protocol>(
    producer: &Producer<[u8], P>,
    opened: &OpenedRing,
    args: &Transfer,
) -> Result<(), Failure> {
    const PAUSE: Duration = Duration::from_millis(2);
    let mut deadline = Deadline::after(args.timeout);
    let mut left = producer.len();
    loop {
        let peer = producer.peer();
        let peer = peer.map_err(|error| Failure::of(&args.ring, error))?;
        let remaining = producer.len();
        let gone = match peer {
            Peer::Left => Some(Disconnected::Left),
            Peer::Died { pid } => Some(Disconnected::Died { pid }),
            Peer::Closed => Some(Disconnected::Closed),
            _ => None,
        };
        let was_attached =
            peer != Peer::NeverCame && opened.was_attached(Role::Consumer, &args.ring)?;
        if was_attached && remaining == 0 {
            return Ok(());
        }
        if let Some(gone) = gone {
            if is_final(gone, opened, args)? {
                return Err(peer_lost(args, gone, remaining));
            }
        }
        if remaining != left {
            left = remaining;
            deadline = Deadline::after(args.timeout);
        }
        check(deadline, args, "not every message was received")?;
        thread::sleep(PAUSE);
    }
}

/// Whether no further consumer is expected.
fn is_final(gone: Disconnected, opened: &OpenedRing, args: &Transfer) -> Result<bool, Failure> {
    Ok(match gone {
        Disconnected::Closed => true,
        _ => !args.follow && opened.was_attached(Role::Consumer, &args.ring)?,
    })
}

fn peer_lost(args: &Transfer, gone: Disconnected, left: usize) -> Failure {
    let cause = match gone {
        Disconnected::Died { pid } => format!("the consumer, process {pid}, died"),
        Disconnected::Left => "the consumer has left".into(),
        _ => gone.to_string(),
    };
    Failure::peer_lost(
        &args.ring,
        format_args!("{cause}; {left} messages were not received"),
    )
}

/// A progress bar if the size of the input is known. It shows on a terminal only.
fn progress(size: Option<u64>) -> ProgressBar {
    let Some(size) = size else {
        return ProgressBar::hidden();
    };
    let template = "{bar:40} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
    let bar = ProgressBar::new(size);
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
