//! The payload of a slot under loom.

#![allow(unsafe_code)]

use loom::cell::UnsafeCell;

/// One tracked cell in place of the payload bytes.
pub(crate) type Cell = UnsafeCell<u64>;

/// The payload of one slot. Loom checks each access against all others.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bytes(*const Cell);

impl Bytes {
    /// # Safety
    ///
    /// `at` points to a [`Cell`] that outlives the value.
    pub(crate) unsafe fn at(at: *mut u8) -> Self {
        Self(at.cast::<Cell>())
    }

    pub(crate) fn prefetch_for_writing(self, _offset: usize) {}

    /// # Safety
    ///
    /// `T` is `u64`.
    pub(crate) unsafe fn store<T: Copy>(self, value: &T) {
        assert_eq!(size_of::<T>(), 8);
        // SAFETY: the cell outlives `self`; a `T` is a `u64`.
        unsafe { &*self.0 }.with_mut(|cell| unsafe { cell.cast::<T>().write(*value) });
    }

    /// # Safety
    ///
    /// `T` is `u64`.
    pub(crate) unsafe fn load<T: Copy>(self) -> T {
        assert_eq!(size_of::<T>(), 8);
        // SAFETY: as in `store`.
        unsafe { &*self.0 }.with(|cell| unsafe { cell.cast::<T>().read() })
    }
}
