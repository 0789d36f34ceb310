//! Processes that have access to a ring and misuse its object, its name, its locks and its event
//! words. Tests of truncated objects, and of memfds that cannot be truncated, are in other files.

use crate::support;
use crate::support::kinds::{is_mpmc, one_of_each};
use crate::support::ring_layout;
use crate::support::{
    ASLEEP_AT_ONCE, Forked, HeaderPage, Name, SharedWords, TIME_LIMIT, fork_child, set_lock, until,
};
use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, fallocate};
use nix::libc;
use slipring::error::{
    AttachError, Disconnected, OpenError, PopError, PopTimeoutError, PushTimeoutError, RecoverError,
};
use slipring::{Mpmc, Options, Peer, Protocol, Ring, Spsc};
use std::fs;
use std::os::fd::AsFd;
use std::ptr;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;
use std::time::{Duration, Instant};

for_each_kind! {
    memory_and_files:
        hole_punching_peer_blocks_no_process_forever
        name_replaced_by_other_objects_does_not_affect_open_ring
        seat_locked_by_foreign_process_has_unknown_holder
        seat_lock_taken_over_from_dead_producer_keeps_it_present
        recovery_lock_held_forever_refuses_newcomers_only
        needless_wakes_change_no_message_and_no_deadline
        stolen_wakes_delay_message_by_at_most_one_interval
    ;
}

const SOON: Duration = Duration::from_millis(5);
/// The first byte that locks a seat, which is the producer's in an SPSC ring. The byte before it is
/// the recovery lock.
const SEATS: i64 = 0x400;
const RECOVERY: i64 = SEATS - 1;

/// Forks a process that calls `body` repeatedly until it is killed.
fn fork_repeating(mut body: impl FnMut()) -> Forked {
    fork_child(|| {
        loop {
            body();
        }
    })
}

/// Checks that another process can push the numbers below `count`, and this one pops them all.
fn assert_numbers_arrive<P: Protocol>(name: &Name, ring: &Ring<u64, P>, count: u64) {
    let mut consumer = ring.consumer().unwrap();
    let producer = fork_child(|| {
        let options = Options::new().wait(ASLEEP_AT_ONCE);
        let ring = Ring::<u64, P>::open_with(name, &options).unwrap();
        let mut producer = ring.producer().unwrap();
        (0..count).for_each(|number| producer.push(&number).unwrap());
        until("every number is popped", || producer.is_empty());
    });
    for number in 0..count {
        // The producer may not be attached before the first number.
        assert_eq!(consumer.pop_timeout(TIME_LIMIT), Ok(number));
    }
    producer.finish();
}

#[test]
fn holes_punched_into_sealed_ring_make_operations_fail() {
    let ring = Ring::<u64, Spsc>::create("memfd:", 4).unwrap();
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    producer.push(&7).unwrap();
    punch(ring.descriptor().unwrap()).unwrap();
    assert!(consumer.try_pop().is_err());
    assert!(producer.try_push(&8).is_err() || producer.try_push(&8).is_err());
    drop((producer, consumer));
    assert!(ring.reopen().is_err(), "the header is zero");
}

fn punch(object: impl AsFd) -> Result<(), Errno> {
    let keep_size = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
    fallocate(object, keep_size, 0, 0x2000)
}

fn hole_punching_peer_blocks_no_process_forever<P: Protocol>() {
    const CALLS: u32 = 300;
    const FIRST: u64 = 1 << 20;
    let (name, words) = (Name::new("punched"), Name::in_memory("words"));
    let shared = SharedWords::create(&words, 1);
    let options = ring_layout::options::<P>(FIRST).liveness_interval(SOON);
    let ring = Ring::<u64, P>::create_with(&name, &options).unwrap();
    let file = name.file();
    match punch(&file) {
        Ok(()) => {}
        // Some file systems cannot punch holes.
        Err(Errno::EOPNOTSUPP) => return support::skip("the file system cannot punch holes"),
        Err(error) => panic!("{error}"),
    }
    drop(ring);
    slipring::unlink(&name).unwrap();
    for _ in 0..5 {
        drop(Ring::<u64, P>::create_with(&name, &options).unwrap());
        let file = name.file();
        let per_role = if is_mpmc::<P>() { 2 } else { 1 };
        let producers = (0..per_role).map(|_| {
            fork_child(|| {
                let ring = Ring::<u64, P>::open(&name).unwrap();
                let mut producer = ring.producer().unwrap();
                shared[0].fetch_add(1, SeqCst);
                for _ in 0..CALLS {
                    use PushTimeoutError::{Corrupt, Disconnected, TimedOut};
                    let pushed = producer.push_timeout(&7, SOON);
                    assert!(
                        matches!(
                            pushed,
                            Ok(()) | Err(Corrupt(_) | Disconnected(_) | TimedOut)
                        ),
                        "{pushed:?}"
                    );
                }
            })
        });
        let consumers = (0..per_role).map(|_| {
            fork_child(|| {
                let ring = Ring::<u64, P>::open(&name).unwrap();
                let mut consumer = ring.consumer().unwrap();
                shared[0].fetch_add(1, SeqCst);
                for _ in 0..CALLS {
                    use PopTimeoutError::{Corrupt, Disconnected, TimedOut};
                    let popped = consumer.pop_timeout(SOON);
                    assert!(
                        matches!(
                            popped,
                            Ok(0 | 7) | Err(Corrupt(_) | Disconnected(_) | TimedOut)
                        ),
                        "{popped:?}"
                    );
                }
            })
        });
        let users: Vec<_> = producers.chain(consumers).collect();
        until("all participants are attached", || {
            shared[0].load(SeqCst) == 2 * per_role
        });
        shared[0].store(0, SeqCst);
        let _puncher = fork_repeating(|| {
            punch(&file).unwrap();
        });
        users.into_iter().for_each(Forked::finish);
        punch(&file).unwrap();
        assert!(Ring::<u64, P>::open(&name).is_err(), "the header is zero");
        slipring::unlink(&name).unwrap();
    }
}

