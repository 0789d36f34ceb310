//! Streams between two processes: every message arrives whole, once, and in order.

use crate::support;
use crate::support::strace::{calls_between, mark, trace_role};
use crate::support::{Name, start, until};
use slipring::spsc::{Consumer, Producer, Ring};
use slipring::{Message, Options, Peer, WaitStrategy};
use std::fmt::Debug;
use std::io::Write;

/// A message that is made from a number, which identifies it.
trait Numbered: Message<Owned: Debug + PartialEq> + 'static {
    const KIND: &str;
    const SIZE: usize;

    fn numbered(number: u64) -> Self::Owned;
    fn push_in_place(producer: &mut Producer<Self>, number: u64);
    fn pop_in_place(consumer: &mut Consumer<Self>) -> Self::Owned;
}

macro_rules! numbered_value {
    ($type:ty, $kind:literal, $make:expr) => {
        impl Numbered for $type {
            const KIND: &str = $kind;
            const SIZE: usize = size_of::<Self>();

            fn numbered(number: u64) -> Self {
                $make(number)
            }

            fn push_in_place(producer: &mut Producer<Self>, number: u64) {
                let mut claim = producer.claim().unwrap();
                if number % 2 == 0 {
                    claim.write(&Self::numbered(number));
                } else {
                    // SAFETY: both processes of this test follow the protocol.
                    *unsafe { claim.get_mut() } = Self::numbered(number);
                }
                claim.commit();
            }

            fn pop_in_place(consumer: &mut Consumer<Self>) -> Self {
                let guard = consumer.read().unwrap();
                // SAFETY: both processes of this test follow the protocol.
                let message = *unsafe { guard.get_ref() };
                assert_eq!(guard.get(), message);
                message
            }
        }
    };
}

numbered_value!(u64, "u64", |number| number);
numbered_value!([u64; 7], "line", |number: u64| [
    number,
    !number,
    number << 8,
    number,
    number.rotate_left(32),
    !number,
    number
]);
numbered_value!([u8; 4096], "page", |number: u64| bytemuck::cast(
    [number; 512]
));

const LONGEST: usize = 300;

/// Lengths from 0 to the longest.
impl Numbered for [u8] {
    const KIND: &str = "bytes";
    const SIZE: usize = LONGEST;

    fn numbered(number: u64) -> Vec<u8> {
        let len = number.wrapping_mul(7919) as usize % (LONGEST + 1);
        vec![number as u8; len]
    }

    fn push_in_place(producer: &mut Producer<Self>, number: u64) {
        let message = Self::numbered(number);
        let (first, second) = message.split_at(message.len() / 2);
        let mut claim = producer.claim().unwrap();
        claim.write_all(first).unwrap();
        // SAFETY: both processes of this test follow the protocol.
        let rest = unsafe { claim.spare_mut() };
        rest[..second.len()].copy_from_slice(second);
        claim.advance(second.len());
        claim.commit();
    }

    fn pop_in_place(consumer: &mut Consumer<Self>) -> Vec<u8> {
        let guard = consumer.read().unwrap();
        // SAFETY: both processes of this test follow the protocol.
        let message = unsafe { guard.as_slice() }.to_vec();
        assert_eq!(guard.get(), message);
        message
    }
}

const BATCH: u64 = 37;

/// Pushes messages numbered from 0 in one of the three ways.
fn push_all<M: Numbered + ?Sized>(producer: &mut Producer<M>, way: &str, count: u64) {
    match way {
        "single" => {
            for number in 0..count {
                let message = M::numbered(number);
                producer
                    .push(std::borrow::Borrow::borrow(&message))
                    .unwrap();
            }
        }
        "batch" => {
            for first in (0..count).step_by(BATCH as usize) {
                let numbers = first..count.min(first + BATCH);
                let batch: Vec<M::Owned> = numbers.map(M::numbered).collect();
                producer.push_slice(&batch).unwrap();
            }
        }
        "in place" => (0..count).for_each(|number| M::push_in_place(producer, number)),
        way => panic!("unknown way {way}"),
    }
}

