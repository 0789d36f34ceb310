//! Chunks: several slots written or read in place, with one claim and one wake-up.
#![allow(
    clippy::forget_non_drop,
    clippy::drop_non_drop,
    reason = "the API does not promise that a chunk has a destructor"
)]

use crate::rings::{next_consumer, next_producer, values};
use crate::support::kinds::is_mpmc;
use crate::support::names::Name;
use crate::support::{ASLEEP_AT_ONCE, NEVER, TIME_LIMIT, until, while_asleep};
use core::mem;
use slipring::error::{
    Disconnected, PopError, PopTimeoutError, PushError, PushTimeoutError, TryPopError, TryPushError,
};
use slipring::{
    ClaimChunk, Consumer, Mpmc, Observer, Options, Producer, Protocol, ReadChunk, Ring, Role,
};
use std::panic::{self, AssertUnwindSafe};
use std::time::Duration;

for_each_kind! {
    memory:
        chunk_of_whole_ring_is_bounded_by_largest_claim
        committed_chunk_wakes_blocked_consumer_once
        released_chunk_wakes_blocked_producer_once
    ;
    memory_and_files:
        chunks_held_across_growth_finish_in_old_segment
    ;
    all_backings:
        claim_chunk_is_published_at_commit_not_before
        partial_commit_gives_up_other_slots
        claim_chunk_dropped_or_panicking_publishes_nothing
        forgotten_claim_chunk_is_filled_by_next_pushes
        claim_chunk_get_mut_builds_values_in_slots
        claim_chunk_takes_only_free_slots
        claim_chunks_block_time_out_and_fail_like_pushes
        claim_chunk_panics_beyond_its_length
        read_chunk_releases_slots_at_drop_not_before
        partial_release_leaves_rest_as_next_messages
        read_chunk_forgotten_or_panicking_is_read_again
        read_chunk_made_during_unwind_releases_slots
        read_chunks_block_time_out_and_fail_like_pops
        read_chunk_panics_beyond_its_length
        chunks_wrap_around_end_of_ring
        chunks_wrap_around_first_positions
    ;
}

/// Writes consecutive numbers into all slots of a chunk.
fn fill<P: Protocol>(chunk: &mut ClaimChunk<'_, u64, P>, first: u64) {
    for index in 0..chunk.len() {
        chunk.write(index, &(first + index as u64));
    }
}

/// Pushes consecutive numbers as one chunk, as many as one claim has room for.
fn push_chunk<P: Protocol>(producer: &mut Producer<u64, P>, max: usize, first: u64) -> u64 {
    let mut chunk = producer.try_claim_chunk(max).unwrap();
    fill(&mut chunk, first);
    let len = chunk.len();
    chunk.commit(len);
    len as u64
}

fn content<P: Protocol>(chunk: &ReadChunk<'_, u64, P>) -> Vec<u64> {
    let content: Vec<u64> = chunk.iter().collect();
    assert_eq!(content.len(), chunk.len());
    for (index, &message) in content.iter().enumerate() {
        assert_eq!(chunk.get(index), message);
        // SAFETY: this test is the only peer.
        assert_eq!(*unsafe { chunk.get_ref(index) }, message);
    }
    content
}

fn pop_all<P: Protocol>(consumer: &mut Consumer<u64, P>) -> Vec<u64> {
    consumer.try_iter().collect()
}

/// Runs `body`, which must panic.
fn catch_panic(body: impl FnOnce()) {
    panic::catch_unwind(AssertUnwindSafe(body)).unwrap_err();
}

/// The tombstones that were counted in a ring; none in an SPSC ring.
fn tombstones(name: &str) -> u64 {
    let snapshot = Observer::open(name).unwrap().snapshot().unwrap();
    snapshot.counters.tombstones
}

fn in_mpmc<P: Protocol>(count: u64) -> u64 {
    if is_mpmc::<P>() { count } else { 0 }
}

fn claim_chunk_is_published_at_commit_not_before<P: Protocol>() {
    let (_name, ring, mut producer, mut consumer) = values::<P>(8);
    let mut chunk = producer.try_claim_chunk(4).unwrap();
    assert_eq!(chunk.len(), 4);
    fill(&mut chunk, 90);
    fill(&mut chunk, 1);
    assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
    // In an MPMC ring a claim takes its positions at once.
    assert_eq!(ring.len() as u64, in_mpmc::<P>(4));
    chunk.commit(4);
    assert_eq!(ring.len(), 4);
    let chunk = consumer.try_read_chunk(8).unwrap();
    assert_eq!(content(&chunk), [1, 2, 3, 4]);
    drop(chunk);
    assert!(ring.is_empty());
}