fn name_replaced_by_other_objects_does_not_affect_open_ring<P: Protocol>() {
    let (name, other) = (Name::new("replaced"), Name::new("other"));
    let ring = Ring::<u64, P>::create(&name, 4).unwrap();
    let draft = name.path().with_extension("draft");
    // The name selects another ring, junk, and nothing in turn.
    let replacer = fork_repeating(|| {
        drop(Ring::<u64, P>::create(&other, 8).unwrap());
        fs::rename(other.path(), name.path()).unwrap();
        fs::write(&draft, [0xa5; 5000]).unwrap();
        fs::rename(&draft, name.path()).unwrap();
        fs::remove_file(name.path()).unwrap();
    });
    let opener = fork_child(|| {
        for _ in 0..500 {
            match Ring::<u64, P>::open(&name) {
                Ok(ring) => assert!(matches!(ring.capacity(), 4 | 8)),
                Err(OpenError::NotFound { .. } | OpenError::NotARing { .. }) => {}
                // The file was opened before the junk was written.
                Err(OpenError::Truncated { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
    });
    let mut next = 0;
    for _ in 0..200 {
        // Each round attaches again through the open ring, not through the name.
        let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
        producer.push_slice(&[next, next + 1, next + 2]).unwrap();
        assert_eq!(consumer.pop(), Ok(next));
        assert_eq!(consumer.pop(), Ok(next + 1));
        assert_eq!(consumer.pop(), Ok(next + 2));
        next += 3;
    }
    opener.finish();
    drop(replacer);
    let _ = fs::remove_file(draft);
}

/// Forks a process that locks bytes of a ring's object, as holders of seats do, as soon as they are
/// free. The process sets a flag in the shared words when it holds the locks.
fn fork_locker(name: &Name, shared: &SharedWords, start: i64, len: i64) -> Forked {
    fork_child(|| {
        let file = name.file();
        until("the bytes are free", || {
            set_lock(&file, libc::F_WRLCK, start, len).is_ok()
        });
        shared[0].store(1, SeqCst);
        loop {
            thread::park();
        }
    })
}

fn wait_until_locked(shared: &SharedWords) {
    until("the other process holds the locks", || {
        shared[0].load(SeqCst) == 1
    });
}

fn seat_locked_by_foreign_process_has_unknown_holder<P: Protocol>() {
    let (name, words) = (Name::new("locked"), Name::in_memory("words"));
    let options = one_of_each::<P>().capacity(2);
    let ring = Ring::<u64, P>::create_with(&name, &options).unwrap();
    let shared = SharedWords::create(&words, 1);
    let mut locker = fork_locker(&name, &shared, SEATS, 2);
    wait_until_locked(&shared);
    for refused in [ring.producer().map(drop), ring.consumer().map(drop)] {
        match refused.unwrap_err() {
            AttachError::Taken { pid, .. } => assert_eq!(pid, None),
            // The holder has written no pid.
            AttachError::NoSeat { holders, .. } => assert_eq!(holders, [0]),
            error => panic!("{error}"),
        }
    }
    locker.kill_and_reap();
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    producer.push(&7).unwrap();
    assert_eq!(consumer.pop(), Ok(7));
}

fn seat_lock_taken_over_from_dead_producer_keeps_it_present<P: Protocol>() {
    let (name, words) = (Name::new("kept"), Name::in_memory("words"));
    let options = one_of_each::<P>().capacity(4).liveness_interval(SOON);
    let ring = Ring::<u64, P>::create_with(&name, &options).unwrap();
    let shared = SharedWords::create(&words, 1);
    let mut consumer = ring.consumer().unwrap();
    let mut producer = fork_child(|| {
        let ring = Ring::<u64, P>::open(&name).unwrap();
        let mut producer = ring.producer().unwrap();
        producer.push(&7).unwrap();
        let _claim = producer.claim().unwrap();
        loop {
            thread::park();
        }
    });
    let pid = producer.pid();
    assert_eq!(consumer.pop(), Ok(7));
    let mut locker = fork_locker(&name, &shared, SEATS, 1);
    producer.kill_and_reap();
    wait_until_locked(&shared);
    assert_eq!(consumer.peer(), Ok(Peer::Present { pid }));
    let timed_out = Err(PopTimeoutError::TimedOut);
    assert_eq!(consumer.pop_timeout(SOON * 10), timed_out);
    assert!(matches!(
        ring.producer(),
        Err(AttachError::Taken { .. } | AttachError::NoSeat { .. })
    ));
    locker.kill_and_reap();
    let died = Disconnected::Died { pid };
    assert_eq!(consumer.pop(), Err(PopError::Disconnected(died)));
    ring.producer().unwrap().push(&8).unwrap();
    assert_eq!(consumer.pop(), Ok(8));
}

fn recovery_lock_held_forever_refuses_newcomers_only<P: Protocol>() {
    if !is_mpmc::<P>() {
        return;
    }
    let (name, words) = (Name::new("recovered"), Name::in_memory("words"));
    let options = Options::new().capacity(4).liveness_interval(SOON);
    let ring = Ring::<u64, Mpmc>::create_with(&name, &options).unwrap();
    let shared = SharedWords::create(&words, 1);
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    let mut locker = fork_locker(&name, &shared, RECOVERY, 1);
    wait_until_locked(&shared);
    assert!(matches!(ring.producer(), Err(AttachError::Recovering(_))));
    assert!(matches!(ring.recover(), Err(RecoverError::Recovering(_))));
    for number in 0..100 {
        producer.push(&number).unwrap();
        assert_eq!(consumer.pop(), Ok(number));
    }
    let timed_out = Err(PopTimeoutError::TimedOut);
    assert_eq!(consumer.pop_timeout(SOON), timed_out);
    locker.kill_and_reap();
    ring.producer().unwrap();
    assert_eq!(ring.recover().unwrap(), Default::default());
}

fn futex(word: &AtomicU32, operation: i32, value: u32) {
    // SAFETY: the word is mapped until the process exits, and there is no time-out.
    unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            operation,
            value,
            ptr::null::<libc::timespec>(),
        )
    };
}

fn needless_wakes_change_no_message_and_no_deadline<P: Protocol>() {
    let name = Name::new("woken");
    let options = Options::new().capacity(4).wait(ASLEEP_AT_ONCE);
    let options = options.liveness_interval(SOON);
    let ring = Ring::<u64, P>::create_with(&name, &options).unwrap();
    let page = HeaderPage::of(&name);
    // One process begins epochs as the protocol does, and the other one stores random words.
    let mut random = 0_u32;
    let _wakers = [0, 1].map(|waker| {
        fork_repeating(|| {
            for word in [page.not_empty(), page.not_full()] {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                match waker {
                    0 => _ = word.fetch_add(2, SeqCst),
                    _ => word.store(random, SeqCst),
                }
                futex(word, libc::FUTEX_WAKE, i32::MAX as u32);
            }
        })
    });
    assert_numbers_arrive(&name, &ring, 2000);
    let mut consumer = ring.consumer().unwrap();
    let _producer = ring.producer().unwrap();
    for timeout in [SOON, SOON * 10] {
        let start = Instant::now();
        assert_eq!(
            consumer.pop_timeout(timeout),
            Err(PopTimeoutError::TimedOut)
        );
        assert!(start.elapsed() >= timeout);
    }
}

fn stolen_wakes_delay_message_by_at_most_one_interval<P: Protocol>() {
    const NUMBERS: u64 = 20;
    const SLEEPERS: usize = 8;
    let name = Name::new("slept-on");
    let interval = Duration::from_millis(20);
    let options = Options::new().capacity(4).wait(ASLEEP_AT_ONCE);
    let ring = Ring::<u64, P>::create_with(&name, &options.liveness_interval(interval)).unwrap();
    let page = HeaderPage::of(&name);
    // Each process takes wakes that are meant for another process, and sleeps again.
    let sleepers = [(); SLEEPERS].map(|()| {
        fork_repeating(|| {
            let word = page.not_empty();
            let armed = word.fetch_or(1, SeqCst) | 1;
            futex(word, libc::FUTEX_WAIT, armed);
        })
    });
    for sleeper in &sleepers {
        until("the process sleeps", || {
            support::state_of(sleeper.pid(), sleeper.pid()) == Some('S')
        });
    }
    let start = Instant::now();
    assert_numbers_arrive(&name, &ring, NUMBERS);
    // One interval for each number, and a margin for a busy machine.
    let most = interval * NUMBERS as u32 + TIME_LIMIT / 4;
    assert!(start.elapsed() < most, "{:?}", start.elapsed());
}
