//! Writing and reading in place: what is published, what is given back, and when.
#![allow(
    clippy::forget_non_drop,
    clippy::drop_non_drop,
    reason = "that a claim has no destructor is not for users to know"
)]

use crate::support::kinds::is_mpmc;
use crate::support::names::Name;
use core::mem;
use slipring::error::{Disconnected, PopError, TryPopError, TryPushError};
use slipring::{Consumer, Producer, Protocol, ReadGuard, Ring};
use std::io::{self, Write};
use std::panic::{self, AssertUnwindSafe};
use std::thread;
use std::time::Duration;

for_each_kind! {
    all_backings:
        a_claim_is_published_by_its_commit_and_not_before
        claims_wait_refuse_and_fail_as_pushes_do
        a_claim_that_is_dropped_publishes_nothing
        a_claim_that_a_panic_drops_publishes_nothing
        a_claim_that_is_forgotten_is_settled_by_the_next_operation
        a_value_that_was_not_written_is_zero_and_not_an_older_message
        a_value_may_be_made_in_its_slot
        a_string_is_written_piece_by_piece
        a_string_of_which_nothing_was_written_is_empty
        the_rest_of_a_slot_is_filled_in_place_and_counted_with_advance
        a_guard_gives_its_slot_back_when_it_is_dropped_and_not_before
        guards_wait_refuse_and_fail_as_pops_do
        a_message_that_is_put_back_or_whose_guard_is_forgotten_comes_again
        a_guard_that_a_panic_drops_gives_nothing_back
        a_guard_made_while_a_panic_unwinds_gives_its_slot_back
        messages_may_be_looked_at_in_their_slots
        a_batch_that_panics_half_way_has_pushed_what_came_before
    ;
}

/// A ring of values and both its ends.
type Values<P> = (Name, Ring<u64, P>, Producer<u64, P>, Consumer<u64, P>);

