//! The layout of a small ring. A test writes its bytes, as a hostile peer would.

#![allow(dead_code, reason = "each test program uses some of this file")]

use crate::support::kinds::is_mpmc;
use slipring::{Options, Protocol};

pub(crate) const SLOTS: u64 = 0x1000;
/// The distance between slots, in bytes, for messages of `u64` or of at most 8 bytes.
pub(crate) const STRIDE: u64 = 16;
pub(crate) const CAPACITY: u64 = 4;
/// Seats for each role of an MPMC ring: so few that the slots begin after one page.
pub(crate) const SEATS: u32 = 4;

/// A slot's stamp word, with the stamp `ahead` of `position`.
pub(crate) fn word(position: u64, ahead: i64, len: u32) -> [u8; 8] {
    let stamp = (position as u32).wrapping_add(ahead as u32);
    (u64::from(len) << 32 | u64::from(stamp)).to_le_bytes()
}

/// The offset of the slot of a position.
pub(crate) fn slot(position: u64) -> u64 {
    SLOTS + position % CAPACITY * STRIDE
}

/// Options for a ring of four slots with the first position `first`.
pub(crate) fn options<P: Protocol>(first: u64) -> Options {
    let options = Options::new()
        .capacity(CAPACITY as usize)
        .first_position(first);
    match is_mpmc::<P>() {
        true => options.producers(SEATS).consumers(SEATS),
        false => options,
    }
}

/// The offsets of the two words of a seat's intent: the first position plus 1, and the count.
pub(crate) fn intent(seat: u64) -> (u64, u64) {
    let entry = 0x400 + 0x80 * seat;
    (entry + 0x20, entry + 0x28)
}
