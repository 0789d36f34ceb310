//! A process killed at every instruction of what makes a ring grow, and of what brings producers and consumers from one
//! ring to the next: the others go on, nothing is lost, nothing comes twice, and the ring can grow again. A process that is
//! stopped there keeps nobody from going on, and goes on itself.
//!
//! All of it: `cargo test --release --test growing_kills -- --ignored --nocapture`.

#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

use crate::support;
use crate::support::kill_points::growing::{
    CLOSED, GROWING, LAGGING, MORE_GROWING, MORE_PAUSED, MORE_POPPING, MORE_PUSHING, PAUSED,
    POPPING, PUSHING, RECOVERING,
};
use crate::support::kill_points::{Drill, Pinned, Points, is_allowed};

const ALL: usize = usize::MAX;

fn run(drills: &[Drill], each: impl Fn(&Drill)) {
    if !is_allowed() {
        return support::skip("no tracing here");
    }
    let _pinned = Pinned::new();
    drills.iter().for_each(each);
}

fn kill(drills: &[Drill], points: Points) {
    run(drills, |drill| drill.run(points));
}

#[test]
fn who_is_killed_around_the_stores_of_grow_leaves_a_ring_that_can_be_used() {
    kill(GROWING, Points::Some);
}

#[test]
fn a_producer_killed_around_its_stores_on_the_way_to_the_next_ring_takes_nothing_with_it() {
    kill(PUSHING, Points::Some);
}

#[test]
fn a_consumer_killed_around_its_stores_on_the_way_to_the_next_ring_takes_nothing_with_it() {
    kill(POPPING, Points::Some);
}

#[test]
fn who_is_killed_or_stopped_in_the_old_ring_is_waited_for_no_longer_than_it_must_be() {
    kill(LAGGING, Points::Some);
    run(LAGGING, |drill| drill.pause(ALL));
}

#[test]
fn a_ring_that_is_closed_while_somebody_is_stopped_in_grow_is_closed_for_all() {
    run(CLOSED, |drill| drill.pause(ALL));
}

#[test]
fn a_recoverer_of_two_rings_may_be_killed_around_its_stores() {
    kill(RECOVERING, Points::Some);
}

#[test]
fn who_is_stopped_while_a_ring_grows_keeps_nobody_from_going_on() {
    run(PAUSED, |drill| drill.pause(3));
}

#[test]
#[ignore = "takes minutes"]
fn who_is_killed_anywhere_in_grow_leaves_a_ring_that_can_be_used() {
    kill(GROWING, Points::All);
    kill(MORE_GROWING, Points::Some);
}

#[test]
#[ignore = "takes minutes"]
fn a_producer_killed_anywhere_on_the_way_to_the_next_ring_takes_nothing_with_it() {
    kill(PUSHING, Points::All);
    kill(MORE_PUSHING, Points::Some);
}

#[test]
#[ignore = "takes minutes"]
fn a_consumer_killed_anywhere_on_the_way_to_the_next_ring_takes_nothing_with_it() {
    kill(POPPING, Points::All);
    kill(LAGGING, Points::All);
    kill(MORE_POPPING, Points::Some);
}

#[test]
#[ignore = "takes minutes"]
fn a_recoverer_of_two_rings_may_be_killed_anywhere() {
    kill(RECOVERING, Points::All);
}

#[test]
#[ignore = "takes minutes"]
fn who_is_stopped_anywhere_while_a_ring_grows_keeps_nobody_from_going_on() {
    run(PAUSED, |drill| drill.pause(ALL));
    run(MORE_PAUSED, |drill| drill.pause(ALL));
}
