//! Repeated crashes: after thousands of them the ring is as usable as after none. No seat, slot,
//! descriptor, mapping, lock or name is leaked.
//!
//! The full run:
//!
//! ```text
//! cargo test --release --test stress -- --ignored --nocapture leaks::
//! ```

use crate::support;
use crate::support::backings::{BackingKind, with_backing};
use crate::support::kinds::{is_mpmc, kind};
use crate::support::own_process::in_own_process;
use crate::support::resources::Resources;
use crate::support::{Name, Random, fork_child};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::WaitStatus;
use nix::unistd::getpid;
use slipring::error::{GrowError, TryPopError, TryPushError};
use slipring::{Consumer, Mpmc, Observer, Options, Producer, Protocol, Ring, Spsc};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

/// Several words, so that a torn message is detected.
type Message = [u64; 4];

const CAPACITY: usize = 64;
/// The number of seats of each role in an MPMC ring.
const SEATS: u32 = 3;
/// The longest life of a victim that the test kills.
const LONGEST_LIFE: Duration = Duration::from_micros(700);
/// In a ring that grows, one operation in this many is preceded by `grow`.
const OPERATIONS_PER_GROW: u64 = 30;
/// The time limit of opening and attaching, whatever the history of the ring.
const ATTACH_LIMIT: Duration = Duration::from_secs(1);

/// One handle of each role, or one for each seat.
type Handles<P> = (Vec<Producer<Message, P>>, Vec<Consumer<Message, P>>);

fn message(number: u64) -> Message {
    [number, !number, number, !number]
}

#[test]
fn repeated_crashes_leak_nothing() {
    in_own_process("repeated_crashes_leak_nothing", || on_all_backings(120));
}

#[test]
#[ignore = "takes minutes"]
fn ten_thousand_crashes_leak_nothing() {
    on_all_backings(10_000);
}

fn on_all_backings(crashes: u64) {
    for backing in [
        BackingKind::SharedMemory,
        BackingKind::File,
        BackingKind::SystemV,
    ] {
        with_backing(backing, || {
            crash_repeatedly::<Spsc>(backing, false, crashes);
            crash_repeatedly::<Mpmc>(backing, false, crashes);
            if backing != BackingKind::SystemV {
                crash_repeatedly::<Spsc>(backing, true, crashes / 4);
                crash_repeatedly::<Mpmc>(backing, true, crashes / 4);
            }
        });
    }
}

fn options<P: Protocol>() -> Options {
    let seats = if is_mpmc::<P>() { SEATS } else { 1 };
    let options = Options::new().capacity(CAPACITY);
    if is_mpmc::<P>() {
        options.producers(seats).consumers(seats)
    } else {
        options
    }
}

fn crash_repeatedly<P: Protocol>(backing: BackingKind, grows: bool, crashes: u64) {
    let start = Instant::now();
    let before = Resources::now();
    let name = Name::lasting("leaks", 1 + crashes as u32 / 2000);
    let ring = Ring::<Message, P>::create_with(&name, &options::<P>()).unwrap();
    let with_ring = Resources::now();
    let mut random = Random::new(crashes);
    for crash in 0..crashes {
        let kills_itself = random.below(2) == 0;
        let mut child = fork_child(|| run_victim::<P>(&name, grows, crash, kills_itself));
        if !kills_itself {
            random.spin(LONGEST_LIFE);
            support::kill_process(child.pid());
        }
        let ended = child.reap();
        assert!(
            matches!(ended, WaitStatus::Signaled(_, Signal::SIGKILL, _)),
            "{backing:?}: {ended:?}"
        );
        if crash % 50 == 49 {
            // At times the test attaches too, and checks the seats through an observer.
            let (_producers, mut consumers) = attach(&ring, 1);
            assert_eq!(
                Observer::open(&name).unwrap().snapshot().unwrap().alive(),
                2
            );
            if grows {
                drain(&mut consumers[0]);
            }
        }
    }
    // The newest segment of a ring that has grown is mapped as well, once the test has attached.
    let holds_only_the_ring = || grows || Resources::now() == with_ring;
    assert!(holds_only_the_ring(), "{backing:?}: {:?}", Resources::now());
    assert_as_new(&name, &ring, grows);
    assert_eq!(locks_of(&name, backing), 0, "{backing:?}");
    assert!(holds_only_the_ring(), "{backing:?}: {:?}", Resources::now());
    drop(ring);
    slipring::unlink(&name).unwrap();
    assert_eq!(Resources::now(), before, "{backing:?}");
    println!(
        "{crashes} crashes in a row, {}, {backing:?}, grows: {grows}: {:.1?}",
        kind::<P>(),
        start.elapsed()
    );
}

/// Claims `of_each` seats of each role.
fn attach<P: Protocol>(ring: &Ring<Message, P>, of_each: u32) -> Handles<P> {
    let producers = (0..of_each).map(|_| ring.producer().unwrap());
    let producers = producers.collect();
    let consumers = (0..of_each).map(|_| ring.consumer().unwrap());
    (producers, consumers.collect())
}