fn values<P: Protocol>(capacity: usize) -> Values<P> {
    let name = Name::new();
    let ring = Ring::<u64, P>::create(&name, capacity).unwrap();
    let (producer, consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    (name, ring, producer, consumer)
}

/// A ring of strings and both its ends.
type Strings<P> = (Name, Ring<[u8], P>, Producer<[u8], P>, Consumer<[u8], P>);

fn strings<P: Protocol>(capacity: usize) -> Strings<P> {
    let name = Name::new();
    let ring = Ring::<[u8], P>::create(&name, capacity, 8).unwrap();
    let (producer, consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    (name, ring, producer, consumer)
}

/// Runs `body`, which panics on purpose.
fn panicking(body: impl FnOnce()) {
    let message = panic::catch_unwind(AssertUnwindSafe(body)).unwrap_err();
    assert_eq!(message.downcast_ref(), Some(&"on purpose"));
}

fn a_claim_is_published_by_its_commit_and_not_before<P: Protocol>() {
    let (_name, ring, mut producer, mut consumer) = values::<P>(2);
    let mut claim = producer.try_claim().unwrap();
    claim.write(&1);
    claim.write(&2);
    assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
    // In an MPMC ring the place in the line is taken already.
    assert_eq!(ring.len(), usize::from(is_mpmc::<P>()));
    claim.commit();
    assert_eq!(ring.len(), 1);
    assert_eq!(consumer.try_pop(), Ok(2));
}

fn claims_wait_refuse_and_fail_as_pushes_do<P: Protocol>() {
    let (_name, ring, mut producer, mut consumer) = values::<P>(2);
    for i in [1, 2] {
        let mut claim = producer.claim_timeout(Duration::ZERO).unwrap();
        claim.write(&i);
        claim.commit();
    }
    assert_eq!(producer.try_claim().unwrap_err(), TryPushError::Full);
    let timed_out = producer
        .claim_timeout(Duration::from_millis(2))
        .unwrap_err();
    assert_eq!(timed_out.to_string(), "timed out: the ring is full");
    let claiming = thread::spawn(move || {
        let mut claim = producer.claim().unwrap();
        claim.write(&3);
        claim.commit();
        producer
    });
    thread::sleep(Duration::from_millis(10));
    assert_eq!(consumer.iter().take(3).collect::<Vec<_>>(), [1, 2, 3]);
    producer = claiming.join().unwrap();
    ring.close();
    let closed = TryPushError::Disconnected(Disconnected::Closed);
    assert_eq!(producer.try_claim().unwrap_err(), closed);
}

fn a_claim_that_is_dropped_publishes_nothing<P: Protocol>() {
    let (_name, ring, mut producer, mut consumer) = values::<P>(2);
    for i in 0..10 {
        producer.claim().unwrap().write(&99);
        assert_eq!(ring.is_empty(), !is_mpmc::<P>());
        producer.push(&i).unwrap();
        assert_eq!(consumer.try_pop(), Ok(i));
        assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
    }
}

fn a_claim_that_a_panic_drops_publishes_nothing<P: Protocol>() {
    let (_name, _ring, mut producer, mut consumer) = values::<P>(2);
    panicking(|| {
        let mut claim = producer.claim().unwrap();
        claim.write(&99);
        panic!("on purpose");
    });
    assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
    producer.push(&1).unwrap();
    assert_eq!(consumer.try_pop(), Ok(1));
}

fn a_claim_that_is_forgotten_is_settled_by_the_next_operation<P: Protocol>() {
    let (_name, ring, mut producer, mut consumer) = values::<P>(2);
    for i in 0..10 {
        for _ in 0..3 {
            let mut claim = producer.try_claim().unwrap();
            claim.write(&99);
            mem::forget(claim);
        }
        assert_eq!(ring.len(), usize::from(is_mpmc::<P>()));
        assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
        producer.push_slice(&[i, i + 1]).unwrap();
        assert_eq!(consumer.try_iter().collect::<Vec<_>>(), [i, i + 1]);
        mem::forget(producer.claim().unwrap());
        producer = {
            drop(producer);
            ring.producer().unwrap()
        };
        assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
        assert!(ring.is_empty());
    }
}

fn a_value_that_was_not_written_is_zero_and_not_an_older_message<P: Protocol>() {
    let (_name, _ring, mut producer, mut consumer) = values::<P>(2);
    producer.push_slice(&[u64::MAX, u64::MAX]).unwrap();
    assert_eq!(consumer.try_iter().count(), 2);
    producer.claim().unwrap().write(&u64::MAX);
    for _ in 0..2 {
        producer.claim().unwrap().commit();
        assert_eq!(consumer.try_pop(), Ok(0));
    }
}

fn a_value_may_be_made_in_its_slot<P: Protocol>() {
    let name = Name::new();
    let ring = Ring::<[u32; 3], P>::create(&name, 2).unwrap();
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    for i in 0..5 {
        let mut claim = producer.claim().unwrap();
        // SAFETY: this test is the only peer.
        let slot = unsafe { claim.get_mut() };
        *slot = [i; 3];
        slot[1] = 7;
        claim.commit();
        assert_eq!(consumer.try_pop(), Ok([i, 7, i]));
    }
}

fn a_string_is_written_piece_by_piece<P: Protocol>() {
    let (_name, _ring, mut producer, mut consumer) = strings::<P>(2);
    let mut claim = producer.claim().unwrap();
    assert_eq!(claim.remaining(), 8);
    claim.write_all(b"ab").unwrap();
    write!(claim, "{}", 34).unwrap();
    claim.flush().unwrap();
    assert_eq!(claim.remaining(), 4);
    assert_eq!(claim.write(b"cdefgh").unwrap(), 4);
    assert_eq!(claim.remaining(), 0);
    assert_eq!(claim.write(b"i").unwrap(), 0);
    assert_eq!(claim.write(b"").unwrap(), 0);
    let full = claim.write_all(b"i").unwrap_err();
    assert_eq!(full.kind(), io::ErrorKind::WriteZero);
    claim.commit();
    assert_eq!(consumer.try_pop().unwrap(), b"ab34cdef");
}

fn a_string_of_which_nothing_was_written_is_empty<P: Protocol>() {
    let (_name, _ring, mut producer, mut consumer) = strings::<P>(2);
    producer.push_slice(&[*b"secret", *b"secret"]).unwrap();
    assert_eq!(consumer.try_iter().count(), 2);
    producer.claim().unwrap().commit();
    assert_eq!(consumer.try_pop().unwrap(), b"");
}

fn the_rest_of_a_slot_is_filled_in_place_and_counted_with_advance<P: Protocol>() {
    let (_name, _ring, mut producer, mut consumer) = strings::<P>(2);
    let mut claim = producer.claim().unwrap();
    claim.write_all(b"12").unwrap();
    // SAFETY: this test is the only peer.
    let rest = unsafe { claim.spare_mut() };
    assert_eq!(rest.len(), 6);
    rest.copy_from_slice(b"345678");
    claim.advance(3);
    assert_eq!(claim.remaining(), 3);
    // SAFETY: as above.
    assert_eq!(unsafe { claim.spare_mut() }, b"678");
    claim.write_all(b"x").unwrap();
    claim.advance(0);
    claim.commit();
    assert_eq!(consumer.try_pop().unwrap(), b"12345x");

    let mut claim = producer.claim().unwrap();
    // SAFETY: as above.
    unsafe { claim.spare_mut() }.fill(b'z');
    claim.advance(1);
    claim.advance(usize::MAX);
    assert_eq!(claim.remaining(), 0);
    claim.commit();
    assert_eq!(consumer.try_pop().unwrap(), [b'z'; 8]);
}

fn a_guard_gives_its_slot_back_when_it_is_dropped_and_not_before<P: Protocol>() {
    let (_name, _ring, mut producer, mut consumer) = values::<P>(2);
    producer.push_slice(&[1, 2]).unwrap();
    let guard = consumer.try_read().unwrap();
    assert_eq!(guard.get(), 1);
    let mut copy = 0;
    guard.get_into(&mut copy);
    assert_eq!(copy, 1);
    assert_eq!(producer.try_push(&3), Err(TryPushError::Full));
    drop(guard);
    producer.try_push(&3).unwrap();
    assert_eq!(consumer.try_iter().collect::<Vec<_>>(), [2, 3]);
}

fn guards_wait_refuse_and_fail_as_pops_do<P: Protocol>() {
    let (_name, _ring, mut producer, mut consumer) = values::<P>(2);
    assert_eq!(consumer.try_read().unwrap_err(), TryPopError::Empty);
    let timed_out = consumer.read_timeout(Duration::from_millis(2)).unwrap_err();
    assert_eq!(timed_out.to_string(), "timed out: the ring is empty");
    let reading = thread::spawn(move || {
        let read = consumer.read().unwrap().get();
        (read, consumer)
    });
    thread::sleep(Duration::from_millis(10));
    producer.push(&1).unwrap();
    let (read, mut consumer) = reading.join().unwrap();
    assert_eq!(read, 1);
    drop(producer);
    let gone = PopError::Disconnected(Disconnected::Left);
    assert_eq!(consumer.read().unwrap_err(), gone);
}

fn a_message_that_is_put_back_or_whose_guard_is_forgotten_comes_again<P: Protocol>() {
    let (_name, ring, mut producer, mut consumer) = values::<P>(2);
    for i in 0..10 {
        producer.push(&i).unwrap();
        for _ in 0..3 {
            let guard = consumer.try_read().unwrap();
            assert_eq!(guard.get(), i);
            guard.put_back();
            let left = usize::from(!is_mpmc::<P>());
            assert_eq!((ring.len(), consumer.len()), (left, left));
            assert!(!consumer.is_empty());
            mem::forget(consumer.try_read().unwrap());
        }
        mem::forget(consumer.try_read().unwrap());
        consumer = {
            drop(consumer);
            ring.consumer().unwrap()
        };
        assert_eq!(consumer.try_pop(), Ok(i));
        assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
    }
}

fn a_guard_that_a_panic_drops_gives_nothing_back<P: Protocol>() {
    let (_name, _ring, mut producer, mut consumer) = values::<P>(2);
    producer.push_slice(&[1, 2]).unwrap();
    panicking(|| {
        let _guard = consumer.read().unwrap();
        panic!("on purpose");
    });
    assert_eq!(producer.try_push(&3), Err(TryPushError::Full));
    assert_eq!(consumer.try_iter().collect::<Vec<_>>(), [1, 2]);
}

/// Reads a message when it is dropped.
struct ReadsLast<'c, P: Protocol>(&'c mut Consumer<u64, P>);

impl<P: Protocol> Drop for ReadsLast<'_, P> {
    fn drop(&mut self) {
        let guard = self.0.try_read().unwrap();
        assert_eq!(guard.get(), 1);
    }
}

