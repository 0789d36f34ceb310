//! `doctor` and `gc`.

use crate::running::{Running, run, slipring};
use crate::support::{Name, fork_child, kill_process, until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use slipring::{mpmc, spsc};
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::process::{self, Stdio};

#[test]
fn of_a_ring_that_is_well_nothing_is_said() {
    let name = Name::in_memory("well");
    let ring = mpmc::Ring::<u64>::create(&name, 4).unwrap();
    let (mut producer, _consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    producer.push(&1).unwrap();
    let said = run(&["doctor", &name]);
    assert_eq!((said.status, said.text()), (Some(0), "no problems found\n"));
}

#[test]
fn a_dead_claimant_is_found_and_its_claim_is_recovered() {
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
    let said = run(&["doctor", &name]);
    let text = said.text();
    let dead = format!("a dead producer, process {pid}, may have claimed position 0\n");
    assert!(text.contains(&dead), "{text}");
    let hole = "position 0, the next one, is claimed and not published\n";
    assert!(text.contains(hole), "{text}");
    assert!(text.contains(&format!("--repair {name}\n")), "{text}");
    assert_eq!(said.status, Some(1));

    let mended = run(&["doctor", "--repair", &name]);
    let expected = "recovered: 1 dead participants settled, 1 tombstones";
    assert!(mended.text().starts_with(expected), "{}", mended.text());
    assert_eq!(mended.status, Some(0), "{}", mended.text());
    assert_eq!(ring.counters().tombstones, 1);
    ring.producer().unwrap().push(&7).unwrap();
    assert_eq!(consumer.pop().unwrap(), 7);
}

#[test]
fn a_stopped_claimant_is_told_from_a_dead_one() {
    let name = Name::in_memory("stopped");
    let ring = mpmc::Ring::<u64>::create(&name, 4).unwrap();
    let _consumer = ring.consumer().unwrap();
    let child = fork_child(|| {
        let mut producer = ring.reopen().unwrap().producer().unwrap();
        std::mem::forget(producer.claim().unwrap());
        until("the test has seen enough", || false);
    });
    let pid = child.pid();
    let says = |text: &str| run(&["doctor", &name]).text().contains(text);
    until("the child has claimed", || says("position 0, the next one"));
    kill(Pid::from_raw(pid as i32), Signal::SIGSTOP).unwrap();
    until("it is stopped", || {
        says("is stopped, and may have claimed position 0")
    });
    assert!(says(&format!("kill -CONT {pid}, or kill -KILL {pid}")));
}

#[test]
fn what_nobody_receives_and_what_nobody_can_open_is_told() {
    let name = Name::in_memory("unread");
    let ring = spsc::Ring::<u64>::create(&name, 4).unwrap();
    ring.producer().unwrap().push(&1).unwrap();
    let said = run(&["doctor", &name]);
    assert!(
        said.text()
            .contains("1 messages wait, and the ring has no live consumer\n")
    );
    said.badly(1, &format!("{name}: 1 problem found"));

    let broken = Name::in_memory("broken");
    spsc::Ring::<u64>::create(&broken, 4).unwrap();
    let file = OpenOptions::new().write(true).open(broken.path()).unwrap();
    file.write_all_at(&[3], 0x18).unwrap();
    let said = run(&["doctor", &broken]);
    let what = "the ring is unusable: header field capacity: found 3, which is not valid\n";
    assert!(said.text().starts_with(what), "{}", said.text());
    said.badly(
        1,
        &format!("{broken}: header field capacity: found 3, which is not valid"),
    );
}

#[test]
fn who_still_has_a_removed_ring_is_named() {
    let name = Name::in_memory("removed");
    spsc::Ring::<u64>::create(&name, 4).unwrap();
    let _ring = spsc::Ring::<u64>::open(&name).unwrap();
    slipring::unlink(&name).unwrap();
    let said = run(&["doctor", &name]);
    let us = process::id();
    let what = format!("the name was removed while process {us} had the ring open\n");
    assert!(said.text().starts_with(&what), "{}", said.text());
    said.badly(1, &format!("{name}: no such ring"));
}

#[test]
fn rings_that_nobody_holds_are_removed_if_one_agrees() {
    let [held, unread, empty] = ["held", "unread", "empty"].map(Name::in_memory);
    let rings = [&held, &unread, &empty].map(|name| spsc::Ring::<u64>::create(name, 4).unwrap());
    let _holder = rings[0].consumer().unwrap();
    rings[1].producer().unwrap().push(&1).unwrap();
    // Of other tests' rings none may go.
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
fn a_ring_that_took_the_name_of_the_one_shown_stays() {
    let name = Name::in_memory("successor");
    spsc::Ring::<u64>::create(&name, 4).unwrap();
    let mut collector = Running::with_input(&["gc", "--older", "0", &name]);
    for expected in ["RING", &name] {
        assert!(collector.line().starts_with(expected));
    }
    // It has looked, and asks.
    slipring::unlink(&name).unwrap();
    spsc::Ring::<u64>::create(&name, 8).unwrap();
    collector.feed(b"y\n");
    let said = collector.end().well();
    let expected = format!("[y/N] changed since it was listed, not removed: {name}\n");
    let said = String::from_utf8(said).unwrap();
    assert!(said.ends_with(&expected), "{said}");
    assert_eq!(spsc::Ring::<u64>::open(&name).unwrap().capacity(), 8);
}
