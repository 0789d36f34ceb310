//! Observers of rings that have grown: the segments appear as one ring, and corrupt memory is an
//! error.

use crate::support::kinds::is_mpmc;
use crate::support::{Name, Random};
use slipring::error::{GrowError, ObserveError, TryPopError, TryPushError};
use slipring::{Mpmc, Observer, Options, Peek, Protocol, Ring, Role, Seat, Segment, Snapshot};
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;

for_each_kind! {
    memory:
        observer_rejects_corrupt_segment_links_and_headers
        observer_reports_truncation_after_first_segment
        observer_rejects_chain_above_segment_limit_or_cycle
    ;
    memory_and_files:
        observer_positions_are_continuous_across_growth
        snapshot_reports_seats_behind_newest_segment
    ;
}

fn ring<P: Protocol>(capacity: usize) -> (Name, Ring<u64, P>) {
    let name = Name::new("watched");
    let ring = Ring::create_with(&name, &Options::new().capacity(capacity)).unwrap();
    (name, ring)
}

fn capacities(snapshot: &Snapshot) -> Vec<u64> {
    let segments = snapshot.segments.iter();
    segments.map(|segment| segment.capacity).collect()
}

fn seat(snapshot: &Snapshot, role: Role, number: usize) -> &Seat {
    snapshot.seats_of(role).nth(number).unwrap()
}

/// The value of each message is its position.
fn observer_positions_are_continuous_across_growth<P: Protocol>() {
    for seed in 0..4 {
        let mut random = Random::new(seed);
        let (name, ring) = ring::<P>(2 << random.below(3));
        let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
        let (mut pushed, mut popped) = (0, 0);
        let old_observer = Observer::open(&name).unwrap();
        let mut grown = 0;
        for _ in 0..120 {
            match random.below(8) {
                0 => match ring.grow(2 << random.below(5)) {
                    Ok(()) => grown += 1,
                    Err(GrowError::Undrained { .. }) => {}
                    Err(error) => panic!("{error}"),
                },
                1..4 => {
                    let messages: Vec<u64> = (pushed..pushed + random.below(9) + 1).collect();
                    pushed += match producer.try_push_slice(&messages) {
                        Err(TryPushError::Full) => 0,
                        accepted => accepted.unwrap() as u64,
                    };
                }
                4 => drop(Observer::open(&name).unwrap().snapshot().unwrap()),
                _ => {
                    let mut messages = vec![0; random.below(9) as usize + 1];
                    popped += match consumer.try_pop_slice(&mut messages) {
                        Err(TryPopError::Empty) => 0,
                        received => received.unwrap() as u64,
                    };
                }
            }
            let fresh = Observer::open(&name).unwrap();
            // The old observer is skipped at random, so that its mappings may be out of date.
            let observers = [&old_observer, &fresh];
            for observer in observers.into_iter().skip(random.below(2) as usize) {
                check_positions(observer, popped, pushed);
            }
        }
        assert!(grown > 3);
    }
}

#[track_caller]
fn check_positions(observer: &Observer, popped: u64, pushed: u64) {
    let mut message = Vec::new();
    for position in popped..pushed {
        let peeked = observer.peek(position, &mut message).unwrap();
        assert_eq!(
            (peeked, &*message),
            (Peek::Message, &position.to_le_bytes()[..])
        );
    }
    assert_eq!(observer.peek(pushed, &mut message).unwrap(), Peek::NotYet);
    if let Some(last_popped) = popped.checked_sub(1) {
        assert_eq!(
            observer.peek(last_popped, &mut message).unwrap(),
            Peek::Gone
        );
        assert_eq!(observer.peek(0, &mut message).unwrap(), Peek::Gone);
    }
    assert_eq!(observer.positions().unwrap(), (popped, pushed));
    let snapshot = observer.snapshot().unwrap();
    assert_eq!((snapshot.pushed(), snapshot.popped()), (pushed, popped));
    assert_eq!(snapshot.len(), pushed - popped);
    assert_eq!(snapshot.capacity, *capacities(&snapshot).last().unwrap());
}

