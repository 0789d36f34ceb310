//! Calls with a deadline, and batches with a time-out. What is ready comes before the deadline.

use crate::rings::{strings, values};
use crate::support::{ASLEEP_AT_ONCE, NEVER, Name, TIME_LIMIT, while_asleep};
use slipring::error::{Disconnected, PopTimeoutError, PushTimeoutError};
use slipring::{Options, Protocol, Ring};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

for_each_kind! {
    push_after_deadline_uses_free_slots_and_then_times_out
    batch_push_after_deadline_pushes_what_fits
    pop_after_deadline_takes_ready_message_and_then_times_out
    batch_pop_after_deadline_pops_what_is_ready
    calls_before_deadline_wait_for_peer
    batch_push_deadline_is_not_extended_by_progress
    disconnected_comes_before_time_out
    empty_batch_ignores_deadline
    too_long_message_ends_batch_with_deadline
    blocking_iteration_over_consumer_ends_with_producer
}

/// A deadline that has passed, at the latest when the call that gets it begins.
fn past() -> Instant {
    Instant::now()
}

/// A deadline that no test reaches.
fn later() -> Instant {
    Instant::now() + NEVER
}

fn push_after_deadline_uses_free_slots_and_then_times_out<P: Protocol>() {
    let (_name, _ring, mut producer, mut consumer) = values::<P>(2);
    producer.push_deadline(&1, past()).unwrap();
    let mut claim = producer.claim_deadline(past()).unwrap();
    claim.write(&2);
    claim.commit();
    let timed_out = PushTimeoutError::TimedOut;
    assert_eq!(producer.push_deadline(&3, past()), Err(timed_out));
    assert_eq!(producer.claim_deadline(past()).unwrap_err(), timed_out);
    assert_eq!(consumer.try_iter().collect::<Vec<_>>(), [1, 2]);
}

fn batch_push_after_deadline_pushes_what_fits<P: Protocol>() {
    let (_name, _ring, mut producer, mut consumer) = values::<P>(4);
    let messages = [1, 2, 3, 4, 5, 6];
    producer
        .push_slice_deadline(&messages[..2], past())
        .unwrap();
    let zero = Duration::ZERO;
    producer.push_slice_timeout(&messages[2..3], zero).unwrap();
    let stopped = producer.push_slice_deadline(&messages[3..], past());
    let stopped = stopped.unwrap_err();
    assert_eq!(
        (stopped.pushed, stopped.reason),
        (1, PushTimeoutError::TimedOut)
    );
    let stopped = producer
        .push_slice_timeout(&messages[4..], zero)
        .unwrap_err();
    assert_eq!(
        (stopped.pushed, stopped.reason),
        (0, PushTimeoutError::TimedOut)
    );
    assert_eq!(consumer.try_iter().collect::<Vec<_>>(), [1, 2, 3, 4]);
}

fn pop_after_deadline_takes_ready_message_and_then_times_out<P: Protocol>() {
    let (_name, _ring, mut producer, mut consumer) = values::<P>(4);
    producer.push_slice(&[1, 2, 3]).unwrap();
    assert_eq!(consumer.pop_deadline(past()), Ok(1));
    let mut message = 0;
    consumer.pop_deadline_into(&mut message, past()).unwrap();
    assert_eq!(message, 2);
    assert_eq!(consumer.read_deadline(past()).unwrap().get(), 3);
    let timed_out = PopTimeoutError::TimedOut;
    assert_eq!(consumer.pop_deadline(past()), Err(timed_out));
    let refused = consumer.pop_deadline_into(&mut message, past());
    assert_eq!((refused, message), (Err(timed_out), 2));
    assert_eq!(consumer.read_deadline(past()).unwrap_err(), timed_out);
}

