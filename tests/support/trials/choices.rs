//! Choices that are decoded from bytes.

/// A sequence of choices. After the last byte, every choice is the first of its options.
pub(crate) struct Choices<'b>(&'b [u8]);

impl<'b> Choices<'b> {
    pub(crate) fn of(bytes: &'b [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn are_over(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn rest(self) -> &'b [u8] {
        self.0
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        first
    }

    /// A number below a bound that fits in a byte.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::from(self.byte()) % bound
    }

    pub(crate) fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    /// A number that is small, arbitrary, a power of two, or slightly below the maximum.
    pub(crate) fn word(&mut self) -> u64 {
        match self.below(4) {
            0 => self.below(20) as u64,
            1 => u64::from_le_bytes([(); 8].map(|()| self.byte())),
            2 => 1 << self.below(64),
            _ => u64::MAX - self.below(20) as u64,
        }
    }

    /// A first position for a ring, near a value at which an integer or stamp wraps.
    pub(crate) fn first_position(&mut self) -> u64 {
        let turn = self.one_of(&[0, 1 << 31, 1 << 32, 1 << 63]);
        u64::wrapping_sub(turn, self.below(70) as u64)
    }
}