/// Pops `count` messages numbered from 0 in one of the three ways.
fn pop_all<M: Numbered + ?Sized>(consumer: &mut Consumer<M>, way: &str, count: u64) {
    match way {
        "single" => {
            for number in 0..count {
                assert_eq!(consumer.pop().unwrap(), M::numbered(number));
            }
        }
        "batch" => {
            let mut batch = Vec::new();
            let mut number = 0;
            while number < count {
                let most = (count - number).min(BATCH - 1) as usize;
                assert!(consumer.pop_append(&mut batch, most).unwrap() <= most);
                for message in batch.drain(..) {
                    assert_eq!(message, M::numbered(number));
                    number += 1;
                }
            }
        }
        "in place" => {
            for number in 0..count {
                assert_eq!(M::pop_in_place(consumer), M::numbered(number));
            }
        }
        way => panic!("unknown way {way}"),
    }
}

const WAYS: [&str; 3] = ["single", "batch", "in place"];

/// Transfers messages with each way to push and each way to pop. The peer is first the producer,
/// and then the consumer.
fn stream<M: Numbered + ?Sized>(capacity: usize, first_position: u64, count: u64) {
    for (round, push_way) in WAYS.into_iter().enumerate() {
        let pop_way = WAYS[(round + capacity) % WAYS.len()];
        let name = Name::new(M::KIND);
        let options = Options::new()
            .capacity(capacity)
            .message_size(M::SIZE)
            .first_position(first_position);
        let ring = Ring::<M>::create_with(&name, &options).unwrap();

        let mut consumer = ring.consumer().unwrap();
        let peer = start("role_pushes", &[&name, &M::KIND, &push_way, &count]);
        pop_all(&mut consumer, pop_way, count);
        peer.finish();
        assert!(consumer.try_pop().is_err());
        drop(consumer);

        // The producer attaches first: without one, the consumer would find that the last producer
        // has left.
        let mut producer = ring.producer().unwrap();
        let peer = start("role_pops", &[&name, &M::KIND, &pop_way, &count]);
        // Without a consumer, a push into the full ring would fail: the last consumer has left.
        until("the consumer is attached", || {
            matches!(producer.peer(), Ok(Peer::Present { .. }))
        });
        push_all(&mut producer, push_way, count);
        peer.finish();
        assert!(producer.is_empty());
    }
}

/// Calls a function that is generic over the message, for the message kind that a role names.
macro_rules! call_for_message {
    ($role:expr, $function:ident) => {
        match $role.text(1) {
            u64::KIND => $function::<u64>($role),
            <[u64; 7]>::KIND => $function::<[u64; 7]>($role),
            <[u8; 4096]>::KIND => $function::<[u8; 4096]>($role),
            <[u8]>::KIND => $function::<[u8]>($role),
            kind => panic!("unknown message kind {kind}"),
        }
    };
}

#[test]
#[ignore = "the other process of a test"]
fn role_pushes() {
    fn pushes<M: Numbered + ?Sized>(role: &support::Role) {
        let ring = Ring::<M>::open(role.text(0)).unwrap();
        push_all(&mut ring.producer().unwrap(), role.text(2), role.number(3));
    }
    if let Some(role) = support::role("role_pushes") {
        call_for_message!(&role, pushes);
    }
}

#[test]
#[ignore = "the other process of a test"]
fn role_pops() {
    fn pops<M: Numbered + ?Sized>(role: &support::Role) {
        let ring = Ring::<M>::open(role.text(0)).unwrap();
        pop_all(&mut ring.consumer().unwrap(), role.text(2), role.number(3));
    }
    if let Some(role) = support::role("role_pops") {
        call_for_message!(&role, pops);
    }
}

#[test]
fn numbers_through_large_ring_arrive_in_order() {
    stream::<u64>(1024, 0, 1_000_000);
}

#[test]
fn numbers_through_smallest_ring_arrive_in_order() {
    stream::<u64>(2, 0, 30_000);
}

