//! Batches that user code, a panic or a fork cuts short, and neighbours of attaching that only a
//! busy program has.

use crate::support::kinds::{is_mpmc, one_of_each};
use crate::support::names::Name;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};
use slipring::error::{AttachError, CreateError, TryPushError};
use slipring::{Options, Protocol, Ring, Spsc};
use std::borrow::Borrow;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

for_each_kind! {
    all_backings:
        a_batch_that_a_full_vec_cuts_short_leaves_the_ring_whole
        a_batch_that_forks_half_way_goes_on_in_the_parent_only
        an_end_can_be_taken_again_at_once_while_other_threads_start_programs
    ;
}

#[allow(clippy::uninit_vec, reason = "there is nothing to initialise")]
fn a_batch_that_a_full_vec_cuts_short_leaves_the_ring_whole<P: Protocol>() {
    let name = Name::new();
    let ring = Ring::<(), P>::create(&name, 4).unwrap();
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    // More often than there are slots: what one batch forgets must not add up.
    for _ in 0..6 {
        while producer.try_push(&()).is_ok() {}
        let mut almost_full = Vec::new();
        // SAFETY: values of no size need no room, and `()` is all there is to initialise.
        unsafe { almost_full.set_len(usize::MAX - 3) };
        let popped = catch_unwind(AssertUnwindSafe(|| {
            consumer.try_pop_append(&mut almost_full, 4)
        }));
        assert!(popped.is_err(), "a Vec counts to usize::MAX at most");
        // In an MPMC ring the one that is left is taken.
        let left = usize::from(!is_mpmc::<P>());
        assert_eq!((ring.len(), consumer.len()), (left, left));
        assert!(!consumer.is_empty());
    }
    drop(consumer);
    // Not at once, if another thread is just starting a program: that keeps the locks for a moment.
    assert_eq!(ring.consumer().unwrap().pop(), Ok(()));
}

thread_local! {
    static BORROWS: Cell<u32> = const { Cell::new(0) };
    static CHILD: Cell<Option<nix::unistd::Pid>> = const { Cell::new(None) };
}

/// Forks when it is borrowed for the third time.
struct Forking(u64);

impl Borrow<u64> for Forking {
    fn borrow(&self) -> &u64 {
        BORROWS.set(BORROWS.get() + 1);
        if BORROWS.get() == 3 {
            // SAFETY: the child calls nothing but the ring and `_exit`.
            if let Ok(ForkResult::Parent { child }) = unsafe { fork() } {
                CHILD.set(Some(child));
            }
        }
        &self.0
    }
}

fn a_batch_that_forks_half_way_goes_on_in_the_parent_only<P: Protocol>() {
    let name = Name::new();
    let ring = Ring::<u64, P>::create(&name, 16).unwrap();
    let mut producer = ring.producer().unwrap();
    let pushed = producer.try_push_slice(&[1, 2, 3, 4].map(Forking));
    let Some(child) = CHILD.get() else {
        let refused = matches!(producer.try_push(&5), Err(TryPushError::Forked(_)));
        // SAFETY: ends the child without the test harness's hooks.
        unsafe { nix::libc::_exit(i32::from(!refused)) }
    };
    assert_eq!(waitpid(child, None), Ok(WaitStatus::Exited(child, 0)));
    assert_eq!(pushed, Ok(4));
    let popped: Vec<u64> = ring.consumer().unwrap().try_iter().collect();
    assert_eq!(popped, [1, 2, 3, 4]);
}

fn an_end_can_be_taken_again_at_once_while_other_threads_start_programs<P: Protocol>() {
    let name = Name::new();
    let ring = Ring::<u64, P>::create_with(&name, &one_of_each::<P>().capacity(4)).unwrap();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                Command::new("true").status().unwrap();
            }
        });
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(700) {
            let taken = ring.producer().map(drop);
            if taken.is_err() {
                over.store(true, Ordering::Relaxed);
            }
            taken.unwrap();
        }
        over.store(true, Ordering::Relaxed);
    });
    let _producer = ring.producer().unwrap();
    assert!(matches!(
        ring.producer(),
        Err(AttachError::Taken { .. } | AttachError::NoSeat { .. })
    ));
}

#[test]
fn a_name_that_is_taken_is_told_before_the_space_is_looked_at() {
    let name = Name::new();
    Ring::<u64, Spsc>::create(&name, 4).unwrap();
    // 16 TiB, which no machine has.
    let options = Options::new().capacity(1 << 30).message_size(16 << 10);
    assert!(matches!(
        Ring::<[u8], Spsc>::create_with(&name, &options),
        Err(CreateError::Exists { .. })
    ));
    let other = Name::new();
    match Ring::<[u8], Spsc>::create_with(&other, &options) {
        Err(CreateError::NoSpace {
            needed, available, ..
        }) => assert!(available < needed),
        Err(CreateError::FileSizeLimit { .. }) => {}
        other => panic!("{other:?}"),
    }
}
