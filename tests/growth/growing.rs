//! Rings that grow, and shrink, while they are in use.

use crate::support;
use crate::support::kinds::one_of_each;
use crate::support::{Dice, NEVER, Name, PATIENCE, fork_child, is_asleep, thread_id, until};
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
        nobody_is_left_asleep_where_a_ring_was
    ;
    memory_and_files:
        messages_come_in_order_whatever_the_capacity_becomes
        what_nobody_needs_any_more_is_given_back
        an_open_claim_and_an_open_guard_stay_where_they_are
        who_comes_later_begins_with_what_is_left
        a_ring_that_is_closed_is_closed_for_all
        when_the_producer_is_gone_all_is_popped_first
    ;
}

fn ring<P: Protocol>(options: &Options) -> (Name, Ring<u64, P>) {
    let name = Name::new("growth");
    let ring = Ring::create_with(&name, options).unwrap();
    (name, ring)
}

/// A ring, its ends, and what is in it.
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
        let sent = match self.producer.try_push_slice(&messages) {
            Ok(sent) => sent as u64,
            Err(TryPushError::Full) => 0,
            Err(error) => panic!("{error}"),
        };
        self.inside.extend(self.pushed..self.pushed + sent);
        self.pushed += sent;
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

fn messages_come_in_order_whatever_the_capacity_becomes<P: Protocol>() {
    for seed in 0..40 {
        let mut dice = Dice::new(seed);
        let (_name, ring) = ring::<P>(&Options::new().capacity(2 << dice.below(4)));
        let mut trial = Trial {
            producer: ring.producer().unwrap(),
            consumer: ring.consumer().unwrap(),
            ring,
            inside: VecDeque::new(),
            pushed: 0,
            is_put_back: false,
        };
        for _ in 0..400 {
            match dice.below(16) {
                0 => match trial.ring.grow(2 << dice.below(7)) {
                    Ok(()) => {}
                    Err(GrowError::Undrained { .. }) => trial.pop(1000),
                    Err(error) => panic!("{error}"),
                },
                1 => {
                    drop(trial.producer);
                    trial.producer = trial.ring.producer().unwrap();
                }
                // Who leaves with what it has put back leaves that to others, for later.
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
                roll if roll < 11 => trial.push(dice.below(20)),
                _ => trial.pop(dice.below(20) as usize + 1),
            }
        }
        while !trial.inside.is_empty() {
            trial.pop(1);
        }
        drop(trial.producer);
        let gone = TryPopError::Disconnected(Disconnected::Left);
        assert_eq!(trial.consumer.try_pop(), Err(gone));
    }
}

fn nobody_is_left_asleep_where_a_ring_was<P: Protocol>() {
    let (_name, ring) = ring::<P>(&Options::new().capacity(4).liveness_interval(NEVER));
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    let this = thread_id();
    thread::scope(|scope| {
        let growing = scope.spawn(|| {
            until("it sleeps", || is_asleep(process::id(), this));
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
            until("it sleeps", || is_asleep(process::id(), this));
            ring.grow(64).unwrap();
            let mut popped = vec![0; 17];
            // An SPSC ring has no room for its own end before that.
            popped[0] = consumer.pop().unwrap();
            popped[1..].fill_with(|| consumer.pop().unwrap());
            popped
        });
        producer.push(&3).unwrap();
        assert_eq!(popping.join().unwrap(), [&[2; 16][..], &[3]].concat());
    });
}

fn what_nobody_needs_any_more_is_given_back<P: Protocol>() {
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

fn an_open_claim_and_an_open_guard_stay_where_they_are<P: Protocol>() {
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

fn who_comes_later_begins_with_what_is_left<P: Protocol>() {
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
    let is_told = |error: &OpenError| {
        matches!(
            error,
            OpenError::Capacity {
                expected: 8,
                found: 16,
                ..
            }
        )
    };
    assert!(matches!(other, OpenOrCreateError::Open(error) if is_told(&error)));
    for expected in 0..6 {
        assert_eq!(again.consumer().unwrap().pop(), Ok(expected));
    }
    again.producer().unwrap().push(&6).unwrap();
    assert_eq!(ring.consumer().unwrap().pop(), Ok(6));
}

fn a_ring_that_is_closed_is_closed_for_all<P: Protocol>() {
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

fn when_the_producer_is_gone_all_is_popped_first<P: Protocol>() {
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
    // The next one ends what was to end.
    let mut producer = ring.producer().unwrap();
    producer.push(&5).unwrap();
    assert_eq!(consumer.pop(), Ok(5));
    assert_eq!((producer.capacity(), consumer.capacity()), (8, 8));
}

#[test]
fn what_a_dead_consumer_held_in_an_old_ring_comes_to_one_that_has_gone_on() {
    let (name, ring) = ring::<Mpmc>(&Options::new().capacity(8).liveness_interval(SOON));
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    for round in 0..5 {
        producer.push_slice(&[1, 2]).unwrap();
        let mut child = fork_child(|| {
            let mut consumer = Ring::<u64, Mpmc>::open(&name).unwrap().consumer().unwrap();
            let _held = consumer.read().unwrap();
            loop {
                thread::park();
            }
        });
        until("it has the message", || ring.len() == 1);
        ring.grow(if round % 2 == 0 { 16 } else { 8 }).unwrap();
        producer.push(&3).unwrap();
        assert_eq!((consumer.pop(), consumer.pop()), (Ok(2), Ok(3)));
        let empty = consumer.try_pop();
        assert_eq!(empty, Err(TryPopError::Empty));
        child.kill_and_reap();
        let guard = consumer.read_timeout(PATIENCE).unwrap();
        assert_eq!((guard.get(), guard.is_redelivered()), (1, true));
        drop(guard);
        producer.push(&4).unwrap();
        assert_eq!(consumer.pop(), Ok(4));
        assert_eq!(ring.counters().redelivered, round + 1);
    }
}

#[test]
fn who_opens_a_ring_that_begins_to_grow_just_then_gets_it() {
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
fn what_cannot_grow_says_so_and_stays_as_it_is() {
    let ring = Ring::<u64, Spsc>::create("memfd:", 4).unwrap();
    assert!(matches!(ring.grow(8), Err(GrowError::Unsupported)));
    let (_name, ring) = self::ring::<Spsc>(&Options::new().capacity(4));
    for asked in [0, 1, (1 << 30) + 1] {
        assert!(matches!(ring.grow(asked), Err(GrowError::Capacity { .. })));
    }
    ring.grow(4).unwrap();
    ring.grow(3).unwrap();
    assert_eq!(ring.capacity(), 4);
    // More than any machine has.
    let name = Name::new("growth");
    let ring = Ring::<[u8], Mpmc>::create(&name, 4, 1 << 20).unwrap();
    assert!(matches!(
        ring.grow(1 << 30),
        Err(GrowError::NoSpace { .. } | GrowError::FileSizeLimit { .. })
    ));
    let size = ring.memory_stat().unwrap().size;
    ring.producer().unwrap().push(&[7]).unwrap();
    assert_eq!(ring.consumer().unwrap().pop().unwrap(), [7]);
    assert_eq!(ring.memory_stat().unwrap().size, size);
}
