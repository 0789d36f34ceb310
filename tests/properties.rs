//! Any sequence of operations, of comings, goings and deaths, on a ring and on a model: they agree after every
//! step.

mod kinds;
mod naming;
mod numbers;
mod tampering;
mod trials;

use proptest::prelude::*;
use trials::ops;

fn steps() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..300)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 400,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_ring_of_values_is_a_queue(steps in steps()) {
        ops::run(&[&[0], &*steps].concat());
    }

    #[test]
    fn a_ring_of_strings_is_a_queue(steps in steps()) {
        ops::run(&[&[1], &*steps].concat());
    }

    #[test]
    fn a_ring_of_several_handles_is_a_line_in_which_places_are_taken(steps in steps()) {
        ops::run(&[&[2], &*steps].concat());
    }
}
