//! Rings between programs that were built for different processors: the same bytes, the same
//! protocol. The peer is a build of this program for another processor, if there is one, and this
//! program itself otherwise. `cargo run -p xtask -- aarch64` makes both builds and runs them
//! against each other.

use crate::support;
use crate::support::kinds::{is_mpmc, kind, one_of_each};
use crate::support::{ASLEEP_AT_ONCE, Name, TIME_LIMIT, start_foreign, until};
use slipring::error::{Disconnected, PopError, PopTimeoutError};
use slipring::{Consumer, Message, Options, Peer, Producer, Protocol, Ring};

for_each_kind! {
    memory_and_files:
        ring_left_in_file_by_one_build_is_read_by_the_other
    ;
    all_backings:
        builds_exchange_messages_in_both_directions
        process_of_other_build_killed_in_claim_is_recovered
    ;
}

const MESSAGES: u64 = 300;

/// A value with different bytes, so that a wrong byte order shows.
fn value(number: u64) -> [u64; 3] {
    [number ^ 0x0102_0304_0506_0708, !number, number << 32]
}

/// Byte strings of all lengths below 90.
fn text(number: u64) -> Vec<u8> {
    let len = number as usize * 7 % 90;
    (0..len).map(|at| (at as u64 + number) as u8).collect()
}

fn options<P: Protocol>() -> Options {
    // Each program blocks in the kernel, and the other one wakes it.
    one_of_each::<P>().capacity(8).wait(ASLEEP_AT_ONCE)
}

fn push_all<M: Message + ?Sized, P: Protocol>(
    producer: &mut Producer<M, P>,
    make: impl Fn(u64) -> M::Owned,
) where
    M::Owned: std::borrow::Borrow<M>,
{
    for number in 0..MESSAGES {
        producer
            .push(std::borrow::Borrow::borrow(&make(number)))
            .unwrap();
    }
}

fn pop_all<M: Message + ?Sized, P: Protocol>(
    consumer: &mut Consumer<M, P>,
    make: impl Fn(u64) -> M::Owned,
) where
    M::Owned: std::fmt::Debug + PartialEq,
{
    for number in 0..MESSAGES {
        assert_eq!(consumer.pop_timeout(TIME_LIMIT), Ok(make(number)));
    }
}

#[test]
#[ignore = "the other process of a test"]
fn role_pops_and_pushes_back() {
    if let Some(role) = support::role("role_pops_and_pushes_back") {
        call_for_kind!(role.text(2), pops_and_pushes_back(&role));
    }
}

/// Pops values from one ring, and pushes byte strings to the other.
fn pops_and_pushes_back<P: Protocol>(role: &support::Role) {
    let there = Ring::<[u64; 3], P>::open_with(role.text(0), &options::<P>()).unwrap();
    let back = Ring::<[u8], P>::open_with(role.text(1), &options::<P>()).unwrap();
    let (mut consumer, mut producer) = (there.consumer().unwrap(), back.producer().unwrap());
    pop_all(&mut consumer, value);
    push_all(&mut producer, text);
    // Then one message at a time.
    for number in 0..MESSAGES {
        assert_eq!(consumer.pop_timeout(TIME_LIMIT), Ok(value(number)));
        producer.push(&text(number)).unwrap();
    }
}

fn builds_exchange_messages_in_both_directions<P: Protocol>() {
    let (there, back) = (Name::new("there"), Name::new("back"));
    let values = Ring::<[u64; 3], P>::create_with(&there, &options::<P>()).unwrap();
    let texts = options::<P>().message_size(90);
    let texts = Ring::<[u8], P>::create_with(&back, &texts).unwrap();
    let (mut producer, mut consumer) = (values.producer().unwrap(), texts.consumer().unwrap());
    let peer = start_foreign("role_pops_and_pushes_back", &[&there, &back, &kind::<P>()]);
    push_all(&mut producer, value);
    pop_all(&mut consumer, text);
    let pid = peer.pid();
    assert_eq!(producer.peer(), Ok(Peer::Present { pid }));
    for number in 0..MESSAGES {
        producer.push(&value(number)).unwrap();
        assert_eq!(consumer.pop_timeout(TIME_LIMIT), Ok(text(number)));
    }
    peer.finish();
    assert_eq!(producer.peer(), Ok(Peer::Left));
    let left = PopError::Disconnected(Disconnected::Left);
    assert_eq!(consumer.pop(), Err(left));
}

