//! Writing and reading in place: which operation publishes a message or releases a slot, and when.
#![allow(
    clippy::forget_non_drop,
    clippy::drop_non_drop,
    reason = "the API does not promise that a claim has no destructor"
)]

use crate::rings::{next_consumer, next_producer, strings, values};
use crate::support::kinds::is_mpmc;
use crate::support::names::Name;
use core::mem;
use slipring::error::{Disconnected, PopError, TryPopError, TryPushError};
use slipring::{Consumer, Protocol, ReadGuard, Ring};
use std::io::{self, Write};
use std::panic::{self, AssertUnwindSafe};
use std::thread;
use std::time::Duration;

for_each_kind! {
    all_backings:
        claim_is_published_at_commit_not_before
        claims_block_time_out_and_fail_like_pushes
        dropped_claim_publishes_nothing
        claim_dropped_by_panic_publishes_nothing
        forgotten_claim_is_resolved_by_next_operation
        unwritten_value_claim_commits_zero_not_old_message
        claim_get_mut_builds_value_in_slot
        byte_claim_appends_writes_up_to_slot_size
        unwritten_byte_claim_commits_empty_string
        spare_mut_bytes_count_only_up_to_advance
        read_guard_releases_slot_at_drop_not_before
        reads_block_time_out_and_fail_like_pops
        message_put_back_or_guard_forgotten_is_read_again
        read_guard_dropped_by_panic_releases_nothing
        read_guard_made_during_unwind_releases_slot
        read_guard_exposes_message_in_slot
        batch_push_panicking_midway_publishes_earlier_messages
    ;
}

/// Runs `body`, which must panic with the message "on purpose".
fn catch_panic(body: impl FnOnce()) {
    let message = panic::catch_unwind(AssertUnwindSafe(body)).unwrap_err();
    assert_eq!(message.downcast_ref(), Some(&"on purpose"));
}

fn claim_is_published_at_commit_not_before<P: Protocol>() {
    let (_name, ring, mut producer, mut consumer) = values::<P>(2);
    let mut claim = producer.try_claim().unwrap();
    claim.write(&1);
    claim.write(&2);
    assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
    // In an MPMC ring a claim takes its position at once.
    assert_eq!(ring.len(), usize::from(is_mpmc::<P>()));
    claim.commit();
    assert_eq!(ring.len(), 1);
    assert_eq!(consumer.try_pop(), Ok(2));
}

fn claims_block_time_out_and_fail_like_pushes<P: Protocol>() {
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

fn dropped_claim_publishes_nothing<P: Protocol>() {
    let (_name, ring, mut producer, mut consumer) = values::<P>(2);
    for i in 0..10 {
        producer.claim().unwrap().write(&99);
        assert_eq!(ring.is_empty(), !is_mpmc::<P>());
        producer.push(&i).unwrap();
        assert_eq!(consumer.try_pop(), Ok(i));
        assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
    }
}

fn claim_dropped_by_panic_publishes_nothing<P: Protocol>() {
    let (_name, _ring, mut producer, mut consumer) = values::<P>(2);
    catch_panic(|| {
        let mut claim = producer.claim().unwrap();
        claim.write(&99);
        panic!("on purpose");
    });
    assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
    producer.push(&1).unwrap();
    assert_eq!(consumer.try_pop(), Ok(1));
}

fn forgotten_claim_is_resolved_by_next_operation<P: Protocol>() {
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
        producer = next_producer(producer, &ring);
        assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
        assert!(ring.is_empty());
    }
}

fn unwritten_value_claim_commits_zero_not_old_message<P: Protocol>() {
    let (_name, _ring, mut producer, mut consumer) = values::<P>(2);
    producer.push_slice(&[u64::MAX, u64::MAX]).unwrap();
    assert_eq!(consumer.try_iter().count(), 2);
    producer.claim().unwrap().write(&u64::MAX);
    for _ in 0..2 {
        producer.claim().unwrap().commit();
        assert_eq!(consumer.try_pop(), Ok(0));
    }
}

