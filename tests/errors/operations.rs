//! Every way in which an operation fails: the variant, what its fields say, and how it reads.

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
        a_peer_that_left_died_or_closed_is_told_apart
    ;
    all_backings:
        refusals_of_the_moment_are_told
        messages_that_are_too_long_are_told
        nobody_waits_for_room_for_a_message_that_fits_in_no_slot
        a_forked_child_is_refused_everything_and_its_parent_notices_nothing
    ;
}

/// Where the layout has its fields.
mod at {
    pub(crate) const PRODUCER: u64 = 0x400;
    pub(crate) const CONSUMER: u64 = 0x480;
    pub(crate) const SLOTS: u64 = 0x1000;
}

/// A ring of strings and both its ends.
type Strings<P> = (Name, Ring<[u8], P>, Producer<[u8], P>, Consumer<[u8], P>);

/// A ring of two strings of up to three bytes, full, with both its ends.
fn full<P: Protocol>() -> Strings<P> {
    let name = Name::new();
    let ring = Ring::<[u8], P>::create_with(&name, &one_of_each::<P>().capacity(2).message_size(3))
        .unwrap();
    let (mut producer, consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    producer.push_slice(&[*b"one", *b"two"]).unwrap();
    (name, ring, producer, consumer)
}

const NO_TIME: Duration = Duration::ZERO;

fn refusals_of_the_moment_are_told<P: Protocol>() {
    let (_name, _ring, mut producer, mut consumer) = full::<P>();
    is!(producer.try_push(b"x").unwrap_err(), TryPushError::Full if true, "the ring is full");
    is!(producer.push_timeout(b"x", NO_TIME).unwrap_err(), PushTimeoutError::TimedOut if true,
        "timed out: the ring is full");
    assert_eq!(consumer.try_iter().count(), 2);
    is!(consumer.try_pop().unwrap_err(), TryPopError::Empty if true, "the ring is empty");
    is!(consumer.pop_timeout(NO_TIME).unwrap_err(), PopTimeoutError::TimedOut if true,
        "timed out: the ring is empty");
}

fn messages_that_are_too_long_are_told<P: Protocol>() {
    let (_name, _ring, mut producer, mut consumer) = full::<P>();
    let text = "a message of 4 bytes does not fit in a slot of 3";
    is!(producer.try_push(b"four").unwrap_err(),
        TryPushError::TooLong(TooLong { len: 4, max: 3, .. }) if true, "{text}");
    is!(producer.push(b"four").unwrap_err(),
        PushError::TooLong(TooLong { len: 4, max: 3, .. }) if true, "{text}");
    is!(producer.push_timeout(b"four", NO_TIME).unwrap_err(),
        PushTimeoutError::TooLong(TooLong { len: 4, max: 3, .. }) if true, "{text}");
    assert_eq!(consumer.try_iter().count(), 2);
    is!(producer.push_slice(&[&b"one"[..], b"four"]).unwrap_err(),
        PushSliceError { pushed: 1, reason: PushError::TooLong(TooLong { len: 4, max: 3, .. }), .. } if true,
        "after 1 messages: {text}");
}

fn nobody_waits_for_room_for_a_message_that_fits_in_no_slot<P: Protocol>() {
    let (_name, ring, mut producer, _consumer) = full::<P>();
    let too_long = [&b"four"[..]];
    assert!(matches!(
        producer.try_push_slice(&too_long),
        Err(TryPushError::TooLong(_))
    ));
    thread::scope(|scope| {
        let pushing = scope.spawn(|| producer.push_slice(&too_long));
        thread::sleep(Duration::from_millis(50));
        // Ends the call if it waits all the same.
        ring.close();
        let error = pushing.join().unwrap().unwrap_err();
        assert!(matches!(error.reason, PushError::TooLong(_)), "{error:?}");
    });
}

/// A producer of a full ring fails in all its operations as `gone` says, which reads `text`.
fn no_push_works<P: Protocol>(producer: &mut Producer<[u8], P>, gone: Disconnected, text: &str) {
    is!(producer.try_push(b"x").unwrap_err(), TryPushError::Disconnected(it) if it == gone, "{text}");
    is!(producer.push(b"x").unwrap_err(), PushError::Disconnected(it) if it == gone, "{text}");
    is!(producer.push_timeout(b"x", NO_TIME).unwrap_err(),
        PushTimeoutError::Disconnected(it) if it == gone, "{text}");
    is!(producer.push_slice(&[*b"x"]).unwrap_err(),
        PushSliceError { pushed: 0, reason: PushError::Disconnected(it), .. } if it == gone,
        "after 0 messages: {text}");
}

/// A consumer of an empty ring fails in all its operations as `gone` says, which reads `text`.
fn no_pop_works<P: Protocol>(consumer: &mut Consumer<[u8], P>, gone: Disconnected, text: &str) {
    is!(consumer.try_pop().unwrap_err(), TryPopError::Disconnected(it) if it == gone, "{text}");
    is!(consumer.pop().unwrap_err(), PopError::Disconnected(it) if it == gone, "{text}");
    is!(consumer.pop_timeout(NO_TIME).unwrap_err(),
        PopTimeoutError::Disconnected(it) if it == gone, "{text}");
}

/// Makes the entry at `offset`, whose holder has left, look as if somebody had come and died.
fn let_die(name: &Name, offset: u64) {
    let file = name.file();
    let mut tenancy = [0; 4];
    file.read_exact_at(&mut tenancy, offset).unwrap();
    assert_eq!(tenancy[0] & 3, 2);
    tenancy[0] ^= 3;
    file.write_all_at(&tenancy, offset).unwrap();
    let roll = if offset == at::PRODUCER { 0x284 } else { 0x288 };
    let mut count = [0; 1];
    file.read_exact_at(&mut count, roll).unwrap();
    file.write_all_at(&[count[0] + 1], roll).unwrap();
}

fn a_peer_that_left_died_or_closed_is_told_apart<P: Protocol>() {
    let pid = process::id();
    let died = format!("the other end, process {pid}, has died");

    let (name, ring, mut producer, consumer) = full::<P>();
    drop(consumer);
    no_push_works(&mut producer, Disconnected::Left, "the other end has left");
    let_die(&name, at::CONSUMER);
    no_push_works(&mut producer, Disconnected::Died { pid }, &died);
    assert_eq!(producer.peer(), Ok(Peer::Died { pid }));
    let mut consumer = ring.consumer().unwrap();
    assert_eq!(producer.peer(), Ok(Peer::Present { pid }));
    ring.close();
    no_push_works(&mut producer, Disconnected::Closed, "the ring is closed");
    assert_eq!(consumer.try_iter().count(), 2);
    no_pop_works(&mut consumer, Disconnected::Closed, "the ring is closed");

    let (name, ring, producer, mut consumer) = full::<P>();
    assert_eq!(consumer.try_iter().count(), 2);
    drop(producer);
    no_pop_works(&mut consumer, Disconnected::Left, "the other end has left");
    let_die(&name, at::PRODUCER);
    no_pop_works(&mut consumer, Disconnected::Died { pid }, &died);
    assert_eq!(consumer.peer(), Ok(Peer::Died { pid }));
    ring.producer().unwrap().push(b"x").unwrap();
    assert_eq!(consumer.pop().unwrap(), b"x");
    no_pop_works(&mut consumer, Disconnected::Left, "the other end has left");
}

#[test]
fn an_end_that_is_taken_is_refused_with_its_holders_pid() {
    let (name, ring, _producer, _consumer) = full::<Spsc>();
    let pid = process::id();
    let also = Ring::<[u8], Spsc>::open(&name).unwrap();
    for ring in [&ring, &also] {
        is!(ring.producer().unwrap_err(),
            AttachError::Taken { role: Role::Producer, pid: Some(told), .. } if told == pid,
            "the ring has a producer already, process {pid}");
        is!(ring.consumer().unwrap_err(),
            AttachError::Taken { role: Role::Consumer, pid: Some(told), .. } if told == pid,
            "the ring has a consumer already, process {pid}");
    }
    name.file().write_all_at(&[0; 4], at::PRODUCER).unwrap();
    is!(ring.producer().unwrap_err(), AttachError::Taken { role: Role::Producer, pid: None, .. } if true,
        "the ring has a producer already");
}

#[test]
fn a_corrupt_ring_is_told_by_every_operation_and_to_who_attaches() {
    let text = "the ring is corrupt";
    let (name, ring, mut producer, mut consumer) = full::<Spsc>();
    name.file()
        .write_all_at(&[0x55; 0x1000], at::SLOTS)
        .unwrap();
    is!(producer.try_push(b"x").unwrap_err(), TryPushError::Corrupt(_) if true, "{text}");
    is!(producer.push(b"x").unwrap_err(), PushError::Corrupt(_) if true, "{text}");
    is!(producer.push_timeout(b"x", NO_TIME).unwrap_err(), PushTimeoutError::Corrupt(_) if true, "{text}");
    is!(producer.push_slice(&[*b"x"]).unwrap_err(),
        PushSliceError { pushed: 0, reason: PushError::Corrupt(_), .. } if true,
        "after 0 messages: {text}");
    is!(consumer.try_pop().unwrap_err(), TryPopError::Corrupt(_) if true, "{text}");
    is!(consumer.pop().unwrap_err(), PopError::Corrupt(_) if true, "{text}");
    is!(consumer.pop_timeout(NO_TIME).unwrap_err(), PopTimeoutError::Corrupt(_) if true, "{text}");
    drop((producer, consumer));
    is!(ring.producer().unwrap_err(), AttachError::Corrupt(_) if true, "{text}");
    is!(ring.consumer().unwrap_err(), AttachError::Corrupt(_) if true, "{text}");
}

fn a_forked_child_is_refused_everything_and_its_parent_notices_nothing<P: Protocol>() {
    let (_name, ring, mut producer, mut consumer) = full::<P>();
    // SAFETY: the child only makes calls that allocate nothing, and ends by `_exit`.
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
