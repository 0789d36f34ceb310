//! `send` and `recv`.

use crate::program::{Running, run, slipring};
use crate::support::{Name, Random, backings, until};
use nix::sys::signal::Signal;
use slipring::{Observer, Occupancy, Role, mpmc, spsc};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::thread;

fn noise(len: usize) -> Vec<u8> {
    let mut random = Random::new(len as u64);
    (0..len).map(|_| random.below(256) as u8).collect()
}

/// Waits until a live process holds a seat of the role.
fn until_attached(name: &Name, role: Role) {
    until("a process has attached", || {
        let snapshot = Observer::open(name).map(|ring| ring.snapshot().ok());
        let Ok(Some(snapshot)) = snapshot else {
            return false;
        };
        snapshot
            .seats_of(role)
            .any(|seat| seat.occupancy == Occupancy::Alive)
    });
}

fn until_drained(name: &Name, pushed: u64) {
    let observer = Observer::open(name).unwrap();
    until("all messages are received", || {
        observer.snapshot().unwrap().popped() == pushed
    });
}

#[test]
fn bytes_sent_are_received_whichever_side_starts_first() {
    for len in [0, 1, 65_536, 65_537, 3_000_000] {
        for receiver_first in [false, true] {
            let name = Name::in_memory("bytes");
            let bytes = noise(len);
            let input = name.path().with_extension("input");
            fs::write(&input, &bytes).unwrap();
            let mut send = slipring(["send", &name, "--capacity", "2"]);
            send.stdin(File::open(&input).unwrap());
            fs::remove_file(&input).unwrap();
            let receive = || slipring(["recv", &name, "--capacity", "2"]);
            let (sender, receiver) = if receiver_first {
                let receiver = Running::start(receive());
                until_attached(&name, Role::Consumer);
                (Running::start(send), receiver)
            } else {
                let sender = Running::start(send);
                until_attached(&name, Role::Producer);
                (sender, Running::start(receive()))
            };
            assert!(receiver.end().success() == bytes, "{len} {receiver_first}");
            sender.end().success();
            assert!(!name.path().exists());
        }
    }
}

/// A stream that is generated twice instead of stored. Every word differs, so that a misplaced
/// block is detected.
struct Sequence(u64);

impl Sequence {
    fn next_into(&mut self, block: &mut [u8]) {
        for word in block.chunks_exact_mut(8) {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            word.copy_from_slice(&self.0.to_le_bytes());
        }
    }
}

#[test]
#[ignore = "takes a minute without --release"]
fn one_gibibyte_is_received_unchanged() {
    const BLOCK: usize = 1 << 20;
    const BLOCKS: usize = 1 << 10;
    let name = Name::in_memory("gibibyte");
    let mut sender = Running::with_input(&["send", &name]);
    let mut receiver = Running::start(slipring(["recv", &name]));
    let (mut input, mut output) = (sender.input(), receiver.output());
    let feeder = thread::spawn(move || {
        let (mut stream, mut block) = (Sequence(0), vec![0; BLOCK]);
        for _ in 0..BLOCKS {
            stream.next_into(&mut block);
            input.write_all(&block).unwrap();
        }
    });
    let mut stream = Sequence(0);
    let (mut expected, mut found) = (vec![0; BLOCK], vec![0; BLOCK]);
    for number in 0..BLOCKS {
        stream.next_into(&mut expected);
        output.read_exact(&mut found).unwrap();
        assert!(expected == found, "block {number}");
    }
    assert_eq!(output.read(&mut found).unwrap(), 0);
    feeder.join().unwrap();
    sender.end().success();
    receiver.end().success();
    assert!(!name.path().exists());
}

#[test]
fn directory_sent_through_tar_is_received_unchanged() {
    let name = Name::in_memory("tar");
    let [from, to] = ["from", "to"].map(|directory| {
        let path = backings::directory().join(format!("{}-{directory}", &name[1..]));
        fs::create_dir(&path).unwrap();
        path
    });
    for (file, len) in [("empty", 0), ("small", 100), ("large", 5_000_000)] {
        fs::write(from.join(file), noise(len)).unwrap();
    }
    let program = env!("CARGO_BIN_EXE_slipring");
    let script =
        "\"$0\" recv \"$1\" | tar x -C \"$3\" & tar c -C \"$2\" . | \"$0\" send \"$1\"; wait";
    let mut shell = Command::new("sh");
    shell
        .args(["-c", script, program, &name])
        .arg(&from)
        .arg(&to);
    let done = shell.output().unwrap();
    assert!(done.status.success() && done.stderr.is_empty(), "{done:?}");
    for file in ["empty", "small", "large"] {
        assert!(fs::read(from.join(file)).unwrap() == fs::read(to.join(file)).unwrap());
    }
    for directory in [from, to] {
        fs::remove_dir_all(directory).unwrap();
    }
}

