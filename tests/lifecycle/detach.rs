//! Moments between the steps of going away, in which it must not be misread.

use crate::support::kinds::is_mpmc;
use crate::support::{NEVER, Name, PATIENCE, Page, is_asleep, thread_id, until};
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use slipring::error::{Disconnected, PopTimeoutError, TryPopError};
use slipring::{Options, Protocol, Ring};
use std::fs::File;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::{process, thread};

for_each_kind! {
    memory_and_files:
        a_peer_that_is_seen_while_it_leaves_is_not_taken_for_one_that_stays
    ;
    all_backings:
        a_message_is_popped_first_however_soon_the_ring_is_closed_after_it
    ;
}

fn a_message_is_popped_first_however_soon_the_ring_is_closed_after_it<P: Protocol>() {
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
            let mut looks = 0_u32;
            // On a busy machine the other thread may need this one's processor.
            let mut pause = || match looks {
                1000.. => thread::yield_now(),
                _ => looks += 1,
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
        until("it is drained", || match consumer.try_pop() {
            // Of a claim that was seen while the ring was closed more may have been to come.
            Err(TryPopError::Empty) if is_mpmc::<P>() => false,
            over => {
                assert_eq!(over, Err(closed.into()));
                true
            }
        });
    }
}

/// Locks or unlocks the producer's seat through a description of the test's own.
fn hold_seat(file: &File, kind: i32) {
    let seat = libc::flock {
        l_type: kind as i16,
        l_whence: libc::SEEK_SET as i16,
        l_start: 0x400,
        l_len: 1,
        l_pid: 0,
    };
    fcntl(file, FcntlArg::F_OFD_SETLK(&seat)).unwrap();
}

fn a_peer_that_is_seen_while_it_leaves_is_not_taken_for_one_that_stays<P: Protocol>() {
    let name = Name::new("ring");
    // Nothing is asked again for want of news.
    let options = Options::new().capacity(2).liveness_interval(NEVER);
    let ring = Ring::<u64, P>::create_with(&name, &options).unwrap();
    let mut consumer = ring.consumer().unwrap();
    let producer = ring.producer().unwrap();
    assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
    // Leaving is two steps: saying so, and freeing the seat. The lock stands for a producer
    // that was interrupted between them.
    drop(producer);
    let path = name.path();
    let file = File::options().read(true).write(true).open(path).unwrap();
    hold_seat(&file, libc::F_WRLCK);
    assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));

    let thread = AtomicU32::new(0);
    thread::scope(|scope| {
        let popping = scope.spawn(|| {
            thread.store(thread_id(), SeqCst);
            consumer.pop_timeout(PATIENCE / 4)
        });
        until("pop sleeps", || {
            is_asleep(process::id(), thread.load(SeqCst))
        });
        hold_seat(&file, libc::F_UNLCK);
        let event = Page::of(&name).not_empty();
        event.fetch_add(2, SeqCst);
        let (wake, all) = (libc::FUTEX_WAKE, i32::MAX);
        // SAFETY: FUTEX_WAKE uses the address as a key and accesses no memory.
        unsafe { libc::syscall(libc::SYS_futex, event.as_ptr(), wake, all) };
        assert_eq!(
            popping.join().unwrap(),
            Err(PopTimeoutError::Disconnected(Disconnected::Left))
        );
    });
}
