//! Rings that grow, and shrink, while they are in use.

use crate::support;
use crate::support::kinds::one_of_each;
use crate::support::{NEVER, Name, Random, TIME_LIMIT, fork_child, is_asleep, thread_id, until};
use slipring::error::{
    Disconnected, GrowError, OpenError, OpenOrCreateError, PopError, PushError, TryPopError,
    TryPushError,
};
use slipring::{Consumer, Mpmc, Observer, Options, Producer, Protocol, Ring, Spsc};
use std::collections::VecDeque;
use std::time::Duration;
use std::{mem, process, thread};

const SOON: Duration = Duration::from_millis(10);

for_each_kind! {
    memory:
        growth_wakes_blocked_producer_and_consumer
    ;
    memory_and_files:
        random_growth_preserves_message_order
        growth_reclaims_memory_of_drained_segments
        open_claim_and_guard_stay_valid_across_growth
        late_handles_start_at_oldest_remaining_message
        close_of_grown_ring_closes_every_handle
        producer_death_is_reported_after_all_segments_drain
    ;
}

fn ring<P: Protocol>(options: &Options) -> (Name, Ring<u64, P>) {
    let name = Name::new("growth");
    let ring = Ring::create_with(&name, options).unwrap();
    (name, ring)
}

/// A ring, its handles, and the messages that it should contain.
struct Trial<P: Protocol> {
    ring: Ring<u64, P>,
    producer: Producer<u64, P>,
    consumer: Consumer<u64, P>,
    inside: VecDeque<u64>,
    pushed: u64,
    is_put_back: bool,
}

impl<P: Protocol> Trial<P> {
    fn push(&mut self, most: u64) {
        let messages: Vec<_> = (self.pushed..self.pushed + most).collect();
        let accepted = match self.producer.try_push_slice(&messages) {
            Ok(accepted) => accepted as u64,
            Err(TryPushError::Full) => 0,
            Err(error) => panic!("{error}"),
        };
        self.inside.extend(self.pushed..self.pushed + accepted);
        self.pushed += accepted;
    }

    fn pop(&mut self, most: usize) {
        let mut messages = vec![0; most];
        self.is_put_back = false;
        let popped = match self.consumer.try_pop_slice(&mut messages) {
            Ok(popped) => popped,
            Err(TryPopError::Empty) => 0,
            Err(error) => panic!("{error}"),
        };
        let expected: Vec<_> = self.inside.drain(..popped).collect();
        assert_eq!(messages[..popped], expected);
    }
}

fn random_growth_preserves_message_order<P: Protocol>() {
    for seed in 0..40 {
        let mut random = Random::new(seed);
        let (_name, ring) = ring::<P>(&Options::new().capacity(2 << random.below(4)));
        let mut trial = Trial {
            producer: ring.producer().unwrap(),
            consumer: ring.consumer().unwrap(),
            ring,
            inside: VecDeque::new(),
            pushed: 0,
            is_put_back: false,
        };
        for _ in 0..400 {
            match random.below(16) {
                0 => match trial.ring.grow(2 << random.below(7)) {
                    Ok(()) => {}
                    Err(GrowError::Undrained { .. }) => trial.pop(1000),
                    Err(error) => panic!("{error}"),
                },
                1 => {
                    drop(trial.producer);
                    trial.producer = trial.ring.producer().unwrap();
                }
                // A consumer that detaches after put_back leaves the message to other consumers,
                // which may receive it later, out of order.
                2 if !trial.is_put_back => {
                    drop(trial.consumer);
                    trial.consumer = trial.ring.consumer().unwrap();
                }
                3 => {
                    let claim = trial.producer.try_claim();
                    let _ = claim.map(mem::forget);
                }
                4 => {
                    let guard = trial.consumer.try_read();
                    trial.is_put_back |= guard.map(|guard| guard.put_back()).is_ok();
                }
                5 => trial.ring = trial.ring.reopen().unwrap(),
                roll if roll < 11 => trial.push(random.below(20)),
                _ => trial.pop(random.below(20) as usize + 1),
            }
        }
        while !trial.inside.is_empty() {
            trial.pop(1);
        }
        drop(trial.producer);
        let detached = TryPopError::Disconnected(Disconnected::Left);
        assert_eq!(trial.consumer.try_pop(), Err(detached));
    }
}