fn snapshot_reports_seats_behind_newest_segment<P: Protocol>() {
    let (name, ring) = ring::<P>(4);
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    let observer = Observer::open(&name).unwrap();
    let observe = || observer.snapshot().unwrap();
    producer.push_slice(&[0, 1]).unwrap();
    assert!(!observe().is_growing() && !observe().is_behind(&observe().seats[0]));
    ring.grow(16).unwrap();
    let snapshot = observe();
    assert_eq!(capacities(&snapshot), [4, 16]);
    // Only the producer of an SPSC ring ends the old segment, with its next push.
    assert_eq!(snapshot.segments[0].is_ended, is_mpmc::<P>());
    assert!(snapshot.is_behind(seat(&snapshot, Role::Producer, 0)));
    producer.push(&2).unwrap();
    let snapshot = observe();
    let fields = |segment: &Segment| (segment.head, segment.tail, segment.is_ended);
    let segments: Vec<_> = snapshot.segments.iter().map(fields).collect();
    assert_eq!(segments, [(0, 2, true), (2, 3, false)]);
    let [first, second] = &*snapshot.segments else {
        panic!("{snapshot:?}");
    };
    assert!(first.offset == 0 && second.offset >= first.size);
    assert!(second.offset + second.size <= snapshot.size);
    assert!(!snapshot.is_behind(seat(&snapshot, Role::Producer, 0)));
    assert!(snapshot.is_behind(seat(&snapshot, Role::Consumer, 0)));
    let woken = |snapshot: &Snapshot| snapshot.consumers.wakes + snapshot.producers.wakes;
    let before = woken(&snapshot);
    assert!(before > 0);

    for expected in 0..3 {
        assert_eq!(consumer.pop(), Ok(expected));
    }
    let snapshot = observe();
    assert_eq!(capacities(&snapshot), [16]);
    assert!(snapshot.alive() == 2 && snapshot.seats.iter().all(|seat| !snapshot.is_behind(seat)));
    assert_eq!(snapshot.retired, 0);
    assert!(woken(&snapshot) >= before);

    // An idle participant keeps a retired segment allocated.
    if is_mpmc::<P>() {
        let idle = ring.producer().unwrap();
        ring.grow(8).unwrap();
        producer.push(&3).unwrap();
        assert_eq!(consumer.pop(), Ok(3));
        let snapshot = observe();
        assert_eq!(capacities(&snapshot), [8]);
        assert!(snapshot.is_behind(seat(&snapshot, Role::Producer, 1)));
        assert!(!snapshot.is_behind(seat(&snapshot, Role::Producer, 0)));
        assert!(snapshot.retired > 0 && snapshot.retired <= snapshot.size);
        drop(idle);
        let snapshot = observe();
        assert!(!snapshot.is_behind(seat(&snapshot, Role::Producer, 1)));
    }
}

#[test]
fn snapshot_intents_use_positions_of_whole_chain() {
    let (name, ring) = ring::<Mpmc>(4);
    let [mut first, mut second] = [(); 2].map(|()| ring.producer().unwrap());
    let mut consumer = ring.consumer().unwrap();
    let observer = Observer::open(&name).unwrap();
    first.push(&0).unwrap();
    let guard = consumer.read().unwrap();
    ring.grow(8).unwrap();
    first.push(&1).unwrap();
    let claim = second.claim().unwrap();
    let snapshot = observer.snapshot().unwrap();
    assert_eq!(seat(&snapshot, Role::Consumer, 0).intent, Some(0..1));
    assert_eq!(seat(&snapshot, Role::Producer, 1).intent, Some(2..3));
    // All positions of the old segment are claimed, but one slot is not released.
    assert!(snapshot.segments[0].is_empty() && capacities(&snapshot) == [4, 8]);
    drop((claim, guard));
    assert_eq!(consumer.pop(), Ok(1));
    let snapshot = observer.snapshot().unwrap();
    assert_eq!(capacities(&snapshot), [8]);
    assert_eq!(observer.peek(2, &mut Vec::new()).unwrap(), Peek::Tombstone);
}

/// Creates a ring of two segments that are both in use. Returns it with its file and the offset of
/// the second segment.
fn ring_of_two_segments<P: Protocol>() -> (Name, Ring<u64, P>, File, u64) {
    let (name, ring) = ring::<P>(4);
    let mut producer = ring.producer().unwrap();
    producer.push(&0).unwrap();
    ring.grow(8).unwrap();
    producer.push(&1).unwrap();
    let mut opened = OpenOptions::new();
    let file = opened.read(true).write(true).open(name.path()).unwrap();
    let snapshot = Observer::open(&name).unwrap().snapshot().unwrap();
    let second = snapshot.segments[1].offset;
    (name, ring, file, second)
}

/// The error of each query, each by a new observer, of a ring with corrupt memory.
fn query_errors(name: &Name) -> [Option<ObserveError>; 3] {
    let new = || Observer::open(name).unwrap();
    [
        new().snapshot().err(),
        new().positions().err(),
        new().peek(1, &mut Vec::new()).err(),
    ]
}

