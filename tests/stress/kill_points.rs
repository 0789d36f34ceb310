//! A process killed at every instruction of every operation: the survivors go on, within a
//! liveness interval, and every message is accounted for.
//!
//! A child is led through an operation by ptrace, one instruction at a time, and killed after
//! the first, the second, and so on to the last. All of it takes some minutes:
//! `cargo test --release --test kill_points -- --ignored --nocapture`.

#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

use crate::support;
use crate::support::kill_points::{Drill, Pinned, Points, crowd, is_allowed, spsc};

fn run(drills: &[Drill], points: Points) {
    if !is_allowed() {
        return support::skip("no tracing here");
    }
    let _pinned = Pinned::new();
    for drill in drills {
        drill.run(points);
    }
}

#[test]
fn an_spsc_ring_survives_a_producer_killed_around_its_stores() {
    run(spsc::PUSHING, Points::Some);
}

#[test]
fn an_spsc_ring_survives_a_consumer_killed_around_its_stores() {
    run(spsc::POPPING, Points::Some);
}

#[test]
#[ignore = "takes a minute"]
fn an_spsc_ring_survives_a_producer_killed_anywhere() {
    run(spsc::PUSHING, Points::All);
}

#[test]
#[ignore = "takes a minute"]
fn an_spsc_ring_survives_a_consumer_killed_anywhere() {
    run(spsc::POPPING, Points::All);
}

#[test]
fn an_mpmc_ring_survives_a_participant_killed_around_its_stores() {
    run(crowd::PUSHING, Points::Some);
    run(crowd::POPPING, Points::Some);
    run(crowd::WATCHED, Points::Some);
}

#[test]
fn an_mpmc_ring_survives_a_recoverer_killed_around_its_stores() {
    run(crowd::RECOVERING, Points::Some);
}

#[test]
fn an_mpmc_ring_survives_an_heir_killed_around_its_stores() {
    run(crowd::INHERITING, Points::Some);
}

#[test]
#[ignore = "takes a minute"]
fn an_mpmc_ring_survives_a_producer_killed_anywhere() {
    run(crowd::PUSHING, Points::All);
    run(crowd::WATCHED, Points::All);
}

#[test]
#[ignore = "takes a minute"]
fn an_mpmc_ring_survives_a_consumer_killed_anywhere() {
    run(crowd::POPPING, Points::All);
}

#[test]
#[ignore = "takes minutes"]
fn an_mpmc_ring_survives_a_recoverer_killed_anywhere() {
    run(crowd::RECOVERING, Points::All);
    run(crowd::MORE_RECOVERING, Points::All);
}

#[test]
#[ignore = "takes minutes"]
fn an_mpmc_ring_survives_an_heir_killed_anywhere() {
    run(crowd::INHERITING, Points::All);
}

#[test]
#[ignore = "takes minutes"]
fn an_mpmc_ring_survives_a_newcomer_killed_anywhere() {
    run(crowd::ATTACHING, Points::All);
}