#[test]
fn cache_line_messages_arrive_whole() {
    stream::<[u64; 7]>(1024, 0, 200_000);
    stream::<[u64; 7]>(2, 0, 10_000);
}

#[test]
fn page_messages_arrive_whole() {
    stream::<[u8; 4096]>(1024, 0, 20_000);
    stream::<[u8; 4096]>(2, 0, 5_000);
}

#[test]
fn byte_strings_of_all_lengths_arrive_whole() {
    stream::<[u8]>(1024, 0, 100_000);
    stream::<[u8]>(2, 0, 10_000);
}

#[test]
fn streams_across_stamp_wrap_arrive_in_order() {
    for before in [1, 2, 1000] {
        let first = (1 << 32) - before;
        stream::<u64>(2, first, 3_000);
        stream::<u64>(1024, first, 20_000);
        stream::<[u8]>(16, first, 3_000);
    }
}

#[test]
fn streams_across_position_wrap_arrive_in_order() {
    for before in [1, 2, 1000] {
        let first = u64::MAX - before;
        stream::<u64>(2, first, 3_000);
        stream::<u64>(1024, first, 20_000);
        stream::<[u8]>(16, first, 3_000);
    }
}

#[test]
#[ignore = "the other process of a test"]
fn role_runs_marked_operations() {
    let Some(role) = support::role("role_runs_marked_operations") else {
        return;
    };
    let out = Ring::<u64>::open(role.text(0)).unwrap();
    let back = Ring::<u64>::open(role.text(1)).unwrap();
    let mut producer = out.producer().unwrap();
    let mut consumer = back.consumer().unwrap();
    let messages: Vec<u64> = (0..64).collect();
    let mut received = Vec::with_capacity(64);
    until("the echo is attached to both rings", || {
        let is_present = |peer| matches!(peer, Ok(Peer::Present { .. }));
        is_present(consumer.peer()) && is_present(producer.peer())
    });

    mark("begin bare");
    for lap in 0..200 {
        for number in 0..16 {
            producer.try_push(&(lap * 48 + number)).unwrap();
            producer.push(&(lap * 48 + number)).unwrap();
        }
        producer.claim().unwrap().commit();
        producer.push_slice(&messages[..15]).unwrap();
        while back.len() < 48 {
            std::hint::spin_loop();
        }
        for number in 0..16 {
            assert_eq!(consumer.try_pop(), Ok(lap * 48 + number));
            assert_eq!(consumer.pop(), Ok(lap * 48 + number));
        }
        drop(consumer.read().unwrap());
        while received.len() < 15 {
            consumer.pop_append(&mut received, 64).unwrap();
        }
        received.clear();
    }
    mark("end bare");

    mark("begin empty");
    let soon = std::time::Duration::from_millis(300);
    assert!(consumer.pop_timeout(soon).is_err());
    mark("end empty");
}

#[test]
#[ignore = "the other process of a test"]
fn role_echoes() {
    let Some(role) = support::role("role_echoes") else {
        return;
    };
    let spin = Options::new().wait(WaitStrategy::Spin);
    let there = Ring::<u64>::open_with(role.text(0), &spin).unwrap();
    let back = Ring::<u64>::open_with(role.text(1), &spin).unwrap();
    let mut consumer = there.consumer().unwrap();
    let mut producer = back.producer().unwrap();
    while let Ok(message) = consumer.pop() {
        producer.push(&message).unwrap();
    }
}

#[test]
fn push_and_pop_with_room_and_data_make_no_system_call() {
    let (there, back) = (Name::new("there"), Name::new("back"));
    let _there = Ring::<u64>::create(&there, 128).unwrap();
    let _back = Ring::<u64>::create(&back, 128).unwrap();
    let echo = start("role_echoes", &[&there, &back]);
    let trace = trace_role("role_runs_marked_operations", &[&there, &back]);
    let Some(trace) = trace else {
        return;
    };
    echo.finish();
    assert_eq!(calls_between(&trace, "begin bare", "end bare"), [""; 0]);
    assert_ne!(
        calls_between(&trace, "begin empty", "end empty"),
        [""; 0],
        "nothing is traced"
    );
}