#[test]
fn each_line_or_frame_is_one_message() {
    for (framing, input) in [
        ("--lines", &b"one\n\nthree\n"[..]),
        ("--frames", b"\x03\0\0\0one\0\0\0\0\x05\0\0\0three"),
    ] {
        let name = Name::in_memory("framed");
        run(&["create", &name]).success();
        let mut sender = Running::with_input(&["send", &name, framing]);
        sender.feed(input);
        sender.end().success();
        let ring = spsc::Ring::<[u8]>::open(&name).unwrap();
        assert_eq!(ring.len(), 3);
        assert_eq!(ring.consumer().unwrap().pop().unwrap(), b"one");
        let rest = run(&["recv", &name, framing]).success();
        assert!(input.ends_with(&rest) && rest.len() > 6);
    }
}

#[test]
fn send_of_line_beyond_message_size_fails() {
    let name = Name::in_memory("long");
    run(&["create", &name, "--message-size", "4"]).success();
    let mut sender = Running::with_input(&["send", &name, "--lines"]);
    sender.feed(b"1234\n12345\n");
    let error = "standard input: line 2: found more than 4 bytes, which is the ring's message size";
    sender.end().failure(1, error);
    let received = run(&["recv", &name, "--lines"]);
    assert_eq!((received.status, received.text()), (Some(3), "1234\n"));
}

#[test]
fn count_option_ends_send_and_recv() {
    let name = Name::in_memory("count");
    mpmc::Ring::<[u8]>::create_bytes(&name, 16, 16).unwrap();
    let mut sender = Running::with_input(&["send", &name, "--lines", "--count", "3"]);
    sender.feed(b"1\n2\n3\n4\n");
    sender.end().success();
    let received = run(&["recv", &name, "--lines", "--count", "2"]);
    assert_eq!(received.success(), b"1\n2\n");
    assert_eq!(run(&["recv", &name, "--lines"]).success(), b"3\n");
}

#[test]
fn recv_after_producer_was_killed_exits_with_3() {
    for create in [false, true] {
        let name = Name::in_memory("dead");
        if create {
            mpmc::Ring::<[u8]>::create_bytes(&name, 16, 100).unwrap();
        }
        let receiver = Running::start(slipring(["recv", &name]));
        until_attached(&name, Role::Consumer);
        let mut sender = Running::with_input(&["send", &name]);
        sender.feed(b"12345");
        until_attached(&name, Role::Producer);
        until_drained(&name, 1);
        let pid = sender.pid();
        sender.signal(Signal::SIGKILL);
        let received = receiver.end();
        assert_eq!(received.stdout, b"12345");
        let reason = format!("{name}: the producer, process {pid}, died after 5 bytes");
        received.failure(3, &reason);
        assert_eq!(name.path().exists(), create);
    }
}

#[test]
fn send_after_consumer_was_killed_reports_unread_messages() {
    let name = Name::in_memory("dead");
    let mut receiver = Running::start(slipring(["recv", &name]));
    until_attached(&name, Role::Consumer);
    let observer = Observer::open(&name).unwrap();
    // A process that is stopped while it attaches would prevent the sender from attaching.
    until("the receiver may be blocked", || {
        observer.snapshot().unwrap().consumers.may_sleep
    });
    receiver.signal(Signal::SIGSTOP);
    let mut sender = Running::with_input(&["send", &name]);
    until_attached(&name, Role::Producer);
    sender.feed(b"12345");
    until("the message is pushed", || {
        observer.snapshot().unwrap().pushed() == 1
    });
    let pid = receiver.pid();
    receiver.signal(Signal::SIGKILL);
    let reason = format!("{name}: the consumer, process {pid}, died; 1 messages were not received");
    sender.end().failure(3, &reason);
}

#[test]
fn recv_with_follow_waits_for_next_producer() {
    let name = Name::in_memory("follow");
    run(&["create", &name]).success();
    let receiver = Running::start(slipring([
        "recv", &name, "--follow", "--count", "2", "--lines",
    ]));
    for line in [b"1\n", b"2\n"] {
        let mut sender = Running::with_input(&["send", &name, "--lines"]);
        sender.feed(line);
        sender.end().success();
    }
    assert_eq!(receiver.end().success(), b"1\n2\n");
}

