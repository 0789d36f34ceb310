//! `list` and `stat`.

use crate::program::run;
use crate::support::backings::{BackingKind, with_backing};
use crate::support::{Name, fork_child, kill_process};
use slipring::{mpmc, spsc};
use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::process;

/// The words of the first line whose first word is `name`.
pub(crate) fn line_of<'t>(text: &'t str, name: &str) -> Option<Vec<&'t str>> {
    let mut lines = text
        .lines()
        .map(|line| line.split_ascii_whitespace().collect::<Vec<_>>());
    lines.find(|words| words.first() == Some(&name))
}

#[test]
fn list_shows_every_ring_and_no_other_object() {
    let [name, broken, other] = ["whole", "broken", "other"].map(Name::in_memory);
    let ring = spsc::Ring::<[u8]>::create_bytes(&name, 4, 100).unwrap();
    let (mut producer, _consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    producer.push(b"one").unwrap();
    spsc::Ring::<u64>::create(&broken, 4).unwrap();
    let file = OpenOptions::new().write(true).open(broken.path()).unwrap();
    file.write_all_at(&[3], 0x18).unwrap();
    fs::write(other.path(), "something else").unwrap();

    let listed = run(&["list"]);
    let text = listed.text();
    let words = line_of(text, &name).unwrap();
    assert_eq!(words[1..7], ["spsc", "0..100", "4", "1", "1", "1"]);
    assert_eq!((words[8], words[10]), ("0600", "8.0K"));
    let line = format!("{broken}  broken: header field capacity: found 3, which is not valid");
    assert!(text.lines().any(|found| found == line), "{text}");
    assert_eq!(line_of(text, &other), None);
    assert_eq!((listed.status, &*listed.stderr), (Some(0), ""));

    let json = run(&["list", "--json"]).success();
    let json = String::from_utf8(json).unwrap();
    let object = format!("{{\"ring\":\"{name}\",\"kind\":\"spsc\",\"encoding\":\"byte strings\"");
    assert!(json.contains(&object), "{json}");
    let object = format!("{{\"ring\":\"{broken}\",\"broken\":\"header field");
    assert!(json.contains(&object), "{json}");
    assert!(!json.contains(&*other));
}

#[test]
fn list_shows_file_ring_only_if_named() {
    with_backing(BackingKind::File, || {
        let name = Name::new("file");
        spsc::Ring::<u64>::create(&name, 4).unwrap();
        assert_eq!(line_of(run(&["list"]).text(), &name), None);
        let words = run(&["list", &name]);
        let words = line_of(words.text(), &name).unwrap()[1..4].join(" ");
        assert_eq!(words, "spsc 8 4");
    });
    run(&["list", "file:/no/such/ring"]).failure(1, "file:/no/such/ring: no such ring");
}

#[test]
fn stat_shows_dead_producer_and_its_claim() {
    let name = Name::in_memory("stat");
    let ring = mpmc::Ring::<u64>::create(&name, 4).unwrap();
    let _consumer = ring.consumer().unwrap();
    let mut child = fork_child(|| {
        let mut producer = ring.reopen().unwrap().producer().unwrap();
        producer.push(&1).unwrap();
        std::mem::forget(producer.claim().unwrap());
        kill_process(process::id());
    });
    child.reap();
    let shown = run(&["stat", &name]);
    let text = shown.text();
    let [dead, us] = [child.pid(), process::id()].map(|pid| pid.to_string());
    let seat = line_of(text, "0").unwrap();
    assert_eq!(seat, ["0", "producer", &dead, "-", "dead", "-", "1"]);
    let seat = line_of(text, "64").unwrap();
    assert_eq!(seat[..3], ["64", "consumer", &us]);
    assert_eq!(seat[4..], ["alive", "awake", "-"]);
    assert_eq!(
        line_of(text, "positions").unwrap().join(" "),
        "positions head 0, tail 2"
    );
    assert_eq!(
        line_of(text, "depth").unwrap().join(" "),
        "depth 2 of 4 (50 %)"
    );

    let metrics = run(&["stat", &name, "--prometheus"]).success();
    let metrics = String::from_utf8(metrics).unwrap();
    for (metric, value) in [
        ("depth{ring=\"RING\"}", 2),
        ("pushed_total{ring=\"RING\"}", 2),
        ("seats{ring=\"RING\",role=\"producer\",state=\"dead\"}", 1),
        ("seats{ring=\"RING\",role=\"consumer\",state=\"alive\"}", 1),
    ] {
        let line = format!("slipring_{} {value}", metric.replace("RING", &name));
        assert!(
            metrics.lines().any(|found| found == line),
            "{line}\n{metrics}"
        );
    }
    let json = String::from_utf8(run(&["stat", &name, "--json"]).success()).unwrap();
    let seat = format!("\"role\":\"producer\",\"state\":\"dead\",\"pid\":{dead},\"command\":null");
    assert!(json.contains(&seat), "{json}");
    assert!(
        json.contains("\"intent_start\":1,\"intent_end\":2"),
        "{json}"
    );
}

#[test]
fn stat_of_missing_ring_or_wrong_usage_reports_reason() {
    run(&["stat", "/slipring-test-none"]).failure(1, "/slipring-test-none: no such ring");
    let other = Name::in_memory("other");
    fs::write(other.path(), "something else").unwrap();
    run(&["stat", &other]).failure(1, &format!("{other}: not a ring"));
    let wrong = run(&["stat", "no-slash"]);
    assert_eq!(wrong.status, Some(2));
    assert!(wrong.stderr.contains("it must start with a slash"));
    assert_eq!(run(&["no-such-command"]).status, Some(2));
}
