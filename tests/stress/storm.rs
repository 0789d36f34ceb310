//! Producers and consumers killed at random moments, thousands of times, while others continue: no
//! message is lost, none is delivered twice without the redelivery mark, and no process gets stuck.
//!
//! Each participant logs its messages outside of the ring: producers before and after they push,
//! consumers before they release the slot. So the operations that a kill may have interrupted are
//! known, and the rest is checked exactly. Each storm ends with a report, which `--nocapture`
//! shows. The long storms:
//!
//! ```text
//! cargo test --release --test stress -- --ignored --nocapture storm::
//! ```

use crate::support::ASLEEP_AT_ONCE;
use crate::support::backings::{BackingKind, with_backing};
use crate::support::resources::Resources;
use crate::support::storm::{PopMode, Report, Round, storm};
use crate::support::{Name, skip};
use slipring::{Fences, WaitStrategy};
use std::env;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Rounds with rings of all kinds. The most demanding come first.
fn rounds() -> Vec<Round> {
    let plain = Round::PLAIN;
    vec![
        plain,
        Round {
            label: "popping, 8 B",
            pop_mode: PopMode::Pops,
            words: 1,
            wait: WaitStrategy::default(),
            ..plain
        },
        Round {
            label: "capacity 2, a seat each and one more",
            capacity: 2,
            words: 1,
            seats: 5,
            fences: Fences::Symmetric,
            ..plain
        },
        Round {
            label: "popping, capacity 2, stops",
            pop_mode: PopMode::Pops,
            capacity: 2,
            wait: WaitStrategy::default(),
            stops: true,
            ..plain
        },
        Round {
            label: "4 KiB, stops, positions that wrap",
            words: 512,
            capacity: 1024,
            first_position: (1 << 32) - 20_000,
            interval: Duration::from_millis(10),
            stops: true,
            ..plain
        },
        Round {
            label: "popping, 4 KiB, capacity 16, a seat each",
            pop_mode: PopMode::Pops,
            words: 512,
            seats: 4,
            ..plain
        },
        Round {
            label: "spinning, capacity 1024",
            capacity: 1024,
            wait: WaitStrategy::Spin,
            interval: Duration::from_millis(2),
            ..plain
        },
        Round {
            label: "popping, spinning, capacity 1024, stops",
            pop_mode: PopMode::Pops,
            words: 1,
            capacity: 1024,
            wait: WaitStrategy::Spin,
            fences: Fences::Symmetric,
            stops: true,
            ..plain
        },
        Round {
            label: "capacity 2, stops",
            capacity: 2,
            interval: Duration::from_millis(10),
            stops: true,
            ..plain
        },
        Round {
            label: "8 B, stops, a seat each",
            words: 1,
            seats: 4,
            wait: ASLEEP_AT_ONCE,
            stops: true,
            ..plain
        },
    ]
}

/// The kills in each of many storms. One storm then takes far less than the watchdog's time limit.
const KILLS_PER_STORM: u64 = 200;

/// Spinning participants slow the killer down, so such a round has fewer kills.
fn kills_of(round: &Round) -> u64 {
    match round.wait {
        WaitStrategy::Spin => KILLS_PER_STORM / 4,
        _ => KILLS_PER_STORM,
    }
}

/// Allows one storm at a time, since a process that waits for a processor would count as stuck.
static ONE_STORM: Mutex<()> = Mutex::new(());

fn run_storm(round: &Round, kills: u64, calm: Duration) -> Report {
    let _lock = ONE_STORM.lock().unwrap_or_else(PoisonError::into_inner);
    let ring = Name::new("storm");
    let report = storm(round, &ring, kills, calm);
    report.check(round);
    report
}

/// Runs two of the rounds, with few kills each.
fn run_short_storms(selected: [usize; 2]) {
    for index in selected {
        let round = &rounds()[index];
        let report = run_storm(round, 75, Duration::from_millis(100));
        println!("{}\n{report}", round.label);
    }
}

#[test]
fn short_kill_storm_loses_nothing() {
    run_short_storms([0, 4]);
}

#[test]
fn short_pop_storm_leaves_only_last_pop_uncertain() {
    run_short_storms([1, 3]);
}

