//! Processes killed at random moments, thousands of times: a transferred message stays transferred,
//! and the successor continues from there.
//!
//! A peer forks the victims, so that a kill costs a millisecond and not the start of a program.
//! Each victim records its operations in words outside of the ring. The effects of completed
//! operations are checked exactly. The one operation that a kill may have interrupted is known.
//!
//! Thousands of kills while the ring grows and shrinks:
//!
//! ```text
//! cargo test --release --test stress -- --ignored --nocapture crash::growing_ring
//! ```

mod growing;

use self::growing::Report;
use crate::support;
use crate::support::backings::{BackingKind, with_backing};
use crate::support::{
    ASLEEP_AT_ONCE, Name, Random, SharedWords, TIME_LIMIT, fork_child,
    mapping_and_descriptor_counts, skip, start, until,
};
use slipring::error::{AttachError, PopTimeoutError, PushTimeoutError};
use slipring::spsc::{Consumer, Producer, Ring};
use slipring::{Fences, Options, WaitStrategy};
use std::env;
use std::ops::Range;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

/// Several words, so that a torn message is detected.
type Message = [u64; 6];

fn message(owner: u64, number: u64) -> Message {
    [owner, number, !owner, !number, number, owner]
}

fn read(seen: Message) -> (u64, u64) {
    let (owner, number) = (seen[0], seen[1]);
    assert_eq!(seen, message(owner, number), "torn");
    (owner, number)
}

const KILLS: u64 = 300;
/// The longest time from fork to kill, of victims that are killed while they attach.
const ATTACH_TIME: Duration = Duration::from_micros(900);
/// The longest time from a random message to the kill: a few operations, or the start of a sleep.
const KILL_DELAY: Duration = Duration::from_micros(20);
/// The longest delay of the survivor between operations. It makes the ring full at times, and empty
/// at others.
const PACE: Duration = Duration::from_micros(3);

/// The options of the rings. Each ring sees [`KILLS`] kills.
fn rounds() -> [Options; 4] {
    let ring = Options::new;
    [
        ring().capacity(2).wait(ASLEEP_AT_ONCE),
        ring()
            .capacity(4)
            .first_position((1 << 32) - 5000)
            .wait(ASLEEP_AT_ONCE)
            .fences(Fences::Symmetric),
        ring().capacity(64).first_position(u64::MAX - 5000),
        ring().capacity(1024).wait(WaitStrategy::Spin),
    ]
}

/// The notes of one victim: three words. One word for the whole storm precedes all notes.
struct Notes<'b> {
    shared: &'b SharedWords,
    at: usize,
}

fn notes(shared: &SharedWords, generation: u64) -> Notes<'_> {
    Notes {
        shared,
        at: 1 + 3 * generation as usize,
    }
}

impl Notes<'_> {
    const WORDS: usize = 1 + 3 * (KILLS as usize + 1);

    /// Counts an operation that begins. Both counts start at 0.
    fn begin(&self) {
        self.shared[self.at].fetch_add(1, SeqCst);
    }

    fn done(&self) {
        self.shared[self.at + 1].fetch_add(1, SeqCst);
    }

    fn begun_and_done(&self) -> (u64, u64) {
        (
            self.shared[self.at].load(SeqCst),
            self.shared[self.at + 1].load(SeqCst),
        )
    }

    /// The number of the first message seen, plus 1.
    fn first(&self) -> &std::sync::atomic::AtomicU64 {
        &self.shared[self.at + 2]
    }
}

/// Claims a seat as soon as the kernel has released the lock of its dead holder.
fn claim_seat<H>(claim: impl Fn() -> Result<H, AttachError>) -> H {
    let mut handle = None;
    until("the dead holder's seat is free", || match claim() {
        Ok(claimed) => {
            handle = Some(claimed);
            true
        }
        Err(AttachError::Taken { .. } | AttachError::Recovering(_)) => false,
        Err(error) => panic!("{error}"),
    });
    handle.unwrap()
}

