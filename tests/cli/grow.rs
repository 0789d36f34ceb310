//! `grow`, and growing rings in the other commands.

use crate::list_stat::line_of;
use crate::program::{Running, run, slipring};
use crate::support::{Name, fork_child, kill_process, until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use slipring::{Mpmc, Observer, Protocol, Ring, Spsc, mpmc, spsc};
use std::process;

fn text(arguments: &[&str]) -> String {
    String::from_utf8(run(arguments).success()).unwrap()
}

#[test]
fn grow_of_ring_in_use_is_shown_by_every_command() {
    check_growth::<Spsc>("8.0K");
    check_growth::<Mpmc>("24.0K");
}

fn check_growth<P: Protocol>(old_size: &str) {
    let name = Name::in_memory("grows");
    let ring = Ring::<[u8], P>::create_bytes(&name, 4, 100).unwrap();
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    for message in [b"0", b"1", b"2"] {
        producer.push(message).unwrap();
    }
    let grown = text(&["grow", &name, "1000"]);
    assert_eq!(
        grown,
        format!("{name}: 4 → 1024, 3 left in the old segment\n")
    );
    for message in [b"3", b"4"] {
        producer.push(message).unwrap();
    }
    let listed = text(&["list", &name]);
    let words = line_of(&listed, &name).unwrap();
    assert_eq!(words[3..7].join(" "), "4 → 1024 5");
    let shown = text(&["stat", &name]);
    for (field, line) in [
        ("growing", "growing 4 → 1024, 3 left in the old segment"),
        ("positions", "positions head 0, tail 5"),
        ("depth", "depth 5; 2 of 1024 (0 %) in the new segment"),
    ] {
        assert_eq!(line_of(&shown, field).unwrap().join(" "), line);
    }
    let json = text(&["stat", "--json", &name]);
    for part in [
        "\"capacity\":1024,\"depth\":5,\"growing\":true,\"left\":3,",
        "\"segments\":[{\"capacity\":4,\"depth\":3,",
        "\"depth\":3,\"head\":0,\"tail\":3,\"ended\":true,\"offset\":0,",
        "{\"capacity\":1024,\"depth\":2,\"head\":3,\"tail\":5,\"ended\":false,",
        "\"behind\":true",
    ] {
        assert!(json.contains(part), "{part}: {json}");
    }
    let metrics = text(&["stat", "--prometheus", &name]);
    for (metric, value) in [("segments", 2), ("left", 3), ("capacity", 1024)] {
        let line = format!("slipring_{metric}{{ring=\"{name}\"}} {value}");
        assert!(metrics.lines().any(|found| found == line), "{metrics}");
    }
    let top = text(&["top", "--interval", "0.01", "--count", "1", &name]);
    let words = line_of(&top, &name).unwrap();
    assert_eq!(words[1..6].join(" "), "→ 1024 0 0 5");
    let report = text(&["doctor", &name]);
    let growing = "the ring is growing: 4 → 1024, 3 left in the old segment\n    consumers";
    assert!(report.contains(growing), "{report}");
    let behind = format!(
        "not in the newest segment yet: process {} (consumer); {old_size} of",
        process::id()
    );
    assert!(report.contains(&behind), "{report}");
    assert!(report.ends_with("\nno repair needed\n"));

    for expected in [b"0", b"1", b"2", b"3"] {
        assert_eq!(consumer.pop().unwrap(), expected);
    }
    let shown = text(&["stat", &name]);
    assert_eq!(line_of(&shown, "growing"), None);
    let depth = line_of(&shown, "depth").unwrap().join(" ");
    assert_eq!(depth, "depth 1 of 1024 (0 %)");
    assert_eq!(text(&["doctor", &name]), "no problems found\n");
    assert_eq!(text(&["grow", &name, "1024"]), format!("{name}: 1024\n"));
}

#[test]
fn doctor_names_participants_that_keep_old_segment() {
    let name = Name::in_memory("kept");
    let ring = mpmc::Ring::<u64>::create(&name, 4).unwrap();
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    let idle = ring.producer().unwrap();
    producer.push(&1).unwrap();
    let mut child = fork_child(|| {
        let mut consumer = ring.reopen().unwrap().consumer().unwrap();
        std::mem::forget(consumer.read().unwrap());
        until("the test kills this process", || false);
    });
    let observer = Observer::open(&name).unwrap();
    until("the child has claimed the message", || {
        observer.snapshot().unwrap().is_empty()
    });
    run(&["grow", &name, "8"]).success();
    producer.push(&2).unwrap();
    assert_eq!(consumer.pop().unwrap(), 2);
    let pid = child.pid();
    let report = text(&["doctor", &name]);
    let kept = format!(
        "4 → 8, 0 left in the old segment\n    the old segment stays, because process {pid} may"
    );
    assert!(report.contains(&kept), "{report}");
    let us = process::id();
    let behind = format!("yet: process {us} (producer), process {pid} (consumer); 24.0K of");
    assert!(report.contains(&behind), "{report}");
    kill(Pid::from_raw(pid as i32), Signal::SIGSTOP).unwrap();
    until("the child is reported as stopped", || {
        let report = run(&["doctor", &name]);
        report
            .text()
            .contains("is stopped, and may have claimed position 0\n")
    });
    child.kill_and_reap();
    let report = run(&["doctor", &name]);
    let advice = format!(
        "recovery of dead participants retires the old segment: slipring doctor --repair {name}\n"
    );
    assert!(report.text().contains(&advice), "{}", report.text());
    assert_eq!(consumer.pop().unwrap(), 1);

    // The old segment has no messages and no claims, but the idle producer has not moved.
    until("the old segment is retired", || {
        let _ = consumer.try_pop();
        !observer.snapshot().unwrap().is_growing()
    });
    let shown = text(&["stat", &name]);
    let memory = line_of(&shown, "memory").unwrap().join(" ");
    assert!(
        memory.ends_with(", 24.0K kept for participants that are behind"),
        "{memory}"
    );
    let report = text(&["doctor", &name]);
    assert!(
        report.contains(&format!("yet: process {us} (producer); 24.0K of")),
        "{report}"
    );
    drop(idle);
}

#[test]
fn tap_of_growing_ring_follows_its_segments() {
    check_tap::<Spsc>();
    check_tap::<Mpmc>();
}

fn check_tap<P: Protocol>() {
    let name = Name::in_memory("tapped");
    let ring = Ring::<u64, P>::create(&name, 2).unwrap();
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    producer.push(&0).unwrap();
    let mut tap = Running::start(slipring(["tap", &name, "--count", "10"]));
    let mut next = 0;
    for capacity in [8, 2, 4, 16] {
        ring.grow(capacity).unwrap();
        producer.push(&(next + 1)).unwrap();
        for _ in 0..2 {
            let shown = tap.line();
            assert!(
                shown.starts_with(&format!("{next}  8  {next:02x} 00 ")),
                "{shown}"
            );
            assert_eq!(consumer.pop().unwrap(), next);
            next += 1;
        }
        producer.push(&next).unwrap();
    }
    producer.push(&(next + 1)).unwrap();
    let ended = tap.end();
    assert_eq!(
        (ended.status, &*ended.stderr),
        (Some(0), "slipring: 10 seen, 0 missed\n")
    );
}

#[test]
fn grow_failure_is_reported_in_one_line() {
    let none = "/slipring-test-none";
    run(&["grow", none, "8"]).failure(1, &format!("{none}: no such ring"));
    let name = Name::in_memory("closed");
    let ring = spsc::Ring::<u64>::create(&name, 4).unwrap();
    let error = format!("{name}: capacity: found 1, expected 2 to 1073741824 messages");
    run(&["grow", &name, "1"]).failure(1, &error);
    assert_eq!(run(&["grow", &name]).status, Some(2));
    assert_eq!(run(&["grow", &name, "many"]).status, Some(2));
    ring.close();
    run(&["grow", &name, "8"]).failure(1, &format!("{name}: the ring is closed"));
    assert_eq!(ring.capacity(), 4);
}

#[test]
fn recv_after_producer_died_in_growth_drains_every_segment() {
    let name = Name::in_memory("died");
    let ring = spsc::Ring::<[u8]>::create_bytes(&name, 4, 100).unwrap();
    let mut child = fork_child(|| {
        let mut producer = ring.reopen().unwrap().producer().unwrap();
        producer.push(b"1\n").unwrap();
        ring.reopen().unwrap().grow(8).unwrap();
        producer.push(b"2\n").unwrap();
        ring.reopen().unwrap().grow(2).unwrap();
        kill_process(process::id());
    });
    child.reap();
    let listed = text(&["list", &name]);
    assert_eq!(line_of(&listed, &name).unwrap()[3..7].join(" "), "4 → 2 2");
    let received = run(&["recv", &name, "--count", "2"]);
    assert_eq!(received.text(), "1\n2\n");
    let shown = text(&["stat", &name]);
    assert_eq!(line_of(&shown, "pushed").unwrap().join(" "), "pushed 2");
}
