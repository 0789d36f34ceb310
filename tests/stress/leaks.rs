//! Crashes in a row: whoever comes after thousands of them finds the ring as after none. No seat is
//! lost, no slot, no descriptor, no mapping, no lock and no name.
//!
//! The whole is
//!
//! ```text
//! cargo test --release --test leaks -- --ignored --nocapture
//! ```

use crate::support;
use crate::support::backings::{Place, within};
use crate::support::kinds::{is_mpmc, kind};
use crate::support::leftovers::Remains;
use crate::support::own_process::alone;
use crate::support::{Dice, Name, fork_child};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::WaitStatus;
use nix::unistd::getpid;
use slipring::error::{GrowError, TryPopError, TryPushError};
use slipring::{Consumer, Mpmc, Observer, Options, Producer, Protocol, Ring, Spsc};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

/// Several words, so that a torn one is seen.
type Message = [u64; 4];

const CAPACITY: usize = 64;
/// Of each role, in rings that can have several.
const SEATS: u32 = 3;
/// A victim that is not killed by then kills itself, as most do in the middle of something.
const LONGEST: Duration = Duration::from_micros(700);
/// In a ring that grows, one operation in so many is that.
const SELDOM: u64 = 30;
/// How long coming to a ring may take, whatever has happened to it.
const AT_ONCE: Duration = Duration::from_secs(1);

/// As many of either as there are seats, or one.
type Ends<P> = (Vec<Producer<Message, P>>, Vec<Consumer<Message, P>>);

fn message(number: u64) -> Message {
    [number, !number, number, !number]
}

#[test]
fn crashes_in_a_row_leak_nothing() {
    alone("crashes_in_a_row_leak_nothing", || everywhere(120));
}

#[test]
#[ignore = "takes minutes"]
fn ten_thousand_crashes_in_a_row_leak_nothing() {
    everywhere(10_000);
}

