//! A process without address space for the next segment of a ring that has grown. The ring is full
//! or empty to that process until it can map the segment. No message is lost, and the process does
//! not spin.

use crate::support::kinds::one_of_each;
use crate::support::resources::Resources;
use crate::support::{Forked, Name, SharedWords, TIME_LIMIT, fork_child, state_of, until};
use nix::libc;
use nix::sys::resource::{Resource, Usage, UsageWho, getrlimit, getrusage, setrlimit};
use nix::sys::time::TimeValLike;
use slipring::error::{
    AttachError, Disconnected, GrowError, MapError, PopTimeoutError, PushError, PushTimeoutError,
    SystemError, TryPopError, TryPushError,
};
use slipring::{Protocol, Ring};
use std::fs;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

type Message = [u8; 1016];

const SMALL: usize = 4;
const LARGE: usize = 16 << 10;
/// Address space that is less than the large segment needs.
const FREE_SPACE: u64 = 4 << 20;
const SHORTLY: Duration = Duration::from_millis(100);
/// The longest processor time that a waiting process may use between two sleeps.
const MAX_AWAKE: Duration = Duration::from_millis(5);

for_each_kind! {
    pop_is_empty_until_next_segment_can_be_mapped
    push_is_full_until_next_segment_can_be_mapped
    growth_without_address_space_leaves_ring_unchanged
}

/// A shared step count, by which two processes synchronize.
struct Progress(SharedWords);

impl Progress {
    fn set(&self, step: u64) {
        self.0[0].store(step, SeqCst);
    }

    fn until(&self, step: u64) {
        until("the other process has reached the step", || {
            self.0[0].load(SeqCst) == step
        });
    }
}

/// Waits until a child has reached a step. Panics if the child ends before.
fn wait_for_step(child: &mut Forked, progress: &Progress, step: u64) {
    until("the child has reached the step", || {
        assert_eq!(child.has_ended(), None);
        progress.0[0].load(SeqCst) == step
    });
}

/// Checks of the calling process, which has a limited address space.
struct Limited<'r, P: Protocol> {
    ring: &'r Ring<Message, P>,
    resources: Resources,
}

impl<'r, P: Protocol> Limited<'r, P> {
    fn new(ring: &'r Ring<Message, P>) -> Self {
        let sizes = fs::read_to_string("/proc/self/statm").unwrap();
        let mapped = sizes.split(' ').next().unwrap().parse::<u64>().unwrap() * 4096;
        limit(mapped + FREE_SPACE);
        Self {
            ring,
            resources: Resources::now(),
        }
    }

    /// Checks that `wait` times out, sleeps repeatedly meanwhile, and leaves no resources behind.
    fn assert_blocks_idly(&self, wait: impl FnOnce()) {
        let usage = || getrusage(UsageWho::RUSAGE_SELF).unwrap();
        let (start, before) = (Instant::now(), usage());
        wait();
        let (took, after) = (start.elapsed(), usage());
        let used = |usage: &Usage| usage.user_time() + usage.system_time();
        let used = (used(&after) - used(&before)).num_microseconds() as u64;
        let sleeps = after.voluntary_context_switches() - before.voluntary_context_switches();
        // Relates used time to sleeps, so that a loaded machine does not change the result.
        let is_idle = used < MAX_AWAKE.as_micros() as u64 * sleeps as u64;
        assert!(
            took >= SHORTLY && is_idle,
            "the process used {used} us of {took:?}, and slept {sleeps} times"
        );
        assert_eq!(Resources::now(), self.resources);
    }

