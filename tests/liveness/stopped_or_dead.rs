//! Participants of an MPMC ring wait for a stopped process, and not for a dead one.

use crate::support::holders::Holders;
use crate::support::{
    ASLEEP_AT_ONCE, Forked, HeaderPage, Name, Random, SharedWords, TIME_LIMIT, fork_child,
    is_asleep, set_lock, state_of, until,
};
use nix::libc::F_WRLCK;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use slipring::error::{
    AttachError, Disconnected, PopTimeoutError, PushTimeoutError, RecoverError, TryPopError,
    TryPushError,
};
use slipring::mpmc::{Consumer, Producer, Ring};
use slipring::{Counters, Options};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

const INTERVAL: Duration = Duration::from_millis(5);
/// Many liveness intervals.
const PAUSE: Duration = Duration::from_millis(1200);

fn ring<const N: usize>(label: &str, capacity: usize) -> (Name, Ring<[u64; N]>) {
    let name = Name::new(label);
    let options = Options::new()
        .capacity(capacity)
        .liveness_interval(INTERVAL);
    let ring = Ring::create_with(&name, &options).unwrap();
    (name, ring)
}

/// Stops a child, and returns when it has stopped.
fn stop(child: &Forked) {
    signal(child.pid(), Signal::SIGSTOP);
    until("the child has stopped", || {
        state_of(child.pid(), child.pid()) == Some('T')
    });
}

fn resume(child: &Forked) {
    signal(child.pid(), Signal::SIGCONT);
}

fn signal(pid: u32, signal: Signal) {
    kill(Pid::from_raw(pid as i32), signal).unwrap();
}

fn stays_empty<const N: usize>(consumer: &mut Consumer<[u64; N]>, time: Duration) {
    let end = Instant::now() + time;
    while Instant::now() < end {
        assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
        let timed_out = Err(PopTimeoutError::TimedOut);
        assert_eq!(consumer.pop_timeout(INTERVAL * 10), timed_out);
        assert!(consumer.try_read().is_err());
    }
}

fn stays_full(producer: &mut Producer<[u64; 1]>, time: Duration) {
    let end = Instant::now() + time;
    while Instant::now() < end {
        assert_eq!(producer.try_push(&[99]), Err(TryPushError::Full));
        let timed_out = Err(PushTimeoutError::TimedOut);
        assert_eq!(producer.push_timeout(&[99], INTERVAL * 10), timed_out);
    }
}

#[test]
fn consumer_waits_for_claim_of_stopped_producer() {
    let (name, ring) = ring::<1>("paused-claim", 4);
    let mut holders = Holders::new();
    let child = holders.claimant(&name, 0);
    stop(&child);

    let mut consumer = ring.consumer().unwrap();
    {
        let mut producer = ring.producer().unwrap();
        for number in 1..4 {
            producer.push(&[number]).unwrap();
        }
        stays_full(&mut producer, PAUSE / 3);
        stays_empty(&mut consumer, PAUSE / 3);
    }
    // The stopped process is the only producer, and is not taken for a dead one.
    stays_empty(&mut consumer, PAUSE / 3);
    assert_eq!(ring.recover().unwrap().undecided, 0);

    resume(&child);
    holders.let_go();
    for number in 0..4 {
        assert_eq!(consumer.pop_timeout(TIME_LIMIT), Ok([number]));
    }
    child.finish();
    assert_eq!(
        consumer.pop_timeout(TIME_LIMIT),
        Err(PopTimeoutError::Disconnected(Disconnected::Left))
    );
    assert_eq!(ring.counters(), Counters::default());
}

/// The words of a message that takes some time to copy.
const LARGE: usize = 4096;
const CAPACITY: usize = 4;

fn large(number: u64) -> [u64; LARGE] {
    [number; LARGE]
}

fn number_of(message: [u64; LARGE]) -> u64 {
    assert_eq!(message, large(message[0]), "torn");
    message[0]
}

/// Whether the position at the head is claimed and not published.
fn is_claimed(name: &str) -> bool {
    let file = File::open(format!("/dev/shm{name}")).unwrap();
    let long = |at: u64| {
        let mut bytes = [0; 8];
        file.read_exact_at(&mut bytes, at).unwrap();
        u64::from_le_bytes(bytes)
    };
    let (slots, stride) = (long(0x38), long(0x20) & u64::from(u32::MAX));
    let (tail, head) = (long(0x80), long(0x100));
    let stamp = long(slots + head % CAPACITY as u64 * stride) as u32;
    tail > head && stamp == head as u32
}

