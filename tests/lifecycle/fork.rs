//! Forked children: a handle works only in the process that created it, and a child may open the
//! ring itself like any other process.

use crate::support;
use crate::support::kinds::{kind, one_of_each};
use crate::support::{
    Name, SharedWords, TIME_LIMIT, descriptors_of, fork_child, mapping_and_descriptor_counts,
    mappings_of, start, until,
};
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous};
use slipring::error::{
    AttachError, PopError, PopTimeoutError, PushError, PushTimeoutError, TryPopError, TryPushError,
};
use slipring::{Consumer, Peer, Producer, Protocol, Ring};
use std::fs;
use std::mem::ManuallyDrop;
use std::num::NonZeroUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;
use std::time::{Duration, Instant};

for_each_kind! {
    memory_and_files:
        claim_and_guard_in_forked_child_leave_ring_unchanged
        chunks_in_forked_child_leave_ring_unchanged
        handle_in_forked_child_refuses_calls_and_drop_has_no_effect
    ;
    all_backings:
        forked_child_opens_ring_itself_and_transfers_messages
        seat_of_killed_parent_is_free_while_forked_child_lives
        fork_in_other_thread_keeps_no_seat_locked_and_no_mapping
    ;
}

fn is_taken<E>(attached: Result<E, AttachError>) -> bool {
    matches!(
        attached,
        Err(AttachError::Taken { .. } | AttachError::NoSeat { .. })
    )
}

/// Maps private memory at addresses at which the parent has a mapping and the child has none.
fn occupy((start, len): (usize, usize)) -> *mut u8 {
    let at = NonZeroUsize::new(start);
    let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_ANONYMOUS | MapFlags::MAP_FIXED_NOREPLACE;
    let len = NonZeroUsize::new(len).unwrap();
    let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    // SAFETY: the call replaces no mapping. It fails if there is one at these addresses.
    let page = unsafe { mmap_anonymous(at, len, access, flags) };
    page.expect("a forked child has no mapping of the ring")
        .as_ptr()
        .cast()
}

fn handle_in_forked_child_refuses_calls_and_drop_has_no_effect<P: Protocol>() {
    let (name, other) = (Name::new("ring"), Name::new("other"));
    let ring = Ring::<u64, P>::create_with(&name, &one_of_each::<P>().capacity(4)).unwrap();
    let mut producer = ring.producer().unwrap();
    producer.push_slice(&[1, 2, 3]).unwrap();
    let other_ring = Ring::<u64, P>::create(&other, 4).unwrap();
    let consumer = other_ring.consumer().unwrap();
    let words = Name::in_memory("words");
    let shared = SharedWords::create(&words, 1);
    let peer = start("role_watches", &[&name, &kind::<P>(), &words]);
    // A participant holds its seat before it has written its entry.
    until("the watcher is attached", || shared[0].load(SeqCst) == 1);
    let bytes = || [&name, &other].map(|name| fs::read(name.path()).unwrap());
    let before = (
        bytes(),
        mapping_and_descriptor_counts(&name),
        mapping_and_descriptor_counts(&other),
    );

    let ranges = [mappings_of(&name), mappings_of(&other)].concat();
    assert_eq!(ranges.len(), 4, "two rings and two seats");
    let descriptors = [descriptors_of(&name), descriptors_of(&other)].concat();
    assert_eq!(descriptors.len(), 2);

    let mut handles = ManuallyDrop::new((ring, producer, other_ring, consumer));
    let child = fork_child(|| {
        // SAFETY: the child's copy of the value is not used again.
        let (ring, producer, other_ring, consumer) = unsafe { ManuallyDrop::take(&mut handles) };
        // The child may have mapped anything at the ring's addresses.
        let pages: Vec<*mut u8> = ranges.into_iter().map(occupy).collect();
        let (ring, producer, consumer) = assert_all_refused(ring, producer, consumer);
        drop((ring.clone(), other_ring.clone()));
        drop((ring, producer, other_ring, consumer));
        for page in pages {
            // SAFETY: the page was mapped above, and is writable unless a handle unmapped it.
            unsafe { page.write(1) }
        }
        for descriptor in descriptors {
            fs::metadata(descriptor).expect("still open");
        }
    });
    child.finish();
    assert!(
        before
            == (
                bytes(),
                mapping_and_descriptor_counts(&name),
                mapping_and_descriptor_counts(&other)
            )
    );

    let (ring, mut producer, other_ring, mut consumer) = ManuallyDrop::into_inner(handles);
    assert!(is_taken(ring.producer()));
    assert!(!ring.is_closed());
    producer.push(&4).unwrap();
    until("the watcher has popped every message", || {
        producer.is_empty()
    });
    other_ring.producer().unwrap().push(&7).unwrap();
    assert_eq!(consumer.pop(), Ok(7));
    drop((ring, producer));
    peer.finish();
    drop((other_ring, consumer));
    assert_eq!(
        (
            mapping_and_descriptor_counts(&name),
            mapping_and_descriptor_counts(&other)
        ),
        ((0, 0), (0, 0))
    );
}

