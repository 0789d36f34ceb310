//! Batches that a panic or a fork interrupts, and attaching and creating under conditions that only
//! a busy machine has.

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
        try_pop_append_panic_at_vec_limit_leaves_ring_usable
        batch_push_that_forks_midway_continues_only_in_parent
        seat_released_during_spawns_is_claimable_at_once
    ;
}

#[allow(clippy::uninit_vec, reason = "there is nothing to initialise")]
fn try_pop_append_panic_at_vec_limit_leaves_ring_usable<P: Protocol>() {
    let name = Name::new();
    let ring = Ring::<(), P>::create(&name, 4).unwrap();
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    // There are more rounds than slots: a slot that a batch leaks each time would be noticed.
    for _ in 0..6 {
        while producer.try_push(&()).is_ok() {}
        let mut almost_full = Vec::new();
        // SAFETY: values of size zero occupy no memory, so all of them are initialised.
        unsafe { almost_full.set_len(usize::MAX - 3) };
        let popped = catch_unwind(AssertUnwindSafe(|| {
            consumer.try_pop_append(&mut almost_full, 4)
        }));
        assert!(popped.is_err(), "a Vec holds at most usize::MAX values");
        // In an MPMC ring the consumer has claimed the message that remains.
        let left = usize::from(!is_mpmc::<P>());
        assert_eq!((ring.len(), consumer.len()), (left, left));
        assert!(!consumer.is_empty());
    }
    drop(consumer);
    // This may take a moment: a child that another thread is starting holds the locks until it
    // calls exec.
    assert_eq!(ring.consumer().unwrap().pop(), Ok(()));
}

thread_local! {
    static BORROWS: Cell<u32> = const { Cell::new(0) };
    static CHILD: Cell<Option<nix::unistd::Pid>> = const { Cell::new(None) };
}

/// Forks the process on the third borrow in a thread.
struct ForkOnThirdBorrow(u64);

impl Borrow<u64> for ForkOnThirdBorrow {
    fn borrow(&self) -> &u64 {
        BORROWS.set(BORROWS.get() + 1);
        if BORROWS.get() == 3 {
            // SAFETY: the child calls only the ring's functions and `_exit`.
            if let Ok(ForkResult::Parent { child }) = unsafe { fork() } {
                CHILD.set(Some(child));
            }
        }
        &self.0
    }
}

fn batch_push_that_forks_midway_continues_only_in_parent<P: Protocol>() {
    let name = Name::new();
    let ring = Ring::<u64, P>::create(&name, 16).unwrap();
    let mut producer = ring.producer().unwrap();
    let pushed = producer.try_push_slice(&[1, 2, 3, 4].map(ForkOnThirdBorrow));
    let Some(child) = CHILD.get() else {
        let refused = matches!(producer.try_push(&5), Err(TryPushError::Forked(_)));
        // SAFETY: the child exits without running the exit handlers of the test harness.
        unsafe { nix::libc::_exit(i32::from(!refused)) }
    };
    assert_eq!(waitpid(child, None), Ok(WaitStatus::Exited(child, 0)));
    assert_eq!(pushed, Ok(4));
    let popped: Vec<u64> = ring.consumer().unwrap().try_iter().collect();
    assert_eq!(popped, [1, 2, 3, 4]);
}

fn seat_released_during_spawns_is_claimable_at_once<P: Protocol>() {
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
fn create_of_existing_name_fails_before_space_check() {
    let name = Name::new();
    Ring::<u64, Spsc>::create(&name, 4).unwrap();
    // This asks for 16 TiB, which no machine has.
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
