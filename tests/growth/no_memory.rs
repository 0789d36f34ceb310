//! A process that has no room for the ring that follows one that has grown: what it works with seems full to it, or empty,
//! until it has. Nothing is lost, and it does not spin.

use crate::support::kinds::one_of_each;
use crate::support::leftovers::Remains;
use crate::support::{Board, Forked, Name, PATIENCE, fork_child, state_of, until};
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
/// Less than the large ring takes.
const SPARE: u64 = 4 << 20;
const SHORTLY: Duration = Duration::from_millis(100);
/// How long it may work between two times that it sleeps.
const MOST_AWAKE: Duration = Duration::from_millis(5);

for_each_kind! {
    who_has_no_room_for_the_next_ring_finds_nothing_to_pop_until_it_has
    who_has_no_room_for_the_next_ring_finds_no_room_to_push_until_it_has
    who_has_no_room_for_a_larger_ring_leaves_it_as_it_is
}

/// How far two processes are.
struct Progress(Board);

impl Progress {
    fn has_come(&self, far: u64) {
        self.0[0].store(far, SeqCst);
    }

    fn until(&self, far: u64) {
        until("the other one has come so far", || {
            self.0[0].load(SeqCst) == far
        });
    }
}

/// Waits until a child says that it has come so far, unless it ends before.
fn arrives(child: &mut Forked, progress: &Progress, far: u64) {
    until("the child has come so far", || {
        assert_eq!(child.has_ended(), None);
        progress.0[0].load(SeqCst) == far
    });
}

/// The process, as it sees itself.
struct Cramped<'r, P: Protocol> {
    ring: &'r Ring<Message, P>,
    remains: Remains,
}

impl<'r, P: Protocol> Cramped<'r, P> {
    fn new(ring: &'r Ring<Message, P>) -> Self {
        let sizes = fs::read_to_string("/proc/self/statm").unwrap();
        let mapped = sizes.split(' ').next().unwrap().parse::<u64>().unwrap() * 4096;
        limit(mapped + SPARE);
        Self {
            ring,
            remains: Remains::now(),
        }
    }

    /// What ends when its time is over has slept again and again meanwhile, and leaves nothing.
    fn waits_idly(&self, wait: impl FnOnce()) {
        let usage = || getrusage(UsageWho::RUSAGE_SELF).unwrap();
        let (start, before) = (Instant::now(), usage());
        wait();
        let (took, after) = (start.elapsed(), usage());
        let used = |usage: &Usage| usage.user_time() + usage.system_time();
        let used = (used(&after) - used(&before)).num_microseconds() as u64;
        let sleeps = after.voluntary_context_switches() - before.voluntary_context_switches();
        // However little of a processor it gets.
        let is_idle = used < MOST_AWAKE.as_micros() as u64 * sleeps as u64;
        assert!(
            took >= SHORTLY && is_idle,
            "it was awake for {used} us of {took:?}, and slept {sleeps} times"
        );
        assert_eq!(Remains::now(), self.remains);
    }

