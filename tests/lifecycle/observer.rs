//! Observers: what a snapshot reports, even of a corrupt ring, and that no byte of it changes.

use crate::support;
use crate::support::kinds::{is_mpmc, one_of_each};
use crate::support::{Name, Random, descriptors_of, fork_child, kill_process, until};
use slipring::error::{ObserveError, OpenError};
use slipring::{Kind, Mpmc, Observer, Occupancy, Peek, Protocol, Ring, Role, Snapshot, Spsc};
use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::process::{self, Command};
use std::thread;

for_each_kind! {
    memory:
        observer_of_truncated_ring_returns_error
        observer_of_random_words_returns_bounded_snapshot
    ;
    memory_and_files:
        observer_opens_read_only_and_changes_nothing
    ;
    all_backings:
        snapshot_reports_contents_geometry_and_seat_holders
        snapshot_distinguishes_dead_holder_from_detached_one
        detached_holder_during_spawns_is_reported_left
        peek_returns_message_between_push_and_pop
    ;
}

fn create<P: Protocol>(name: &Name) -> Ring<u64, P> {
    Ring::create_with(name, &one_of_each::<P>().capacity(4)).unwrap()
}

fn occupancy(snapshot: &Snapshot, role: Role) -> Occupancy {
    snapshot.seats_of(role).next().unwrap().occupancy
}

fn snapshot_reports_contents_geometry_and_seat_holders<P: Protocol>() {
    let name = Name::new("observer");
    let options = one_of_each::<P>().capacity(3).mode(0o640).schema(77);
    let ring = Ring::<[u8], P>::create_with(&name, &options.message_size(100)).unwrap();
    let observer = Observer::open(&name).unwrap();
    let snapshot = observer.snapshot().unwrap();
    let expected = match is_mpmc::<P>() {
        true => Kind::Mpmc,
        false => Kind::Spsc,
    };
    assert_eq!(snapshot.kind, expected);
    assert_eq!((snapshot.capacity, snapshot.message_size), (4, 100));
    assert_eq!((snapshot.mode, snapshot.schema), (0o640, 77));
    assert_eq!(snapshot.seats.len(), 2);
    assert!(snapshot.is_empty() && snapshot.alive() == 0 && !snapshot.is_closed);
    assert!(snapshot.allocated >= 8192 && snapshot.size >= 8192);
    assert_eq!(occupancy(&snapshot, Role::Producer), Occupancy::NeverTaken);

    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    for _ in 0..3 {
        producer.push(b"message").unwrap();
    }
    consumer.pop().unwrap();
    drop(consumer);
    ring.close();
    let snapshot = observer.snapshot().unwrap();
    assert_eq!((snapshot.pushed(), snapshot.popped()), (3, 1));
    assert_eq!((snapshot.len(), snapshot.is_closed), (2, true));
    assert_eq!(occupancy(&snapshot, Role::Producer), Occupancy::Alive);
    assert_eq!(snapshot.seats[0].pid, process::id());
    assert_eq!(snapshot.seats[0].holders, 1);
    assert_eq!(
        observer.positions().unwrap(),
        (snapshot.head, snapshot.tail)
    );
    assert_eq!(occupancy(&snapshot, Role::Consumer), Occupancy::Left);
}