fn a_guard_made_while_a_panic_unwinds_gives_its_slot_back<P: Protocol>() {
    let (_name, _ring, mut producer, mut consumer) = values::<P>(2);
    producer.push_slice(&[1, 2]).unwrap();
    panicking(|| {
        let _last = ReadsLast(&mut consumer);
        panic!("on purpose");
    });
    producer.try_push(&3).unwrap();
    assert_eq!(consumer.try_iter().collect::<Vec<_>>(), [2, 3]);
}

fn messages_may_be_looked_at_in_their_slots<P: Protocol>() {
    let (_name, _ring, mut producer, mut consumer) = strings::<P>(2);
    for message in [&b""[..], b"a", b"abcdefgh"] {
        producer.push(message).unwrap();
        let read = |guard: &ReadGuard<'_, [u8], P>| {
            // SAFETY: this test is the only peer.
            assert_eq!(unsafe { guard.as_slice() }, message);
            assert_eq!(guard.len(), message.len());
            assert_eq!(guard.is_empty(), message.is_empty());
        };
        let guard = consumer.try_read().unwrap();
        read(&guard);
        guard.put_back();
        read(&consumer.try_read().unwrap());
        assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
    }
    let (_name, _ring, mut producer, mut consumer) = values::<P>(2);
    producer.push(&7).unwrap();
    // SAFETY: as above.
    assert_eq!(unsafe { *consumer.read().unwrap().get_ref() }, 7);
}

