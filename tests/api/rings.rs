//! Rings with both handles in one test, and handles that take the seat of another.

use crate::support::names::Name;
use slipring::{Consumer, Message, Producer, Protocol, Ring};

/// A ring and its two handles.
pub(crate) type WithHandles<M, P> = (Name, Ring<M, P>, Producer<M, P>, Consumer<M, P>);

/// A ring of `u64`.
pub(crate) fn values<P: Protocol>(capacity: usize) -> WithHandles<u64, P> {
    let name = Name::new();
    let ring = Ring::<u64, P>::create(&name, capacity).unwrap();
    let (producer, consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    (name, ring, producer, consumer)
}

/// A ring of byte strings.
pub(crate) fn strings<P: Protocol>(capacity: usize, longest: usize) -> WithHandles<[u8], P> {
    let name = Name::new();
    let ring = Ring::<[u8], P>::create_bytes(&name, capacity, longest).unwrap();
    let (producer, consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    (name, ring, producer, consumer)
}

/// Drops a producer, and then attaches another one to `ring`.
pub(crate) fn next_producer<M: Message + ?Sized, P: Protocol>(
    producer: Producer<M, P>,
    ring: &Ring<M, P>,
) -> Producer<M, P> {
    drop(producer);
    ring.producer().unwrap()
}

/// Drops a consumer, and then attaches another one to `ring`.
pub(crate) fn next_consumer<M: Message + ?Sized, P: Protocol>(
    consumer: Consumer<M, P>,
    ring: &Ring<M, P>,
) -> Consumer<M, P> {
    drop(consumer);
    ring.consumer().unwrap()
}
