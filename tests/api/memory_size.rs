//! The memory that a ring takes equals the documented size, to the byte.

use crate::support::names::Name;
use bytemuck::Pod;
use proptest::prelude::*;
use slipring::{Observer, Options, mpmc, spsc};

const PAGE: u64 = 4096;

/// The formula in the documentation of `Options::capacity`.
fn documented_size(seats: u64, capacity: u64, size: u64, align: u64) -> u64 {
    let before_slots = (1024 + 128 * seats).next_multiple_of(PAGE);
    let word = align.max(8);
    let slot = (word + size).next_multiple_of(word);
    before_slots + (capacity * slot).next_multiple_of(PAGE)
}

fn assert_documented_size(name: &str, seats: u64, capacity: u64, size: u64, align: u64) {
    let snapshot = Observer::open(name).unwrap().snapshot().unwrap();
    let expected = documented_size(seats, capacity, size, align);
    assert_eq!(
        snapshot.size, expected,
        "{seats} seats, {capacity} times {size} bytes"
    );
    assert_eq!(
        snapshot.allocated, expected,
        "creation allocates all of the memory"
    );
}

fn assert_value_ring_sizes<T: Pod>() {
    for capacity in [2, 64, 1024] {
        let name = Name::new();
        let _ring = spsc::Ring::<T>::create(&name, capacity).unwrap();
        assert_documented_size(
            &name,
            2,
            capacity as u64,
            size_of::<T>() as u64,
            align_of::<T>() as u64,
        );
    }
}

#[test]
fn value_ring_size_matches_documented_formula() {
    assert_value_ring_sizes::<()>();
    assert_value_ring_sizes::<u8>();
    assert_value_ring_sizes::<u32>();
    assert_value_ring_sizes::<u64>();
    assert_value_ring_sizes::<u128>();
    assert_value_ring_sizes::<[u64; 7]>();
    assert_value_ring_sizes::<[u8; 4099]>();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn byte_ring_size_matches_documented_formula(
        producers in 1..=200_u32,
        consumers in 1..=200_u32,
        bits in 1..=10_u32,
        size in 0..=5000_usize,
    ) {
        let name = Name::new();
        let capacity = 1_usize << bits;
        let options = Options::new()
            .capacity(capacity)
            .message_size(size)
            .producers(producers)
            .consumers(consumers);
        let _ring = mpmc::Ring::<[u8]>::create_with(&name, &options).unwrap();
        let seats = u64::from(producers + consumers);
        assert_documented_size(&name, seats, capacity as u64, size as u64, 1);
    }
}