fn batch_pop_after_deadline_pops_what_is_ready<P: Protocol>() {
    let (_name, _ring, mut producer, mut consumer) = values::<P>(8);
    let (mut slice, mut vec) = ([0; 8], vec![0]);
    let zero = Duration::ZERO;
    for _ in 0..3 {
        producer.push_slice(&[1, 2, 3, 4, 5]).unwrap();
        assert_eq!(consumer.pop_slice_deadline(&mut slice[..2], past()), Ok(2));
        assert_eq!(slice[..2], [1, 2]);
        assert_eq!(consumer.pop_slice_timeout(&mut slice, zero), Ok(3));
        assert_eq!(slice[..3], [3, 4, 5]);
        producer.push_slice(&[6, 7, 8, 9]).unwrap();
        vec.truncate(1);
        assert_eq!(consumer.pop_append_deadline(&mut vec, 1, past()), Ok(1));
        assert_eq!(consumer.pop_append_timeout(&mut vec, 8, zero), Ok(3));
        assert_eq!(vec, [0, 6, 7, 8, 9]);
        let timed_out = Err(PopTimeoutError::TimedOut);
        assert_eq!(consumer.pop_slice_deadline(&mut slice, past()), timed_out);
        assert_eq!(consumer.pop_slice_timeout(&mut slice, zero), timed_out);
        assert_eq!(consumer.pop_append_deadline(&mut vec, 8, past()), timed_out);
        assert_eq!(consumer.pop_append_timeout(&mut vec, 8, zero), timed_out);
        assert_eq!(vec.len(), 5);
    }
}

/// A ring in which only a wake-up or a deadline ends a sleep.
fn sleepy_ring<P: Protocol>(name: &Name, capacity: usize) -> Ring<u64, P> {
    let options = Options::new().capacity(capacity);
    let options = options.liveness_interval(NEVER).wait(ASLEEP_AT_ONCE);
    Ring::create_with(name, &options).unwrap()
}

fn calls_before_deadline_wait_for_peer<P: Protocol>() {
    let name = Name::new("ring");
    let ring = sleepy_ring::<P>(&name, 2);
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    let mut next = 0;
    macro_rules! assert_waits_for_message {
        ($($call:expr),+ $(,)?) => {$(
            next += 1;
            let popped = while_asleep(|| $call, || producer.push(&next).unwrap());
            assert_eq!(popped, next, "{}", stringify!($call));
        )+};
    }
    let mut room = [0];
    let mut vec = Vec::new();
    let mut message = 0;
    assert_waits_for_message!(
        consumer.pop_deadline(later()).unwrap(),
        consumer
            .pop_deadline_into(&mut message, later())
            .map(|()| message)
            .unwrap(),
        consumer.read_deadline(later()).unwrap().get(),
        consumer
            .pop_slice_deadline(&mut room, later())
            .map(|_| room[0])
            .unwrap(),
        consumer
            .pop_slice_timeout(&mut room, Duration::MAX)
            .map(|_| room[0])
            .unwrap(),
        consumer
            .pop_append_deadline(&mut vec, 3, later())
            .map(|_| vec.remove(0))
            .unwrap(),
        consumer
            .pop_append_timeout(&mut vec, 3, TIME_LIMIT)
            .map(|_| vec.remove(0))
            .unwrap(),
    );

    macro_rules! assert_waits_for_slot {
        ($($call:expr),+ $(,)?) => {$(
            assert_eq!(producer.try_push_slice(&[1, 2, 3]), Ok(2));
            while_asleep(|| $call, || assert_eq!(consumer.pop(), Ok(1)));
            assert_eq!(consumer.try_iter().collect::<Vec<_>>(), [2, 3], "{}", stringify!($call));
        )+};
    }
    assert_waits_for_slot!(
        producer.push_deadline(&3, later()).unwrap(),
        producer
            .claim_deadline(later())
            .map(|mut claim| {
                claim.write(&3);
                claim.commit();
            })
            .unwrap(),
        producer.push_slice_deadline(&[3], later()).unwrap(),
        producer.push_slice_timeout(&[3], Duration::MAX).unwrap(),
    );
}

