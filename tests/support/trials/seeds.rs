//! The seeds of trials: objects of real rings, and short sequences of steps.

use crate::support::names::Name;
use slipring::{Options, Protocol, Ring, mpmc, spsc};
use std::fs;

/// The backing of an object, as the trial of opening encodes it.
const PLACES: [&str; 4] = ["posix", "memfd", "file", "sysv"];

/// The seeds of each trial: trial, name and bytes.
pub(crate) fn all() -> Vec<(&'static str, String, Vec<u8>)> {
    let mut seeds = Vec::new();
    for (kind, image) in images() {
        for (place, name) in PLACES.iter().enumerate() {
            // Each kind in shared memory, and each other backing once.
            if place == 0 || kind == "mpmc-values" {
                let pages = image.len().div_ceil(4096) as u8;
                let used = image
                    .iter()
                    .rposition(|&byte| byte != 0)
                    .map_or(0, |at| at + 1);
                let seed = [&[place as u8, pages], &image[..used]].concat();
                seeds.push(("open", format!("{name}-{kind}"), seed));
            }
        }
    }
    for (name, seed) in STORIES {
        let (target, name) = name.split_once('/').expect("a trial's name");
        seeds.push((target, name.to_owned(), seed.to_vec()));
    }
    seeds
}

/// Objects of rings in use, of both kinds and both encodings.
pub(crate) fn images() -> Vec<(&'static str, Vec<u8>)> {
    let small = Options::new().capacity(4);
    let crowd = small.clone().producers(2).consumers(2);
    let bytes = |options: &Options| options.clone().message_size(20);
    vec![
        ("spsc-values", values(&small, 3)),
        ("spsc-strings", strings::<slipring::Spsc>(&bytes(&small))),
        ("mpmc-values", claimed(&crowd)),
        ("mpmc-strings", strings::<slipring::Mpmc>(&bytes(&crowd))),
    ]
}

fn image(name: &Name) -> Vec<u8> {
    fs::read(name.path()).unwrap()
}

fn values(options: &Options, count: u64) -> Vec<u8> {
    let name = Name::new();
    let ring = spsc::Ring::<u64>::create_with(&name, options).unwrap();
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    (0..count).for_each(|number| producer.push(&number).unwrap());
    consumer.pop().unwrap();
    image(&name)
}

fn strings<P: Protocol>(options: &Options) -> Vec<u8> {
    let name = Name::new();
    let ring = Ring::<[u8], P>::create_with(&name, options).unwrap();
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    for message in [&b"some"[..], b"", b"messages"] {
        producer.push(message).unwrap();
    }
    consumer.pop().unwrap();
    image(&name)
}

/// The ring has an open guard and an open claim.
fn claimed(options: &Options) -> Vec<u8> {
    let name = Name::new();
    let ring = mpmc::Ring::<u64>::create_with(&name, options).unwrap();
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    producer.push_slice(&[1, 2]).unwrap();
    let _guard = consumer.read().unwrap();
    let _claim = producer.claim().unwrap();
    image(&name)
}

/// Sequences of steps. The decoders of the trials define the meaning of the bytes, by remainders.
const STORIES: &[(&str, &[u8])] = &[
    // Both sides attach, push and pop single messages and batches, and detach.
    (
        "ops/values",
        &[
            0, 1, 0, 5, 22, 0, 25, 0, 0, 4, 6, 3, 8, 2, 11, 14, 16, 3, 17, 9, 22, 25,
        ],
    ),
    (
        "ops/strings",
        &[
            1, 2, 1, 9, 22, 0, 25, 0, 9, 0, 9, 1, 19, 0, 19, 1, 19, 2, 19, 3, 18, 2,
        ],
    ),
    // The producer dies in a batch, twice, and the consumer continues.
    (
        "ops/deaths",
        &[
            0, 1, 2, 3, 22, 1, 25, 1, 6, 3, 28, 2, 16, 9, 22, 1, 28, 3, 29, 2, 25, 1, 11,
        ],
    ),
    // Three of each role, open claims and guards, each kind of death, and a recovery.
    (
        "ops/crowd",
        &[
            2, 1, 1, 0, 21, 0, 1, 21, 1, 1, 24, 0, 1, 24, 1, 1, 0, 0, 5, 1, 5, 10, 0, 17, 1, 2, 7,
            0, 2, 27, 0, 0, 29, 1, 0, 31, 0, 10, 0, 24, 1, 1, 15, 1, 9,
        ],
    ),
    (
        "ops/crowd-dying-within",
        &[
            2, 2, 0, 0, 21, 0, 1, 24, 0, 1, 5, 0, 4, 27, 0, 3, 2, 1, 29, 0, 3, 1, 1, 21, 0, 1, 24,
            0, 1, 10, 0, 10, 0, 15, 0, 9, 27, 0, 1, 2, 29, 0, 2, 31, 0,
        ],
    ),
    (
        "hostile/one-to-one",
        &[
            0, 0, 1, 6, 0, 0, 9, 0, 0, 3, 1, 2, 0, 7, 3, 0, 0, 1, 9, 3, 0, 12, 0,
        ],
    ),
    (
        "hostile/many",
        &[
            1, 0, 1, 13, 12, 0, 12, 1, 5, 4, 1, 2, 5, 14, 8, 4, 3, 1, 6, 2, 10, 3, 15, 11, 5, 2, 13,
        ],
    ),
    ("stream/bytes", b"\0\x04\x02some bytes"),
    ("stream/lines", b"\x01\x04\x01one\n\ntwo\nthree"),
    (
        "stream/frames",
        b"\x02\x03\x07\x03\0\0\0one\0\0\0\0\x01\0\0\0x",
    ),
];
