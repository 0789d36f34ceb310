//! A process killed at every instruction of every operation: the survivors continue within a
//! liveness interval, and every message is accounted for.
//!
//! ptrace steps a child through an operation, one instruction at a time. One child is killed after
//! the first instruction, one after the second, and so on to the last. The full run takes minutes:
//!
//! ```text
//! cargo test --release --test stress -- --ignored --nocapture --skip growth_ kill_points::
//! ```

#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

use crate::support;
use crate::support::kill_points::{Drill, Pinned, Points, crowd, is_allowed, spsc};

fn run(drills: &[Drill], points: Points) {
    if !is_allowed() {
        return support::skip("ptrace is not permitted");
    }
    let _pinned = Pinned::new();
    for drill in drills {
        drill.run(points);
    }
}

#[test]
fn spsc_ring_survives_producer_killed_near_stores() {
    run(spsc::PUSHING, Points::Some);
}

#[test]
fn spsc_ring_survives_consumer_killed_near_stores() {
    run(spsc::POPPING, Points::Some);
}

#[test]
#[ignore = "takes a minute"]
fn spsc_ring_survives_producer_killed_anywhere() {
    run(spsc::PUSHING, Points::All);
}

#[test]
#[ignore = "takes a minute"]
fn spsc_ring_survives_consumer_killed_anywhere() {
    run(spsc::POPPING, Points::All);
}

#[test]
fn mpmc_ring_survives_participant_killed_near_stores() {
    run(crowd::PUSHING, Points::Some);
    run(crowd::POPPING, Points::Some);
    run(crowd::WATCHED, Points::Some);
}

#[test]
fn mpmc_ring_survives_recoverer_killed_near_stores() {
    run(crowd::RECOVERING, Points::Some);
}

#[test]
fn mpmc_ring_survives_adopter_killed_near_stores() {
    run(crowd::INHERITING, Points::Some);
}

#[test]
#[ignore = "takes a minute"]
fn mpmc_ring_survives_producer_killed_anywhere() {
    run(crowd::PUSHING, Points::All);
    run(crowd::WATCHED, Points::All);
}

#[test]
#[ignore = "takes a minute"]
fn mpmc_ring_survives_consumer_killed_anywhere() {
    run(crowd::POPPING, Points::All);
}

#[test]
#[ignore = "takes minutes"]
fn mpmc_ring_survives_recoverer_killed_anywhere() {
    run(crowd::RECOVERING, Points::All);
    run(crowd::MORE_RECOVERING, Points::All);
}

#[test]
#[ignore = "takes minutes"]
fn mpmc_ring_survives_adopter_killed_anywhere() {
    run(crowd::INHERITING, Points::All);
}

#[test]
#[ignore = "takes minutes"]
fn mpmc_ring_survives_attaching_process_killed_anywhere() {
    run(crowd::ATTACHING, Points::All);
}
