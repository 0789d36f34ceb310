//! Histories of real processes: the begin, the end and the outcome of each operation, checked
//! against the behaviour of a queue.
//!
//! Long histories are checked pair by pair. Each message is popped once, and not before it was
//! pushed. If one push began after another one had ended, its message is not popped first.
//! Short histories are checked against a specification of the ring, by a search through all
//! possible orders.
//!
//! ```text
//! cargo test --release --test stress -- --ignored --nocapture histories::
//! ```

mod history;
mod ledger;

use self::history::{Operation, Outcome, explain};
use self::ledger::{Barrier, Ledger};
use crate::support;
use crate::support::{ASLEEP_AT_ONCE, Name, Random, fork_child};
use slipring::error::{Disconnected, PopError, TryPopError, TryPushError};
use slipring::mpmc::{Consumer, Producer, Ring};
use slipring::{Options, WaitStrategy};
use std::thread;
use std::time::Duration;

const SIDES: usize = 4;

/// Records a long history: `pushes` messages from [`SIDES`] producers to [`SIDES`] consumers.
fn long_history(pushes: u64, capacity: usize, wait: WaitStrategy) -> Vec<Operation> {
    let name = Name::new("history");
    let options = Options::new().capacity(capacity).wait(wait);
    let ring = Ring::<u64>::create_with(&name, &options).unwrap();
    let each = pushes / SIDES as u64;
    let ledger = Ledger::new(2 * SIDES, 2 * pushes as usize);
    // Held so that no consumer finds all producers detached before the children have attached.
    let first = ring.producer().unwrap();
    let consumers: Vec<_> = (SIDES..2 * SIDES)
        .map(|log| {
            fork_child(|| {
                let ring = Ring::<u64>::open_with(&name, &options).unwrap();
                let mut consumer = ring.consumer().unwrap();
                let mut log = ledger.log(log);
                let mut batch = [0; 8];
                loop {
                    let begin = log.begin();
                    let popped = consumer.pop_slice(&mut batch[..1 + begin as usize % 8]);
                    let end = log.end();
                    match popped {
                        Ok(popped) => batch[..popped]
                            .iter()
                            .for_each(|&id| log.note(begin, end, Outcome::Popped(id))),
                        Err(PopError::Disconnected(Disconnected::Left)) => break,
                        Err(error) => panic!("{error}"),
                    }
                }
            })
        })
        .collect();
    let producers: Vec<_> = (0..SIDES)
        .map(|log| {
            fork_child(|| {
                let ring = Ring::<u64>::open_with(&name, &options).unwrap();
                let mut producer = ring.producer().unwrap();
                let ids = each * log as u64..each * (log as u64 + 1);
                let mut log = ledger.log(log);
                for id in ids {
                    let begin = log.begin();
                    producer.push(&id).unwrap();
                    let end = log.end();
                    log.note(begin, end, Outcome::Pushed(id));
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
    for (capacity, wait, share) in [
        (2, ASLEEP_AT_ONCE, 10),
        (16, WaitStrategy::default(), 2),
        (1024, WaitStrategy::default(), 2),
    ] {
        let history = long_history(pushes / share, capacity, wait);
        let overlaps = history::overlaps(&history);
        println!(
            "capacity {capacity}: {} operations, {overlaps} of them began during another",
            history.len()
        );
        assert!(overlaps > history.len() / 100, "too few operations overlap");
        history::check(&history, pushes / share).unwrap();
    }
}

#[test]
fn histories_are_fifo_and_deliver_each_message_once() {
    check_long_histories(100_000);
}

#[test]
#[ignore = "takes a while"]
fn long_histories_are_fifo_and_deliver_each_message_once() {
    check_long_histories(2_000_000);
}

/// The number of operations of one process in a short history.
const EACH: usize = 2;
const SHORT: usize = 2;
const CAPACITY: usize = 2;
/// The longest delay before an operation. Random delays make the operations overlap.
const MAX_DELAY: Duration = Duration::from_nanos(600);

/// Records many short histories in a row. The ring is empty at the begin and the end of each.
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
                let mut log = ledger.log(member);
                let mut random = Random::new(member as u64 + 1);
                let mut handles = if member < SHORT {
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
                        random.spin(MAX_DELAY);
                        let begin = log.begin();
                        let outcome = match &mut handles {
                            (Some(producer), _) => push(producer, id + step as u64, &mut random),
                            (_, consumer) => pop(consumer.as_mut().unwrap(), &mut random),
                        };
                        let end = log.end();
                        log.note(begin, end, outcome);
                    }
                    barrier.wait(&mut turn);
                }
                // Waits so that no process finds all its peers detached.
                barrier.wait(&mut turn);
            })
        })
        .collect();
    let mut consumer = ring.consumer().unwrap();
    let _producer = ring.producer().unwrap();
    let mut log = ledger.log(2 * SHORT);
    let mut random = Random::new(0);
    let mut turn = 0;
    barrier.wait(&mut turn);
    let mut bounds = Vec::new();
    for _ in 0..rounds {
        barrier.wait(&mut turn);
        barrier.wait(&mut turn);
        loop {
            let begin = log.begin();
            let outcome = pop(&mut consumer, &mut random);
            let end = log.end();
            log.note(begin, end, outcome);
            if outcome == Outcome::Empty {
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

/// Pushes in one call, or claims and commits with a pause in between.
fn push(producer: &mut Producer<u64>, id: u64, random: &mut Random) -> Outcome {
    let pushed = match random.below(2) {
        0 => producer.try_push(&id),
        _ => producer.try_claim().map(|mut claim| {
            pause(random);
            claim.write(&id);
            claim.commit();
        }),
    };
    match pushed {
        Ok(()) => Outcome::Pushed(id),
        Err(TryPushError::Full) => Outcome::Full,
        Err(error) => panic!("{error}"),
    }
}

fn pop(consumer: &mut Consumer<u64>, random: &mut Random) -> Outcome {
    let popped = match random.below(2) {
        0 => consumer.try_pop(),
        _ => consumer.try_read().map(|guard| {
            pause(random);
            guard.get()
        }),
    };
    match popped {
        Ok(id) => Outcome::Popped(id),
        Err(TryPopError::Empty) => Outcome::Empty,
        Err(error) => panic!("{error}"),
    }
}

fn pause(random: &mut Random) {
    for _ in 0..random.below(4) {
        thread::yield_now();
    }
}

fn check_short_histories(rounds: u64) {
    let histories = short_histories(rounds);
    let mut overlapping = 0;
    let mut refused = [0; 2];
    for history in &histories {
        overlapping += usize::from(history::overlaps(history) > 0);
        let count = |outcome| history.iter().filter(|o| o.outcome == outcome).count();
        refused[0] += count(Outcome::Full);
        // The final pop of each history finds the ring empty by design.
        refused[1] += count(Outcome::Empty) - 1;
        assert!(
            explain(history, CAPACITY),
            "no order of the operations explains their outcomes: {history:#?}"
        );
    }
    println!(
        "{rounds} short histories, {overlapping} with operations that overlap, {} times full, {} \
         times empty",
        refused[0], refused[1]
    );
    assert!(
        overlapping as u64 > rounds / 10,
        "too few operations overlap"
    );
}

#[test]
fn short_histories_match_queue_specification() {
    check_short_histories(1_500);
}

#[test]
#[ignore = "takes a while"]
fn many_short_histories_match_queue_specification() {
    for _ in 0..20 {
        check_short_histories(2_000);
    }
}

/// Constructs an operation.
fn operation(begin: u64, end: u64, outcome: Outcome) -> Operation {
    Operation {
        begin,
        end,
        outcome,
    }
}

#[test]
fn long_history_check_detects_violations() {
    use Outcome::{Popped, Pushed};
    let good = [
        operation(0, 10, Pushed(0)),
        operation(5, 12, Pushed(1)),
        operation(14, 20, Pushed(2)),
        operation(11, 16, Popped(1)),
        operation(13, 25, Popped(0)),
        operation(22, 30, Popped(2)),
    ];
    history::check(&good, 3).unwrap();
    let with = |at: usize, begin, end, outcome| {
        let mut bad = good;
        bad[at] = operation(begin, end, outcome);
        history::check(&bad, 3).unwrap_err()
    };
    assert!(with(4, 13, 25, Popped(1)).contains("twice"));
    assert!(with(4, 13, 25, Outcome::Empty).contains("lost"));
    assert!(with(4, 13, 25, Popped(7)).contains("never pushed"));
    assert!(with(3, 1, 4, Popped(1)).contains("before it was pushed"));
    // The push of 2 began after the pushes of 0 and 1 had ended.
    assert!(with(4, 31, 35, Popped(0)).contains("overtaken"));
    assert!(with(3, 40, 41, Popped(1)).contains("overtaken"));
}

#[test]
fn short_history_check_detects_violations() {
    use Outcome::{Empty, Full, Popped, Pushed};
    let in_turn = |outcomes: &[Outcome]| {
        let mut time = 0;
        let history: Vec<_> = outcomes
            .iter()
            .map(|&outcome| {
                time += 10;
                operation(time, time + 5, outcome)
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

    // While the first push is in progress, a pop may find the ring empty although the second push
    // has returned. After both have returned, it may not.
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

    // While the first pop is in progress, its slot is not free, although the slot of the second is.
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
