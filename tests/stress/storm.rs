//! Producers and consumers killed at random moments, thousands of times, while others go on: no
//! message is lost, none comes twice without being marked, and nobody gets stuck.
//!
//! Everybody notes each message outside of the ring: producers before they push it and after,
//! consumers before they give it back. So what a kill may have cut short is known, and the rest
//! is exact. Each storm ends with an account, which `--nocapture` shows; the long one is
//!
//! ```text
//! cargo test --release --test storm -- --ignored --nocapture
//! ```

use crate::support::backings::{Place, within};
use crate::support::leftovers::Remains;
use crate::support::storm::{ASLEEP_AT_ONCE, Report, Round, Taking, storm};
use crate::support::{Name, skip};
use slipring::{Fences, WaitStrategy};
use std::env;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Rings of all kinds. The most violent come first.
fn rounds() -> Vec<Round> {
    let plain = Round::PLAIN;
    vec![
        plain,
        Round {
            label: "popping, 8 B",
            taking: Taking::Pops,
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
            taking: Taking::Pops,
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
            taking: Taking::Pops,
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
            taking: Taking::Pops,
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

/// Of one storm of many: well within a watchdog's patience.
const KILLS_AT_ONCE: u64 = 200;

/// Who spins is in the way of the killer.
fn kills_of(round: &Round) -> u64 {
    match round.wait {
        WaitStrategy::Spin => KILLS_AT_ONCE / 4,
        _ => KILLS_AT_ONCE,
    }
}

/// One storm at a time: who waits for a processor is not stuck.
static SKY: Mutex<()> = Mutex::new(());

fn rage(round: &Round, kills: u64, calm: Duration) -> Report {
    let _alone = SKY.lock().unwrap_or_else(PoisonError::into_inner);
    let ring = Name::new("storm");
    let report = storm(round, &ring, kills, calm);
    report.check(round);
    report
}

/// Some kills in each of some rounds.
fn a_short_storm(rounds_of_it: [usize; 2]) {
    for index in rounds_of_it {
        let round = &rounds()[index];
        let report = rage(round, 75, Duration::from_millis(100));
        println!("{}\n{report}", round.label);
    }
}

#[test]
fn a_short_storm_loses_nothing() {
    a_short_storm([0, 4]);
}

#[test]
fn a_short_storm_over_pops_leaves_in_doubt_what_was_popped_last() {
    a_short_storm([1, 3]);
}

#[test]
fn who_comes_and_goes_forks_and_executes_loses_nothing() {
    for index in [0, 1] {
        let round = Round {
            is_restless: true,
            ..rounds()[index]
        };
        let report = rage(&round, 75, Duration::ZERO);
        println!("{}\n{report}", round.label);
    }
}

/// The ring grows and shrinks meanwhile, and those who do that are killed too.
fn growing(round: &Round) -> Round {
    Round {
        grows: true,
        ..*round
    }
}

#[test]
fn a_ring_that_grows_in_a_storm_loses_nothing() {
    for index in [0, 3] {
        let round = growing(&rounds()[index]);
        let report = rage(&round, 150, Duration::ZERO);
        println!("{}\n{report}", round.label);
    }
}

#[test]
fn a_file_that_grows_in_a_storm_loses_nothing() {
    within(Place::File, || {
        let report = rage(&growing(&rounds()[0]), 75, Duration::ZERO);
        println!("{report}");
    });
}

#[test]
#[ignore = "takes minutes"]
fn a_ring_that_grows_in_a_long_storm_loses_nothing() {
    const KILLS: u64 = 5_000;
    let mut whole = Report::default();
    for seed in 7.. {
        for round in &rounds() {
            let round = Round {
                seed,
                is_restless: seed % 2 == 0,
                ..growing(round)
            };
            let report = rage(&round, kills_of(&round), Duration::ZERO);
            println!("{}\n{report}", round.label);
            whole.add(&report);
        }
        if whole.kills >= KILLS {
            break;
        }
    }
    println!("all\n{whole}");
}

#[test]
#[ignore = "takes minutes"]
fn a_long_storm_loses_nothing() {
    const KILLS: u64 = 10_000;
    let rounds = rounds();
    let mut reports = vec![Report::default(); rounds.len()];
    let mut whole = Report::default();
    for seed in 7.. {
        for (round, sum) in rounds.iter().zip(&mut reports) {
            let round = Round { seed, ..*round };
            let report = rage(&round, kills_of(&round), Duration::from_millis(300));
            sum.add(&report);
            whole.add(&report);
        }
        if whole.kills >= KILLS {
            break;
        }
    }
    for (round, report) in rounds.iter().zip(&reports) {
        println!("{}\n{report}", round.label);
    }
    println!("all\n{whole}");
    assert!(whole.mid_operation * 20 >= whole.kills, "too few of them");
}

/// Storms of all kinds for as long as is asked for, in shared memory and in files, with participants
/// that are killed, stopped, come and go, fork and execute; the ring grows in every other one. `cargo run -p xtask -- soak`
/// runs it.
#[test]
#[ignore = "takes as long as it is told to"]
fn soak() {
    let Ok(minutes) = env::var("SLIPRING_SOAK_MINUTES") else {
        return skip("it was not told how many minutes");
    };
    let time = Duration::from_secs_f64(60.0 * minutes.parse::<f64>().unwrap());
    let start = Instant::now();
    let before = Remains::now();
    let rounds = rounds();
    let mut whole = Report::default();
    let mut storms = 0;
    'soak: for seed in 100.. {
        for place in [Place::SharedMemory, Place::File] {
            for round in &rounds {
                if start.elapsed() >= time {
                    break 'soak;
                }
                let round = Round {
                    seed,
                    stops: true,
                    is_restless: true,
                    // In each place, of each kind.
                    grows: (seed + storms) % 2 == 0,
                    ..*round
                };
                within(place, || {
                    whole.add(&rage(&round, kills_of(&round), Duration::ZERO))
                });
                storms += 1;
                assert_eq!(Remains::now(), before, "after {}, {place:?}", round.label);
            }
        }
        println!("{:.0?}, {storms} storms\n{whole}", start.elapsed());
    }
    println!("{:.0?}, {storms} storms in all\n{whole}", start.elapsed());
    assert!(whole.kills * 4 > whole.executions && whole.executions > 0);
}
