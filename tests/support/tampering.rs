//! A small ring whose bytes a test writes, as a broken peer would.

#![allow(dead_code, reason = "each test file uses a part of it")]

use crate::support::kinds::is_mpmc;
use slipring::{Options, Protocol};

pub(crate) const SLOTS: u64 = 0x1000;
/// Bytes from one slot of a ring of `u64` or of 8-byte strings to the next.
pub(crate) const STRIDE: u64 = 16;
pub(crate) const CAPACITY: u64 = 4;
/// Seats for each role of an MPMC ring; so few that the slots begin at the first page.
pub(crate) const SEATS: u32 = 4;

/// A slot's word whose stamp is `ahead` of `position`.
pub(crate) fn word(position: u64, ahead: i64, len: u32) -> [u8; 8] {
    let stamp = (position as u32).wrapping_add(ahead as u32);
    (u64::from(len) << 32 | u64::from(stamp)).to_le_bytes()
}

/// Where the slot of a position lies.
pub(crate) fn slot(position: u64) -> u64 {
    SLOTS + position % CAPACITY * STRIDE
}

/// What a ring of four messages from `first` on is made with.
pub(crate) fn options<P: Protocol>(first: u64) -> Options {
    let options = Options::new()
        .capacity(CAPACITY as usize)
        .first_position(first);
    match is_mpmc::<P>() {
        true => options.producers(SEATS).consumers(SEATS),
        false => options,
    }
}

/// Where a seat's entry says what is claimed: the first position plus 1, and how many.
pub(crate) fn intent(seat: u64) -> (u64, u64) {
    let entry = 0x400 + 0x80 * seat;
    (entry + 0x20, entry + 0x28)
}