fn snapshot_distinguishes_dead_holder_from_detached_one<P: Protocol>() {
    let name = Name::new("observer");
    let ring = create::<P>(&name);
    let mut child = fork_child(|| {
        let ring = ring.reopen().unwrap();
        let (mut producer, consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
        producer.push(&1).unwrap();
        drop(consumer);
        std::mem::forget(producer.claim().unwrap());
        until("the test kills this process", || false);
    });
    let observer = Observer::open(&name).unwrap();
    until("the child's consumer has detached", || {
        let snapshot = observer.snapshot().unwrap();
        occupancy(&snapshot, Role::Consumer) == Occupancy::Left
    });
    let snapshot = observer.snapshot().unwrap();
    assert_eq!(occupancy(&snapshot, Role::Producer), Occupancy::Alive);
    child.kill_and_reap();
    let snapshot = observer.snapshot().unwrap();
    assert_eq!(occupancy(&snapshot, Role::Producer), Occupancy::Dead);
    assert_eq!(occupancy(&snapshot, Role::Consumer), Occupancy::Left);
    assert_eq!(snapshot.seats[0].pid, child.pid());
}

#[test]
fn recover_by_name_finishes_claim_of_dead_producer() {
    let name = Name::new("observer");
    let ring = create::<Mpmc>(&name);
    let mut child = fork_child(|| {
        let ring = Ring::<u64, Mpmc>::open(&name).unwrap();
        let mut producer = ring.producer().unwrap();
        producer.push(&1).unwrap();
        std::mem::forget(producer.claim().unwrap());
        kill_process(process::id());
    });
    child.reap();
    let observer = Observer::open(&name).unwrap();
    let before = observer.snapshot().unwrap();
    assert_eq!(before.seats[0].intent, Some(1..2));
    assert_eq!(before.seats[0].occupancy, Occupancy::Dead);
    let recovery = slipring::recover(&name).unwrap();
    assert_eq!((recovery.settled, recovery.tombstones), (1, 1));
    let after = observer.snapshot().unwrap();
    assert_eq!(after.seats[0].intent, None);
    assert_eq!(after.counters, ring.counters());
    assert_eq!(observer.peek(1, &mut Vec::new()).unwrap(), Peek::Tombstone);
}

#[test]
fn recover_of_spsc_ring_does_nothing_and_missing_name_fails() {
    let name = Name::new("observer");
    create::<Spsc>(&name);
    assert_eq!(slipring::recover(&name).unwrap(), Default::default());
    let missing = slipring::recover("/slipring-test-of-no-such-ring").unwrap_err();
    assert_eq!(
        missing.to_string(),
        "/slipring-test-of-no-such-ring does not exist"
    );
}

fn peek_returns_message_between_push_and_pop<P: Protocol>() {
    let name = Name::new("observer");
    let ring = create::<P>(&name);
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    let observer = Observer::open(&name).unwrap();
    let mut message = Vec::new();
    assert_eq!(observer.peek(0, &mut message).unwrap(), Peek::NotYet);
    for lap in 0..3 {
        producer.push(&(100 + lap)).unwrap();
        assert_eq!(observer.peek(lap, &mut message).unwrap(), Peek::Message);
        assert_eq!(message, (100 + lap).to_le_bytes());
    }
    consumer.pop().unwrap();
    assert_eq!(observer.peek(0, &mut message).unwrap(), Peek::Gone);
    assert_eq!(observer.peek(4, &mut message).unwrap(), Peek::NotYet);
    assert_eq!(observer.peek(1, &mut message).unwrap(), Peek::Message);
}

fn observer_opens_read_only_and_changes_nothing<P: Protocol>() {
    let name = Name::new("observer");
    let ring = create::<P>(&name);
    ring.producer().unwrap().push(&7).unwrap();
    drop(ring);
    let bytes = || fs::read(name.path()).unwrap();
    let before = bytes();
    let observer = Observer::open(&name).unwrap();
    observer.snapshot().unwrap();
    observer.peek(0, &mut Vec::new()).unwrap();
    for descriptor in descriptors_of(&name) {
        let number = descriptor.file_name().unwrap().to_str().unwrap();
        let info = fs::read_to_string(format!("/proc/self/fdinfo/{number}")).unwrap();
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
        let access = i32::from_str_radix(flags.unwrap().trim(), 8).unwrap();
        assert_eq!(access & nix::libc::O_ACCMODE, nix::libc::O_RDONLY);
    }
    assert_eq!(support::mappings_of(&name), []);
    assert_eq!(bytes(), before);
}

fn observer_of_truncated_ring_returns_error<P: Protocol>() {
    let name = Name::new("observer");
    create::<P>(&name);
    let observer = Observer::open(&name).unwrap();
    let file = OpenOptions::new().write(true).open(name.path()).unwrap();
    for len in [4096, 1000, 0] {
        file.set_len(len).unwrap();
        let peeked = observer.peek(0, &mut Vec::new());
        assert!(matches!(peeked, Err(ObserveError::Truncated { .. })));
        let refused = Observer::open(&name).unwrap_err();
        let is_truncated = matches!(refused, OpenError::Truncated { .. });
        assert!(is_truncated || len == 0 && matches!(refused, OpenError::NotARing { .. }));
    }
    let snapshot = observer.snapshot();
    assert!(matches!(snapshot, Err(ObserveError::Truncated { .. })));
}

fn observer_of_random_words_returns_bounded_snapshot<P: Protocol>() {
    const MUTABLE: [std::ops::Range<u64>; 2] = [0x80..0x300, 0x400..0x1000];
    let name = Name::new("observer");
    create::<P>(&name);
    let file = OpenOptions::new().write(true).open(name.path()).unwrap();
    let mut random = Random::new(7);
    for _ in 0..200 {
        for range in MUTABLE {
            for at in range.step_by(4) {
                let word = [0, u32::MAX, random.below(1 << 32) as u32][random.below(3) as usize];
                file.write_all_at(&word.to_le_bytes(), at).unwrap();
            }
        }
        // Observers refuse a ring with an impossible offset of the oldest segment. Here it is 0.
        file.write_all_at(&[0; 8], 0x2b8).unwrap();
        let observer = Observer::open(&name).unwrap();
        let snapshot = observer.snapshot().unwrap();
        assert!(snapshot.len() <= 4 && snapshot.alive() == 0);
        for position in [0, 1, u64::MAX, snapshot.tail, snapshot.head] {
            observer.peek(position, &mut Vec::new()).unwrap();
        }
    }
    file.write_all_at(&3_u64.to_le_bytes(), 0x18).unwrap();
    let refused = Observer::open(&name).unwrap_err();
    assert_eq!(refused.to_string(), "the header's capacity can't be 3");
}

/// Until its exec, a child of `posix_spawn` has copies of the parent's descriptors. The lock of a
/// handle that is just being created may be among them.
fn detached_holder_during_spawns_is_reported_left<P: Protocol>() {
    let name = Name::new("observer");
    let ring = create::<P>(&name);
    let observer = Observer::open(&name).unwrap();
    thread::scope(|scope| {
        let spawning = scope.spawn(|| {
            for _ in 0..200 {
                assert!(Command::new("true").status().unwrap().success());
            }
        });
        while !spawning.is_finished() {
            // A child may still hold the lock of the previous producer.
            let Ok(producer) = ring.producer() else {
                continue;
            };
            drop(producer);
            let snapshot = observer.snapshot().unwrap();
            assert_eq!(occupancy(&snapshot, Role::Producer), Occupancy::Left);
        }
    });
}