fn partial_commit_gives_up_other_slots<P: Protocol>() {
    let (name, ring, mut producer, mut consumer) = values::<P>(8);
    for (round, count) in [2, 0, 3].into_iter().enumerate() {
        let before = tombstones(&name);
        let mut chunk = producer.try_claim_chunk(4).unwrap();
        fill(&mut chunk, 1);
        chunk.commit(count);
        producer.push(&9).unwrap();
        let expected: Vec<u64> = (1..=count as u64).chain([9]).collect();
        assert_eq!(pop_all(&mut consumer), expected, "{round}");
        let given_up = in_mpmc::<P>(4 - count as u64);
        assert_eq!(tombstones(&name) - before, given_up, "{round}");
        assert!(ring.is_empty());
    }
    // Every slot is free again.
    assert_eq!(producer.try_push_slice(&[7; 9]), Ok(8));
}

fn claim_chunk_dropped_or_panicking_publishes_nothing<P: Protocol>() {
    let (name, ring, mut producer, mut consumer) = values::<P>(4);
    for i in 0..10 {
        fill(&mut producer.try_claim_chunk(3).unwrap(), 99);
        assert_eq!(ring.len() as u64, in_mpmc::<P>(3));
        assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
        catch_panic(|| {
            fill(&mut producer.try_claim_chunk(3).unwrap(), 99);
            let _chunk = producer.try_claim_chunk(1).unwrap();
            panic::resume_unwind(Box::new("on purpose"));
        });
        assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
        producer.push(&i).unwrap();
        assert_eq!(pop_all(&mut consumer), [i]);
    }
    assert_eq!(tombstones(&name), in_mpmc::<P>(70));
}

fn forgotten_claim_chunk_is_filled_by_next_pushes<P: Protocol>() {
    let (_name, ring, mut producer, mut consumer) = values::<P>(4);
    for i in 0..10 {
        for _ in 0..3 {
            let mut chunk = producer.try_claim_chunk(3).unwrap();
            assert_eq!(chunk.len(), 3);
            fill(&mut chunk, 99);
            mem::forget(chunk);
        }
        assert_eq!(ring.len() as u64, in_mpmc::<P>(3));
        producer.push(&i).unwrap();
        assert_eq!(consumer.try_pop(), Ok(i));
        assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
        producer.push_slice(&[i, i + 1, i + 2]).unwrap();
        assert_eq!(pop_all(&mut consumer), [i, i + 1, i + 2]);

        mem::forget(producer.try_claim_chunk(3).unwrap());
        producer = next_producer(producer, &ring);
        assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
        assert!(ring.is_empty());
    }
}

fn claim_chunk_get_mut_builds_values_in_slots<P: Protocol>() {
    let name = Name::new();
    let ring = Ring::<[u32; 3], P>::create(&name, 4).unwrap();
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    for i in 0..5 {
        let mut chunk = producer.try_claim_chunk(2).unwrap();
        for index in 0..2 {
            // SAFETY: this test is the only peer.
            let slot = unsafe { chunk.get_mut(index) };
            *slot = [i; 3];
            slot[1] = index as u32;
        }
        chunk.commit(2);
        let chunk = consumer.try_read_chunk(2).unwrap();
        assert_eq!(chunk.iter().collect::<Vec<_>>(), [[i, 0, i], [i, 1, i]]);
    }
}

fn claim_chunk_takes_only_free_slots<P: Protocol>() {
    let (_name, _ring, mut producer, mut consumer) = values::<P>(8);
    producer.push_slice(&[1, 2, 3, 4, 5]).unwrap();
    let mut pushed = 0;
    while let Ok(mut chunk) = producer.try_claim_chunk(usize::MAX) {
        fill(&mut chunk, 10 + pushed);
        let len = chunk.len();
        chunk.commit(len);
        pushed += len as u64;
    }
    assert_eq!(pushed, 3);
    assert!(producer.is_full());
    assert_eq!(pop_all(&mut consumer), [1, 2, 3, 4, 5, 10, 11, 12]);
    assert_eq!(push_chunk(&mut producer, usize::MAX, 20), 8);
    let chunk = consumer.try_read_chunk(usize::MAX).unwrap();
    assert_eq!(content(&chunk), (20..28).collect::<Vec<_>>());
}

