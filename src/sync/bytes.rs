//! The payload bytes of a slot.

#![allow(unsafe_code)]

use core::mem::MaybeUninit;
use core::ptr;

/// The payload bytes of one slot. They are accessed by raw pointer only: another process may be
/// writing them, so no reference to them is made here.
#[derive(Clone, Copy, Debug)]
pub struct Bytes(*mut u8);

/// Whether a value is copied through registers.
///
/// A copy in does so word by word. A copy in vectors would read memory in other pieces than it was
/// written in, perhaps just before. The load then waits until all earlier stores have reached the
/// cache, including the message before: its line may still be missing.
const fn is_copied_in_registers<T>() -> bool {
    const LINE: usize = 64;
    size_of::<T>() <= 4 * LINE && size_of::<T>() % size_of::<u64>() == 0
}

/// Copies a word out through a register. An unoptimised build would compile the load of a whole `T`
/// into as many loads as it has bytes, even for large sizes for which that code never runs.
///
/// # Safety
///
/// `from` is aligned and valid for reads, `to` is valid for writes.
#[inline(always)]
unsafe fn read_word<W>(from: *const W, to: *mut W) {
    // SAFETY: valid and aligned by this function's contract, and initialised.
    let word = unsafe { from.read_volatile() };
    // SAFETY: valid by this function's contract, and perhaps less aligned than a word.
    unsafe { to.write_unaligned(word) }
}

/// Two words, as one register holds them when a value is copied out.
///
/// The caller copies the value on in pieces of this size. If a piece was just stored as smaller
/// ones, the load would wait until those are in the cache. The first word is copied alone, because
/// in a `Result` it overlaps the error value.
#[cfg(target_arch = "x86_64")]
type Pair = core::arch::x86_64::__m128i;
#[cfg(target_arch = "aarch64")]
type Pair = core::arch::aarch64::uint64x2_t;

/// Copies two words out through a register. For the compiler, the register may change between, so
/// it does not load the original again.
///
/// # Safety
///
/// `from` is valid for reads, `to` for writes.
#[inline(always)]
unsafe fn read_pair(from: *const Pair, to: *mut Pair) {
    // SAFETY: valid by this function's contract, and perhaps less aligned than a pair.
    #[cfg_attr(miri, expect(unused_mut))]
    let mut pair = unsafe { from.read_unaligned() };
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: an empty instruction sequence accesses nothing.
    unsafe {
        core::arch::asm!("/* {0} */", inout(xmm_reg) pair, options(nomem, nostack, preserves_flags));
    }
    #[cfg(all(target_arch = "aarch64", not(miri)))]
    // SAFETY: an empty instruction sequence accesses nothing.
    unsafe {
        core::arch::asm!("/* {0:q} */", inout(vreg) pair, options(nomem, nostack, preserves_flags));
    }
    // SAFETY: valid by this function's contract, and perhaps less aligned than a pair.
    unsafe { to.write_unaligned(pair) }
}

impl Bytes {
    /// # Safety
    ///
    /// While the value is in use, `at` is valid for reads and writes of as many bytes as the
    /// methods below access.
    ///
    /// No thread of this process writes the bytes while another one reads or writes them: handles
    /// that claim through the slot's stamp guarantee that. Another process may write at any time,
    /// if it breaks the protocol. Such a write is outside of Rust's memory model, as one by a
    /// device is. What makes a read defined is that it goes through a raw pointer, that any bytes
    /// are valid for the type that is read, and that the result is private: the compiler can't
    /// load the shared bytes again ([`hide_from_optimizer`], or a volatile load). So a racing write
    /// can change the value that is read, and nothing else.
    #[inline(always)]
    pub(crate) unsafe fn at(at: *mut u8) -> Self {
        Self(at)
    }

    #[inline(always)]
    pub(crate) fn as_ptr(self) -> *mut u8 {
        self.0
    }

    /// Copies a value in.
    ///
    /// # Safety
    ///
    /// The address is aligned for `T` and for a `u64`, and `size_of::<T>()` bytes lie there.
    /// A `T` has no padding.
    #[inline(always)]
    pub(crate) unsafe fn store<T: Copy>(self, value: &T) {
        if is_copied_in_registers::<T>() {
            let (from, to) = (ptr::from_ref(value).cast::<u64>(), self.0.cast::<u64>());
            for index in 0..size_of::<T>() / size_of::<u64>() {
                // SAFETY: within `value`.
                let from = unsafe { from.add(index) };
                // SAFETY: initialised, and perhaps less aligned than a word.
                let word = unsafe { from.read_unaligned() };
                // SAFETY: within the `T` that lies here.
                let to = unsafe { to.add(index) };
                // SAFETY: valid and aligned by this function's contract.
                unsafe { to.write_volatile(word) };
            }
            return;
        }
        // SAFETY: valid and aligned for a `T` by this function's contract.
        unsafe { ptr::copy_nonoverlapping(value, self.0.cast::<T>(), 1) }
    }

