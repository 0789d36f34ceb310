//! How much memory a ring takes: what the documentation says, to the byte.

use crate::support::names::Name;
use bytemuck::Pod;
use proptest::prelude::*;
use slipring::{Observer, Options, mpmc, spsc};

const PAGE: u64 = 4096;

/// As `Options::capacity` has it.
fn documented(seats: u64, capacity: u64, size: u64, align: u64) -> u64 {
    let before_slots = (1024 + 128 * seats).next_multiple_of(PAGE);
    let word = align.max(8);
    let slot = (word + size).next_multiple_of(word);
    before_slots + (capacity * slot).next_multiple_of(PAGE)
}

fn is_as_documented(name: &str, seats: u64, capacity: u64, size: u64, align: u64) {
    let seen = Observer::open(name).unwrap().snapshot().unwrap();
    let expected = documented(seats, capacity, size, align);
    assert_eq!(
        seen.size, expected,
        "{seats} seats, {capacity} times {size} bytes"
    );
    assert_eq!(seen.allocated, expected, "all of it is there at once");
}

fn values<T: Pod>() {
    for capacity in [2, 64, 1024] {
        let name = Name::new();
        let _ring = spsc::Ring::<T>::create(&name, capacity).unwrap();
        is_as_documented(
            &name,
            2,
            capacity as u64,
            size_of::<T>() as u64,
            align_of::<T>() as u64,
        );
    }
}

#[test]
fn rings_of_values_take_what_the_formula_says() {
    values::<()>();
    values::<u8>();
    values::<u32>();
    values::<u64>();
    values::<u128>();
    values::<[u64; 7]>();
    values::<[u8; 4099]>();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn rings_of_byte_strings_take_what_the_formula_says(
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
        is_as_documented(&name, seats, capacity as u64, size as u64, 1);
    }
}
