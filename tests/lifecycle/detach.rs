//! The steps of detaching and closing, as a peer sees them between one step and the next.

use crate::support::kinds::is_mpmc;
use crate::support::{HeaderPage, NEVER, Name, TIME_LIMIT, set_lock, until, while_asleep};
use nix::libc;
use slipring::error::{Disconnected, PopTimeoutError, TryPopError};
use slipring::{Options, Protocol, Ring};
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::thread;

for_each_kind! {
    memory_and_files:
        peer_seen_between_detach_steps_is_reported_left
    ;
    all_backings:
        message_pushed_just_before_close_is_popped_before_closed
    ;
}

fn message_pushed_just_before_close_is_popped_before_closed<P: Protocol>() {
    let name = Name::new("ring");
    for delay in 0..600 {
        let ring = Ring::<u64, P>::create(&name, 2).unwrap();
        slipring::unlink(&name).unwrap();
        let mut consumer = ring.consumer().unwrap();
        let mut producer = ring.producer().unwrap();
        let ready = AtomicU32::new(0);
        thread::scope(|scope| {
            scope.spawn(|| {
                ready.store(1, SeqCst);
                for _ in 0..delay % 100 {
                    std::hint::spin_loop();
                }
                producer.push(&7).unwrap();
                producer.close();
            });
            let mut attempts = 0_u32;
            // On a busy machine the other thread may need the processor of this one.
            let mut pause = || match attempts {
                1000.. => thread::yield_now(),
                _ => attempts += 1,
            };
            while ready.load(SeqCst) == 0 {
                pause();
            }
            let first = loop {
                match consumer.try_pop() {
                    Err(TryPopError::Empty) => pause(),
                    first => break first,
                }
            };
            assert_eq!(first, Ok(7));
        });
        let closed = Disconnected::Closed;
        until("the ring is drained", || match consumer.try_pop() {
            // The consumer saw a claim when the ring was closed. More messages may have followed.
            Err(TryPopError::Empty) if is_mpmc::<P>() => false,
            other => {
                assert_eq!(other, Err(closed.into()));
                true
            }
        });
    }
}

/// The byte that locks the first producer seat.
const PRODUCER_SEAT: i64 = 0x400;

fn peer_seen_between_detach_steps_is_reported_left<P: Protocol>() {
    let name = Name::new("ring");
    // Without new signals the consumer checks its peers only after an interval.
    let options = Options::new().capacity(2).liveness_interval(NEVER);
    let ring = Ring::<u64, P>::create_with(&name, &options).unwrap();
    let mut consumer = ring.consumer().unwrap();
    let producer = ring.producer().unwrap();
    assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
    // A producer detaches in two steps: it announces its departure, and it unlocks its seat. This
    // lock imitates a producer that is interrupted between them.
    drop(producer);
    let file = name.file();
    set_lock(&file, libc::F_WRLCK, PRODUCER_SEAT, 1).unwrap();
    assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));

    let popped = while_asleep(
        || consumer.pop_timeout(TIME_LIMIT / 4),
        || {
            set_lock(&file, libc::F_UNLCK, PRODUCER_SEAT, 1).unwrap();
            let event = HeaderPage::of(&name).not_empty();
            event.fetch_add(2, SeqCst);
            let (wake, all) = (libc::FUTEX_WAKE, i32::MAX);
            // SAFETY: FUTEX_WAKE uses the address as a key and accesses no memory.
            unsafe { libc::syscall(libc::SYS_futex, event.as_ptr(), wake, all) };
        },
    );
    assert_eq!(
        popped,
        Err(PopTimeoutError::Disconnected(Disconnected::Left))
    );
}
