//! A process killed at every instruction of `grow`, and of the code that moves producers and
//! consumers from one segment to the next. The survivors continue, no message is lost or
//! duplicated, and the ring can grow again. A process that is stopped there blocks no other
//! process, and continues when it is resumed.
//!
//! The full run:
//!
//! ```text
//! cargo test --release --test stress -- --ignored --nocapture growth_kill_points::
//! ```

#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

use crate::support;
use crate::support::kill_points::growing::{
    CLOSED, GROWING, LAGGING, MORE_GROWING, MORE_PAUSED, MORE_POPPING, MORE_PUSHING, PAUSED,
    POPPING, PUSHING, RECOVERING,
};
use crate::support::kill_points::{Drill, Pinned, Points, is_allowed};

const ALL: usize = usize::MAX;

fn run(drills: &[Drill], run_drill: impl Fn(&Drill)) {
    if !is_allowed() {
        return support::skip("ptrace is not permitted");
    }
    let _pinned = Pinned::new();
    drills.iter().for_each(run_drill);
}

fn kill(drills: &[Drill], points: Points) {
    run(drills, |drill| drill.run(points));
}

#[test]
fn grow_killed_near_stores_leaves_usable_ring() {
    kill(GROWING, Points::Some);
}

#[test]
fn producer_killed_near_segment_change_stores_loses_nothing() {
    kill(PUSHING, Points::Some);
}

#[test]
fn consumer_killed_near_segment_change_stores_loses_nothing() {
    kill(POPPING, Points::Some);
}

#[test]
fn process_killed_or_stopped_in_old_segment_delays_minimally() {
    kill(LAGGING, Points::Some);
    run(LAGGING, |drill| drill.pause(ALL));
}

#[test]
fn close_while_process_is_stopped_in_grow_closes_for_all() {
    run(CLOSED, |drill| drill.pause(ALL));
}

#[test]
fn recovery_of_two_segments_survives_kill_near_stores() {
    kill(RECOVERING, Points::Some);
}

#[test]
fn process_stopped_during_growth_blocks_no_other() {
    run(PAUSED, |drill| drill.pause(3));
}

#[test]
#[ignore = "takes minutes"]
fn grow_killed_anywhere_leaves_usable_ring() {
    kill(GROWING, Points::All);
    kill(MORE_GROWING, Points::Some);
}

#[test]
#[ignore = "takes minutes"]
fn producer_killed_anywhere_in_segment_change_loses_nothing() {
    kill(PUSHING, Points::All);
    kill(MORE_PUSHING, Points::Some);
}

#[test]
#[ignore = "takes minutes"]
fn consumer_killed_anywhere_in_segment_change_loses_nothing() {
    kill(POPPING, Points::All);
    kill(LAGGING, Points::All);
    kill(MORE_POPPING, Points::Some);
}

#[test]
#[ignore = "takes minutes"]
fn recovery_of_two_segments_survives_kill_anywhere() {
    kill(RECOVERING, Points::All);
}

#[test]
#[ignore = "takes minutes"]
fn process_stopped_anywhere_during_growth_blocks_no_other() {
    run(PAUSED, |drill| drill.pause(ALL));
    run(MORE_PAUSED, |drill| drill.pause(ALL));
}
