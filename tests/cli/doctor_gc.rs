//! `doctor` and `gc`.

use crate::program::{Running, run, slipring};
use crate::support::{Name, fork_child, kill_process, until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use slipring::{mpmc, spsc};
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::process::{self, Stdio};

#[test]
fn doctor_of_healthy_ring_reports_no_problems() {
    let name = Name::in_memory("healthy");
    let ring = mpmc::Ring::<u64>::create(&name, 4).unwrap();
    let (mut producer, _consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    producer.push(&1).unwrap();
    let report = run(&["doctor", &name]);
    assert_eq!(
        (report.status, report.text()),
        (Some(0), "no problems found\n")
    );
}

#[test]
fn doctor_finds_and_repairs_claim_of_dead_producer() {
    let name = Name::in_memory("claimant");
    let ring = mpmc::Ring::<u64>::create(&name, 4).unwrap();
    let mut consumer = ring.consumer().unwrap();
    let mut child = fork_child(|| {
        let mut producer = ring.reopen().unwrap().producer().unwrap();
        std::mem::forget(producer.claim().unwrap());
        kill_process(process::id());
    });
    child.reap();
    let pid = child.pid();
    let report = run(&["doctor", &name]);
    let text = report.text();
    let dead = format!("a dead producer, process {pid}, may have claimed position 0\n");
    assert!(text.contains(&dead), "{text}");
    let hole = "position 0, the next one, is claimed and not published\n";
    assert!(text.contains(hole), "{text}");
    assert!(text.contains(&format!("--repair {name}\n")), "{text}");
    assert_eq!(report.status, Some(1));

    let repaired = run(&["doctor", "--repair", &name]);
    let expected = "recovered: 1 dead participants settled, 1 tombstones";
    assert!(repaired.text().starts_with(expected), "{}", repaired.text());
    assert_eq!(repaired.status, Some(0), "{}", repaired.text());
    assert_eq!(ring.counters().tombstones, 1);
    ring.producer().unwrap().push(&7).unwrap();
    assert_eq!(consumer.pop().unwrap(), 7);
}

#[test]
fn doctor_reports_stopped_claimant_with_kill_advice() {
    let name = Name::in_memory("stopped");
    let ring = mpmc::Ring::<u64>::create(&name, 4).unwrap();
    let _consumer = ring.consumer().unwrap();
    let child = fork_child(|| {
        let mut producer = ring.reopen().unwrap().producer().unwrap();
        std::mem::forget(producer.claim().unwrap());
        until("the test kills this process", || false);
    });
    let pid = child.pid();
    let is_reported = |text: &str| run(&["doctor", &name]).text().contains(text);
    until("the child has claimed", || {
        is_reported("position 0, the next one")
    });
    kill(Pid::from_raw(pid as i32), Signal::SIGSTOP).unwrap();
    until("the child is reported as stopped", || {
        is_reported("is stopped, and may have claimed position 0")
    });
    assert!(is_reported(&format!(
        "kill -CONT {pid}, or kill -KILL {pid}"
    )));
}

#[test]
fn doctor_reports_unread_messages_and_unusable_ring() {
    let name = Name::in_memory("unread");
    let ring = spsc::Ring::<u64>::create(&name, 4).unwrap();
    ring.producer().unwrap().push(&1).unwrap();
    let report = run(&["doctor", &name]);
    assert!(
        report
            .text()
            .contains("1 messages wait, and the ring has no live consumer\n")
    );
    report.failure(1, &format!("{name}: 1 problem found"));

    let broken = Name::in_memory("broken");
    spsc::Ring::<u64>::create(&broken, 4).unwrap();
    let file = OpenOptions::new().write(true).open(broken.path()).unwrap();
    file.write_all_at(&[3], 0x18).unwrap();
    let report = run(&["doctor", &broken]);
    let expected = "the ring is unusable: header field capacity: found 3, which is not valid\n";
    assert!(report.text().starts_with(expected), "{}", report.text());
    report.failure(
        1,
        &format!("{broken}: header field capacity: found 3, which is not valid"),
    );
}

#[test]
fn doctor_of_removed_ring_names_process_that_maps_it() {
    let name = Name::in_memory("removed");
    spsc::Ring::<u64>::create(&name, 4).unwrap();
    let _ring = spsc::Ring::<u64>::open(&name).unwrap();
    slipring::unlink(&name).unwrap();
    let report = run(&["doctor", &name]);
    let us = process::id();
    let expected = format!("the name was removed while process {us} had the ring open\n");
    assert!(report.text().starts_with(&expected), "{}", report.text());
    report.failure(1, &format!("{name}: no such ring"));
}

#[test]
fn gc_removes_unused_rings_after_confirmation() {
    let [held, unread, empty] = ["held", "unread", "empty"].map(Name::in_memory);
    let rings = [&held, &unread, &empty].map(|name| spsc::Ring::<u64>::create(name, 4).unwrap());
    let _holder = rings[0].consumer().unwrap();
    rings[1].producer().unwrap().push(&1).unwrap();
    // Rings of other tests must stay: the command gets these three names.
    let names = [&*held, &*unread, &*empty];
    let collect = |more: &[&str], answer: &str| {
        let mut command = slipring(["gc", "--older", "0"].iter().chain(more).chain(&names));
        command.stdin(Stdio::piped());
        let mut running = Running::start(command);
        running.feed(answer.as_bytes());
        running.end()
    };
    let refused = collect(&[], "n\n");
    assert!(
        refused.text().contains("1 with unread messages kept"),
        "{}",
        refused.text()
    );
    assert!(refused.text().ends_with("remove this ring? [y/N] "));
    assert!(empty.path().exists());
    let agreed = collect(&[], "y\n");
    assert!(agreed.text().ends_with(&format!("removed {empty}\n")));
    assert!(!empty.path().exists() && unread.path().exists());
    let forced = collect(&["--yes", "--force"], "");
    assert!(
        forced.text().ends_with(&format!("removed {unread}\n")),
        "{}",
        forced.text()
    );
    assert!(held.path().exists());
    let nothing = collect(&[], "");
    assert_eq!(
        nothing.text(),
        "nothing to remove: every ring is in use or too new\n"
    );
}

#[test]
fn gc_keeps_ring_that_replaced_the_listed_one() {
    let name = Name::in_memory("replaced");
    spsc::Ring::<u64>::create(&name, 4).unwrap();
    let mut collector = Running::with_input(&["gc", "--older", "0", &name]);
    for expected in ["RING", &name] {
        assert!(collector.line().starts_with(expected));
    }
    // The ring is listed, and gc waits for the answer.
    slipring::unlink(&name).unwrap();
    spsc::Ring::<u64>::create(&name, 8).unwrap();
    collector.feed(b"y\n");
    let report = collector.end().success();
    let expected = format!("[y/N] changed since it was listed, not removed: {name}\n");
    let report = String::from_utf8(report).unwrap();
    assert!(report.ends_with(&expected), "{report}");
    assert_eq!(spsc::Ring::<u64>::open(&name).unwrap().capacity(), 8);
}