/// Stops a child at random moments until it is stopped in the middle of a push.
fn stop_in_push(name: &str, child: &Forked, random: &mut Random) {
    until("the child is stopped in a push", || {
        random.spin(Duration::from_micros(50));
        stop(child);
        let is_in_push = is_claimed(name);
        if !is_in_push {
            resume(child);
        }
        is_in_push
    });
}

#[test]
fn consumer_waits_for_producer_stopped_in_push() {
    let (words, name) = (Name::in_memory("words"), Name::new("paused-push"));
    let options = Options::new()
        .capacity(CAPACITY)
        .liveness_interval(INTERVAL);
    let ring = Ring::<[u64; LARGE]>::create_with(&name, &options).unwrap();
    let shared = SharedWords::create(&words, 1);
    let mut consumer = ring.consumer().unwrap();
    let child = fork_child(|| {
        let ring = Ring::<[u64; LARGE]>::open(&name).unwrap();
        let mut producer = ring.producer().unwrap();
        let mut number = 0;
        while shared[0].load(SeqCst) == 0 {
            producer.push(&large(number)).unwrap();
            number += 1;
        }
    });
    let mut other = ring.producer().unwrap();
    let mut random = Random::new(1);
    let mut next = 0;
    for _ in 0..3 {
        assert_eq!(number_of(consumer.pop().unwrap()), next);
        next += 1;
        let is_stopped = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                // Every message that the child pushed before is published when it has stopped.
                let mut is_last = false;
                while !is_last {
                    is_last = is_stopped.load(SeqCst);
                    while let Ok(message) = consumer.pop_timeout(INTERVAL) {
                        assert_eq!(number_of(message), next);
                        next += 1;
                    }
                }
            });
            stop_in_push(&name, &child, &mut random);
            is_stopped.store(true, SeqCst);
        });
        stays_empty(&mut consumer, PAUSE / 4);

        // The unfinished message is next, and three more slots are free after it.
        for _ in 0..3 {
            other.push(&large(u64::MAX)).unwrap();
        }
        assert_eq!(other.try_push(&large(0)), Err(TryPushError::Full));
        stays_empty(&mut consumer, PAUSE / 4);
        resume(&child);
        assert_eq!(number_of(consumer.pop_timeout(TIME_LIMIT).unwrap()), next);
        next += 1;
        for _ in 0..3 {
            assert_eq!(consumer.pop_timeout(TIME_LIMIT), Ok(large(u64::MAX)));
        }
    }
    shared[0].store(1, SeqCst);
    drop(other);
    while let Ok(message) = consumer.pop() {
        assert_eq!(number_of(message), next);
        next += 1;
    }
    child.finish();
    assert_eq!(ring.counters(), Counters::default());
}

#[test]
fn stopped_consumer_keeps_message_and_delays_disconnect() {
    let (name, ring) = ring::<1>("paused-guard", 2);
    let mut holders = Holders::new();
    let mut producer = ring.producer().unwrap();
    producer.push(&[0]).unwrap();
    let child = holders.guardian(&name, 0);
    stop(&child);

    let mut consumer = ring.consumer().unwrap();
    stays_empty(&mut consumer, PAUSE / 4);
    producer.push(&[1]).unwrap();
    assert_eq!(consumer.try_pop(), Ok([1]));
    // The next slot is the one that the stopped consumer holds. The slot after it is free.
    stays_full(&mut producer, PAUSE / 4);
    drop(producer);
    // If the stopped consumer died, its message would be redelivered.
    stays_empty(&mut consumer, PAUSE / 2);
    assert_eq!(ring.recover().unwrap().waiting, 0);

    resume(&child);
    holders.let_go();
    let left = PopTimeoutError::Disconnected(Disconnected::Left);
    assert_eq!(consumer.pop_timeout(TIME_LIMIT), Err(left));
    child.finish();
    assert_eq!(ring.counters(), Counters::default());

    // The message of a stopped consumer that dies is redelivered.
    let mut producer = ring.producer().unwrap();
    producer.push(&[2]).unwrap();
    let mut child = Holders::new().guardian(&name, 2);
    stop(&child);
    drop(producer);
    stays_empty(&mut consumer, PAUSE / 4);
    child.kill_and_reap();
    let guard = consumer.read_timeout(TIME_LIMIT).unwrap();
    assert_eq!((guard.get(), guard.is_redelivered()), ([2], true));
}