fn observer_rejects_corrupt_segment_links_and_headers<P: Protocol>() {
    const SUCCESSOR: u64 = 0x328;
    const OLDEST: u64 = 0x2b8;
    let (name, _ring, file, second) = ring_of_two_segments::<P>();
    let size = file.metadata().unwrap().len();
    let old_observer = Observer::open(&name).unwrap();
    check_positions(&old_observer, 0, 2);
    let try_word = |at: u64, word: u64| {
        let mut before = [0; 8];
        file.read_exact_at(&mut before, at).unwrap();
        if before == word.to_le_bytes() {
            return;
        }
        file.write_all_at(&word.to_le_bytes(), at).unwrap();
        let what = format!("{word:#x} at {at:#x}");
        for error in query_errors(&name) {
            let is_reported = matches!(
                error,
                Some(ObserveError::Corrupt(_) | ObserveError::Truncated { .. })
            );
            assert!(is_reported, "{what}: {error:?}");
        }
        // The old observer may have cached the word; its queries must not panic.
        let _ = (
            old_observer.positions(),
            old_observer.peek(1, &mut Vec::new()),
        );
        assert!(old_observer.snapshot().is_err() || at >= second && at != second + SUCCESSOR);
        file.write_all_at(&before, at).unwrap();
        check_positions(&old_observer, 0, 2);
        check_positions(&Observer::open(&name).unwrap(), 0, 2);
    };
    let bad_offsets = [
        1,
        second - 1,
        second + 1,
        second + 0x1000,
        size,
        u64::MAX,
        1 << 63,
    ];
    for next in bad_offsets.into_iter().chain([0x1000]) {
        try_word(SUCCESSOR, next);
        try_word(OLDEST, next);
    }
    for next in [
        0x1000,
        second,
        second + 0x1000,
        size,
        size + 0x1000,
        u64::MAX - 0xfff,
    ] {
        try_word(second + SUCCESSOR, next);
    }
    // Magic, kind, capacity, seats, schema.
    for field in [0, 0x08, 0x18, 0x28, 0x30] {
        for word in [0, u64::MAX, 0x1234_5678] {
            try_word(second + field, word);
        }
    }
}

fn observer_reports_truncation_after_first_segment<P: Protocol>() {
    let (name, _ring, file, second) = ring_of_two_segments::<P>();
    let size = file.metadata().unwrap().len();
    let old_observer = Observer::open(&name).unwrap();
    check_positions(&old_observer, 0, 2);
    for left in [
        size - 1,
        second + 0x1000,
        second + 0x400,
        second + 1,
        second,
    ] {
        file.set_len(left).unwrap();
        for error in query_errors(&name) {
            assert!(matches!(error, Some(ObserveError::Truncated { .. })));
        }
        let (fits, needed) = (second + 0x1000 <= left, left - second.min(left));
        let peeked = old_observer.peek(1, &mut Vec::new());
        assert!(peeked.is_err() || fits, "{needed}: {peeked:?}");
    }
    let refused = Observer::open(&name).unwrap().snapshot().unwrap_err();
    let expected = format!("{second} bytes are left of a ring of ");
    assert!(refused.to_string().starts_with(&expected), "{refused}");
}

fn observer_rejects_chain_above_segment_limit_or_cycle<P: Protocol>() {
    const MOST: usize = 64;
    let (name, ring) = ring::<P>(2);
    let mut producer = ring.producer().unwrap();
    for part in 1..MOST as u64 {
        producer.push(&(part - 1)).unwrap();
        ring.grow(2 << (part % 2)).unwrap();
    }
    let refused = ring.grow(64);
    assert!(matches!(refused, Err(GrowError::Undrained { found: MOST })));
    producer.push(&(MOST as u64 - 1)).unwrap();
    let observer = Observer::open(&name).unwrap();
    check_positions(&observer, 0, MOST as u64);
    let snapshot = observer.snapshot().unwrap();
    assert_eq!(snapshot.segments.len(), MOST);

    let last = snapshot.segments.last().unwrap();
    let file = OpenOptions::new().write(true).open(name.path()).unwrap();
    let bytes = fs::read(name.path()).unwrap();
    let copied = &bytes[last.offset as usize..][..last.size as usize];
    let next = bytes.len() as u64;
    file.write_all_at(copied, next).unwrap();
    file.write_all_at(&next.to_le_bytes(), last.offset + 0x328)
        .unwrap();
    assert!(matches!(observer.snapshot(), Err(ObserveError::Corrupt(_))));
    // Without the link the ring is valid again. A link back makes a cycle.
    file.write_all_at(&0_u64.to_le_bytes(), last.offset + 0x328)
        .unwrap();
    check_positions(&observer, 0, MOST as u64);
    file.write_all_at(
        &snapshot.segments[1].offset.to_le_bytes(),
        last.offset + 0x328,
    )
    .unwrap();
    assert!(matches!(observer.snapshot(), Err(ObserveError::Corrupt(_))));
}