    /// What needs room says so, and is not half done.
    fn can_have_no_more(&self) {
        self.can_not_grow(LARGE * 2);
        self.can_not_grow(SMALL);
        for refused in [self.ring.producer().err(), self.ring.consumer().err()] {
            match refused {
                Some(AttachError::Map(MapError::System(error))) => assert!(is_no_memory(&error)),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(Remains::now(), self.remains);
    }

    fn can_not_grow(&self, capacity: usize) {
        let size = || self.ring.memory_stat().unwrap().size;
        let before = size();
        match self.ring.grow(capacity) {
            Err(GrowError::Map(MapError::System(error))) => assert!(is_no_memory(&error)),
            other => panic!("{other:?}"),
        }
        assert_eq!(size(), before);
        assert_eq!(Remains::now(), self.remains);
    }
}

fn is_no_memory(error: &SystemError) -> bool {
    error.call == "mmap" && error.source.raw_os_error() == Some(libc::ENOMEM)
}

/// How much address space this process may have, for a while.
fn limit(bytes: u64) {
    let (_, hard) = getrlimit(Resource::RLIMIT_AS).unwrap();
    setrlimit(Resource::RLIMIT_AS, bytes, hard).unwrap();
}

/// Gives a child back what it may have, when it waits for that.
fn make_room(child: &Forked) {
    falls_asleep(child);
    let (soft, hard) = getrlimit(Resource::RLIMIT_AS).unwrap();
    let limit = libc::rlimit {
        rlim_cur: soft,
        rlim_max: hard,
    };
    let (pid, nowhere) = (child.pid() as i32, std::ptr::null_mut());
    // SAFETY: the limit outlives the call.
    let failed = unsafe { libc::prlimit(pid, libc::RLIMIT_AS, &limit, nowhere) };
    assert_eq!(failed, 0);
}

fn falls_asleep(child: &Forked) {
    until("the child sleeps", || {
        state_of(child.pid(), child.pid()) == Some('S')
    });
}

fn start<P: Protocol>() -> (Name, Ring<Message, P>, Name, Progress) {
    let (name, words) = (Name::new("cramped"), Name::in_memory("board"));
    let ring = Ring::create_with(&name, &one_of_each::<P>().capacity(SMALL)).unwrap();
    let progress = Progress(Board::create(&words, 1));
    (name, ring, words, progress)
}

fn who_has_no_room_for_the_next_ring_finds_nothing_to_pop_until_it_has<P: Protocol>() {
    let (name, ring, _words, progress) = start::<P>();
    let mut child = fork_child(|| {
        let ring = Ring::<Message, P>::open(&name).unwrap();
        let mut consumer = ring.consumer().unwrap();
        progress.has_come(1);
        progress.until(2);
        let cramped = Cramped::new(&ring);
        let mut next = || consumer.try_pop().map(|message| message[0]);
        assert_eq!([next(), next()], [Ok(1), Ok(2)]);
        for _ in 0..3 {
            assert_eq!(next(), Err(TryPopError::Empty));
        }
        cramped.waits_idly(|| {
            let popped = consumer.pop_timeout(SHORTLY);
            assert_eq!(popped, Err(PopTimeoutError::TimedOut));
        });
        cramped.can_have_no_more();
        progress.has_come(3);
        assert_eq!(consumer.pop().unwrap()[0], 3);
        assert_eq!(consumer.capacity(), LARGE);
    });
    arrives(&mut child, &progress, 1);
    let mut producer = ring.producer().unwrap();
    producer.push_slice(&[[1; 1016], [2; 1016]]).unwrap();
    ring.grow(LARGE).unwrap();
    producer.push(&[3; 1016]).unwrap();
    progress.has_come(2);
    arrives(&mut child, &progress, 3);
    make_room(&child);
    child.finish();
}

fn who_has_no_room_for_the_next_ring_finds_no_room_to_push_until_it_has<P: Protocol>() {
    let (name, ring, _words, progress) = start::<P>();
    let mut child = fork_child(|| {
        let ring = Ring::<Message, P>::open(&name).unwrap();
        let mut producer = ring.producer().unwrap();
        producer.push_slice(&[[1; 1016], [2; 1016]]).unwrap();
        progress.has_come(1);
        progress.until(2);
        let cramped = Cramped::new(&ring);
        for _ in 0..3 {
            assert_eq!(producer.try_push(&[9; 1016]), Err(TryPushError::Full));
        }
        cramped.waits_idly(|| {
            let pushed = producer.push_timeout(&[9; 1016], SHORTLY);
            assert_eq!(pushed, Err(PushTimeoutError::TimedOut));
        });
        cramped.can_have_no_more();
        progress.has_come(3);
        producer.push(&[3; 1016]).unwrap();
        assert_eq!(producer.capacity(), LARGE);
        progress.until(4);
        // Where it has no room for any ring, it hears all the same that this one is closed.
        limit(0);
        progress.has_come(5);
        let closed = PushError::Disconnected(Disconnected::Closed);
        assert_eq!(producer.push(&[9; 1016]), Err(closed));
    });
    arrives(&mut child, &progress, 1);
    let mut consumer = ring.consumer().unwrap();
    ring.grow(LARGE).unwrap();
    progress.has_come(2);
    arrives(&mut child, &progress, 3);
    make_room(&child);
    for number in [1, 2, 3] {
        let popped = consumer.pop_timeout(PATIENCE).unwrap();
        assert_eq!(popped[0], number);
    }
    assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
    ring.grow(SMALL).unwrap();
    progress.has_come(4);
    arrives(&mut child, &progress, 5);
    falls_asleep(&child);
    ring.close();
    child.finish();
}

fn who_has_no_room_for_a_larger_ring_leaves_it_as_it_is<P: Protocol>() {
    let (name, ring, ..) = start::<P>();
    fork_child(|| {
        let ring = Ring::<Message, P>::open(&name).unwrap();
        let cramped = Cramped::new(&ring);
        cramped.can_not_grow(LARGE);
        assert_eq!(ring.capacity(), SMALL);
        ring.grow(2 * SMALL).unwrap();
    })
    .finish();
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    producer.push_slice(&[[7; 1016]; 2 * SMALL]).unwrap();
    assert_eq!(producer.try_push(&[8; 1016]), Err(TryPushError::Full));
    assert_eq!(consumer.try_iter().count(), 2 * SMALL);
}