fn growth_wakes_blocked_producer_and_consumer<P: Protocol>() {
    let (_name, ring) = ring::<P>(&Options::new().capacity(4).liveness_interval(NEVER));
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    let main_thread = thread_id();
    thread::scope(|scope| {
        let growing = scope.spawn(|| {
            until("the main thread sleeps", || {
                is_asleep(process::id(), main_thread)
            });
            ring.grow(8).unwrap();
            ring.grow(16).unwrap();
            producer.push(&1).unwrap();
        });
        assert_eq!(consumer.pop(), Ok(1));
        growing.join().unwrap();
    });
    thread::scope(|scope| {
        producer.push_slice(&[2; 16]).unwrap();
        let popping = scope.spawn(|| {
            until("the main thread sleeps", || {
                is_asleep(process::id(), main_thread)
            });
            ring.grow(64).unwrap();
            let mut popped = vec![0; 17];
            // The full segment of an SPSC ring has no slot for its own end before this pop.
            popped[0] = consumer.pop().unwrap();
            popped[1..].fill_with(|| consumer.pop().unwrap());
            popped
        });
        producer.push(&3).unwrap();
        assert_eq!(popping.join().unwrap(), [&[2; 16][..], &[3]].concat());
    });
}

fn growth_reclaims_memory_of_drained_segments<P: Protocol>() {
    const LARGE: usize = 1 << 16;
    let (name, ring) = ring::<P>(&one_of_each::<P>().capacity(LARGE));
    let allocated = || Observer::open(&name).unwrap().snapshot().unwrap().allocated;
    let before = allocated();
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    for round in 0..20 {
        producer.push(&round).unwrap();
        ring.grow(if round % 2 == 0 { 2 } else { LARGE }).unwrap();
        assert!(allocated() >= before);
        producer.push(&(round + 100)).unwrap();
        assert_eq!(
            (consumer.pop(), consumer.pop()),
            (Ok(round), Ok(round + 100))
        );
        let (small, large) = (before / 8, before + before / 4);
        let expected = if round % 2 == 0 { ..small } else { ..large };
        assert!(expected.contains(&allocated()), "{}", allocated());
    }
}

fn open_claim_and_guard_stay_valid_across_growth<P: Protocol>() {
    let (_name, ring) = ring::<P>(&Options::new().capacity(4));
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    producer.push(&1).unwrap();
    let mut claim = producer.claim().unwrap();
    let guard = consumer.read().unwrap();
    ring.grow(2).unwrap();
    claim.write(&2);
    claim.commit();
    assert_eq!(guard.get(), 1);
    ring.grow(32).unwrap();
    drop(guard);
    producer.push(&3).unwrap();
    assert_eq!((consumer.pop(), consumer.pop()), (Ok(2), Ok(3)));
    assert_eq!((producer.capacity(), consumer.capacity()), (32, 32));
}

fn late_handles_start_at_oldest_remaining_message<P: Protocol>() {
    let (name, ring) = ring::<P>(&Options::new().capacity(4));
    let mut pushed = 0;
    for capacity in [8, 4, 16] {
        let mut producer = ring.producer().unwrap();
        producer.push(&pushed).unwrap();
        ring.grow(capacity).unwrap();
        producer.push(&(pushed + 1)).unwrap();
        pushed += 2;
    }
    let again = Ring::<u64, P>::open(&name).unwrap();
    assert_eq!((again.len(), again.capacity()), (6, 16));
    for capacity in [4, 16] {
        Ring::<u64, P>::open_or_create(&name, capacity).unwrap();
    }
    let other = Ring::<u64, P>::open_or_create(&name, 8).unwrap_err();
    let is_reported = |error: &OpenError| {
        matches!(
            error,
            OpenError::Capacity {
                expected: 8,
                found: 16,
                ..
            }
        )
    };
    assert!(matches!(other, OpenOrCreateError::Open(error) if is_reported(&error)));
    for expected in 0..6 {
        assert_eq!(again.consumer().unwrap().pop(), Ok(expected));
    }
    again.producer().unwrap().push(&6).unwrap();
    assert_eq!(ring.consumer().unwrap().pop(), Ok(6));
}

fn close_of_grown_ring_closes_every_handle<P: Protocol>() {
    let (name, ring) = ring::<P>(&Options::new().capacity(4));
    let other = Ring::<u64, P>::open(&name).unwrap();
    let (mut producer, mut consumer) = (ring.producer().unwrap(), other.consumer().unwrap());
    producer.push(&1).unwrap();
    ring.grow(8).unwrap();
    producer.push(&2).unwrap();
    other.close();
    assert!(ring.is_closed());
    assert!(matches!(ring.grow(16), Err(GrowError::Closed)));
    let closed = Disconnected::Closed;
    assert_eq!(producer.push(&3), Err(PushError::Disconnected(closed)));
    assert_eq!((consumer.pop(), consumer.pop()), (Ok(1), Ok(2)));
    assert_eq!(consumer.pop(), Err(PopError::Disconnected(closed)));
}