#[test]
#[ignore = "the other process of a test"]
fn role_claims_until_killed() {
    if let Some(role) = support::role("role_claims_until_killed") {
        call_for_kind!(role.text(1), claims_until_killed(&role));
    }
}

fn claims_until_killed<P: Protocol>(role: &support::Role) {
    let ring = Ring::<[u64; 3], P>::open(role.text(0)).unwrap();
    let mut producer = ring.producer().unwrap();
    producer.push(&value(1)).unwrap();
    let mut claim = producer.claim().unwrap();
    claim.write(&value(2));
    until("the process is killed", || false);
}

fn process_of_other_build_killed_in_claim_is_recovered<P: Protocol>() {
    let name = Name::new("killed");
    let ring = Ring::<[u64; 3], P>::create_with(&name, &options::<P>()).unwrap();
    let mut consumer = ring.consumer().unwrap();
    let mut peer = start_foreign("role_claims_until_killed", &[&name, &kind::<P>()]);
    assert_eq!(consumer.pop_timeout(TIME_LIMIT), Ok(value(1)));
    // The claim shows in the tail of an MPMC ring only.
    until("the peer holds a claim", || {
        !is_mpmc::<P>()
            || slipring::Observer::open(&name)
                .unwrap()
                .snapshot()
                .unwrap()
                .tail
                == 2
    });
    peer.kill_and_reap();
    let died = Disconnected::Died { pid: peer.pid() };
    assert_eq!(
        consumer.pop_timeout(TIME_LIMIT),
        Err(PopTimeoutError::Disconnected(died))
    );
    let mut producer = ring.producer().unwrap();
    producer.push(&value(3)).unwrap();
    assert_eq!(consumer.pop_timeout(TIME_LIMIT), Ok(value(3)));
}

#[test]
#[ignore = "the other process of a test"]
fn role_reads_and_creates_ring_file() {
    if let Some(role) = support::role("role_reads_and_creates_ring_file") {
        call_for_kind!(role.text(2), reads_and_creates(&role));
    }
}

/// Reads one ring, which no other process has open, and creates another one with the same content.
fn reads_and_creates<P: Protocol>(role: &support::Role) {
    let ring = Ring::<[u64; 3], P>::open_with(role.text(0), &file_options::<P>()).unwrap();
    read(&ring);
    create_in_file::<P>(role.text(1));
}

/// The low halves of the positions wrap within the first messages.
fn file_options<P: Protocol>() -> Options {
    options::<P>()
        .first_position((7 << 32) - 3)
        .schema(0x0102_0304_0506_0708)
}

fn create_in_file<P: Protocol>(name: &str) {
    let ring = Ring::<[u64; 3], P>::create_with(name, &file_options::<P>()).unwrap();
    let mut producer = ring.producer().unwrap();
    for number in 0..8 {
        producer.try_push(&value(number)).unwrap();
    }
    // Half of the messages are popped, and half of them stay in the ring.
    let mut consumer = ring.consumer().unwrap();
    for number in 0..4 {
        assert_eq!(consumer.try_pop(), Ok(value(number)));
    }
}

fn read<P: Protocol>(ring: &Ring<[u64; 3], P>) {
    assert_eq!(ring.len(), 4);
    let mut consumer = ring.consumer().unwrap();
    let mut producer = ring.producer().unwrap();
    for number in 8..12 {
        producer.try_push(&value(number)).unwrap();
    }
    for number in 4..12 {
        assert_eq!(consumer.try_pop(), Ok(value(number)));
    }
}

fn ring_left_in_file_by_one_build_is_read_by_the_other<P: Protocol>() {
    let (ours, theirs) = (Name::new("ours"), Name::new("theirs"));
    create_in_file::<P>(&ours);
    let header = |name: &Name| std::fs::read(name.path()).unwrap()[..0x80].to_vec();
    start_foreign(
        "role_reads_and_creates_ring_file",
        &[&ours, &theirs, &kind::<P>()],
    )
    .finish();
    assert_eq!(header(&ours), header(&theirs), "every byte of the geometry");
    let ring = Ring::<[u64; 3], P>::open_with(&theirs, &file_options::<P>()).unwrap();
    read(&ring);
}
