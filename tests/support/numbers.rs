//! Messages of both encodings that are made from numbers.

use core::mem;
use slipring::Message;
use slipring::spsc::{Consumer, Producer};
use std::borrow::Borrow;
use std::fmt::Debug;
use std::panic::{self, AssertUnwindSafe};

/// A message that is made from a number.
pub(crate) trait Numbered:
    Message<Owned: Debug + PartialEq + Default + Borrow<Self>>
{
    const LONGEST: usize;
    fn of(number: u64) -> Self::Owned;
    /// The bytes of the message in a slot.
    fn bytes(number: u64) -> Vec<u8>;
    /// Claims a slot, writes the message in place, and ends the claim in the given way. Returns
    /// `false` if there is no free slot.
    fn write(producer: &mut Producer<Self>, number: u64, end: ClaimEnd) -> bool;

    /// Claims a chunk of up to `max` slots, writes messages from `number` on, and ends the chunk in
    /// the given way. Returns the chunk's length, 0 if there is no free slot, and how many messages
    /// were published. `None` if messages of this type have no chunks.
    fn write_chunk(
        _producer: &mut Producer<Self>,
        _number: u64,
        _max: usize,
        _end: ChunkEnd,
    ) -> Option<(usize, usize)> {
        None
    }

    /// Reads a chunk of up to `max` messages, and ends it in the given way. Returns the messages,
    /// and how many were consumed. `None` if messages of this type have no chunks.
    fn read_chunk(
        _consumer: &mut Consumer<Self>,
        _max: usize,
        _end: ChunkEnd,
    ) -> Option<(Vec<Self::Owned>, usize)> {
        None
    }
}

impl Numbered for u64 {
    const LONGEST: usize = 8;

    fn of(number: u64) -> u64 {
        number ^ 0x5555_5555_5555_5555
    }

    fn bytes(number: u64) -> Vec<u8> {
        Self::of(number).to_le_bytes().into()
    }

    fn write(producer: &mut Producer<u64>, number: u64, end: ClaimEnd) -> bool {
        let Ok(mut claim) = producer.try_claim() else {
            return false;
        };
        claim.write(&Self::of(number));
        match end {
            ClaimEnd::Commit => claim.commit(),
            ClaimEnd::Drop => drop(claim),
            ClaimEnd::Forget => mem::forget(claim),
        }
        true
    }

    fn write_chunk(
        producer: &mut Producer<u64>,
        number: u64,
        max: usize,
        end: ChunkEnd,
    ) -> Option<(usize, usize)> {
        let Ok(mut chunk) = producer.try_claim_chunk(max) else {
            return Some((0, 0));
        };
        let len = chunk.len();
        for index in 0..len {
            chunk.write(index, &Self::of(number + index as u64));
        }
        let published = end.count(len);
        match end {
            ChunkEnd::All | ChunkEnd::First(_) => chunk.commit(published),
            ChunkEnd::Forget => mem::forget(chunk),
            ChunkEnd::Panic => drop_by_panic(chunk),
        }
        Some((len, published))
    }

    fn read_chunk(
        consumer: &mut Consumer<u64>,
        max: usize,
        end: ChunkEnd,
    ) -> Option<(Vec<u64>, usize)> {
        let Ok(chunk) = consumer.try_read_chunk(max) else {
            return Some((Vec::new(), 0));
        };
        let messages: Vec<u64> = chunk.iter().collect();
        let consumed = end.count(chunk.len());
        match end {
            ChunkEnd::All => drop(chunk),
            ChunkEnd::First(_) => chunk.release(consumed),
            ChunkEnd::Forget => mem::forget(chunk),
            ChunkEnd::Panic => drop_by_panic(chunk),
        }
        Some((messages, consumed))
    }
}

/// Drops a value while a panic unwinds. Unlike `panic!`, it prints no message.
fn drop_by_panic<T>(value: T) {
    let unwinding = move || {
        let _value = value;
        panic::resume_unwind(Box::new("on purpose"))
    };
    panic::catch_unwind(AssertUnwindSafe(unwinding)).unwrap_err();
}

impl Numbered for [u8] {
    const LONGEST: usize = 20;

    fn of(number: u64) -> Vec<u8> {
        let len = (number * 7) as usize % (Self::LONGEST + 1);
        (0..len).map(|at| (number as usize + at) as u8).collect()
    }

    fn bytes(number: u64) -> Vec<u8> {
        Self::of(number)
    }

    fn write(producer: &mut Producer<[u8]>, number: u64, end: ClaimEnd) -> bool {
        let Ok(mut claim) = producer.try_claim() else {
            return false;
        };
        std::io::Write::write_all(&mut claim, &Self::of(number)).unwrap();
        match end {
            ClaimEnd::Commit => claim.commit(),
            ClaimEnd::Drop => drop(claim),
            ClaimEnd::Forget => mem::forget(claim),
        }
        true
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum ClaimEnd {
    Commit,
    Drop,
    Forget,
}

/// How a chunk ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ChunkEnd {
    All,
    /// After the first messages, at most so many.
    First(usize),
    Forget,
    Panic,
}

impl ChunkEnd {
    /// How many messages of a chunk of `len` are transferred.
    fn count(self, len: usize) -> usize {
        match self {
            Self::All => len,
            Self::First(count) => count.min(len),
            Self::Forget | Self::Panic => 0,
        }
    }
}