fn chunk_of_whole_ring_is_bounded_by_largest_claim<P: Protocol>() {
    const CAPACITY: u64 = 8192;
    let (_name, _ring, mut producer, mut consumer) = values::<P>(CAPACITY as usize);
    let largest = if is_mpmc::<P>() { 4096 } else { CAPACITY };
    let mut pushed = 0;
    while pushed < CAPACITY {
        assert_eq!(push_chunk(&mut producer, usize::MAX, pushed), largest);
        pushed += largest;
    }
    let mut popped = 0;
    while popped < CAPACITY {
        let chunk = consumer.try_read_chunk(usize::MAX).unwrap();
        assert_eq!(chunk.len() as u64, largest);
        assert!(chunk.iter().eq(popped..popped + largest));
        popped += largest;
    }
}

fn claim_chunks_block_time_out_and_fail_like_pushes<P: Protocol>() {
    let name = Name::new();
    let options = Options::new().capacity(2).wait(ASLEEP_AT_ONCE);
    let ring = Ring::<u64, P>::create_with(&name, &options).unwrap();
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    let mut chunk = producer.claim_chunk_timeout(2, Duration::ZERO).unwrap();
    fill(&mut chunk, 1);
    chunk.commit(2);
    let full = producer.try_claim_chunk(2).unwrap_err();
    assert_eq!(full, TryPushError::Full);
    for timeout in [Duration::ZERO, Duration::from_millis(2)] {
        let timed_out = producer.claim_chunk_timeout(2, timeout).unwrap_err();
        assert_eq!(timed_out, PushTimeoutError::TimedOut);
    }
    let mut popped = Vec::new();
    let claim = || {
        let mut chunk = producer.claim_chunk(2).unwrap();
        fill(&mut chunk, 3);
        let len = chunk.len();
        chunk.commit(len);
        let mut chunk = producer.claim_chunk_timeout(2, TIME_LIMIT).unwrap();
        chunk.write(0, &9);
        chunk.commit(1);
    };
    while_asleep(claim, || popped.extend((&mut consumer).into_iter().take(3)));
    popped.extend(pop_all(&mut consumer));
    assert_eq!(popped[..3], [1, 2, 3]);
    assert_eq!(popped.last(), Some(&9));

    drop(consumer);
    while producer.try_push(&0).is_ok() {}
    let left = Disconnected::Left;
    let error = producer.try_claim_chunk(2).unwrap_err();
    assert_eq!(error, TryPushError::Disconnected(left));
    let error = producer.claim_chunk(2).unwrap_err();
    assert_eq!(error, PushError::Disconnected(left));
    let error = producer.claim_chunk_timeout(2, TIME_LIMIT).unwrap_err();
    assert_eq!(error, PushTimeoutError::Disconnected(left));
    ring.close();
    let error = producer.try_claim_chunk(2).unwrap_err();
    assert_eq!(error, TryPushError::Disconnected(Disconnected::Closed));
}

fn claim_chunk_panics_beyond_its_length<P: Protocol>() {
    let (_name, _ring, mut producer, mut consumer) = values::<P>(4);
    catch_panic(|| drop(producer.try_claim_chunk(0)));
    catch_panic(|| drop(producer.claim_chunk(0)));
    catch_panic(|| drop(producer.claim_chunk_timeout(0, TIME_LIMIT)));
    catch_panic(|| producer.try_claim_chunk(2).unwrap().write(2, &9));
    catch_panic(|| {
        let mut chunk = producer.try_claim_chunk(1).unwrap();
        // SAFETY: this test is the only peer.
        *unsafe { chunk.get_mut(1) } = 9;
    });
    assert!(pop_all(&mut consumer).is_empty());
    catch_panic(|| {
        let mut chunk = producer.try_claim_chunk(2).unwrap();
        fill(&mut chunk, 99);
        chunk.commit(3);
    });
    assert!(pop_all(&mut consumer).is_empty());
    assert_eq!(push_chunk(&mut producer, 4, 1), 4);
    assert_eq!(pop_all(&mut consumer), [1, 2, 3, 4]);
}