/// Panics when the batch comes to it.
struct Bomb;

impl core::borrow::Borrow<u64> for Bomb {
    fn borrow(&self) -> &u64 {
        panic!("on purpose")
    }
}

/// A value, or a panic.
enum Part {
    Value(u64),
    Bomb(Bomb),
}

impl core::borrow::Borrow<u64> for Part {
    fn borrow(&self) -> &u64 {
        match self {
            Self::Value(value) => value,
            Self::Bomb(bomb) => bomb.borrow(),
        }
    }
}

fn a_batch_that_panics_half_way_has_pushed_what_came_before<P: Protocol>() {
    let (_name, ring, mut producer, mut consumer) = values::<P>(4);
    let popping = thread::spawn(move || {
        let popped = (consumer.pop(), consumer.pop(), consumer.pop());
        (popped, consumer)
    });
    thread::sleep(Duration::from_millis(10));
    panicking(|| {
        let batch = [Part::Value(1), Part::Value(2), Part::Bomb(Bomb)];
        let _ = producer.push_slice(&batch);
    });
    producer.push(&3).unwrap();
    let (popped, consumer) = popping.join().unwrap();
    assert_eq!(popped, (Ok(1), Ok(2), Ok(3)));
    assert_eq!((ring.len(), producer.len(), consumer.len()), (0, 0, 0));
}