fn everywhere(crashes: u64) {
    for place in [Place::SharedMemory, Place::File, Place::SystemV] {
        within(place, || {
            crash_in_a_row::<Spsc>(place, false, crashes);
            crash_in_a_row::<Mpmc>(place, false, crashes);
            if place != Place::SystemV {
                crash_in_a_row::<Spsc>(place, true, crashes / 4);
                crash_in_a_row::<Mpmc>(place, true, crashes / 4);
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

fn crash_in_a_row<P: Protocol>(place: Place, grows: bool, crashes: u64) {
    let start = Instant::now();
    let before = Remains::now();
    let name = Name::lasting("leaks", 1 + crashes as u32 / 2000);
    let ring = Ring::<Message, P>::create_with(&name, &options::<P>()).unwrap();
    let with_ring = Remains::now();
    let mut dice = Dice::new(crashes);
    for crash in 0..crashes {
        let is_left_to_itself = dice.below(2) == 0;
        let mut child = fork_child(|| live::<P>(&name, grows, crash, is_left_to_itself));
        if !is_left_to_itself {
            dice.spin(LONGEST);
            support::kill_process(child.pid());
        }
        let ended = child.reap();
        assert!(
            matches!(ended, WaitStatus::Signaled(_, Signal::SIGKILL, _)),
            "{place:?}: {ended:?}"
        );
        if crash % 50 == 49 {
            // Somebody who stays is there now and then, and looks on.
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
    // Of a ring that has grown the newest one is mapped besides, once somebody was there.
    let has_the_ring = || grows || Remains::now() == with_ring;
    assert!(has_the_ring(), "{place:?}: {:?}", Remains::now());
    is_as_new(&name, &ring, grows);
    assert_eq!(locks_of(&name, place), 0, "{place:?}");
    assert!(has_the_ring(), "{place:?}: {:?}", Remains::now());
    drop(ring);
    slipring::unlink(&name).unwrap();
    assert_eq!(Remains::now(), before, "{place:?}");
    println!(
        "{crashes} crashes in a row, {}, {place:?}, grows: {grows}: {:.1?}",
        kind::<P>(),
        start.elapsed()
    );
}

/// Takes ends of a ring.
fn attach<P: Protocol>(ring: &Ring<Message, P>, of_each: u32) -> Ends<P> {
    let producers = (0..of_each).map(|_| ring.producer().unwrap());
    let producers = producers.collect();
    let consumers = (0..of_each).map(|_| ring.consumer().unwrap());
    (producers, consumers.collect())
}

/// The life of a victim. It ends in the middle of something, or when it is killed.
fn live<P: Protocol>(name: &str, grows: bool, crash: u64, is_left_to_itself: bool) {
    let die = || kill(getpid(), Signal::SIGKILL).unwrap();
    let mut dice = Dice::new(crash << 1 | 1);
    let ring = Ring::<Message, P>::open(name).unwrap();
    let (mut producers, mut consumers) = attach(&ring, 1);
    let (producer, consumer) = (&mut producers[0], &mut consumers[0]);
    let mut number = crash << 20;
    let lives_for = if is_left_to_itself {
        dice.below(30)
    } else {
        u64::MAX
    };
    for _ in 0..lives_for {
        number += 1;
        let some: Vec<_> = (0..dice.below(8)).map(|_| message(number)).collect();
        if grows && dice.below(SELDOM) == 0 {
            grown_or_well(ring.grow(2 << dice.below(8)));
        }
        match dice.below(6) {
            0 | 1 => full_or_well(producer.try_push(&message(number))),
            2 => full_or_well(producer.try_push_slice(&some)),
            3 => full_or_well(producer.try_claim().map(|mut claim| {
                claim.write(&message(number));
                claim.commit();
            })),
            4 => empty_or_well(consumer.try_pop().map(whole)),
            _ => empty_or_well(consumer.try_read().map(|guard| whole(guard.get()))),
        }
    }
    match dice.below(3) {
        0 => full_or_well(producer.try_claim().map(|_claim| die())),
        1 => empty_or_well(consumer.try_read().map(|_guard| die())),
        _ => {}
    }
    die();
}

fn whole(seen: Message) {
    assert_eq!(seen, message(seen[0]), "torn");
}

fn full_or_well<T>(done: Result<T, TryPushError>) {
    assert!(
        matches!(done, Ok(_) | Err(TryPushError::Full)),
        "{:?}",
        done.err()
    );
}

fn empty_or_well<T>(done: Result<T, TryPopError>) {
    let is_well = matches!(
        done,
        Ok(_) | Err(TryPopError::Empty | TryPopError::Disconnected(_))
    );
    assert!(is_well, "{:?}", done.err());
}

fn grown_or_well(done: Result<(), GrowError>) {
    let is_well = matches!(done, Ok(()) | Err(GrowError::Undrained { .. }));
    assert!(is_well, "{done:?}");
}

/// Coming is quick, every seat can be had, every slot can be filled and emptied, and of rings before the newest one
/// nothing is left.
fn is_as_new<P: Protocol>(name: &Name, ring: &Ring<Message, P>, grows: bool) {
    let start = Instant::now();
    let again = Ring::<Message, P>::open(name).unwrap();
    drop(attach(&again, 1));
    let took = start.elapsed();
    assert!(took < AT_ONCE, "it took {took:?} to come");

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
    // Who has come to the end of one last says so.
    drop((producers, consumers));
    let snapshot = Observer::open(name).unwrap().snapshot().unwrap();
    assert_eq!((snapshot.segments.len(), snapshot.retired), (1, 0));
}

fn drain<P: Protocol>(consumer: &mut Consumer<Message, P>) {
    while let Ok(guard) = consumer.try_read() {
        whole(guard.get());
    }
}

/// Locks that anybody holds of the ring.
fn locks_of(name: &Name, place: Place) -> usize {
    if place == Place::SystemV {
        // Its seats are semaphores, and all of them were just had.
        return 0;
    }
    let inode = format!(":{} ", fs::metadata(name.path()).unwrap().ino());
    let locks = fs::read_to_string("/proc/locks").unwrap();
    locks.lines().filter(|line| line.contains(&inode)).count()
}