/// Forks and kills [`KILLS`] victims in turn. The last one runs to its end.
fn storm(seed: u64, shared: &SharedWords, victim: impl Fn(u64)) {
    let mut random = Random::new(seed);
    for generation in 0..KILLS {
        let mut child = fork_child(|| victim(generation));
        if random.below(4) == 0 {
            random.spin(ATTACH_TIME);
        } else {
            let enough = 1 + random.below(30);
            until("the victim has begun enough operations", || {
                notes(shared, generation).begun_and_done().0 >= enough
            });
            random.spin(KILL_DELAY);
        }
        child.kill_and_reap();
    }
    fork_child(|| victim(KILLS)).finish();
}

#[test]
#[ignore = "the other process of a test"]
fn role_kills_producers() {
    let Some(role) = support::role("role_kills_producers") else {
        return;
    };
    let (name, shared) = (role.text(0), SharedWords::open(role.text(1)));
    let options = rounds()[role.number(2) as usize].clone();
    storm(role.number(2), &shared, |generation| {
        let ring = Ring::<Message>::open_with(name, &options).unwrap();
        let mut producer = claim_seat(|| ring.producer());
        let notes = notes(&shared, generation);
        let mut number = 0;
        while generation < KILLS || number < 100 {
            notes.begin();
            push_message(&mut producer, &message(generation, number));
            notes.done();
            number += 1;
        }
    });
}

/// Pushes one message, by a method that depends on its number.
fn push_message(producer: &mut Producer<Message>, message: &Message) {
    match message[1] % 3 {
        0 => producer.push(message).unwrap(),
        1 => producer.push_slice(&[*message]).unwrap(),
        _ => {
            let mut claim = producer.claim().unwrap();
            claim.write(message);
            claim.commit();
        }
    }
}

#[test]
fn messages_of_killed_producers_are_popped_exactly_once() {
    let mut cut_short = 0;
    for (round, options) in rounds().into_iter().enumerate() {
        let (name, words) = (Name::new("ring"), Name::in_memory("words"));
        let ring = Ring::<Message>::create_with(&name, &options).unwrap();
        let shared = SharedWords::create(&words, Notes::WORDS);
        let mut consumer = ring.consumer().unwrap();
        let before = mapping_and_descriptor_counts(&name);
        assert_eq!(
            before,
            (2, 1),
            "mappings of the ring and of the seat, one descriptor"
        );
        let killer = start("role_kills_producers", &[&name, &words, &round]);

        let mut received = [0_u64; KILLS as usize + 1];
        let mut latest = 0;
        let mut random = Random::new(round as u64);
        loop {
            match consumer.pop_timeout(TIME_LIMIT) {
                Ok(message) => {
                    let (generation, number) = read(message);
                    assert!(generation >= latest, "{generation} after {latest}");
                    latest = generation;
                    let count = &mut received[generation as usize];
                    assert_eq!(number, *count, "of generation {generation}");
                    *count += 1;
                }
                Err(PopTimeoutError::Disconnected(_)) if received[KILLS as usize] == 100 => break,
                Err(PopTimeoutError::Disconnected(_)) => std::thread::yield_now(),
                Err(error) => panic!("{error}"),
            }
            random.spin(PACE);
        }
        killer.finish();

        for (generation, &received) in received.iter().enumerate() {
            let (begun, done) = notes(&shared, generation as u64).begun_and_done();
            assert!(
                (done..=begun).contains(&received),
                "{generation} pushed {done}, began {begun}, {received} arrived"
            );
            cut_short += u64::from(begun != done);
        }
        assert_eq!(
            mapping_and_descriptor_counts(&name),
            before,
            "mappings and descriptors"
        );
    }
    assert!(cut_short > KILLS, "only {cut_short} kills hit a push");
}

#[test]
#[ignore = "the other process of a test"]
fn role_kills_consumers() {
    let Some(role) = support::role("role_kills_consumers") else {
        return;
    };
    let (name, shared) = (role.text(0), SharedWords::open(role.text(1)));
    let options = rounds()[role.number(2) as usize].clone();
    storm(role.number(2), &shared, |generation| {
        let ring = Ring::<Message>::open_with(name, &options).unwrap();
        let mut consumer = claim_seat(|| ring.consumer());
        let notes = notes(&shared, generation);
        if generation == KILLS {
            shared[0].store(1, SeqCst);
        }
        let mut expected = None;
        while let Some(number) = receive_and_note(&mut consumer, &notes, role.text(3)) {
            assert_eq!(number, *expected.get_or_insert(number), "lost or twice");
            expected = Some(number + 1);
        }
    });
}

