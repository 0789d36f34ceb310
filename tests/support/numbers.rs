//! Messages of both encodings that are made from numbers.

use core::mem;
use slipring::Message;
use slipring::spsc::Producer;
use std::borrow::Borrow;
use std::fmt::Debug;

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