fn read_chunk_releases_slots_at_drop_not_before<P: Protocol>() {
    let (_name, _ring, mut producer, mut consumer) = values::<P>(4);
    producer.push_slice(&[1, 2, 3, 4]).unwrap();
    let chunk = consumer.try_read_chunk(3).unwrap();
    assert_eq!(content(&chunk), [1, 2, 3]);
    assert_eq!(producer.try_push(&5), Err(TryPushError::Full));
    drop(chunk);
    assert_eq!(producer.try_push_slice(&[5, 6, 7, 8]), Ok(3));
    let chunk = consumer.try_read_chunk(4).unwrap();
    assert_eq!(content(&chunk), [4, 5, 6, 7]);
}

fn partial_release_leaves_rest_as_next_messages<P: Protocol>() {
    let (_name, ring, mut producer, mut consumer) = values::<P>(8);
    producer.push_slice(&[1, 2, 3, 4, 5, 6, 7, 8]).unwrap();
    consumer.try_read_chunk(8).unwrap().release(0);
    let full = producer.try_push(&9);
    assert_eq!(full, Err(TryPushError::Full));
    consumer.try_read_chunk(8).unwrap().release(2);
    assert!(!consumer.is_empty());
    assert_eq!(producer.try_push_slice(&[9, 10, 11]), Ok(2));
    let chunk = consumer.try_read_chunk(3).unwrap();
    assert_eq!(content(&chunk), [3, 4, 5]);
    chunk.release(1);
    assert_eq!(consumer.try_pop(), Ok(4));
    assert_eq!(consumer.try_read().unwrap().get(), 5);
    let mut popped = Vec::new();
    consumer.try_pop_append(&mut popped, 2).unwrap();
    assert_eq!(popped, [6, 7]);
    assert_eq!(pop_all(&mut consumer), [8, 9, 10]);
    assert!(ring.is_empty());
}

fn read_chunk_forgotten_or_panicking_is_read_again<P: Protocol>() {
    let (_name, ring, mut producer, mut consumer) = values::<P>(4);
    for i in 0..10 {
        producer.push_slice(&[i, i + 1, i + 2]).unwrap();
        for _ in 0..3 {
            let chunk = consumer.try_read_chunk(4).unwrap();
            assert_eq!(content(&chunk), [i, i + 1, i + 2]);
            mem::forget(chunk);
            catch_panic(|| {
                let _chunk = consumer.try_read_chunk(4).unwrap();
                panic::resume_unwind(Box::new("on purpose"));
            });
        }
        if i % 2 == 0 {
            mem::forget(consumer.try_read_chunk(2).unwrap());
            consumer = next_consumer(consumer, &ring);
        }
        assert_eq!(pop_all(&mut consumer), [i, i + 1, i + 2]);
    }
}

/// Reads a chunk in its destructor.
struct ReadOnDrop<'c, P: Protocol>(&'c mut Consumer<u64, P>);

impl<P: Protocol> Drop for ReadOnDrop<'_, P> {
    fn drop(&mut self) {
        let chunk = self.0.try_read_chunk(2).unwrap();
        assert_eq!(content(&chunk), [1, 2]);
    }
}

fn read_chunk_made_during_unwind_releases_slots<P: Protocol>() {
    let (_name, _ring, mut producer, mut consumer) = values::<P>(4);
    producer.push_slice(&[1, 2, 3]).unwrap();
    catch_panic(|| {
        let _reader = ReadOnDrop(&mut consumer);
        panic::resume_unwind(Box::new("on purpose"));
    });
    assert_eq!(pop_all(&mut consumer), [3]);
}

fn read_chunks_block_time_out_and_fail_like_pops<P: Protocol>() {
    let name = Name::new();
    let options = Options::new().capacity(4).wait(ASLEEP_AT_ONCE);
    let ring = Ring::<u64, P>::create_with(&name, &options).unwrap();
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    let empty = consumer.try_read_chunk(4).unwrap_err();
    assert_eq!(empty, TryPopError::Empty);
    for timeout in [Duration::ZERO, Duration::from_millis(2)] {
        let timed_out = consumer.read_chunk_timeout(4, timeout).unwrap_err();
        assert_eq!(timed_out, PopTimeoutError::TimedOut);
    }
    let read = while_asleep(
        || consumer.read_chunk(4).unwrap().iter().collect::<Vec<_>>(),
        || producer.push(&1).unwrap(),
    );
    assert_eq!(read, [1]);
    let read = while_asleep(
        || consumer.read_chunk_timeout(4, TIME_LIMIT).unwrap().get(0),
        || producer.push(&2).unwrap(),
    );
    assert_eq!(read, 2);
    producer.push_slice(&[3, 4]).unwrap();
    drop(producer);
    let chunk = consumer.read_chunk_timeout(4, Duration::ZERO).unwrap();
    assert_eq!(content(&chunk), [3, 4]);
    drop(chunk);
    let left = Disconnected::Left;
    let error = consumer.try_read_chunk(4).unwrap_err();
    assert_eq!(error, TryPopError::Disconnected(left));
    let error = consumer.read_chunk(4).unwrap_err();
    assert_eq!(error, PopError::Disconnected(left));
    let error = consumer.read_chunk_timeout(4, TIME_LIMIT).unwrap_err();
    assert_eq!(error, PopTimeoutError::Disconnected(left));
}