    /// Copies a value out. Later uses see this copy: the compiler does not load the shared bytes a
    /// second time.
    ///
    /// # Safety
    ///
    /// The address is aligned for `T` and for a `u64`, and `size_of::<T>()` bytes lie there
    /// that are valid for `T` whatever they are.
    #[inline(always)]
    pub(crate) unsafe fn load<T: Copy>(self) -> T {
        let mut copy = MaybeUninit::<T>::uninit();
        let to = copy.as_mut_ptr();
        match size_of::<T>() {
            // SAFETY: a `T` of this size lies here and in `copy`.
            1 => unsafe { read_word(self.0, to.cast()) },
            // SAFETY: as above, aligned by this function's contract.
            2 => unsafe { read_word(self.0.cast::<u16>(), to.cast()) },
            // SAFETY: as above.
            4 => unsafe { read_word(self.0.cast::<u32>(), to.cast()) },
            8.. if is_copied_in_registers::<T>() => {
                let words = size_of::<T>() / size_of::<u64>();
                let (from, to) = (self.0.cast::<u64>(), to.cast::<u64>());
                // SAFETY: the first word of each, and `from` aligned by this function's contract.
                unsafe { read_word(from, to) };
                for second in (2..words).step_by(2) {
                    // SAFETY: within the `T` that lies here.
                    let from = unsafe { from.add(second - 1) };
                    // SAFETY: within `copy`.
                    let to = unsafe { to.add(second - 1) };
                    // SAFETY: two words of each.
                    unsafe { read_pair(from.cast(), to.cast()) };
                }
                if words % 2 == 0 {
                    // SAFETY: the last word of the `T` that lies here.
                    let from = unsafe { from.add(words - 1) };
                    // SAFETY: the last word of `copy`.
                    let to = unsafe { to.add(words - 1) };
                    // SAFETY: a word of each, and `from` aligned by this function's contract.
                    unsafe { read_word(from, to) };
                }
            }
            _ => {
                // SAFETY: as above; private memory such as `copy` does not overlap a slot.
                unsafe { ptr::copy_nonoverlapping(self.0.cast::<T>(), to, 1) }
                hide_from_optimizer(to.cast());
            }
        }
        // SAFETY: all of it was written, and any bytes are valid for `T`.
        unsafe { copy.assume_init() }
    }

    /// Copies a value out into `target`, as [`Bytes::load`] does, without a copy in between.
    ///
    /// # Safety
    ///
    /// As for [`Bytes::load`].
    #[inline(always)]
    pub(crate) unsafe fn load_into<T: Copy>(self, target: &mut T) {
        if size_of::<T>() <= size_of::<u64>() {
            // SAFETY: this function's contract is the same.
            *target = unsafe { self.load() };
            return;
        }
        // SAFETY: valid and aligned for a `T` by this function's contract; private memory
        // such as `target` does not overlap a slot.
        unsafe { ptr::copy_nonoverlapping(self.0.cast::<T>(), target, 1) }
        hide_from_optimizer(ptr::from_mut(target).cast());
    }

    /// Copies `source` in, `offset` bytes from the start.
    ///
    /// # Safety
    ///
    /// `offset + source.len()` bytes lie here.
    #[inline(always)]
    pub(crate) unsafe fn copy_from(self, offset: usize, source: &[u8]) {
        // SAFETY: within the bytes by this function's contract.
        let target = unsafe { self.0.add(offset) };
        // SAFETY: `target` is valid for `source.len()` bytes, and private memory such as
        // `source` does not overlap a slot.
        unsafe { ptr::copy_nonoverlapping(source.as_ptr(), target, source.len()) }
    }

    /// Copies out as many bytes as `target` has room for.
    ///
    /// # Safety
    ///
    /// `target.len()` bytes lie here.
    #[inline(always)]
    pub(crate) unsafe fn copy_to(self, target: &mut [MaybeUninit<u8>]) {
        let into = target.as_mut_ptr().cast::<u8>();
        // SAFETY: valid for `target.len()` bytes by this function's contract, and private
        // memory such as `target` does not overlap a slot.
        unsafe { ptr::copy_nonoverlapping(self.0, into, target.len()) }
        hide_from_optimizer(into);
    }

    /// Prefetches the cache line of `offset`, which is about to be written. It is a hint and
    /// accesses no memory.
    #[inline(always)]
    pub(crate) fn prefetch_for_writing(self, offset: usize) {
        let at = self.0.addr() + offset;
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        // SAFETY: a prefetch is a hint at any address.
        unsafe {
            core::arch::asm!("prefetchw [{0}]", in(reg) at, options(nomem, nostack, preserves_flags));
        }
        #[cfg(all(target_arch = "aarch64", not(miri)))]
        // SAFETY: a prefetch is a hint at any address.
        unsafe {
            core::arch::asm!("prfm pstl1keep, [{0}]", in(reg) at, options(nomem, nostack, preserves_flags));
        }
    }

    /// Fills `len` bytes with zeroes.
    ///
    /// # Safety
    ///
    /// `len` bytes lie here.
    pub(crate) unsafe fn zero(self, len: usize) {
        // SAFETY: valid for `len` bytes by this function's contract.
        unsafe { ptr::write_bytes(self.0, 0, len) }
    }
}

/// Makes the copy opaque to the compiler. Otherwise it could replace later uses of the copy by
/// loads of the shared original.
#[inline(always)]
fn hide_from_optimizer(copy: *mut u8) {
    #[cfg(not(miri))]
    // SAFETY: an empty instruction sequence accesses nothing.
    unsafe {
        core::arch::asm!("/* {0} */", in(reg) copy, options(nostack, preserves_flags));
    }
    #[cfg(miri)]
    let _ = copy;
}