    /// Checks that calls that need a new mapping return an error and leave no resources behind.
    fn assert_new_mappings_fail(&self) {
        self.assert_grow_fails(LARGE * 2);
        self.assert_grow_fails(SMALL);
        for refused in [self.ring.producer().err(), self.ring.consumer().err()] {
            match refused {
                Some(AttachError::Map(MapError::System(error))) => assert!(is_no_memory(&error)),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(Resources::now(), self.resources);
    }

    fn assert_grow_fails(&self, capacity: usize) {
        let size = || self.ring.memory_stat().unwrap().size;
        let before = size();
        match self.ring.grow(capacity) {
            Err(GrowError::Map(MapError::System(error))) => assert!(is_no_memory(&error)),
            other => panic!("{other:?}"),
        }
        assert_eq!(size(), before);
        assert_eq!(Resources::now(), self.resources);
    }
}

fn is_no_memory(error: &SystemError) -> bool {
    error.call == "mmap" && error.source.raw_os_error() == Some(libc::ENOMEM)
}

/// Limits the address space of this process. The hard limit stays, so the limit can be raised.
fn limit(bytes: u64) {
    let (_, hard) = getrlimit(Resource::RLIMIT_AS).unwrap();
    setrlimit(Resource::RLIMIT_AS, bytes, hard).unwrap();
}

/// Raises a child's address space limit to that of this process, once the child sleeps.
fn raise_limit(child: &Forked) {
    wait_until_asleep(child);
    let (soft, hard) = getrlimit(Resource::RLIMIT_AS).unwrap();
    let limit = libc::rlimit {
        rlim_cur: soft,
        rlim_max: hard,
    };
    let (pid, null) = (child.pid() as i32, std::ptr::null_mut());
    // SAFETY: the limit outlives the call.
    let failed = unsafe { libc::prlimit(pid, libc::RLIMIT_AS, &limit, null) };
    assert_eq!(failed, 0);
}

fn wait_until_asleep(child: &Forked) {
    until("the child sleeps", || {
        state_of(child.pid(), child.pid()) == Some('S')
    });
}

fn start<P: Protocol>() -> (Name, Ring<Message, P>, Name, Progress) {
    let (name, words) = (Name::new("limited"), Name::in_memory("words"));
    let ring = Ring::create_with(&name, &one_of_each::<P>().capacity(SMALL)).unwrap();
    let progress = Progress(SharedWords::create(&words, 1));
    (name, ring, words, progress)
}

fn pop_is_empty_until_next_segment_can_be_mapped<P: Protocol>() {
    let (name, ring, _words, progress) = start::<P>();
    let mut child = fork_child(|| {
        let ring = Ring::<Message, P>::open(&name).unwrap();
        let mut consumer = ring.consumer().unwrap();
        progress.set(1);
        progress.until(2);
        let limited = Limited::new(&ring);
        let mut next = || consumer.try_pop().map(|message| message[0]);
        assert_eq!([next(), next()], [Ok(1), Ok(2)]);
        for _ in 0..3 {
            assert_eq!(next(), Err(TryPopError::Empty));
        }
        limited.assert_blocks_idly(|| {
            let popped = consumer.pop_timeout(SHORTLY);
            assert_eq!(popped, Err(PopTimeoutError::TimedOut));
        });
        limited.assert_new_mappings_fail();
        progress.set(3);
        assert_eq!(consumer.pop().unwrap()[0], 3);
        assert_eq!(consumer.capacity(), LARGE);
    });
    wait_for_step(&mut child, &progress, 1);
    let mut producer = ring.producer().unwrap();
    producer.push_slice(&[[1; 1016], [2; 1016]]).unwrap();
    ring.grow(LARGE).unwrap();
    producer.push(&[3; 1016]).unwrap();
    progress.set(2);
    wait_for_step(&mut child, &progress, 3);
    raise_limit(&child);
    child.finish();
}

fn push_is_full_until_next_segment_can_be_mapped<P: Protocol>() {
    let (name, ring, _words, progress) = start::<P>();
    let mut child = fork_child(|| {
        let ring = Ring::<Message, P>::open(&name).unwrap();
        let mut producer = ring.producer().unwrap();
        producer.push_slice(&[[1; 1016], [2; 1016]]).unwrap();
        progress.set(1);
        progress.until(2);
        let limited = Limited::new(&ring);
        for _ in 0..3 {
            assert_eq!(producer.try_push(&[9; 1016]), Err(TryPushError::Full));
        }
        limited.assert_blocks_idly(|| {
            let pushed = producer.push_timeout(&[9; 1016], SHORTLY);
            assert_eq!(pushed, Err(PushTimeoutError::TimedOut));
        });
        limited.assert_new_mappings_fail();
        progress.set(3);
        producer.push(&[3; 1016]).unwrap();
        assert_eq!(producer.capacity(), LARGE);
        progress.until(4);
        // Without address space for any segment, the producer still detects the close.
        limit(0);
        progress.set(5);
        let closed = PushError::Disconnected(Disconnected::Closed);
        assert_eq!(producer.push(&[9; 1016]), Err(closed));
    });
    wait_for_step(&mut child, &progress, 1);
    let mut consumer = ring.consumer().unwrap();
    ring.grow(LARGE).unwrap();
    progress.set(2);
    wait_for_step(&mut child, &progress, 3);
    raise_limit(&child);
    for number in [1, 2, 3] {
        let popped = consumer.pop_timeout(TIME_LIMIT).unwrap();
        assert_eq!(popped[0], number);
    }
    assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
    ring.grow(SMALL).unwrap();
    progress.set(4);
    wait_for_step(&mut child, &progress, 5);
    wait_until_asleep(&child);
    ring.close();
    child.finish();
}

fn growth_without_address_space_leaves_ring_unchanged<P: Protocol>() {
    let (name, ring, ..) = start::<P>();
    fork_child(|| {
        let ring = Ring::<Message, P>::open(&name).unwrap();
        let limited = Limited::new(&ring);
        limited.assert_grow_fails(LARGE);
        assert_eq!(ring.capacity(), SMALL);
        ring.grow(2 * SMALL).unwrap();
    })
    .finish();
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    producer.push_slice(&[[7; 1016]; 2 * SMALL]).unwrap();
    assert_eq!(producer.try_push(&[8; 1016]), Err(TryPushError::Full));
    assert_eq!(consumer.try_iter().count(), 2 * SMALL);
}