fn claim_and_guard_in_forked_child_leave_ring_unchanged<P: Protocol>() {
    let name = Name::new("ring");
    let ring = Ring::<u64, P>::create(&name, 4).unwrap();
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    producer.push_slice(&[1, 2]).unwrap();
    let bytes = || fs::read(name.path()).unwrap();
    for way in 0..4 {
        let mut claim = ManuallyDrop::new(producer.try_claim().unwrap());
        let mut guard = ManuallyDrop::new(consumer.try_read().unwrap());
        claim.write(&3);
        let before = bytes();
        fork_child(|| {
            // SAFETY: the child's copies of the values are not used again.
            let mut claim = unsafe { ManuallyDrop::take(&mut claim) };
            // SAFETY: as above.
            let guard = unsafe { ManuallyDrop::take(&mut guard) };
            claim.write(&99);
            assert_eq!(guard.get(), 0);
            match way {
                0 => drop((claim, guard)),
                1 => claim.commit(),
                2 => {
                    std::mem::forget(claim);
                    guard.put_back();
                }
                _ => drop((guard, claim)),
            }
        })
        .finish();
        assert!(before == bytes(), "{way}");
        assert_eq!(guard.get(), 1);
        ManuallyDrop::into_inner(guard).put_back();
        let _ = claim;
    }
    let handles = ManuallyDrop::new((producer, consumer));
    let before = bytes();
    fork_child(|| {
        // SAFETY: the child's copy of the value is not used again.
        drop(unsafe { std::ptr::read(&*handles) });
    })
    .finish();
    assert!(before == bytes());
    let (mut producer, mut consumer) = ManuallyDrop::into_inner(handles);
    producer.push(&3).unwrap();
    assert_eq!(consumer.try_iter().collect::<Vec<_>>(), [1, 2, 3]);
    assert!(ring.is_empty());
}

fn chunks_in_forked_child_leave_ring_unchanged<P: Protocol>() {
    let name = Name::new("ring");
    let ring = Ring::<u64, P>::create(&name, 8).unwrap();
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    producer.push_slice(&[1, 2, 3]).unwrap();
    let bytes = || fs::read(name.path()).unwrap();
    for way in 0..3 {
        let mut claimed = ManuallyDrop::new(producer.try_claim_chunk(2).unwrap());
        let mut read = ManuallyDrop::new(consumer.try_read_chunk(3).unwrap());
        claimed.write(0, &4);
        let before = bytes();
        fork_child(|| {
            // SAFETY: the child's copies of the values are not used again.
            let mut claimed = unsafe { ManuallyDrop::take(&mut claimed) };
            // SAFETY: as above.
            let read = unsafe { ManuallyDrop::take(&mut read) };
            claimed.write(1, &99);
            assert_eq!(read.iter().collect::<Vec<_>>(), [0, 0, 0]);
            match way {
                0 => drop((claimed, read)),
                1 => {
                    claimed.commit(2);
                    read.release(2);
                }
                _ => {
                    claimed.commit(0);
                    read.release(0);
                }
            }
        })
        .finish();
        assert!(before == bytes(), "{way}");
        assert_eq!(read.iter().collect::<Vec<_>>(), [1, 2, 3]);
        // Both chunks are forgotten, so that the next ones cover the same slots.
        assert_eq!(claimed.len(), 2);
    }
    consumer.try_read_chunk(3).unwrap().release(1);
    let mut claimed = producer.try_claim_chunk(2).unwrap();
    claimed.write(0, &4);
    claimed.write(1, &5);
    claimed.commit(2);
    assert_eq!(consumer.try_iter().collect::<Vec<_>>(), [2, 3, 4, 5]);
    assert!(ring.is_empty());
}

macro_rules! assert_forked {
    ($error:ident: $($call:expr),+ $(,)?) => {$(
        assert!(matches!($call, Err($error::Forked(_))), stringify!($call));
    )+};
}

