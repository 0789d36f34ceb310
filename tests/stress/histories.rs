//! Histories of real processes: when each operation began and ended, and what it said; checked
//! against what a queue may do.
//!
//! Long ones are checked pair by pair: each message once, none taken before it was pushed, and
//! none that was pushed wholly after another taken wholly before it. Short ones are checked
//! against a specification of the ring, by trying all orders in which it may have happened.
//!
//! ```text
//! cargo test --release --test histories -- --ignored --nocapture
//! ```

mod history;
mod ledger;

use self::history::{Answer, Operation, explain};
use self::ledger::{Barrier, Ledger};
use crate::support;
use crate::support::{Dice, Name, fork_child};
use slipring::error::{Disconnected, PopError, TryPopError, TryPushError};
use slipring::mpmc::{Consumer, Producer, Ring};
use slipring::{Options, WaitStrategy};
use std::thread;
use std::time::Duration;

const SIDES: usize = 4;

/// A long history: `pushes` messages by as many producers as there are consumers.
fn long_history(pushes: u64, capacity: usize, wait: WaitStrategy) -> Vec<Operation> {
    let name = Name::new("history");
    let options = Options::new().capacity(capacity).wait(wait);
    let ring = Ring::<u64>::create_with(&name, &options).unwrap();
    let each = pushes / SIDES as u64;
    let ledger = Ledger::new(2 * SIDES, 2 * pushes as usize);
    // Nobody hears that all producers are gone before they have come.
    let first = ring.producer().unwrap();
    let consumers: Vec<_> = (SIDES..2 * SIDES)
        .map(|page| {
            fork_child(|| {
                let ring = Ring::<u64>::open_with(&name, &options).unwrap();
                let mut consumer = ring.consumer().unwrap();
                let mut page = ledger.page(page);
                let mut batch = [0; 8];
                loop {
                    let begin = page.begin();
                    let popped = consumer.pop_slice(&mut batch[..1 + begin as usize % 8]);
                    let end = page.end();
                    match popped {
                        Ok(popped) => batch[..popped]
                            .iter()
                            .for_each(|&id| page.note(begin, end, Answer::Popped(id))),
                        Err(PopError::Disconnected(Disconnected::Left)) => break,
                        Err(error) => panic!("{error}"),
                    }
                }
            })
        })
        .collect();
    let producers: Vec<_> = (0..SIDES)
        .map(|page| {
            fork_child(|| {
                let ring = Ring::<u64>::open_with(&name, &options).unwrap();
                let mut producer = ring.producer().unwrap();
                let ids = each * page as u64..each * (page as u64 + 1);
                let mut page = ledger.page(page);
                for id in ids {
                    let begin = page.begin();
                    producer.push(&id).unwrap();
                    let end = page.end();
                    page.note(begin, end, Answer::Pushed(id));
                }
            })
        })
        .collect();
    producers.into_iter().for_each(support::Forked::finish);
    drop(first);
    consumers.into_iter().for_each(support::Forked::finish);
    ledger.all()
}

fn check_long_histories(pushes: u64) {
    let asleep_at_once = WaitStrategy::Sleep {
        spins: 0,
        yields: 0,
    };
    for (capacity, wait, share) in [
        (2, asleep_at_once, 10),
        (16, WaitStrategy::default(), 2),
        (1024, WaitStrategy::default(), 2),
    ] {
        let history = long_history(pushes / share, capacity, wait);
        let overlaps = history::overlaps(&history);
        println!(
            "capacity {capacity}: {} operations, {overlaps} of them while another one was under way",
            history.len()
        );
        assert!(overlaps > history.len() / 100, "one after the other");
        history::check(&history, pushes / share).unwrap();
    }
}

#[test]
fn a_history_is_first_in_first_out_and_each_message_comes_once() {
    check_long_histories(100_000);
}

#[test]
#[ignore = "takes a while"]
fn a_long_history_is_first_in_first_out_and_each_message_comes_once() {
    check_long_histories(2_000_000);
}

/// Operations of one process in a short history.
const EACH: usize = 2;
const SHORT: usize = 2;
const CAPACITY: usize = 2;
/// Moves the processes' operations about, to meet each other.
const DAWDLE: Duration = Duration::from_nanos(600);