#[test]
fn send_and_recv_time_out_with_status_124() {
    let name = Name::in_memory("timeout");
    run(&["create", &name, "--capacity", "2"]).success();
    let late = run(&["recv", &name, "--timeout", "0.01"]);
    late.failure(124, &format!("{name}: timed out: the ring is empty"));
    let mut sender = Running::with_input(&["send", &name, "--lines", "--timeout", "0.01"]);
    sender.feed(b"1\n2\n3\n");
    sender
        .end()
        .failure(124, &format!("{name}: timed out: the ring is full"));
    let received = run(&["recv", &name, "--lines"]);
    assert_eq!((received.status, received.text()), (Some(3), "1\n2\n"));
}

#[test]
fn recv_interrupted_by_sigint_leaves_its_seat() {
    let name = Name::in_memory("interrupt");
    run(&["create", &name]).success();
    let mut receiver = Running::start(slipring(["recv", &name]));
    until_attached(&name, Role::Consumer);
    receiver.signal(Signal::SIGINT);
    assert_eq!(receiver.end().signal, Some(Signal::SIGINT as i32));
    let seats = Observer::open(&name).unwrap().snapshot().unwrap().seats;
    assert_eq!(seats[1].occupancy, Occupancy::Left);
}

#[test]
fn recv_with_broken_pipe_puts_message_back() {
    let name = Name::in_memory("pipe");
    run(&["create", &name]).success();
    let ring = spsc::Ring::<[u8]>::open(&name).unwrap();
    let mut producer = ring.producer().unwrap();
    let mut command = slipring(["recv", &name]);
    command.stdout(Stdio::piped());
    let mut receiver = command.spawn().unwrap();
    until_attached(&name, Role::Consumer);
    producer.push(b"first").unwrap();
    let mut output = receiver.stdout.take().unwrap();
    let mut taken = [0; 5];
    output.read_exact(&mut taken).unwrap();
    drop(output);
    producer.push(b"second").unwrap();
    let ended: crate::program::Ended = receiver.wait_with_output().unwrap().into();
    assert_eq!(
        (ended.signal, &*ended.stderr),
        (Some(Signal::SIGPIPE as i32), "")
    );
    drop(producer);
    assert_eq!(run(&["recv", &name]).success(), b"second");
}

#[test]
fn send_interrupted_by_sigint_counts_as_dead() {
    let name = Name::in_memory("interrupt");
    let receiver = Running::start(slipring(["recv", &name]));
    until_attached(&name, Role::Consumer);
    let mut sender = Running::with_input(&["send", &name]);
    until_attached(&name, Role::Producer);
    sender.feed(b"half");
    until_drained(&name, 1);
    sender.signal(Signal::SIGINT);
    let received = receiver.end();
    assert_eq!((received.status, received.text()), (Some(3), "half"));
    assert_eq!(sender.end().signal, Some(Signal::SIGINT as i32));
    assert!(!name.path().exists());
}

#[test]
fn persistent_ring_is_reused_whichever_side_starts_first() {
    for receiver_first in [false, true] {
        let name = Name::in_memory("again");
        run(&["create", &name, "--capacity", "2"]).success();
        for turn in 0..3 {
            let lines = format!("{turn}\n").repeat(10 * turn);
            let receive = || Running::start(slipring(["recv", &name, "--lines"]));
            let early = receiver_first.then(receive);
            if receiver_first {
                until_attached(&name, Role::Consumer);
            }
            let mut sender = Running::with_input(&["send", &name, "--lines"]);
            sender.feed(lines.as_bytes());
            let receiver = early.unwrap_or_else(|| {
                until_attached(&name, Role::Producer);
                receive()
            });
            sender.end().success();
            assert_eq!(
                receiver.end().success(),
                lines.as_bytes(),
                "{turn} {receiver_first}"
            );
        }
    }
}

#[test]
fn send_to_occupied_or_value_ring_is_refused() {
    let name = Name::in_memory("taken");
    let ring = spsc::Ring::<[u8]>::create_bytes(&name, 4, 4).unwrap();
    let producer = ring.producer().unwrap();
    let us = std::process::id();
    let reason = format!("{name}: the ring already has a producer: process {us}");
    run(&["send", &name]).failure(1, &reason);
    drop(producer);
    run(&["send", &name]).success();
    spsc::Ring::<u64>::create("/slipring-test-values", 4).ok();
    let reason = "/slipring-test-values: messages: found values, expected byte strings";
    run(&["send", "/slipring-test-values"]).failure(1, reason);
    slipring::unlink("/slipring-test-values").unwrap();
}
