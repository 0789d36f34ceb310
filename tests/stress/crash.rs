//! Processes killed at random moments, thousands of times: what was handed over stays handed
//! over, and whoever comes next goes on from there.
//!
//! A peer forks the victims, so that a kill costs a millisecond and not the start of a
//! program. They note in a board outside of the ring what they did; what a completed
//! operation did is exact, and the one operation that a kill may have cut short is known.
//!
//! Thousands of kills while the ring grows and shrinks:
//!
//! ```text
//! cargo test --release --test crash -- --ignored --nocapture a_ring_that_grows
//! ```

mod growing;

use self::growing::Report;
use crate::support;
use crate::support::backings::{Place, within};
use crate::support::{Board, Dice, Name, PATIENCE, fork_child, skip, start, traces_of, until};
use slipring::error::{AttachError, PopTimeoutError, PushTimeoutError};
use slipring::spsc::{Consumer, Producer, Ring};
use slipring::{Fences, Options, WaitStrategy};
use std::env;
use std::ops::Range;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

/// Several words, so that a torn one is seen.
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
/// Between the fork and the kill of a victim that may not have attached by then.
const CHILDHOOD: Duration = Duration::from_micros(900);
/// Between some message and the kill: a few operations, or falling asleep.
const REST: Duration = Duration::from_micros(20);
/// The survivor's dawdling, by which a ring is now full and now empty.
const PACE: Duration = Duration::from_micros(3);

const ASLEEP_AT_ONCE: WaitStrategy = WaitStrategy::Sleep {
    spins: 0,
    yields: 0,
};

/// Rings of all kinds, each to be survived [`KILLS`] times.
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

/// What one victim noted, three words each, after one word for the whole storm.
struct Notes<'b> {
    board: &'b Board,
    at: usize,
}

fn notes(board: &Board, generation: u64) -> Notes<'_> {
    Notes {
        board,
        at: 1 + 3 * generation as usize,
    }
}

impl Notes<'_> {
    const WORDS: usize = 1 + 3 * (KILLS as usize + 1);

    /// Counts what was begun and what was done; both start at 0.
    fn begin(&self) {
        self.board[self.at].fetch_add(1, SeqCst);
    }

    fn done(&self) {
        self.board[self.at + 1].fetch_add(1, SeqCst);
    }

    fn begun_and_done(&self) -> (u64, u64) {
        (
            self.board[self.at].load(SeqCst),
            self.board[self.at + 1].load(SeqCst),
        )
    }

    /// The number of the first message seen, plus 1.
    fn first(&self) -> &std::sync::atomic::AtomicU64 {
        &self.board[self.at + 2]
    }
}

/// Takes an end as soon as the kernel is done with whoever died on it.
fn attach<H>(take: impl Fn() -> Result<H, AttachError>) -> H {
    let mut handle = None;
    until("the dead holder's seat is free", || match take() {
        Ok(taken) => {
            handle = Some(taken);
            true
        }
        Err(AttachError::Taken { .. } | AttachError::Recovering(_)) => false,
        Err(error) => panic!("{error}"),
    });
    handle.unwrap()
}

/// Forks and kills, and lets the last one live.
fn storm(seed: u64, board: &Board, victim: impl Fn(u64)) {
    let mut dice = Dice::new(seed);
    for generation in 0..KILLS {
        let mut child = fork_child(|| victim(generation));
        if dice.below(4) == 0 {
            dice.spin(CHILDHOOD);
        } else {
            let enough = 1 + dice.below(30);
            until("the victim is at work", || {
                notes(board, generation).begun_and_done().0 >= enough
            });
            dice.spin(REST);
        }
        child.kill_and_reap();
    }
    fork_child(|| victim(KILLS)).finish();
}

#[test]
#[ignore = "the other process of a test"]
fn role_dying_producers() {
    let Some(role) = support::role("role_dying_producers") else {
        return;
    };
    let (name, board) = (role.text(0), Board::open(role.text(1)));
    let wait = rounds()[role.number(2) as usize].clone();
    storm(role.number(2), &board, |generation| {
        let ring = Ring::<Message>::open_with(name, &wait).unwrap();
        let mut producer = attach(|| ring.producer());
        let notes = notes(&board, generation);
        let mut number = 0;
        while generation < KILLS || number < 100 {
            notes.begin();
            send(&mut producer, &message(generation, number));
            notes.done();
            number += 1;
        }
    });
}