fn read_chunk_panics_beyond_its_length<P: Protocol>() {
    let (_name, _ring, mut producer, mut consumer) = values::<P>(4);
    producer.push_slice(&[1, 2, 3]).unwrap();
    catch_panic(|| drop(consumer.try_read_chunk(0)));
    catch_panic(|| drop(consumer.read_chunk(0)));
    catch_panic(|| drop(consumer.read_chunk_timeout(0, TIME_LIMIT)));
    catch_panic(|| assert_eq!(consumer.try_read_chunk(2).unwrap().get(2), 0));
    catch_panic(|| {
        let chunk = consumer.try_read_chunk(2).unwrap();
        // SAFETY: this test is the only peer.
        let _ = unsafe { chunk.get_ref(2) };
    });
    catch_panic(|| consumer.try_read_chunk(2).unwrap().release(3));
    assert_eq!(pop_all(&mut consumer), [1, 2, 3]);
}

/// Transfers messages in chunks of three, most of which wrap around the end of the ring.
fn transfer_in_chunks<P: Protocol>(
    producer: &mut Producer<u64, P>,
    consumer: &mut Consumer<u64, P>,
) {
    let (mut pushed, mut popped) = (0, 0);
    for _ in 0..20 {
        pushed += push_chunk(producer, 3, pushed);
        while popped < pushed {
            let chunk = consumer.try_read_chunk(2).unwrap();
            let expected = popped..pushed.min(popped + 2);
            assert!(chunk.iter().eq(expected));
            popped += chunk.len() as u64;
        }
    }
    assert_eq!(popped, 60);
}

fn chunks_wrap_around_end_of_ring<P: Protocol>() {
    let (_name, _ring, mut producer, mut consumer) = values::<P>(4);
    transfer_in_chunks(&mut producer, &mut consumer);
}

fn chunks_wrap_around_first_positions<P: Protocol>() {
    let mut turns = vec![1 << 31, 1 << 32];
    // Positions of MPMC rings do not wrap: they end at 2^63.
    if !is_mpmc::<P>() {
        turns.extend([1 << 63, 0]);
    }
    for turn in turns {
        let name = Name::new();
        let first = u64::wrapping_sub(turn, 5);
        let options = Options::new().capacity(4).first_position(first);
        let ring = Ring::<u64, P>::create_with(&name, &options).unwrap();
        transfer_in_chunks(&mut ring.producer().unwrap(), &mut ring.consumer().unwrap());
    }
}

/// A ring in which only a wake-up ends a sleep.
fn sleepy_ring<P: Protocol>(name: &Name, capacity: usize) -> Ring<u64, P> {
    let options = Options::new().capacity(capacity);
    let options = options.liveness_interval(NEVER).wait(ASLEEP_AT_ONCE);
    Ring::create_with(name, &options).unwrap()
}

/// How often the library has attempted to wake the participants of a role.
fn wakes(name: &Name, role: Role) -> u32 {
    let snapshot = Observer::open(name).unwrap().snapshot().unwrap();
    match role {
        Role::Producer => snapshot.producers.wakes,
        _ => snapshot.consumers.wakes,
    }
}

fn committed_chunk_wakes_blocked_consumer_once<P: Protocol>() {
    let name = Name::new();
    let ring = sleepy_ring::<P>(&name, 8);
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    let before = wakes(&name, Role::Consumer);
    let mut chunk = producer.try_claim_chunk(4).unwrap();
    fill(&mut chunk, 1);
    let read = while_asleep(
        || consumer.read_chunk(8).unwrap().iter().collect::<Vec<_>>(),
        || chunk.commit(4),
    );
    assert_eq!(read, [1, 2, 3, 4]);
    assert_eq!(wakes(&name, Role::Consumer), before + 1);
}