fn producer_death_is_reported_after_all_segments_drain<P: Protocol>() {
    let (name, ring) = ring::<P>(&Options::new().capacity(4).liveness_interval(SOON));
    let mut consumer = ring.consumer().unwrap();
    let mut child = fork_child(|| {
        let ring = Ring::<u64, P>::open(&name).unwrap();
        let mut producer = ring.producer().unwrap();
        producer.push_slice(&[1, 2]).unwrap();
        ring.grow(2).unwrap();
        producer.push_slice(&[3, 4]).unwrap();
        ring.grow(8).unwrap();
        support::kill_process(process::id());
    });
    let pid = child.pid();
    child.reap();
    assert_eq!(consumer.iter().collect::<Vec<_>>(), [1, 2, 3, 4]);
    let died = Disconnected::Died { pid };
    assert_eq!(consumer.pop(), Err(PopError::Disconnected(died)));
    // The next producer ends the segments that the dead one did not end.
    let mut producer = ring.producer().unwrap();
    producer.push(&5).unwrap();
    assert_eq!(consumer.pop(), Ok(5));
    assert_eq!((producer.capacity(), consumer.capacity()), (8, 8));
}

#[test]
fn orphan_in_old_segment_reaches_consumer_in_next_segment() {
    let (name, ring) = ring::<Mpmc>(&Options::new().capacity(8).liveness_interval(SOON));
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    for round in 0..5 {
        producer.push_slice(&[1, 2]).unwrap();
        let mut child = fork_child(|| {
            let mut consumer = Ring::<u64, Mpmc>::open(&name).unwrap().consumer().unwrap();
            let _guard = consumer.read().unwrap();
            loop {
                thread::park();
            }
        });
        until("the child holds the message", || ring.len() == 1);
        ring.grow(if round % 2 == 0 { 16 } else { 8 }).unwrap();
        producer.push(&3).unwrap();
        assert_eq!((consumer.pop(), consumer.pop()), (Ok(2), Ok(3)));
        let empty = consumer.try_pop();
        assert_eq!(empty, Err(TryPopError::Empty));
        child.kill_and_reap();
        let guard = consumer.read_timeout(TIME_LIMIT).unwrap();
        assert_eq!((guard.get(), guard.is_redelivered()), (1, true));
        drop(guard);
        producer.push(&4).unwrap();
        assert_eq!(consumer.pop(), Ok(4));
        assert_eq!(ring.counters().redelivered, round + 1);
    }
}

#[test]
fn open_during_first_growth_returns_ring() {
    for _ in 0..300 {
        let (name, ring) = ring::<Mpmc>(&Options::new().capacity(2));
        thread::scope(|scope| {
            let opening =
                scope.spawn(
                    || {
                        while Ring::<u64, Mpmc>::open(&name).unwrap().capacity() == 2 {}
                    },
                );
            ring.grow(4).unwrap();
            opening.join().unwrap();
        });
    }
}

#[test]
fn refused_growth_returns_error_and_changes_nothing() {
    let ring = Ring::<u64, Spsc>::create("memfd:", 4).unwrap();
    assert!(matches!(ring.grow(8), Err(GrowError::Unsupported)));
    let (_name, ring) = self::ring::<Spsc>(&Options::new().capacity(4));
    for asked in [0, 1, (1 << 30) + 1] {
        assert!(matches!(ring.grow(asked), Err(GrowError::Capacity { .. })));
    }
    ring.grow(4).unwrap();
    ring.grow(3).unwrap();
    assert_eq!(ring.capacity(), 4);
    // The memory exceeds that of any machine.
    let name = Name::new("growth");
    let ring = Ring::<[u8], Mpmc>::create_bytes(&name, 4, 1 << 20).unwrap();
    assert!(matches!(
        ring.grow(1 << 30),
        Err(GrowError::NoSpace { .. } | GrowError::FileSizeLimit { .. })
    ));
    let size = ring.memory_stat().unwrap().size;
    ring.producer().unwrap().push(&[7]).unwrap();
    assert_eq!(ring.consumer().unwrap().pop().unwrap(), [7]);
    assert_eq!(ring.memory_stat().unwrap().size, size);
}