/// Receives one message and notes it: in a guard before the slot is released, else after.
fn receive_and_note(
    consumer: &mut Consumer<Message>,
    notes: &Notes<'_>,
    method: &str,
) -> Option<u64> {
    let note = |seen: Message| {
        let (_, number) = read(seen);
        let _ = notes
            .first()
            .compare_exchange(0, number + 1, SeqCst, SeqCst);
        number
    };
    let number = if method == "guard" {
        let guard = consumer.read().ok()?;
        let number = note(guard.get());
        notes.begin();
        drop(guard);
        number
    } else {
        let number = note(consumer.pop().ok()?);
        notes.begin();
        number
    };
    notes.done();
    Some(number)
}

/// Pushes numbered messages to consumers that are killed. Calls `check` for each consumer that
/// noted a message, with three numbers: the message that is next by the notes, the first message
/// that the consumer noted, and the number of consumers since the last note that died without one.
fn push_to_killed_consumers(method: &str, check: impl Fn(u64, u64, u64)) {
    for (round, options) in rounds().into_iter().enumerate() {
        let (name, words) = (Name::new("ring"), Name::in_memory("words"));
        let ring = Ring::<Message>::create_with(&name, &options).unwrap();
        let shared = SharedWords::create(&words, Notes::WORDS);
        let mut producer = ring.producer().unwrap();
        let before = mapping_and_descriptor_counts(&name);
        assert_eq!(
            before,
            (2, 1),
            "mappings of the ring and of the seat, one descriptor"
        );
        let killer = start("role_kills_consumers", &[&name, &words, &round, &method]);

        let mut pushed = 0;
        let mut random = Random::new(round as u64);
        while shared[0].load(SeqCst) == 0 {
            match producer.push_timeout(&message(7, pushed), TIME_LIMIT) {
                Ok(()) => pushed += 1,
                Err(PushTimeoutError::Disconnected(_)) => std::thread::yield_now(),
                Err(error) => panic!("{error}"),
            }
            random.spin(PACE);
        }
        assert_eq!(
            mapping_and_descriptor_counts(&name),
            before,
            "mappings and descriptors"
        );
        drop(producer);
        killer.finish();

        let mut next = 0;
        let mut with_note = 0;
        let mut without_note = 0;
        for generation in 0..=KILLS {
            let notes = notes(&shared, generation);
            let (noted, _) = notes.begun_and_done();
            if let Some(first) = notes.first().load(SeqCst).checked_sub(1) {
                check(next, first, without_note);
                // Noting the first and counting it are two steps.
                next = first + noted;
                with_note += 1;
                without_note = 0;
            } else {
                without_note += 1;
            }
        }
        assert_eq!(next, pushed, "the last consumer drained the ring");
        assert!(
            with_note > KILLS / 2,
            "only {with_note} consumers noted a message"
        );
    }
}

#[test]
fn killed_consumers_pop_each_message_exactly_once() {
    push_to_killed_consumers("pop", |next, first, without_note| {
        // Of each victim, one pop may have been complete and not yet noted.
        assert!(
            (next..=next + 1 + without_note).contains(&first),
            "{first} follows {next}"
        );
    });
}

#[test]
fn killed_consumers_repeat_guarded_message_and_lose_none() {
    push_to_killed_consumers("guard", |next, first, _| {
        // Consumers note a message before they release its slot. So no message is skipped, and at
        // most the one in the guard is received again.
        assert!(first == next || first + 1 == next, "{first} follows {next}");
    });
}