/// One of the ways to push one message.
fn send(producer: &mut Producer<Message>, message: &Message) {
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
fn what_dying_producers_pushed_is_popped_exactly_once() {
    let mut cut_short = 0;
    for (round, options) in rounds().into_iter().enumerate() {
        let (name, words) = (Name::new("ring"), Name::in_memory("board"));
        let ring = Ring::<Message>::create_with(&name, &options).unwrap();
        let board = Board::create(&words, Notes::WORDS);
        let mut consumer = ring.consumer().unwrap();
        let before = traces_of(&name);
        assert_eq!(before, (2, 1), "the ring and the seat; one descriptor");
        let killer = start("role_dying_producers", &[&name, &words, &round]);

        let mut received = [0_u64; KILLS as usize + 1];
        let mut latest = 0;
        let mut dice = Dice::new(round as u64);
        loop {
            match consumer.pop_timeout(PATIENCE) {
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
            dice.spin(PACE);
        }
        killer.finish();

        for (generation, &received) in received.iter().enumerate() {
            let (begun, done) = notes(&board, generation as u64).begun_and_done();
            assert!(
                (done..=begun).contains(&received),
                "{generation} pushed {done}, began {begun}, {received} came"
            );
            cut_short += u64::from(begun != done);
        }
        assert_eq!(traces_of(&name), before, "mappings and descriptors");
    }
    assert!(cut_short > KILLS, "only {cut_short} kills hit a push");
}

#[test]
#[ignore = "the other process of a test"]
fn role_dying_consumers() {
    let Some(role) = support::role("role_dying_consumers") else {
        return;
    };
    let (name, board) = (role.text(0), Board::open(role.text(1)));
    let wait = rounds()[role.number(2) as usize].clone();
    storm(role.number(2), &board, |generation| {
        let ring = Ring::<Message>::open_with(name, &wait).unwrap();
        let mut consumer = attach(|| ring.consumer());
        let notes = notes(&board, generation);
        if generation == KILLS {
            board[0].store(1, SeqCst);
        }
        let mut expected = None;
        while let Some(number) = see(&mut consumer, &notes, role.text(3)) {
            assert_eq!(number, *expected.get_or_insert(number), "lost or twice");
            expected = Some(number + 1);
        }
    });
}

/// Receives one message and notes it, in a guard before it is given back, else after.
fn see(consumer: &mut Consumer<Message>, notes: &Notes<'_>, way: &str) -> Option<u64> {
    let note = |seen: Message| {
        let (_, number) = read(seen);
        let _ = notes
            .first()
            .compare_exchange(0, number + 1, SeqCst, SeqCst);
        number
    };
    let number = if way == "guard" {
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

/// Feeds dying consumers with numbered messages, and hands to `check`, for each that noted
/// any: which message was due by the notes, which came first, and how many died before it
/// without a note since the last that made one.
fn feed(way: &str, check: impl Fn(u64, u64, u64)) {
    for (round, options) in rounds().into_iter().enumerate() {
        let (name, words) = (Name::new("ring"), Name::in_memory("board"));
        let ring = Ring::<Message>::create_with(&name, &options).unwrap();
        let board = Board::create(&words, Notes::WORDS);
        let mut producer = ring.producer().unwrap();
        let before = traces_of(&name);
        assert_eq!(before, (2, 1), "the ring and the seat; one descriptor");
        let killer = start("role_dying_consumers", &[&name, &words, &round, &way]);

        let mut pushed = 0;
        let mut dice = Dice::new(round as u64);
        while board[0].load(SeqCst) == 0 {
            match producer.push_timeout(&message(7, pushed), PATIENCE) {
                Ok(()) => pushed += 1,
                Err(PushTimeoutError::Disconnected(_)) => std::thread::yield_now(),
                Err(error) => panic!("{error}"),
            }
            dice.spin(PACE);
        }
        assert_eq!(traces_of(&name), before, "mappings and descriptors");
        drop(producer);
        killer.finish();

        let mut next = 0;
        let mut saw_any = 0;
        let mut silent = 0;
        for generation in 0..=KILLS {
            let notes = notes(&board, generation);
            let (noted, _) = notes.begun_and_done();
            if let Some(first) = notes.first().load(SeqCst).checked_sub(1) {
                check(next, first, silent);
                // Noting the first and counting it are two steps.
                next = first + noted;
                saw_any += 1;
                silent = 0;
            } else {
                silent += 1;
            }
        }
        assert_eq!(next, pushed, "the last one drained the ring");
        assert!(saw_any > KILLS / 2, "only {saw_any} lived to see a message");
    }
}

#[test]
fn what_dying_consumers_popped_is_popped_exactly_once() {
    feed("pop", |next, first, silent| {
        // Of each victim, one pop may have been complete and not yet noted.
        assert!(
            (next..=next + 1 + silent).contains(&first),
            "{first} follows {next}"
        );
    });
}

#[test]
fn what_dying_consumers_had_in_a_guard_comes_again_and_nothing_is_lost() {
    feed("guard", |next, first, _| {
        // Noted before it is given back: nobody's first is a message that nobody saw, and at
        // most the one in the guard comes again.
        assert!(first == next || first + 1 == next, "{first} follows {next}");
    });
}

#[test]
#[ignore = "the other process of a test"]
fn role_dying_creators() {
    let Some(role) = support::role("role_dying_creators") else {
        return;
    };
    let name = role.text(0);
    let mut found = 0;
    let mut dice = Dice::new(5);
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
        dice.spin(CHILDHOOD);
        child.kill_and_reap();
        match Ring::<u64>::open(name) {
            // Killed between creating and removing it: it must be whole.
            Ok(ring) => {
                found += 1;
                let mut producer = ring.producer().unwrap();
                let mut consumer = ring.consumer().unwrap();
                let left = ring.len();
                producer.push(&u64::MAX).unwrap();
                for _ in 0..left {
                    assert_ne!(consumer.pop().unwrap(), u64::MAX);
                }
                assert_eq!(consumer.pop(), Ok(u64::MAX));
                slipring::unlink(name).unwrap();
            }
            Err(slipring::error::OpenError::NotFound { .. }) => {}
            Err(error) => panic!("half made: {error}"),
        }
        let beside = std::fs::read_dir("/dev/shm").unwrap().flatten();
        let beside = beside.filter(|entry| {
            let file_name = entry.file_name();
            file_name
                .to_str()
                .is_some_and(|file_name| file_name.starts_with(&name[1..]))
        });
        assert_eq!(beside.count(), 0, "something is left behind");
    }
    assert!(found > 0 && found < KILLS, "{found} of {KILLS} existed");
}

#[test]
fn a_killed_creator_leaves_a_whole_ring_or_nothing() {
    let name = Name::new("new");
    start("role_dying_creators", &[&name]).finish();
}

/// Some kills in a ring of each of some rounds, while it grows and shrinks.
fn grow_in_storms(place: Place, which: Range<usize>, seed: u64, kills: u64) -> Report {
    let mut whole = Report::default();
    for round in which {
        let options = &rounds()[round];
        within(place, || {
            let report = growing::storm(options, seed << 8 | round as u64, kills);
            println!("{place:?}, round {round}: {report}");
            whole.add(&report);
        });
    }
    whole
}

fn is_violent(report: &Report) {
    assert!(report.kills.iter().all(|&kills| kills > 0), "{report}");
    assert!(report.growths > 0, "{report}");
}

#[test]
fn a_ring_that_grows_while_everybody_dies_loses_nothing() {
    is_violent(&grow_in_storms(Place::SharedMemory, 0..4, 1, 40));
}

#[test]
fn a_file_that_grows_while_everybody_dies_loses_nothing() {
    is_violent(&grow_in_storms(Place::File, 1..2, 2, 40));
}

#[test]
#[ignore = "takes minutes"]
fn a_ring_that_grows_while_thousands_die_loses_nothing() {
    let mut whole = Report::default();
    for seed in 3.. {
        for place in [Place::SharedMemory, Place::File] {
            whole.add(&grow_in_storms(place, 0..4, seed, 200));
        }
        if whole.all_kills() >= 10_000 {
            break;
        }
    }
    println!("{whole}");
    is_violent(&whole);
    assert!(whole.again > 0);
}

/// The same for as long as is asked for: `cargo run -p xtask -- soak` runs it.
#[test]
#[ignore = "takes as long as it is told to"]
fn soak() {
    let Ok(minutes) = env::var("SLIPRING_SOAK_MINUTES") else {
        return skip("it was not told how many minutes");
    };
    let time = Duration::from_secs_f64(60.0 * minutes.parse::<f64>().unwrap());
    let start = Instant::now();
    let mut whole = Report::default();
    let mut seed = 100;
    while start.elapsed() < time {
        for place in [Place::SharedMemory, Place::File] {
            whole.add(&grow_in_storms(place, 0..4, seed, 50));
        }
        seed += 1;
    }
    println!("{:.0?}: {whole}", start.elapsed());
    is_violent(&whole);
}