/// Tries every operation of handles that belong to the parent.
fn assert_all_refused<P: Protocol>(
    ring: Ring<u64, P>,
    mut producer: Producer<u64, P>,
    mut consumer: Consumer<u64, P>,
) -> (Ring<u64, P>, Producer<u64, P>, Consumer<u64, P>) {
    let soon = Duration::from_millis(1);
    let now = Instant::now();
    assert_forked!(TryPushError:
        producer.try_push(&4),
        producer.try_push_slice(&[4, 5]),
        producer.try_claim(),
        producer.try_claim_chunk(2),
    );
    assert_forked!(PushError:
        producer.push(&4),
        producer.push_slice(&[4, 5]).map_err(|error| error.reason),
        producer.claim(),
        producer.claim_chunk(2),
    );
    assert_forked!(PushTimeoutError:
        producer.push_timeout(&4, soon),
        producer.push_slice_timeout(&[4, 5], soon).map_err(|error| error.reason),
        producer.claim_timeout(soon),
        producer.claim_chunk_timeout(2, soon),
        producer.push_deadline(&4, now),
        producer.push_slice_deadline(&[4, 5], now).map_err(|error| error.reason),
        producer.claim_deadline(now),
    );
    assert!(producer.peer().is_err());
    assert_eq!((producer.len(), producer.capacity()), (0, 4));
    assert!(producer.is_empty() && !producer.is_full());

    let (mut room, mut vec) = ([0; 2], Vec::new());
    assert_forked!(TryPopError:
        consumer.try_pop(),
        consumer.try_pop_into(&mut 0),
        consumer.try_pop_slice(&mut room),
        consumer.try_pop_append(&mut vec, 2),
        consumer.try_read(),
        consumer.try_read_chunk(2),
    );
    assert_forked!(PopError:
        consumer.pop(),
        consumer.pop_into(&mut 0),
        consumer.pop_slice(&mut room),
        consumer.pop_append(&mut vec, 2),
        consumer.read(),
        consumer.read_chunk(2),
    );
    assert_forked!(PopTimeoutError:
        consumer.pop_timeout(soon),
        consumer.pop_timeout_into(&mut 0, soon),
        consumer.pop_slice_timeout(&mut room, soon),
        consumer.pop_append_timeout(&mut vec, 2, soon),
        consumer.read_timeout(soon),
        consumer.read_chunk_timeout(2, soon),
        consumer.pop_deadline(now),
        consumer.pop_deadline_into(&mut 0, now),
        consumer.pop_slice_deadline(&mut room, now),
        consumer.pop_append_deadline(&mut vec, 2, now),
        consumer.read_deadline(now),
    );
    assert_eq!(
        (consumer.iter().next(), consumer.try_iter().next()),
        (None, None)
    );
    assert!(consumer.peer().is_err());
    assert_eq!((consumer.len(), consumer.capacity()), (0, 4));
    assert!(consumer.is_empty() && !consumer.is_full());

    assert_forked!(AttachError: ring.producer(), ring.consumer());
    assert_eq!((ring.len(), ring.capacity()), (0, 4));
    assert!(ring.is_empty() && !ring.is_full() && !ring.is_closed());
    // None of these closes the parent's ring.
    ring.close();
    producer.close();
    consumer.close();
    assert!(!format!("{ring:?} {producer:?} {consumer:?}").is_empty());
    (ring, producer, consumer)
}

/// Watches a producer that has pushed three messages. The producer stays present until the fourth
/// message is popped, and then detaches.
#[test]
#[ignore = "the other process of a test"]
fn role_watches() {
    if let Some(role) = support::role("role_watches") {
        call_for_kind!(role.text(1), watches(&role));
    }
}

fn watches<P: Protocol>(role: &support::Role) {
    let ring = Ring::<u64, P>::open(role.text(0)).unwrap();
    let mut consumer = ring.consumer().unwrap();
    let present = consumer.peer();
    assert!(matches!(present, Ok(Peer::Present { .. })), "{present:?}");
    SharedWords::open(role.text(2))[0].store(1, SeqCst);
    while consumer.len() == 3 {
        assert_eq!(consumer.peer(), present);
    }
    for number in 1..=4 {
        assert_eq!(consumer.peer(), present);
        assert_eq!(consumer.pop(), Ok(number));
    }
    until("the producer detaches", || {
        consumer.peer() == Ok(Peer::Left)
    });
}

