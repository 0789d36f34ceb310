//! Messages that are computed from their numbers, and checks of received messages.

use bytemuck::Pod;
use std::mem::MaybeUninit;

/// Messages in a batch.
pub const BATCH: usize = 32;

/// A message that is computed from its number.
pub trait Body: Pod + Send + Sync + PartialEq + std::fmt::Debug {
    /// Writes every word of the message.
    ///
    /// # Safety
    ///
    /// `place` must be valid for writes of a `Self` and aligned to a `u64`.
    unsafe fn fill(place: *mut Self, number: u64);

    fn number(&self) -> u64;

    /// The sum of every word.
    fn sum(&self) -> u64;

    #[inline(always)]
    fn numbered(number: u64) -> Self {
        let mut message = MaybeUninit::<Self>::uninit();
        // SAFETY: room for a message.
        unsafe { Self::fill(message.as_mut_ptr(), number) }
        // SAFETY: every word was written.
        unsafe { message.assume_init() }
    }
}

impl<const WORDS: usize> Body for [u64; WORDS]
where
    Self: Pod,
{
    #[inline(always)]
    unsafe fn fill(place: *mut Self, number: u64) {
        let words = place.cast::<u64>();
        for word in 0..WORDS {
            // SAFETY: one of the words of the message.
            let place = unsafe { words.add(word) };
            // SAFETY: guaranteed by the caller.
            unsafe { place.write(number.wrapping_add(word as u64)) }
        }
    }

    #[inline(always)]
    fn number(&self) -> u64 {
        self[0]
    }

    #[inline(always)]
    fn sum(&self) -> u64 {
        self.iter()
            .fold(0, |sum: u64, &word| sum.wrapping_add(word))
    }
}

/// The sum of all words of the messages with numbers below `messages`.
pub fn sum_of_all<B: Body>(messages: u64) -> u64 {
    let words = (size_of::<B>() / 8) as u64;
    let numbers = u128::from(messages) * u128::from(messages.saturating_sub(1)) / 2;
    let offsets = words * (words - 1) / 2;
    (numbers as u64)
        .wrapping_mul(words)
        .wrapping_add(offsets.wrapping_mul(messages))
}

/// Checks the messages of one producer. Their numbers increase by one.
#[derive(Default)]
pub struct Check {
    next: u64,
    is_disordered: bool,
    sum: u64,
}

impl Check {
    #[inline(always)]
    pub fn record<B: Body>(&mut self, message: &B) {
        let number = message.number();
        self.is_disordered |= number != self.next;
        self.next = number.wrapping_add(1);
        self.sum = self.sum.wrapping_add(message.sum());
    }

    /// Whether every message with a number below `messages` was recorded, in order.
    pub fn is_passed<B: Body>(&self, messages: u64) -> bool {
        !self.is_disordered && self.next == messages && self.sum == sum_of_all::<B>(messages)
    }
}
