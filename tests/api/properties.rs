//! Random sequences of operations, attaches, detaches and deaths, on a ring and on a model. The two
//! must agree after every step.

use crate::support::time_limit::bounded;
use crate::trials::ops;
use proptest::prelude::*;

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
    fn random_operations_on_value_ring_match_queue_model(steps in steps()) {
        bounded(|| ops::run(&[&[0], &*steps].concat()));
    }

    #[test]
    fn random_operations_on_byte_ring_match_queue_model(steps in steps()) {
        bounded(|| ops::run(&[&[1], &*steps].concat()));
    }

    #[test]
    fn random_operations_on_mpmc_ring_match_claim_model(steps in steps()) {
        bounded(|| ops::run(&[&[2], &*steps].concat()));
    }
}

/// A consumer adopts the first of a dead consumer's three messages, puts it back and detaches. The
/// intents of both consumers cover that message.
#[test]
fn message_in_two_abandoned_intents_is_orphaned_once() {
    let steps = [
        29, 0, 30, 0, 0, 0, 0, 27, 0, 6, 0, 0, 111, 0, 0, 0, 0, 37, 0, 0, 37, 0, 0, 37, 0, 0, 31,
        0, 0, 0, 21, 137, 0, 95, 0, 138, 0, 111, 0, 0, 197, 137, 53, 95, 0, 88, 44, 0, 95, 0, 95,
        0, 10, 51, 170, 17, 209, 137, 12, 56, 96, 19, 27, 0, 115, 0, 0, 61, 33, 11, 186, 56, 49,
        101, 1, 111, 0, 0, 88, 96, 0, 81, 0, 0, 95, 0, 24, 77, 0, 56, 24, 0, 0, 0, 15, 0, 0, 0, 0,
        15, 0, 0, 69, 0, 0, 47, 0, 0, 31,
    ];
    bounded(|| ops::run(&[&[2], &steps[..]].concat()));
}