fn forked_child_opens_ring_itself_and_transfers_messages<P: Protocol>() {
    let (name, back) = (Name::new("ring"), Name::new("back"));
    let ring = Ring::<u64, P>::create_with(&name, &one_of_each::<P>().capacity(4)).unwrap();
    let back_ring = Ring::<u64, P>::create(&back, 4).unwrap();
    let mut producer = ring.producer().unwrap();
    let mut consumer = back_ring.consumer().unwrap();
    let child = fork_child(|| {
        let ring = Ring::<u64, P>::open(&name).unwrap();
        assert!(is_taken(ring.producer()));
        let mut consumer = ring.consumer().unwrap();
        let mut producer = Ring::<u64, P>::open(&back).unwrap().producer().unwrap();
        while let Ok(message) = consumer.pop() {
            producer.push(&message).unwrap();
        }
    });
    for number in 0..1000 {
        producer.push(&number).unwrap();
        assert_eq!(consumer.pop_timeout(TIME_LIMIT), Ok(number));
    }
    let pid = child.pid();
    assert_eq!(producer.peer(), Ok(Peer::Present { pid }));
    drop(producer);
    child.finish();
    assert_eq!(consumer.peer(), Ok(Peer::Left));
}

/// Attaches, forks a child that outlives it, and waits to be killed.
#[test]
#[ignore = "the other process of a test"]
fn role_forks_child_and_waits() {
    if let Some(role) = support::role("role_forks_child_and_waits") {
        call_for_kind!(role.text(2), forks_child_and_waits(&role));
    }
}

fn forks_child_and_waits<P: Protocol>(role: &support::Role) {
    let ring = Ring::<u64, P>::open(role.text(0)).unwrap();
    let _producer = ring.producer().unwrap();
    let shared = SharedWords::open(role.text(1));
    let child = support::fork_orphan(|| {
        shared[1].store(1, SeqCst);
        until("the test releases the child", || {
            shared[2].load(SeqCst) == 1
        });
    });
    shared[0].store(u64::from(child), SeqCst);
    role.wait_for_signal();
}

fn seat_of_killed_parent_is_free_while_forked_child_lives<P: Protocol>() {
    let (name, words) = (Name::new("ring"), Name::in_memory("words"));
    let ring = Ring::<u64, P>::create(&name, 2).unwrap();
    let shared = SharedWords::create(&words, 3);
    let consumer = ring.consumer().unwrap();
    let mut peer = start("role_forks_child_and_waits", &[&name, &words, &kind::<P>()]);
    let pid = peer.pid();
    until("the child runs", || {
        shared[0].load(SeqCst) != 0 && shared[1].load(SeqCst) != 0
    });
    assert_eq!(consumer.peer(), Ok(Peer::Present { pid }));
    peer.kill_and_reap();
    assert_eq!(consumer.peer(), Ok(Peer::Died { pid }));
    let child = shared[0].load(SeqCst) as u32;
    assert!(support::state_of(child, child).is_some_and(|state| state != 'Z'));
    ring.producer().unwrap();
    shared[2].store(1, SeqCst);
}

/// Whether this process has a mapping of a ring, in any backing.
fn is_mapped(name: &Name) -> bool {
    match name.strip_prefix("sysv:0x") {
        Some(key) => {
            let maps = fs::read_to_string("/proc/self/maps").unwrap();
            maps.contains(&format!("/SYSV{key:0>8}"))
        }
        None => !mappings_of(name).is_empty(),
    }
}

fn fork_in_other_thread_keeps_no_seat_locked_and_no_mapping<P: Protocol>() {
    const FORKS: usize = 1000;
    const AT_ONCE: usize = 50;
    let (name, words) = (Name::new("ring"), Name::in_memory("words"));
    let ring = Ring::<u64, P>::create(&name, 2).unwrap();
    let shared = SharedWords::create(&words, FORKS / AT_ONCE);
    let mut attaches = 0_u64;
    thread::scope(|scope| {
        let forking = scope.spawn(|| {
            for may_exit in &*shared {
                let forked = || {
                    fork_child(|| {
                        assert!(!is_mapped(&name), "a child has a mapping of the ring");
                        until("the child may exit", || may_exit.load(SeqCst) == 1);
                    })
                };
                let children: Vec<_> = (0..AT_ONCE).map(|_| forked()).collect();
                may_exit.store(1, SeqCst);
                children.into_iter().for_each(|child| child.finish());
            }
        });
        while !forking.is_finished() {
            // Refused if a child has a copy of the previous producer's lock.
            drop(ring.producer().unwrap());
            drop(Ring::<u64, P>::open(&name).unwrap().producer().unwrap());
            attaches += 2;
        }
    });
    assert!(attaches > AT_ONCE as u64, "only {attaches} attaches");
}
