//! The options of MPMC rings, refusals because of them, and header values that are impossible.

use crate::support::names::{Name, locked};
use slipring::error::{CreateError, OpenError};
use slipring::{Delivery, Kind, Options, Role, mpmc, spsc};
use std::os::unix::fs::FileExt;

const PARTICIPANTS: u64 = 0x2c;
const PRODUCERS: u64 = 0x48;
const DELIVERY: u64 = 0x320;

fn two() -> Options {
    Options::new().capacity(2)
}

#[test]
fn seat_count_per_role_must_be_1_to_4096() {
    for seats in [1, 2, 63, 4096] {
        for options in [two().producers(seats), two().consumers(seats)] {
            let name = Name::new();
            let ring = mpmc::Ring::<u64>::create_with(&name, &options).unwrap();
            let again = mpmc::Ring::<u64>::open_with(&name, &options).unwrap();
            ring.producer().unwrap().push(&1).unwrap();
            assert_eq!(again.consumer().unwrap().pop(), Ok(1));
        }
    }
    for seats in [0, 4097, u32::MAX] {
        let name = Name::new();
        let create =
            |options: Options| mpmc::Ring::<u64>::create_with(&name, &options).unwrap_err();
        is!(create(two().producers(seats)),
            CreateError::Seats { role: Role::Producer, asked, max: 4096, .. } if asked == seats,
            "producer seats: found {seats}, expected 1 to 4096");
        is!(create(two().consumers(seats)),
            CreateError::Seats { role: Role::Consumer, asked, max: 4096, .. } if asked == seats,
            "consumer seats: found {seats}, expected 1 to 4096");
        assert!(!name.path().exists());
    }
}

#[test]
fn maximum_seats_of_both_roles_are_all_claimable() {
    let name = Name::new();
    let options = two().producers(4096).consumers(4096);
    let ring = mpmc::Ring::<u64>::create_with(&name, &options).unwrap();
    // The locks of all seats but the last are held, as if other processes had the seats.
    let _all_but_one = locked(&name, 0x400, 4095);
    let mut last = ring.producer().unwrap();
    assert!(ring.producer().is_err());
    last.push(&7).unwrap();
    let _all_but_one = locked(&name, 0x400 + 4096, 4095);
    let mut consumer = ring.consumer().unwrap();
    assert!(ring.consumer().is_err());
    assert_eq!(consumer.pop(), Ok(7));
}

#[test]
fn spsc_create_with_mpmc_options_is_refused() {
    let name = Name::new();
    for (options, option) in [
        (two().producers(1), "producers"),
        (two().consumers(2), "consumers"),
        (two().delivery(Delivery::AtLeastOnce), "delivery"),
        (two().delivery(Delivery::AtMostOnce), "delivery"),
    ] {
        is!(spsc::Ring::<u64>::create_with(&name, &options).unwrap_err(),
            CreateError::OnlyMpmc { option: found, .. } if found == option,
            "{option}: found on an SPSC ring, expected on MPMC rings only");
        assert!(!name.path().exists());
    }
}

#[test]
fn open_with_other_seats_delivery_or_kind_is_refused() {
    let name = Name::new();
    let made = two()
        .producers(3)
        .consumers(5)
        .delivery(Delivery::AtMostOnce);
    mpmc::Ring::<u64>::create_with(&name, &made).unwrap();
    mpmc::Ring::<u64>::open(&name).unwrap();
    mpmc::Ring::<u64>::open_or_create_with(&name, &made).unwrap();
    let asked = |options: Options| mpmc::Ring::<u64>::open_with(&name, &options).unwrap_err();
    is!(asked(Options::new().producers(5)),
        OpenError::Seats { role: Role::Producer, expected: 5, found: 3, .. } if true,
        "producer seats: found 3, expected 5");
    is!(asked(Options::new().consumers(3)),
        OpenError::Seats { role: Role::Consumer, expected: 3, found: 5, .. } if true,
        "consumer seats: found 5, expected 3");
    is!(asked(Options::new().delivery(Delivery::AtLeastOnce)),
        OpenError::Delivery { expected: Delivery::AtLeastOnce, found: Delivery::AtMostOnce, .. }
            if true,
        "delivery: found at-most-once, expected at-least-once");
    is!(spsc::Ring::<u64>::open(&name).unwrap_err(),
        OpenError::Kind { expected: Kind::Spsc, found: Kind::Mpmc, .. } if true,
        "kind: found mpmc, expected spsc");

    let name = Name::new();
    spsc::Ring::<u64>::create_with(&name, &two()).unwrap();
    is!(mpmc::Ring::<u64>::open(&name).unwrap_err(),
        OpenError::Kind { expected: Kind::Mpmc, found: Kind::Spsc, .. } if true,
        "kind: found spsc, expected mpmc");
    is!(spsc::Ring::<u64>::open_with(&name, &Options::new().producers(2)).unwrap_err(),
        OpenError::Seats { role: Role::Producer, expected: 2, found: 1, .. } if true,
        "producer seats: found 1, expected 2");
}

#[test]
fn impossible_seats_in_header_are_named_in_error() {
    let refused = |options: Options, writes: &[(u64, u32)]| {
        let name = Name::new();
        mpmc::Ring::<u64>::create_with(&name, &options).unwrap();
        for (at, word) in writes {
            name.file().write_all_at(&word.to_le_bytes(), *at).unwrap();
        }
        mpmc::Ring::<u64>::open(&name).unwrap_err()
    };
    let made = || two().producers(3).consumers(5);
    type Forged<'f> = &'f [(u64, u32)];
    let cases: [(Forged<'_>, &str, u32); 10] = [
        (&[(PRODUCERS, 0)], "producers", 0),
        (&[(PRODUCERS, 4097)], "producers", 4097),
        (&[(PRODUCERS, u32::MAX)], "producers", u32::MAX),
        (&[(PARTICIPANTS, 0)], "participants", 0),
        (&[(PARTICIPANTS, 2)], "participants", 2),
        (&[(PARTICIPANTS, 3)], "participants", 3),
        (&[(PARTICIPANTS, 3 + 4097)], "participants", 3 + 4097),
        (&[(PARTICIPANTS, u32::MAX)], "participants", u32::MAX),
        // The count is in range, but so many seats would move the slots to a later offset.
        (&[(PARTICIPANTS, 100)], "slots_offset", 0x1000),
        (&[(DELIVERY, 2)], "delivery", 2),
    ];
    for (writes, name, word) in cases {
        is!(refused(made(), writes),
            OpenError::Inconsistent { field, found, .. }
                if (field, found) == (name, u64::from(word)),
            "header field {name}: found {word}, which is not valid");
    }
}

#[test]
fn header_seat_split_with_same_total_is_accepted() {
    let name = Name::new();
    mpmc::Ring::<u64>::create_with(&name, &two().producers(3).consumers(5)).unwrap();
    let file = name.file();
    // The total is still eight seats, so no other header value contradicts this one.
    file.write_all_at(&7_u32.to_le_bytes(), PRODUCERS).unwrap();
    let options = Options::new().producers(7).consumers(1);
    let ring = mpmc::Ring::<u64>::open_with(&name, &options).unwrap();
    let producers: Vec<_> = (0..7).map(|_| ring.producer().unwrap()).collect();
    assert!(ring.producer().is_err());
    let _consumer = ring.consumer().unwrap();
    assert!(ring.consumer().is_err());
    drop(producers);
}
