//! Every error of an operation: the variant, its fields and its text.

use crate::support::kinds::one_of_each;
use crate::support::names::Name;
use core::time::Duration;
use nix::libc;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};
use slipring::error::{
    AttachError, Disconnected, PopError, PopTimeoutError, PushError, PushSliceError,
    PushTimeoutError, TooLong, TryPopError, TryPushError,
};
use slipring::{Consumer, Peer, Producer, Protocol, Ring, Role, Spsc};
use std::os::unix::fs::FileExt;
use std::process;
use std::thread;

for_each_kind! {
    memory_and_files:
        left_died_and_closed_peers_give_distinct_errors
    ;
    all_backings:
        full_or_empty_ring_returns_full_empty_or_timed_out
        too_long_message_returns_too_long
        push_slice_of_too_long_message_does_not_block
        forked_child_is_refused_and_parent_is_unaffected
    ;
}

/// Offsets in the layout.
mod at {
    pub(crate) const PRODUCER: u64 = 0x400;
    pub(crate) const CONSUMER: u64 = 0x480;
    pub(crate) const SLOTS: u64 = 0x1000;
}

/// A ring of byte strings and its two handles.
type Strings<P> = (Name, Ring<[u8], P>, Producer<[u8], P>, Consumer<[u8], P>);