/// Many short histories in a row, each of them begun and ended with an empty ring.
fn short_histories(rounds: u64) -> Vec<Vec<Operation>> {
    let name = Name::new("short");
    let options = Options::new().capacity(CAPACITY);
    let ring = Ring::<u64>::create_with(&name, &options).unwrap();
    let operations = rounds as usize * (2 * SHORT * EACH + CAPACITY + 1);
    let ledger = Ledger::new(2 * SHORT + 1, 2 * SHORT * operations);
    let barrier = Barrier::new(&ledger, 2 * SHORT as u64 + 1);
    let children: Vec<_> = (0..2 * SHORT)
        .map(|member| {
            fork_child(|| {
                let ring = Ring::<u64>::open(&name).unwrap();
                let mut page = ledger.page(member);
                let mut dice = Dice::new(member as u64 + 1);
                let mut ends = if member < SHORT {
                    (Some(ring.producer().unwrap()), None)
                } else {
                    (None, Some(ring.consumer().unwrap()))
                };
                let mut turn = 0;
                barrier.wait(&mut turn);
                for round in 0..rounds {
                    barrier.wait(&mut turn);
                    for step in 0..EACH {
                        let id = (round * SHORT as u64 + member as u64) * EACH as u64;
                        dice.spin(DAWDLE);
                        let begin = page.begin();
                        let answer = match &mut ends {
                            (Some(producer), _) => push(producer, id + step as u64, &mut dice),
                            (_, consumer) => pop(consumer.as_mut().unwrap(), &mut dice),
                        };
                        let end = page.end();
                        page.note(begin, end, answer);
                    }
                    barrier.wait(&mut turn);
                }
                // So that nobody hears that all others have left.
                barrier.wait(&mut turn);
            })
        })
        .collect();
    let mut consumer = ring.consumer().unwrap();
    let _producer = ring.producer().unwrap();
    let mut page = ledger.page(2 * SHORT);
    let mut dice = Dice::new(0);
    let mut turn = 0;
    barrier.wait(&mut turn);
    let mut bounds = Vec::new();
    for _ in 0..rounds {
        barrier.wait(&mut turn);
        barrier.wait(&mut turn);
        loop {
            let begin = page.begin();
            let answer = pop(&mut consumer, &mut dice);
            let end = page.end();
            page.note(begin, end, answer);
            if answer == Answer::Empty {
                bounds.push(end);
                break;
            }
        }
    }
    barrier.wait(&mut turn);
    children.into_iter().for_each(support::Forked::finish);
    let mut histories = vec![Vec::new(); rounds as usize];
    for operation in ledger.all() {
        let round = bounds.partition_point(|&bound| bound < operation.end);
        histories[round].push(operation);
    }
    histories
}

/// At once, or with time for others between its two halves.
fn push(producer: &mut Producer<u64>, id: u64, dice: &mut Dice) -> Answer {
    let pushed = match dice.below(2) {
        0 => producer.try_push(&id),
        _ => producer.try_claim().map(|mut claim| {
            linger(dice);
            claim.write(&id);
            claim.commit();
        }),
    };
    match pushed {
        Ok(()) => Answer::Pushed(id),
        Err(TryPushError::Full) => Answer::Full,
        Err(error) => panic!("{error}"),
    }
}

fn pop(consumer: &mut Consumer<u64>, dice: &mut Dice) -> Answer {
    let popped = match dice.below(2) {
        0 => consumer.try_pop(),
        _ => consumer.try_read().map(|guard| {
            linger(dice);
            guard.get()
        }),
    };
    match popped {
        Ok(id) => Answer::Popped(id),
        Err(TryPopError::Empty) => Answer::Empty,
        Err(error) => panic!("{error}"),
    }
}

fn linger(dice: &mut Dice) {
    for _ in 0..dice.below(4) {
        thread::yield_now();
    }
}

