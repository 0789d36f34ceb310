//! `tap` and `top`.

use crate::running::{Running, run, slipring};
use crate::support::Name;
use nix::sys::signal::Signal;
use slipring::{mpmc, spsc};

#[test]
fn messages_are_seen_and_not_taken() {
    let name = Name::in_memory("tap");
    let ring = mpmc::Ring::<[u8]>::create(&name, 16, 100).unwrap();
    let mut producer = ring.producer().unwrap();
    producer.push(b"hello\n").unwrap();
    drop(producer.claim().unwrap());
    producer.push(&[b'x'; 40]).unwrap();
    let seen = run(&["tap", &name, "--count", "2"]);
    let xs = "78 ".repeat(32);
    let letters = "x".repeat(32);
    let expected = format!(
        "0  6  68 65 6c 6c 6f 0a  |hello.|\n2  40  {}…  |{letters}…|\n",
        xs.trim_end()
    );
    assert_eq!(seen.text(), expected);
    assert_eq!(seen.complaint, "slipring: 2 seen, 0 missed\n");
    assert_eq!(ring.consumer().unwrap().pop().unwrap(), b"hello\n");
}

#[test]
fn a_tap_goes_with_the_stream_and_counts_what_it_missed() {
    const MESSAGES: u64 = 5000;
    let name = Name::in_memory("tap");
    let ring = spsc::Ring::<u64>::create(&name, 4).unwrap();
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    producer.push(&u64::MAX).unwrap();
    let mut tap = Running::start(slipring(["tap", &name]));
    let first = tap.line();
    assert!(first.starts_with("0  8  ff ff"), "{first}");
    consumer.pop().unwrap();
    for number in 1..MESSAGES {
        producer.push(&number).unwrap();
        consumer.pop().unwrap();
    }
    tap.signal(Signal::SIGINT);
    let seen = tap.end();
    assert_eq!(seen.status, Some(0));
    let lines = 1 + seen.text().lines().count() as u64;
    assert!(lines < MESSAGES);
    assert!(
        seen.complaint
            .starts_with(&format!("slipring: {lines} seen, "))
    );
}

#[test]
fn without_a_terminal_there_are_lines() {
    let name = Name::in_memory("top");
    let ring = spsc::Ring::<u64>::create(&name, 4).unwrap();
    ring.producer().unwrap().push(&1).unwrap();
    let shown = run(&["top", &name, "--interval", "0.01", "--count", "2"]).well();
    let text = String::from_utf8(shown).unwrap();
    let lines: Vec<Vec<_>> = text
        .lines()
        .map(|line| line.split_ascii_whitespace().collect())
        .collect();
    assert_eq!(
        lines[0],
        ["RING", "IN/s", "OUT/s", "DEPTH", "MOST", "STALLS", "SEATS"]
    );
    assert_eq!(lines[1], [&name, "0", "0", "1", "1", "1", "0"]);
    assert_eq!(lines[3], [&name, "0", "0", "1", "1", "2", "0"]);
    assert_eq!(lines.len(), 4);
}