fn released_chunk_wakes_blocked_producer_once<P: Protocol>() {
    let name = Name::new();
    let ring = sleepy_ring::<P>(&name, 4);
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    producer.push_slice(&[1, 2, 3, 4]).unwrap();
    let before = wakes(&name, Role::Producer);
    let chunk = consumer.try_read_chunk(4).unwrap();
    let claimed = while_asleep(|| producer.claim_chunk(4).unwrap().len(), || drop(chunk));
    assert_eq!(claimed, 4);
    assert_eq!(wakes(&name, Role::Producer), before + 1);
}

fn chunks_held_across_growth_finish_in_old_segment<P: Protocol>() {
    let (_name, ring, mut producer, mut consumer) = values::<P>(4);
    producer.push_slice(&[1, 2]).unwrap();
    let read = consumer.try_read_chunk(4).unwrap();
    let mut claimed = producer.try_claim_chunk(1).unwrap();
    ring.grow(32).unwrap();
    fill(&mut claimed, 3);
    claimed.commit(1);
    assert_eq!(content(&read), [1, 2]);
    read.release(1);
    // The end of the old segment is no message, so it ends a chunk.
    let pushed = push_chunk(&mut producer, 5, 4);
    assert_eq!((pushed, producer.capacity()), (5, 32));
    let mut popped = Vec::new();
    while let Ok(chunk) = consumer.try_read_chunk(9) {
        popped.extend(content(&chunk));
    }
    assert_eq!(popped, [2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(consumer.capacity(), 32);
    assert!(ring.is_empty());
}

#[test]
fn read_chunk_ends_before_tombstone() {
    let (name, ring, mut producer, mut consumer) = values::<Mpmc>(8);
    producer.push_slice(&[1, 2]).unwrap();
    drop(producer.try_claim_chunk(2).unwrap());
    producer.push_slice(&[3, 4]).unwrap();
    let chunk = consumer.try_read_chunk(8).unwrap();
    assert_eq!(content(&chunk), [1, 2]);
    drop(chunk);
    let chunk = consumer.try_read_chunk(8).unwrap();
    assert_eq!(content(&chunk), [3, 4]);
    drop(chunk);
    assert!(ring.is_empty());
    assert_eq!(tombstones(&name), 2);
}

#[test]
fn chunk_precedes_messages_of_other_producers_after_it() {
    let (_name, ring, mut first, mut consumer) = values::<Mpmc>(8);
    let mut second = ring.producer().unwrap();
    let mut chunk = first.try_claim_chunk(3).unwrap();
    second.push_slice(&[4, 5]).unwrap();
    fill(&mut chunk, 1);
    assert_eq!(consumer.try_read_chunk(8).unwrap_err(), TryPopError::Empty);
    chunk.commit(3);
    let chunk = consumer.try_read_chunk(8).unwrap();
    assert_eq!(content(&chunk), [1, 2, 3, 4, 5]);
}

#[test]
fn read_chunks_of_two_consumers_share_no_message() {
    let (_name, ring, mut producer, mut first) = values::<Mpmc>(8);
    let mut second = ring.consumer().unwrap();
    producer.push_slice(&[1, 2, 3, 4]).unwrap();
    let earlier = first.try_read_chunk(2).unwrap();
    let later = second.try_read_chunk(2).unwrap();
    assert_eq!(content(&earlier), [1, 2]);
    assert_eq!(content(&later), [3, 4]);
    drop(later);
    drop(earlier);
    assert!(ring.is_empty());
    assert_eq!(producer.try_push_slice(&[0; 9]), Ok(8));
}

#[test]
fn chunk_of_dropped_consumer_is_redelivered() {
    let (_name, ring, mut producer, mut first) = values::<Mpmc>(8);
    let mut second = ring.consumer().unwrap();
    producer.push_slice(&[1, 2, 3, 4]).unwrap();
    first.try_read_chunk(4).unwrap().release(1);
    mem::forget(first.try_read_chunk(4).unwrap());
    drop(first);
    let mut redelivered = Vec::new();
    until("another consumer adopts the messages", || {
        if let Ok(chunk) = second.try_read_chunk(8) {
            redelivered.extend(content(&chunk));
        }
        redelivered.len() == 3
    });
    assert_eq!(redelivered, [2, 3, 4]);
    assert_eq!(ring.counters().redelivered, 3);
    assert!(ring.is_empty());
}