/// Takes the recovery lock, as a process holds it that is stopped during a recovery.
fn recovery_lock(name: &Name) -> File {
    const RECOVERY: i64 = 0x3ff;
    let file = name.file();
    until("no other process recovers", || {
        set_lock(&file, F_WRLCK, RECOVERY, 1).is_ok()
    });
    file
}

#[test]
fn stopped_recovery_prevents_attach_but_not_push_and_pop() {
    let (name, ring) = ring::<1>("paused-recovery", 4);
    let mut holders = Holders::new();
    let mut producer = ring.producer().unwrap();
    let mut consumer = ring.consumer().unwrap();
    producer.push(&[0]).unwrap();
    let mut child = holders.guardian(&name, 0);
    let lock = recovery_lock(&name);
    child.kill_and_reap();

    let start = Instant::now();
    thread::scope(|scope| {
        scope.spawn(|| assert!(matches!(ring.producer(), Err(AttachError::Recovering(_)))));
        scope.spawn(|| assert!(matches!(ring.consumer(), Err(AttachError::Recovering(_)))));
        scope.spawn(|| assert!(matches!(ring.recover(), Err(RecoverError::Recovering(_)))));
    });
    let took = start.elapsed();
    assert!(took >= INTERVAL && took < TIME_LIMIT / 4, "{took:?}");

    // Live participants continue, up to the slot that the dead consumer holds.
    for number in 1..4 {
        producer.push(&[number]).unwrap();
        assert_eq!(consumer.pop_timeout(TIME_LIMIT), Ok([number]));
    }
    stays_full(&mut producer, PAUSE / 4);
    stays_empty(&mut consumer, PAUSE / 4);

    drop(lock);
    let guard = consumer.read_timeout(TIME_LIMIT).unwrap();
    assert_eq!((guard.get(), guard.is_redelivered()), ([0], true));
    drop(guard);
    producer.push(&[4]).unwrap();
    let mut newcomer = ring.consumer().unwrap();
    assert_eq!(newcomer.pop(), Ok([4]));
    assert_eq!(ring.counters().redelivered, 1);
}

#[test]
fn kill_while_blocked_loses_nothing_and_costs_one_wake() {
    const ROUNDS: u64 = 10;
    let (name, ring) = ring::<1>("paused-asleep", 2);
    let page = HeaderPage::of(&name);
    let options = Options::new().wait(ASLEEP_AT_ONCE);
    let open = || Ring::<[u64; 1]>::open_with(&name, &options).unwrap();
    let kill_when_asleep = |mut child: Forked| {
        until("the child sleeps", || is_asleep(child.pid(), child.pid()));
        child.kill_and_reap();
    };
    let mut producer = ring.producer().unwrap();
    let mut consumer = ring.consumer().unwrap();
    for round in 0..ROUNDS {
        kill_when_asleep(fork_child(|| {
            open().consumer().unwrap().pop().unwrap();
        }));
        let asleep = page.not_empty().load(SeqCst);
        assert_ne!(asleep & 1, 0, "the bit of the dead process is set");
        for number in 0..100 {
            producer.push(&[number]).unwrap();
            assert_eq!(consumer.try_pop(), Ok([number]), "round {round}");
        }
        // The needless wake begins one epoch, and the clearing of the bit begins another.
        let epochs = (page.not_empty().load(SeqCst) >> 1) - (asleep >> 1);
        assert_eq!(epochs, 2, "one needless wake");

        producer.push(&[0]).unwrap();
        producer.push(&[1]).unwrap();
        kill_when_asleep(fork_child(|| {
            open().producer().unwrap().push(&[99]).unwrap();
        }));
        let asleep = page.not_full().load(SeqCst);
        assert_ne!(asleep & 1, 0, "the bit of the dead process is set");
        for number in 0..100 {
            assert_eq!(consumer.try_pop(), Ok([number]), "round {round}");
            producer.push(&[number + 2]).unwrap();
        }
        let epochs = (page.not_full().load(SeqCst) >> 1) - (asleep >> 1);
        assert_eq!(epochs, 2, "one needless wake");
        assert_eq!(consumer.try_pop(), Ok([100]));
        assert_eq!(consumer.try_pop(), Ok([101]));
        assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
    }
    assert_eq!(ring.counters(), Counters::default());
}