/// A full ring of two byte strings of at most three bytes, and its two handles.
fn full<P: Protocol>() -> Strings<P> {
    let name = Name::new();
    let ring = Ring::<[u8], P>::create_with(&name, &one_of_each::<P>().capacity(2).message_size(3))
        .unwrap();
    let (mut producer, consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    producer.push_slice(&[*b"one", *b"two"]).unwrap();
    (name, ring, producer, consumer)
}

const NO_TIME: Duration = Duration::ZERO;

fn full_or_empty_ring_returns_full_empty_or_timed_out<P: Protocol>() {
    let (_name, _ring, mut producer, mut consumer) = full::<P>();
    is!(producer.try_push(b"x").unwrap_err(), TryPushError::Full if true, "the ring is full");
    is!(producer.push_timeout(b"x", NO_TIME).unwrap_err(), PushTimeoutError::TimedOut if true,
        "timed out: the ring is full");
    assert_eq!(consumer.try_iter().count(), 2);
    is!(consumer.try_pop().unwrap_err(), TryPopError::Empty if true, "the ring is empty");
    is!(consumer.pop_timeout(NO_TIME).unwrap_err(), PopTimeoutError::TimedOut if true,
        "timed out: the ring is empty");
}

fn too_long_message_returns_too_long<P: Protocol>() {
    let (_name, _ring, mut producer, mut consumer) = full::<P>();
    let text = "message: found 4 bytes, expected at most 3";
    is!(producer.try_push(b"four").unwrap_err(),
        TryPushError::TooLong(TooLong { len: 4, max: 3, .. }) if true, "{text}");
    is!(producer.push(b"four").unwrap_err(),
        PushError::TooLong(TooLong { len: 4, max: 3, .. }) if true, "{text}");
    is!(producer.push_timeout(b"four", NO_TIME).unwrap_err(),
        PushTimeoutError::TooLong(TooLong { len: 4, max: 3, .. }) if true, "{text}");
    assert_eq!(consumer.try_iter().count(), 2);
    is!(producer.push_slice(&[&b"one"[..], b"four"]).unwrap_err(),
        PushSliceError { pushed: 1, reason: PushError::TooLong(TooLong { len: 4, max: 3, .. }), .. }
            if true,
        "pushed 1 messages, then: {text}");
}

fn push_slice_of_too_long_message_does_not_block<P: Protocol>() {
    let (_name, ring, mut producer, _consumer) = full::<P>();
    let too_long = [&b"four"[..]];
    assert!(matches!(
        producer.try_push_slice(&too_long),
        Err(TryPushError::TooLong(_))
    ));
    thread::scope(|scope| {
        let pushing = scope.spawn(|| producer.push_slice(&too_long));
        thread::sleep(Duration::from_millis(50));
        // Ends the call if it blocks, so that the test fails instead of hanging.
        ring.close();
        let error = pushing.join().unwrap().unwrap_err();
        assert!(matches!(error.reason, PushError::TooLong(_)), "{error:?}");
    });
}

/// Checks that each operation of a producer fails with one variant and one text.
macro_rules! assert_push_errors {
    ($producer:expr, $variant:ident($value:pat) if $condition:expr, $text:expr) => {{
        let (producer, text) = ($producer, $text);
        is!(producer.try_push(b"x").unwrap_err(),
            TryPushError::$variant($value) if $condition, "{text}");
        is!(producer.push(b"x").unwrap_err(),
            PushError::$variant($value) if $condition, "{text}");
        is!(producer.push_timeout(b"x", NO_TIME).unwrap_err(),
            PushTimeoutError::$variant($value) if $condition, "{text}");
        is!(producer.push_slice(&[*b"x"]).unwrap_err(),
            PushSliceError { pushed: 0, reason: PushError::$variant($value), .. } if $condition,
            "pushed 0 messages, then: {text}");
    }};
}

/// Checks that each operation of a consumer fails with one variant and one text.
macro_rules! assert_pop_errors {
    ($consumer:expr, $variant:ident($value:pat) if $condition:expr, $text:expr) => {{
        let (consumer, text) = ($consumer, $text);
        is!(consumer.try_pop().unwrap_err(),
            TryPopError::$variant($value) if $condition, "{text}");
        is!(consumer.pop().unwrap_err(),
            PopError::$variant($value) if $condition, "{text}");
        is!(consumer.pop_timeout(NO_TIME).unwrap_err(),
            PopTimeoutError::$variant($value) if $condition, "{text}");
    }};
}

/// Checks a producer of a full ring: each operation fails because of `reason`.
fn assert_no_push<P: Protocol>(producer: &mut Producer<[u8], P>, reason: Disconnected, text: &str) {
    assert_push_errors!(producer, Disconnected(found) if found == reason, text);
}

/// Checks a consumer of an empty ring: each operation fails because of `reason`.
fn assert_no_pop<P: Protocol>(consumer: &mut Consumer<[u8], P>, reason: Disconnected, text: &str) {
    assert_pop_errors!(consumer, Disconnected(found) if found == reason, text);
}

/// Rewrites the seat at `offset`, which its holder has left, as if another holder had attached and
/// died.
fn forge_death(name: &Name, offset: u64) {
    let file = name.file();
    let mut state = [0; 4];
    file.read_exact_at(&mut state, offset).unwrap();
    assert_eq!(state[0] & 3, 2);
    state[0] ^= 3;
    file.write_all_at(&state, offset).unwrap();
    let arrivals = if offset == at::PRODUCER { 0x284 } else { 0x288 };
    let mut count = [0; 1];
    file.read_exact_at(&mut count, arrivals).unwrap();
    file.write_all_at(&[count[0] + 1], arrivals).unwrap();
}

fn left_died_and_closed_peers_give_distinct_errors<P: Protocol>() {
    let pid = process::id();
    let died = format!("the peer, process {pid}, has died");

    let (name, ring, mut producer, consumer) = full::<P>();
    drop(consumer);
    assert_no_push(&mut producer, Disconnected::Left, "the peer has left");
    forge_death(&name, at::CONSUMER);
    assert_no_push(&mut producer, Disconnected::Died { pid }, &died);
    assert_eq!(producer.peer(), Ok(Peer::Died { pid }));
    let mut consumer = ring.consumer().unwrap();
    assert_eq!(producer.peer(), Ok(Peer::Present { pid }));
    ring.close();
    assert_no_push(&mut producer, Disconnected::Closed, "the ring is closed");
    assert_eq!(consumer.try_iter().count(), 2);
    assert_no_pop(&mut consumer, Disconnected::Closed, "the ring is closed");

    let (name, ring, producer, mut consumer) = full::<P>();
    assert_eq!(consumer.try_iter().count(), 2);
    drop(producer);
    assert_no_pop(&mut consumer, Disconnected::Left, "the peer has left");
    forge_death(&name, at::PRODUCER);
    assert_no_pop(&mut consumer, Disconnected::Died { pid }, &died);
    assert_eq!(consumer.peer(), Ok(Peer::Died { pid }));
    ring.producer().unwrap().push(b"x").unwrap();
    assert_eq!(consumer.pop().unwrap(), b"x");
    assert_no_pop(&mut consumer, Disconnected::Left, "the peer has left");
}

#[test]
fn taken_seat_is_refused_with_pid_of_holder() {
    let (name, ring, _producer, _consumer) = full::<Spsc>();
    let pid = process::id();
    let opened = Ring::<[u8], Spsc>::open(&name).unwrap();
    for ring in [&ring, &opened] {
        is!(ring.producer().unwrap_err(),
            AttachError::Taken { role: Role::Producer, pid: Some(found), .. } if found == pid,
            "the ring already has a producer: process {pid}");
        is!(ring.consumer().unwrap_err(),
            AttachError::Taken { role: Role::Consumer, pid: Some(found), .. } if found == pid,
            "the ring already has a consumer: process {pid}");
    }
    name.file().write_all_at(&[0; 4], at::PRODUCER).unwrap();
    is!(ring.producer().unwrap_err(),
        AttachError::Taken { role: Role::Producer, pid: None, .. } if true,
        "the ring already has a producer");
}

#[test]
fn corrupt_ring_fails_every_operation_and_attach() {
    let text = "the ring is corrupt";
    let (name, ring, mut producer, mut consumer) = full::<Spsc>();
    name.file()
        .write_all_at(&[0x55; 0x1000], at::SLOTS)
        .unwrap();
    assert_push_errors!(&mut producer, Corrupt(_) if true, text);
    assert_pop_errors!(&mut consumer, Corrupt(_) if true, text);
    drop((producer, consumer));
    is!(ring.producer().unwrap_err(), AttachError::Corrupt(_) if true, "{text}");
    is!(ring.consumer().unwrap_err(), AttachError::Corrupt(_) if true, "{text}");
}

fn forked_child_is_refused_and_parent_is_unaffected<P: Protocol>() {
    let (_name, ring, mut producer, mut consumer) = full::<P>();
    // SAFETY: the child makes only calls that do not allocate, and ends with `_exit`.
    match unsafe { fork() }.unwrap() {
        ForkResult::Child => {
            let mut slice = [Vec::new()];
            let refused = [
                matches!(producer.try_push(b"x"), Err(TryPushError::Forked(_))),
                matches!(producer.push(b"x"), Err(PushError::Forked(_))),
                matches!(
                    producer.push_timeout(b"x", NO_TIME),
                    Err(PushTimeoutError::Forked(_))
                ),
                matches!(
                    producer.push_slice(&[*b"x"]),
                    Err(PushSliceError {
                        reason: PushError::Forked(_),
                        ..
                    })
                ),
                matches!(
                    producer.try_push_slice(&[*b"x"]),
                    Err(TryPushError::Forked(_))
                ),
                producer
                    .try_claim()
                    .is_err_and(|error| matches!(error, TryPushError::Forked(_))),
                producer.peer().is_err(),
                matches!(consumer.try_pop(), Err(TryPopError::Forked(_))),
                matches!(consumer.pop(), Err(PopError::Forked(_))),
                matches!(
                    consumer.pop_timeout(NO_TIME),
                    Err(PopTimeoutError::Forked(_))
                ),
                matches!(consumer.pop_slice(&mut slice), Err(PopError::Forked(_))),
                consumer
                    .try_read()
                    .is_err_and(|error| matches!(error, TryPopError::Forked(_))),
                consumer.peer().is_err(),
                matches!(ring.producer(), Err(AttachError::Forked(_))),
                matches!(ring.consumer(), Err(AttachError::Forked(_))),
                (ring.len(), producer.len(), consumer.len()) == (0, 0, 0),
                !producer.is_full() && consumer.is_empty() && !ring.is_closed(),
            ];
            ring.close();
            producer.close();
            consumer.close();
            drop((ring, producer, consumer));
            let first = refused.iter().position(|&refused| !refused);
            // SAFETY: `_exit` ends the process.
            unsafe { libc::_exit(first.map_or(0, |index| index as i32 + 1)) }
        }
        ForkResult::Parent { child } => {
            assert_eq!(waitpid(child, None), Ok(WaitStatus::Exited(child, 0)));
        }
    }
    assert!(!ring.is_closed());
    assert_eq!(consumer.pop().unwrap(), b"one");
    producer.push(b"x").unwrap();
    assert_eq!(consumer.peer(), Ok(Peer::Present { pid: process::id() }));
    assert!(matches!(
        ring.producer(),
        Err(AttachError::Taken { .. } | AttachError::NoSeat { .. })
    ));
}