/// The life of a victim. It kills itself during an operation, or the test kills it.
fn run_victim<P: Protocol>(name: &str, grows: bool, crash: u64, kills_itself: bool) {
    let kill_self = || kill(getpid(), Signal::SIGKILL).unwrap();
    let mut random = Random::new(crash << 1 | 1);
    let ring = Ring::<Message, P>::open(name).unwrap();
    let (mut producers, mut consumers) = attach(&ring, 1);
    let (producer, consumer) = (&mut producers[0], &mut consumers[0]);
    let mut number = crash << 20;
    let operations = if kills_itself {
        random.below(30)
    } else {
        u64::MAX
    };
    for _ in 0..operations {
        number += 1;
        let batch: Vec<_> = (0..random.below(8)).map(|_| message(number)).collect();
        if grows && random.below(OPERATIONS_PER_GROW) == 0 {
            assert_grown_or_undrained(ring.grow(2 << random.below(8)));
        }
        match random.below(6) {
            0 | 1 => assert_done_or_full(producer.try_push(&message(number))),
            2 => assert_done_or_full(producer.try_push_slice(&batch)),
            3 => assert_done_or_full(producer.try_claim().map(|mut claim| {
                claim.write(&message(number));
                claim.commit();
            })),
            4 => assert_done_or_empty(consumer.try_pop().map(assert_not_torn)),
            _ => assert_done_or_empty(
                consumer
                    .try_read()
                    .map(|guard| assert_not_torn(guard.get())),
            ),
        }
    }
    match random.below(3) {
        0 => assert_done_or_full(producer.try_claim().map(|_claim| kill_self())),
        1 => assert_done_or_empty(consumer.try_read().map(|_guard| kill_self())),
        _ => {}
    }
    kill_self();
}

fn assert_not_torn(seen: Message) {
    assert_eq!(seen, message(seen[0]), "torn");
}

fn assert_done_or_full<T>(done: Result<T, TryPushError>) {
    assert!(
        matches!(done, Ok(_) | Err(TryPushError::Full)),
        "{:?}",
        done.err()
    );
}

fn assert_done_or_empty<T>(done: Result<T, TryPopError>) {
    let is_expected = matches!(
        done,
        Ok(_) | Err(TryPopError::Empty | TryPopError::Disconnected(_))
    );
    assert!(is_expected, "{:?}", done.err());
}

fn assert_grown_or_undrained(done: Result<(), GrowError>) {
    let is_expected = matches!(done, Ok(()) | Err(GrowError::Undrained { .. }));
    assert!(is_expected, "{done:?}");
}

/// Checks that attaching is quick, that every seat can be claimed, that every slot can be filled
/// and emptied, and that only the newest segment remains.
fn assert_as_new<P: Protocol>(name: &Name, ring: &Ring<Message, P>, grows: bool) {
    let start = Instant::now();
    let reopened = Ring::<Message, P>::open(name).unwrap();
    drop(attach(&reopened, 1));
    let took = start.elapsed();
    assert!(took < ATTACH_LIMIT, "attaching took {took:?}");

    let of_each = if is_mpmc::<P>() { SEATS } else { 1 };
    let (mut producers, mut consumers) = attach(ring, of_each);
    let recovery = slipring::recover(name).unwrap();
    assert_eq!((recovery.undecided, recovery.waiting), (0, 0));
    consumers.iter_mut().for_each(drain);
    assert!(ring.is_empty());
    if grows {
        ring.grow(CAPACITY).unwrap();
    }
    for producer in &mut producers {
        for lap in 0..3 {
            let numbers = (0..CAPACITY as u64).map(|number| number + lap);
            for number in numbers.clone() {
                let pushed = producer.try_push(&message(number));
                assert_eq!(
                    pushed,
                    Ok(()),
                    "{number}: {:#?}",
                    Observer::open(name).unwrap().snapshot()
                );
            }
            let refused = producer.try_push(&message(0));
            assert_eq!(refused, Err(TryPushError::Full));
            let consumer = &mut consumers[lap as usize % of_each as usize];
            for number in numbers {
                assert_eq!(consumer.try_pop(), Ok(message(number)));
            }
        }
    }
    // A segment is reclaimed once the last handle has left it, here by a detach.
    drop((producers, consumers));
    let snapshot = Observer::open(name).unwrap().snapshot().unwrap();
    assert_eq!((snapshot.segments.len(), snapshot.retired), (1, 0));
}

fn drain<P: Protocol>(consumer: &mut Consumer<Message, P>) {
    while let Ok(guard) = consumer.try_read() {
        assert_not_torn(guard.get());
    }
}

/// The number of locks on the ring's object, of all processes.
fn locks_of(name: &Name, backing: BackingKind) -> usize {
    if backing == BackingKind::SystemV {
        // Seat locks are semaphores here, and the caller has just claimed and released all of them.
        return 0;
    }
    let inode = format!(":{} ", fs::metadata(name.path()).unwrap().ino());
    let locks = fs::read_to_string("/proc/locks").unwrap();
    locks.lines().filter(|line| line.contains(&inode)).count()
}