fn claim_get_mut_builds_value_in_slot<P: Protocol>() {
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

fn byte_claim_appends_writes_up_to_slot_size<P: Protocol>() {
    let (_name, _ring, mut producer, mut consumer) = strings::<P>(2, 8);
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

fn unwritten_byte_claim_commits_empty_string<P: Protocol>() {
    let (_name, _ring, mut producer, mut consumer) = strings::<P>(2, 8);
    producer.push_slice(&[*b"secret", *b"secret"]).unwrap();
    assert_eq!(consumer.try_iter().count(), 2);
    producer.claim().unwrap().commit();
    assert_eq!(consumer.try_pop().unwrap(), b"");
}

fn spare_mut_bytes_count_only_up_to_advance<P: Protocol>() {
    let (_name, _ring, mut producer, mut consumer) = strings::<P>(2, 8);
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

fn read_guard_releases_slot_at_drop_not_before<P: Protocol>() {
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

fn reads_block_time_out_and_fail_like_pops<P: Protocol>() {
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
    let left = PopError::Disconnected(Disconnected::Left);
    assert_eq!(consumer.read().unwrap_err(), left);
}

fn message_put_back_or_guard_forgotten_is_read_again<P: Protocol>() {
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
        consumer = next_consumer(consumer, &ring);
        assert_eq!(consumer.try_pop(), Ok(i));
        assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
    }
}

fn read_guard_dropped_by_panic_releases_nothing<P: Protocol>() {
    let (_name, _ring, mut producer, mut consumer) = values::<P>(2);
    producer.push_slice(&[1, 2]).unwrap();
    catch_panic(|| {
        let _guard = consumer.read().unwrap();
        panic!("on purpose");
    });
    assert_eq!(producer.try_push(&3), Err(TryPushError::Full));
    assert_eq!(consumer.try_iter().collect::<Vec<_>>(), [1, 2]);
}

/// Reads a message in its destructor.
struct ReadOnDrop<'c, P: Protocol>(&'c mut Consumer<u64, P>);

impl<P: Protocol> Drop for ReadOnDrop<'_, P> {
    fn drop(&mut self) {
        let guard = self.0.try_read().unwrap();
        assert_eq!(guard.get(), 1);
    }
}

fn read_guard_made_during_unwind_releases_slot<P: Protocol>() {
    let (_name, _ring, mut producer, mut consumer) = values::<P>(2);
    producer.push_slice(&[1, 2]).unwrap();
    catch_panic(|| {
        let _reader = ReadOnDrop(&mut consumer);
        panic!("on purpose");
    });
    producer.try_push(&3).unwrap();
    assert_eq!(consumer.try_iter().collect::<Vec<_>>(), [2, 3]);
}

fn read_guard_exposes_message_in_slot<P: Protocol>() {
    let (_name, _ring, mut producer, mut consumer) = strings::<P>(2, 8);
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

/// An element of a batch: a value, or a panic when the batch reads it.
enum Part {
    Value(u64),
    Panic,
}

impl core::borrow::Borrow<u64> for Part {
    fn borrow(&self) -> &u64 {
        match self {
            Self::Value(value) => value,
            Self::Panic => panic!("on purpose"),
        }
    }
}

fn batch_push_panicking_midway_publishes_earlier_messages<P: Protocol>() {
    let (_name, ring, mut producer, mut consumer) = values::<P>(4);
    let popping = thread::spawn(move || {
        let popped = (consumer.pop(), consumer.pop(), consumer.pop());
        (popped, consumer)
    });
    thread::sleep(Duration::from_millis(10));
    catch_panic(|| {
        let batch = [Part::Value(1), Part::Value(2), Part::Panic];
        let _ = producer.push_slice(&batch);
    });
    producer.push(&3).unwrap();
    let (popped, consumer) = popping.join().unwrap();
    assert_eq!(popped, (Ok(1), Ok(2), Ok(3)));
    assert_eq!((ring.len(), producer.len(), consumer.len()), (0, 0, 0));
}