fn check_short_histories(rounds: u64) {
    let histories = short_histories(rounds);
    let mut overlapping = 0;
    let mut refused = [0; 2];
    for history in &histories {
        overlapping += usize::from(history::overlaps(history) > 0);
        let count = |answer| history.iter().filter(|o| o.answer == answer).count();
        refused[0] += count(Answer::Full);
        // The last one of each says that it is over.
        refused[1] += count(Answer::Empty) - 1;
        assert!(
            explain(history, CAPACITY),
            "no order of these explains what they say: {history:#?}"
        );
    }
    println!(
        "{rounds} short histories, {overlapping} with operations that overlap, {} times full, {} \
         times empty",
        refused[0], refused[1]
    );
    assert!(overlapping as u64 > rounds / 10, "one after the other");
}

#[test]
fn short_histories_are_those_of_a_queue() {
    check_short_histories(1_500);
}

#[test]
#[ignore = "takes a while"]
fn many_short_histories_are_those_of_a_queue() {
    for _ in 0..20 {
        check_short_histories(2_000);
    }
}

/// An operation by hand.
fn operation(begin: u64, end: u64, answer: Answer) -> Operation {
    Operation { begin, end, answer }
}

#[test]
fn the_check_of_long_histories_sees_what_is_wrong() {
    use Answer::{Popped, Pushed};
    let good = [
        operation(0, 10, Pushed(0)),
        operation(5, 12, Pushed(1)),
        operation(14, 20, Pushed(2)),
        operation(11, 16, Popped(1)),
        operation(13, 25, Popped(0)),
        operation(22, 30, Popped(2)),
    ];
    history::check(&good, 3).unwrap();
    let with = |at: usize, begin, end, answer| {
        let mut bad = good;
        bad[at] = operation(begin, end, answer);
        history::check(&bad, 3).unwrap_err()
    };
    assert!(with(4, 13, 25, Popped(1)).contains("twice"));
    assert!(with(4, 13, 25, Answer::Empty).contains("lost"));
    assert!(with(4, 13, 25, Popped(7)).contains("never pushed"));
    assert!(with(3, 1, 4, Popped(1)).contains("before it was pushed"));
    // 2 was pushed after 0 and 1 had been.
    assert!(with(4, 31, 35, Popped(0)).contains("overtaken"));
    assert!(with(3, 40, 41, Popped(1)).contains("overtaken"));
}

#[test]
fn the_check_of_short_histories_sees_what_is_wrong() {
    use Answer::{Empty, Full, Popped, Pushed};
    let in_turn = |answers: &[Answer]| {
        let mut time = 0;
        let history: Vec<_> = answers
            .iter()
            .map(|&answer| {
                time += 10;
                operation(time, time + 5, answer)
            })
            .collect();
        explain(&history, 2)
    };
    assert!(in_turn(&[
        Empty,
        Pushed(0),
        Pushed(1),
        Full,
        Popped(0),
        Popped(1),
        Empty
    ]));
    assert!(
        !in_turn(&[Pushed(0), Pushed(1), Popped(1), Popped(0)]),
        "order"
    );
    assert!(!in_turn(&[Pushed(0), Popped(0), Popped(0)]), "twice");
    assert!(!in_turn(&[Pushed(0), Empty, Popped(0)]), "empty");
    assert!(!in_turn(&[Pushed(0), Full]), "full");
    assert!(!in_turn(&[Pushed(0), Pushed(1), Pushed(2)]), "no room");
    assert!(!in_turn(&[Popped(0), Pushed(0)]), "before it was pushed");

    // While the first push is under way the ring may say that it is empty, though the second has
    // returned; not once both have.
    let slow = |until| {
        let history = [
            operation(0, until, Pushed(0)),
            operation(10, 20, Pushed(1)),
            operation(30, 40, Empty),
            operation(60, 70, Popped(0)),
            operation(80, 90, Popped(1)),
        ];
        explain(&history, 2)
    };
    assert!(slow(50));
    assert!(!slow(25));

    // While the first pop is under way its slot is not free, though the one after it is.
    let slow = |until| {
        let history = [
            operation(0, 1, Pushed(0)),
            operation(2, 3, Pushed(1)),
            operation(10, until, Popped(0)),
            operation(12, 20, Popped(1)),
            operation(30, 40, Full),
        ];
        explain(&history, 2)
    };
    assert!(slow(50));
    assert!(!slow(25));
}
