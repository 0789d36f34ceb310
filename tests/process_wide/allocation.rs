//! Once a producer and a consumer are attached, no operation allocates, whether it succeeds at
//! once, is refused, or blocks. The exception is a pop that returns a byte string in a new vector.
#![allow(
    clippy::forget_non_drop,
    clippy::drop_non_drop,
    reason = "the API does not promise that a claim has no destructor"
)]

use crate::support::ASLEEP_AT_ONCE;
use crate::support::kinds::is_mpmc;
use crate::support::names::Name;
use core::cell::Cell;
use core::mem;
use core::time::Duration;
use slipring::{Consumer, Fences, Mpmc, Options, Producer, Protocol, Ring, WaitStrategy};
use std::alloc::{GlobalAlloc, Layout, System};
use std::io::Write;
use std::thread;

for_each_kind! {
    all_backings:
        value_operations_do_not_allocate
        blocking_operations_do_not_allocate
        byte_operations_allocate_only_popped_strings
    ;
}

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: all calls go to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: this function's contract is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: this function's contract is the same.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: this function's contract is the same.
        unsafe { System.realloc(memory, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The number of allocations of this thread while it runs `body`.
fn allocations(body: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.get();
    body();
    ALLOCATIONS.get() - before
}

const SOON: Duration = Duration::from_millis(2);

fn push_with_every_call<P: Protocol>(producer: &mut Producer<u64, P>) {
    producer.try_push(&1).unwrap();
    producer.push(&2).unwrap();
    producer.push_timeout(&3, SOON).unwrap();
    producer.push_slice(&[4, 5]).unwrap();
    mem::forget(producer.claim().unwrap());
    if !is_mpmc::<P>() {
        // In an MPMC ring the dropped claim would use up a position.
        drop(producer.try_claim().unwrap());
    }
    let mut claim = producer.claim_timeout(SOON).unwrap();
    claim.write(&6);
    claim.commit();
    producer.claim().unwrap().commit();
    producer.try_push_slice(&[8, 9, 10]).unwrap();
    assert!(producer.try_push(&0).is_err() && producer.is_full());
    assert!(producer.push_timeout(&0, SOON).is_err());
    producer.peer().unwrap();
}

fn pop_with_every_call<P: Protocol>(consumer: &mut Consumer<u64, P>, room: &mut Vec<u64>) {
    let mut value = consumer.try_pop().unwrap();
    consumer.pop_into(&mut value).unwrap();
    consumer.pop_timeout(SOON).unwrap();
    consumer.pop_slice(&mut [0; 2]).unwrap();
    consumer.read().unwrap().put_back();
    consumer.read_timeout(SOON).unwrap().get();
    consumer.pop_append(room, 1).unwrap();
    assert_eq!(consumer.try_iter().count(), 1);
    assert!(consumer.try_pop().is_err() && consumer.is_empty());
    assert!(consumer.pop_timeout(SOON).is_err());
    consumer.peer().unwrap();
}

fn value_operations_do_not_allocate<P: Protocol>() {
    for strategy in [WaitStrategy::default(), ASLEEP_AT_ONCE, WaitStrategy::Spin] {
        let name = Name::new();
        let options = Options::new()
            .capacity(8)
            .wait(strategy)
            .fences(Fences::Symmetric);
        let ring = Ring::<u64, P>::create_with(&name, &options).unwrap();
        let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
        let mut room = Vec::with_capacity(100);
        for _ in 0..3 {
            assert_eq!(allocations(|| push_with_every_call(&mut producer)), 0);
            assert_eq!(
                allocations(|| pop_with_every_call(&mut consumer, &mut room)),
                0
            );
        }
        assert_eq!(allocations(|| ring.close()), 0);
        assert_eq!(
            allocations(|| assert!(producer.push(&1).is_err() && consumer.pop().is_err())),
            0
        );
    }
}

fn blocking_operations_do_not_allocate<P: Protocol>() {
    for fences in [None, Some(Fences::Symmetric)] {
        let name = Name::new();
        let options = Options::new().capacity(2).liveness_interval(SOON);
        let options = fences.map_or(options.clone(), |fences| options.fences(fences));
        let ring = Ring::<u64, P>::create_with(&name, &options).unwrap();
        let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
        thread::scope(|scope| {
            let pushing = scope.spawn(|| {
                allocations(|| {
                    for i in 0..40_u32 {
                        thread::sleep(SOON * u32::from(i % 8 == 0));
                        producer.push(&u64::from(i)).unwrap();
                    }
                })
            });
            let popped = allocations(|| {
                for i in 0..40_u64 {
                    thread::sleep(SOON * u32::from(i % 10 == 5));
                    assert_eq!(consumer.pop(), Ok(i));
                }
            });
            assert_eq!((pushing.join().unwrap(), popped), (0, 0));
        });
    }
}

fn byte_operations_allocate_only_popped_strings<P: Protocol>() {
    let name = Name::new();
    let ring = Ring::<[u8], P>::create_bytes(&name, 4, 100).unwrap();
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    let mut string = Vec::with_capacity(100);
    let mut strings = [Vec::with_capacity(100), Vec::with_capacity(100)];
    let bytes = [7; 100];
    for len in [100, 0, 50] {
        let pushed = allocations(|| {
            producer.try_push(&bytes[..len]).unwrap();
            let mut claim = producer.claim().unwrap();
            claim.write_all(&bytes[..len]).unwrap();
            claim.commit();
            producer.push_slice(&[&bytes[..len]; 2]).unwrap();
            assert!(producer.try_push(&[7; 101]).is_err());
            assert!(producer.push_timeout(&bytes, SOON).is_err());
        });
        let popped = allocations(|| {
            consumer.try_pop_into(&mut string).unwrap();
            consumer.read().unwrap().get_into(&mut string);
            assert_eq!(string, bytes[..len]);
            assert_eq!(consumer.pop_slice(&mut strings), Ok(2));
            assert!(consumer.pop_timeout_into(&mut string, SOON).is_err());
        });
        assert_eq!((pushed, popped), (0, 0));
    }
    producer.push(&bytes).unwrap();
    assert_eq!(allocations(|| drop(consumer.pop().unwrap())), 1);
}

#[test]
fn skipping_and_redelivering_do_not_allocate() {
    let name = Name::new();
    let options = Options::new().capacity(8).liveness_interval(SOON);
    let ring = Ring::<u64, Mpmc>::create_with(&name, &options).unwrap();
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    for _ in 0..3 {
        let mut other = ring.consumer().unwrap();
        producer.push(&1).unwrap();
        other.read().unwrap().put_back();
        let skipped = allocations(|| {
            drop(producer.try_claim().unwrap());
            producer.push(&2).unwrap();
            assert_eq!(consumer.try_pop(), Ok(2));
            assert!(consumer.try_pop().is_err());
        });
        drop(other);
        let redelivered = allocations(|| {
            let guard = consumer.read().unwrap();
            assert!(guard.is_redelivered());
            drop(guard);
            assert!(consumer.try_pop().is_err());
        });
        assert_eq!((skipped, redelivered), (0, 0));
    }
}
