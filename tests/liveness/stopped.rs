//! A stopped process is not dead: peers wait for it, and it keeps its seat and its guard.

use crate::support;
use crate::support::{ASLEEP_AT_ONCE, Name, Random, SharedWords, TIME_LIMIT, start, until};
use slipring::error::{AttachError, PushTimeoutError, TryPushError};
use slipring::spsc::Ring;
use slipring::{Options, Peer, WaitStrategy};
use std::sync::atomic::Ordering::SeqCst;
use std::thread;
use std::time::Duration;

const SOON: Duration = Duration::from_millis(20);

/// Holds a message in a guard until the test signals.
#[test]
#[ignore = "the other process of a test"]
fn role_guards() {
    let Some(role) = support::role("role_guards") else {
        return;
    };
    let ring = Ring::<u64>::open(role.text(0)).unwrap();
    let mut consumer = ring.consumer().unwrap();
    let guard = consumer.read().unwrap();
    SharedWords::open(role.text(1))[0].store(1, SeqCst);
    role.wait_for_signal();
    drop(guard);
}

#[test]
fn stopped_holder_is_present_and_keeps_seat_and_guard() {
    let (name, words) = (Name::new("ring"), Name::in_memory("words"));
    let options = Options::new().capacity(2).liveness_interval(SOON / 4);
    let ring = Ring::<u64>::create_with(&name, &options).unwrap();
    let shared = SharedWords::create(&words, 1);
    let mut producer = ring.producer().unwrap();
    producer.push(&0).unwrap();
    producer.push(&1).unwrap();
    let mut peer = start("role_guards", &[&name, &words]);
    let pid = peer.pid();
    until("the peer holds a guard", || shared[0].load(SeqCst) == 1);
    peer.stop();

    // Each push lasts for twenty liveness intervals.
    for _ in 0..2 {
        assert_eq!(
            producer.push_timeout(&2, SOON * 5),
            Err(PushTimeoutError::TimedOut)
        );
        assert_eq!(producer.try_push(&2), Err(TryPushError::Full));
        assert_eq!(producer.peer(), Ok(Peer::Present { pid }));
        let refused = ring.consumer().unwrap_err();
        assert!(
            matches!(refused, AttachError::Taken { pid: Some(holder), .. } if holder == pid),
            "{refused:?}"
        );
    }

    peer.resume();
    peer.signal();
    producer.push_timeout(&2, TIME_LIMIT).unwrap();
    peer.finish();
    let mut consumer = ring.consumer().unwrap();
    assert_eq!(consumer.pop(), Ok(1));
    assert_eq!(consumer.pop(), Ok(2));
}

const LAST: u64 = u64::MAX;

/// Pushes numbers until the test sets a flag, or pops them until the last.
#[test]
#[ignore = "the other process of a test"]
fn role_streams() {
    let Some(role) = support::role("role_streams") else {
        return;
    };
    let options = rounds()[role.number(3) as usize].clone();
    let ring = Ring::<u64>::open_with(role.text(0), &options).unwrap();
    let shared = SharedWords::open(role.text(1));
    if role.text(2) == "producer" {
        let mut producer = ring.producer().unwrap();
        for number in 0.. {
            if shared[0].load(SeqCst) == 1 {
                break;
            }
            producer.push(&number).unwrap();
        }
        producer.push(&LAST).unwrap();
    } else {
        let mut consumer = ring.consumer().unwrap();
        for expected in 0.. {
            match consumer.pop().unwrap() {
                LAST => break,
                number => assert_eq!(number, expected),
            }
            shared[1].store(expected, SeqCst);
        }
    }
}

/// Each stop lasts for several liveness intervals.
fn rounds() -> [Options; 3] {
    let ring = || Options::new().liveness_interval(Duration::from_micros(200));
    [
        ring().capacity(2).wait(ASLEEP_AT_ONCE),
        ring().capacity(64).first_position((1 << 32) - 1000),
        ring().capacity(1024).wait(WaitStrategy::Spin),
    ]
}

#[test]
fn stream_continues_after_either_side_is_stopped_and_resumed() {
    for (round, options) in rounds().into_iter().enumerate() {
        let (name, words) = (Name::new("ring"), Name::in_memory("words"));
        let _ring = Ring::<u64>::create_with(&name, &options).unwrap();
        let shared = SharedWords::create(&words, 2);
        let [consumer, producer] = ["consumer", "producer"]
            .map(|part| start("role_streams", &[&name, &words, &part, &round]));
        let mut random = Random::new(round as u64);
        for _ in 0..100 {
            let before = shared[1].load(SeqCst);
            until("the consumer pops more", || shared[1].load(SeqCst) > before);
            random.spin(Duration::from_micros(500));
            let peer = if random.below(2) == 0 {
                &consumer
            } else {
                &producer
            };
            peer.stop();
            thread::sleep(Duration::from_millis(1));
            peer.resume();
        }
        shared[0].store(1, SeqCst);
        producer.finish();
        consumer.finish();
    }
}