#[test]
#[ignore = "the other process of a test"]
fn role_kills_creators() {
    let Some(role) = support::role("role_kills_creators") else {
        return;
    };
    let name = role.text(0);
    let mut found = 0;
    let mut random = Random::new(5);
    for _ in 0..KILLS {
        let mut child = fork_child(|| {
            let options = Options::new().capacity(64);
            for number in 0.. {
                let ring = Ring::<u64>::create_with(name, &options).unwrap();
                ring.producer().unwrap().push(&number).unwrap();
                drop(ring);
                slipring::unlink(name).unwrap();
            }
        });
        random.spin(ATTACH_TIME);
        child.kill_and_reap();
        match Ring::<u64>::open(name) {
            // The creator died between create and unlink, so the ring must be complete.
            Ok(ring) => {
                found += 1;
                let mut producer = ring.producer().unwrap();
                let mut consumer = ring.consumer().unwrap();
                let remaining = ring.len();
                producer.push(&u64::MAX).unwrap();
                for _ in 0..remaining {
                    assert_ne!(consumer.pop().unwrap(), u64::MAX);
                }
                assert_eq!(consumer.pop(), Ok(u64::MAX));
                slipring::unlink(name).unwrap();
            }
            Err(slipring::error::OpenError::NotFound { .. }) => {}
            Err(error) => panic!("incomplete ring: {error}"),
        }
        let temporary = std::fs::read_dir("/dev/shm").unwrap().flatten();
        let temporary = temporary.filter(|entry| {
            let file_name = entry.file_name();
            file_name
                .to_str()
                .is_some_and(|file_name| file_name.starts_with(&name[1..]))
        });
        assert_eq!(temporary.count(), 0, "temporary files are left behind");
    }
    assert!(found > 0 && found < KILLS, "{found} of {KILLS} existed");
}

#[test]
fn killed_creator_leaves_complete_ring_or_nothing() {
    let name = Name::new("new");
    start("role_kills_creators", &[&name]).finish();
}

/// Kills `kills` participants of a ring of each selected round, while the ring grows and shrinks.
fn grow_under_kills(backing: BackingKind, selected: Range<usize>, seed: u64, kills: u64) -> Report {
    let mut total = Report::default();
    for round in selected {
        let options = &rounds()[round];
        with_backing(backing, || {
            let report = growing::storm(options, seed << 8 | round as u64, kills);
            println!("{backing:?}, round {round}: {report}");
            total.add(&report);
        });
    }
    total
}

fn assert_enough_kills(report: &Report) {
    assert!(report.kills.iter().all(|&kills| kills > 0), "{report}");
    assert!(report.growths > 0, "{report}");
}

#[test]
fn growing_ring_under_kills_loses_nothing() {
    assert_enough_kills(&grow_under_kills(BackingKind::SharedMemory, 0..4, 1, 40));
}

#[test]
fn growing_file_under_kills_loses_nothing() {
    assert_enough_kills(&grow_under_kills(BackingKind::File, 1..2, 2, 40));
}

#[test]
#[ignore = "takes minutes"]
fn growing_ring_under_thousands_of_kills_loses_nothing() {
    let mut total = Report::default();
    for seed in 3.. {
        for backing in [BackingKind::SharedMemory, BackingKind::File] {
            total.add(&grow_under_kills(backing, 0..4, seed, 200));
        }
        if total.all_kills() >= 10_000 {
            break;
        }
    }
    println!("{total}");
    assert_enough_kills(&total);
    assert!(total.repeated > 0);
}

/// Repeats the same for the requested time. `cargo run -p xtask -- soak` runs it.
#[test]
#[ignore = "takes as long as requested"]
fn soak() {
    let Ok(minutes) = env::var("SLIPRING_SOAK_MINUTES") else {
        return skip("SLIPRING_SOAK_MINUTES is not set");
    };
    let time = Duration::from_secs_f64(60.0 * minutes.parse::<f64>().unwrap());
    let start = Instant::now();
    let mut total = Report::default();
    let mut seed = 100;
    while start.elapsed() < time {
        for backing in [BackingKind::SharedMemory, BackingKind::File] {
            total.add(&grow_under_kills(backing, 0..4, seed, 50));
        }
        seed += 1;
    }
    println!("{:.0?}: {total}", start.elapsed());
    assert_enough_kills(&total);
}