/// Pushes more messages than the consumer pops within minutes. Each pop makes progress possible.
fn batch_push_deadline_is_not_extended_by_progress<P: Protocol>() {
    const TIMEOUT: Duration = Duration::from_millis(50);
    let messages: Vec<u64> = (0..1_000_000).collect();
    for with_deadline in [false, true] {
        let name = Name::new("ring");
        let ring = sleepy_ring::<P>(&name, 4);
        let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
        let is_over = AtomicBool::new(false);
        let (stopped, popped) = thread::scope(|scope| {
            let popping = scope.spawn(|| {
                let mut popped = Vec::new();
                while !is_over.load(SeqCst) {
                    popped.extend(consumer.try_pop().ok());
                    thread::sleep(Duration::from_millis(1));
                }
                popped.extend(consumer.try_iter());
                popped
            });
            let deadline = Instant::now() + TIMEOUT;
            let pushed = match with_deadline {
                true => producer.push_slice_deadline(&messages, deadline),
                false => producer.push_slice_timeout(&messages, TIMEOUT),
            };
            assert!(Instant::now() >= deadline);
            is_over.store(true, SeqCst);
            (pushed.unwrap_err(), popping.join().unwrap())
        });
        assert_eq!(stopped.reason, PushTimeoutError::TimedOut);
        assert_eq!(popped, messages[..stopped.pushed]);
    }
}

fn disconnected_comes_before_time_out<P: Protocol>() {
    let (_name, ring, mut producer, mut consumer) = values::<P>(2);
    producer.push(&1).unwrap();
    drop(producer);
    let mut room = [0; 2];
    assert_eq!(consumer.pop_slice_deadline(&mut room, past()), Ok(1));
    let left = PopTimeoutError::Disconnected(Disconnected::Left);
    assert_eq!(consumer.pop_deadline(past()), Err(left));
    let left = Err(left);
    assert_eq!(consumer.pop_slice_deadline(&mut room, past()), left);
    assert_eq!(consumer.pop_append_deadline(&mut vec![], 1, past()), left);
    drop(consumer);
    let mut producer = ring.producer().unwrap();
    let stopped = producer
        .push_slice_deadline(&[1, 2, 3], past())
        .unwrap_err();
    let left = PushTimeoutError::Disconnected(Disconnected::Left);
    assert_eq!((stopped.pushed, stopped.reason), (2, left));
    assert_eq!(producer.push_deadline(&3, past()), Err(left));
}

fn empty_batch_ignores_deadline<P: Protocol>() {
    let (_name, _ring, mut producer, mut consumer) = values::<P>(2);
    assert_eq!(consumer.pop_slice_deadline(&mut [], past()), Ok(0));
    assert_eq!(consumer.pop_append_timeout(&mut vec![], 0, NEVER), Ok(0));
    producer.push_slice(&[1, 2]).unwrap();
    assert_eq!(producer.push_slice_deadline(&[0; 0], past()), Ok(()));
    assert_eq!(producer.push_slice_timeout(&[0; 0], NEVER), Ok(()));
}

fn too_long_message_ends_batch_with_deadline<P: Protocol>() {
    let (_name, _ring, mut producer, mut consumer) = strings::<P>(4, 3);
    let batch = [&b"a"[..], b"bb", b"long", b"c"];
    let stopped = producer.push_slice_deadline(&batch, later()).unwrap_err();
    assert_eq!(stopped.pushed, 2);
    assert!(matches!(stopped.reason, PushTimeoutError::TooLong(_)));
    let refused = producer.push_deadline(b"long", later());
    assert!(matches!(refused, Err(PushTimeoutError::TooLong(_))));
    assert_eq!(consumer.try_iter().collect::<Vec<_>>(), [&b"a"[..], b"bb"]);
}

fn blocking_iteration_over_consumer_ends_with_producer<P: Protocol>() {
    let (_name, _ring, mut producer, mut consumer) = values::<P>(4);
    thread::scope(|scope| {
        scope.spawn(move || {
            for number in 0..100 {
                producer.push(&number).unwrap();
            }
        });
        let mut popped = Vec::new();
        for message in &mut consumer {
            popped.push(message);
            if popped.len() == 50 {
                break;
            }
        }
        for message in &mut consumer {
            popped.push(message);
        }
        assert!(popped.into_iter().eq(0..100));
    });
}
