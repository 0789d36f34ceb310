//! A peer that writes any word anywhere, between operations, during them, or before a ring is
//! opened. There is no panic, no endless loop, and no undocumented result.

use crate::support::names::Name;
use crate::support::time_limit::bounded;
use crate::trials;
use proptest::prelude::*;
use proptest::sample::select;
use slipring::spsc::Ring;

/// Any word, and words near wraps and powers of two.
fn words() -> impl Strategy<Value = u64> {
    prop_oneof![
        0..20_u64,
        any::<u64>(),
        any::<u64>().prop_map(|word| 1 << (word % 64)),
        (0..20_u64).prop_map(|below| u64::MAX - below),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 300,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn random_writes_between_spsc_calls_cause_documented_errors(
        steps in prop::collection::vec(any::<u8>(), 1..500),
    ) {
        bounded(|| trials::hostile::run(&[&[0], &*steps].concat()));
    }

    #[test]
    fn random_writes_between_mpmc_calls_cause_documented_errors(
        steps in prop::collection::vec(any::<u8>(), 1..500),
    ) {
        bounded(|| trials::hostile::run(&[&[1], &*steps].concat()));
    }

    #[test]
    fn object_of_any_bytes_in_any_backing_is_opened_or_refused(
        (_, mut image) in select(trials::seeds::images()),
        backing in 0..4_u8,
        bytes in prop::collection::vec((0..0x880_usize, any::<u8>()), 0..6),
        words in prop::collection::vec((0..0x880_usize / 4, words()), 0..3),
    ) {
        for (at, byte) in bytes {
            image[at] = byte;
        }
        for (at, word) in words {
            image[at * 4..][..4].copy_from_slice(&(word as u32).to_le_bytes());
        }
        bounded(|| trials::open::run(&[&[backing, 0], &*image].concat()));
    }

    #[test]
    fn file_of_any_size_is_opened_or_refused(size in 0..0x4000_u64) {
        let name = Name::new();
        Ring::<u64>::create(&name, 4).unwrap();
        name.file().set_len(size).unwrap();
        prop_assert_eq!(Ring::<u64>::open(&name).is_ok(), size >= 0x2000);
    }

    #[test]
    fn stream_cut_into_messages_is_reassembled_unchanged(
        framing in 0..3_u8,
        lengths in any::<[u8; 2]>(),
        input in prop::collection::vec(0..12_u8, 0..200),
    ) {
        trials::stream::run(&[&[framing], &lengths[..], &input].concat());
    }
}

#[test]
fn fuzz_seeds_run_without_panic() {
    for (target, name, seed) in trials::seeds::all() {
        println!("{target}/{name}");
        let trial = match target {
            "open" => trials::open::run,
            "ops" => trials::ops::run,
            "hostile" => trials::hostile::run,
            _ => trials::stream::run,
        };
        bounded(|| trial(&seed));
    }
}