#[test]
fn storm_with_reattach_fork_and_exec_loses_nothing() {
    for index in [0, 1] {
        let round = Round {
            is_restless: true,
            ..rounds()[index]
        };
        let report = run_storm(&round, 75, Duration::ZERO);
        println!("{}\n{report}", round.label);
    }
}

/// The same round of a ring that grows and shrinks. The processes that grow it are killed too.
fn growing(round: &Round) -> Round {
    Round {
        grows: true,
        ..*round
    }
}

#[test]
fn kill_storm_on_growing_ring_loses_nothing() {
    for index in [0, 3] {
        let round = growing(&rounds()[index]);
        let report = run_storm(&round, 150, Duration::ZERO);
        println!("{}\n{report}", round.label);
    }
}

#[test]
fn kill_storm_on_growing_file_loses_nothing() {
    with_backing(BackingKind::File, || {
        let report = run_storm(&growing(&rounds()[0]), 75, Duration::ZERO);
        println!("{report}");
    });
}

#[test]
#[ignore = "takes minutes"]
fn long_kill_storm_on_growing_ring_loses_nothing() {
    const KILLS: u64 = 5_000;
    let mut total = Report::default();
    for seed in 7.. {
        for round in &rounds() {
            let round = Round {
                seed,
                is_restless: seed % 2 == 0,
                ..growing(round)
            };
            let report = run_storm(&round, kills_of(&round), Duration::ZERO);
            println!("{}\n{report}", round.label);
            total.add(&report);
        }
        if total.kills >= KILLS {
            break;
        }
    }
    println!("all\n{total}");
}

#[test]
#[ignore = "takes minutes"]
fn long_kill_storm_loses_nothing() {
    const KILLS: u64 = 10_000;
    let rounds = rounds();
    let mut reports = vec![Report::default(); rounds.len()];
    let mut total = Report::default();
    for seed in 7.. {
        for (round, sum) in rounds.iter().zip(&mut reports) {
            let round = Round { seed, ..*round };
            let report = run_storm(&round, kills_of(&round), Duration::from_millis(300));
            sum.add(&report);
            total.add(&report);
        }
        if total.kills >= KILLS {
            break;
        }
    }
    for (round, report) in rounds.iter().zip(&reports) {
        println!("{}\n{report}", round.label);
    }
    println!("all\n{total}");
    assert!(
        total.mid_operation * 20 >= total.kills,
        "too few kills hit an operation"
    );
}

/// Runs storms of all rounds for the requested time, in shared memory and in files. Participants
/// are killed and stopped, detach and attach, fork, and execute programs. The ring grows in every
/// other storm. `cargo run -p xtask -- soak` runs it.
#[test]
#[ignore = "takes as long as requested"]
fn soak() {
    let Ok(minutes) = env::var("SLIPRING_SOAK_MINUTES") else {
        return skip("SLIPRING_SOAK_MINUTES is not set");
    };
    let time = Duration::from_secs_f64(60.0 * minutes.parse::<f64>().unwrap());
    let start = Instant::now();
    let before = Resources::now();
    let rounds = rounds();
    let mut total = Report::default();
    let mut storms = 0;
    'soak: for seed in 100.. {
        for backing in [BackingKind::SharedMemory, BackingKind::File] {
            for round in &rounds {
                if start.elapsed() >= time {
                    break 'soak;
                }
                let round = Round {
                    seed,
                    stops: true,
                    is_restless: true,
                    // Alternates, so that each round grows on each backing at some time.
                    grows: (seed + storms) % 2 == 0,
                    ..*round
                };
                with_backing(backing, || {
                    total.add(&run_storm(&round, kills_of(&round), Duration::ZERO))
                });
                storms += 1;
                assert_eq!(
                    Resources::now(),
                    before,
                    "after {}, {backing:?}",
                    round.label
                );
            }
        }
        println!("{:.0?}, {storms} storms\n{total}", start.elapsed());
    }
    println!("{:.0?}, {storms} storms in all\n{total}", start.elapsed());
    assert!(total.kills * 4 > total.executions && total.executions > 0);
}
