//! `tap` and `top`.

use crate::program::{Running, run, slipring};
use crate::support::Name;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use slipring::{Options, WaitStrategy, mpmc, spsc};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

#[test]
fn tap_shows_messages_and_consumes_none() {
    let name = Name::in_memory("tap");
    let ring = mpmc::Ring::<[u8]>::create_bytes(&name, 16, 100).unwrap();
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
    assert_eq!(seen.stderr, "slipring: 2 seen, 0 missed\n");
    assert_eq!(ring.consumer().unwrap().pop().unwrap(), b"hello\n");
}

#[test]
fn tap_of_fast_stream_counts_missed_messages() {
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
        seen.stderr
            .starts_with(&format!("slipring: {lines} seen, "))
    );
}

/// Compares the rate of a ring at full speed between two processors, with `tap` running and stopped
/// in alternate slices.
#[test]
#[ignore = "a measurement of one minute on an otherwise idle machine"]
fn tap_costs_less_than_one_percent_of_rate() {
    const PAIRS: usize = 120;
    const SLICE: Duration = Duration::from_millis(200);
    let name = Name::in_memory("tap-cost");
    let options = Options::new().capacity(1024).wait(WaitStrategy::Spin);
    let ring = mpmc::Ring::<[u64; 7]>::create_with(&name, &options).unwrap();
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    let popped = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&popped);
    let pushing = thread::spawn(move || {
        pin_to(0);
        while producer.push(&[7; 7]).is_ok() {}
    });
    let popping = thread::spawn(move || {
        pin_to(1);
        while consumer.pop().is_ok() {
            counted.fetch_add(1, Relaxed);
        }
    });
    let mut command = slipring(["tap", &name]);
    command.stdout(Stdio::null());
    let mut tap = Running::start(command);
    let mut rate = |signal| {
        tap.signal(signal);
        let (start, before) = (Instant::now(), popped.load(Relaxed));
        thread::sleep(SLICE);
        (popped.load(Relaxed) - before) as f64 / start.elapsed().as_secs_f64()
    };
    let mut ratios: Vec<_> = (0..PAIRS)
        .map(|pair| {
            let signals = [Signal::SIGCONT, Signal::SIGSTOP];
            let first = rate(signals[pair % 2]);
            let second = rate(signals[1 - pair % 2]);
            match pair % 2 {
                0 => first / second,
                _ => second / first,
            }
        })
        .collect();
    ring.close();
    pushing.join().unwrap();
    popping.join().unwrap();
    ratios.sort_by(f64::total_cmp);
    let [quarter, median, rest] = [1, 2, 3].map(|part| ratios[PAIRS * part / 4]);
    println!(
        "rate with tap / rate without: median {median:.4}, quartiles {quarter:.4} and {rest:.4}"
    );
    assert!(median > 0.99);
}

fn pin_to(processor: usize) {
    let mut set = CpuSet::new();
    set.set(processor).unwrap();
    sched_setaffinity(Pid::from_raw(0), &set).unwrap();
}

#[test]
fn top_and_tap_of_missing_ring_fail() {
    for command in ["top", "tap"] {
        run(&[command, "/slipring-test-none"]).failure(1, "/slipring-test-none: no such ring");
    }
}

#[test]
fn top_without_terminal_prints_lines() {
    let name = Name::in_memory("top");
    let ring = spsc::Ring::<u64>::create(&name, 4).unwrap();
    ring.producer().unwrap().push(&1).unwrap();
    let shown = run(&["top", &name, "--interval", "0.01", "--count", "2"]).success();
    let text = String::from_utf8(shown).unwrap();
    let lines: Vec<Vec<_>> = text
        .lines()
        .map(|line| line.split_ascii_whitespace().collect())
        .collect();
    assert_eq!(
        lines[0],
        ["RING", "IN/s", "OUT/s", "DEPTH", "MAX", "STALLS", "SEATS"]
    );
    assert_eq!(lines[1], [&name, "0", "0", "1", "1", "1", "0"]);
    assert_eq!(lines[3], [&name, "0", "0", "1", "1", "2", "0"]);
    assert_eq!(lines.len(), 4);
}
