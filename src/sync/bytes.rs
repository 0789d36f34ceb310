//! The payload bytes of a slot.

use core::mem::MaybeUninit;
use core::ptr;

/// The payload bytes of one slot, reached by raw pointer only: another process may be
/// writing them, so no reference to them is ever made here.
#[derive(Clone, Copy, Debug)]
pub struct Bytes(*mut u8);

/// Whether a value travels through registers. On the way in it does so word by word: a copy in vectors reads
/// memory in other pieces than it was written in, perhaps just before, and then has to wait until all
/// that was stored earlier has reached the cache: also the last message, whose line is still
/// on its way.
const fn is_moved_in_registers<T>() -> bool {
    const LINE: usize = 64;
    size_of::<T>() <= 4 * LINE && size_of::<T>() % size_of::<u64>() == 0
}

/// Copies a word out through a register. A whole `T` read so would, unoptimised, be compiled
/// into as many loads as it has bytes, also where a large one is never read.
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

/// What one register holds of a value that comes out. Whoever copies the value on does so in such pieces, and
/// one that was just put together from smaller ones is not to be had before those are in the cache. The
/// first word is by itself, since in a `Result` it shares its place with the error.
#[cfg(target_arch = "x86_64")]
type Pair = core::arch::x86_64::__m128i;
#[cfg(target_arch = "aarch64")]
type Pair = core::arch::aarch64::uint64x2_t;

/// Copies two words out through a register, which the compiler believes to be changed there: it does not look at
/// the original again.
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
    // SAFETY: an empty instruction sequence, which touches nothing.
    unsafe {
        core::arch::asm!("/* {0} */", inout(xmm_reg) pair, options(nomem, nostack, preserves_flags));
    }
    #[cfg(all(target_arch = "aarch64", not(miri)))]
    // SAFETY: an empty instruction sequence, which touches nothing.
    unsafe {
        core::arch::asm!("/* {0:q} */", inout(vreg) pair, options(nomem, nostack, preserves_flags));
    }
    // SAFETY: valid by this function's contract, and perhaps less aligned than a pair.
    unsafe { to.write_unaligned(pair) }
}

impl Bytes {
    /// # Safety
    ///
    /// While the value is in use, `at` is valid for reads and writes of as many bytes as
    /// are passed to the methods below.
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
        if is_moved_in_registers::<T>() {
            let (from, to) = (ptr::from_ref(value).cast::<u64>(), self.0.cast::<u64>());
            for place in 0..size_of::<T>() / size_of::<u64>() {
                // SAFETY: within `value`.
                let from = unsafe { from.add(place) };
                // SAFETY: initialised, and perhaps less aligned than a word.
                let word = unsafe { from.read_unaligned() };
                // SAFETY: within the `T` that lies here.
                let to = unsafe { to.add(place) };
                // SAFETY: valid and aligned by this function's contract.
                unsafe { to.write_volatile(word) };
            }
            return;
        }
        // SAFETY: valid and aligned for a `T` by this function's contract.
        unsafe { ptr::copy_nonoverlapping(value, self.0.cast::<T>(), 1) }
    }

    /// Copies a value out. What is looked at later is this copy: the compiler does not
    /// fetch the bytes a second time.
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
            8.. if is_moved_in_registers::<T>() => {
                let words = size_of::<T>() / size_of::<u64>();
                let (from, to) = (self.0.cast::<u64>(), to.cast::<u64>());
                // SAFETY: the first word of each, and `from` aligned by this function's contract.
                unsafe { read_word(from, to) };
                for place in (2..words).step_by(2) {
                    // SAFETY: within the `T` that lies here.
                    let from = unsafe { from.add(place - 1) };
                    // SAFETY: within `copy`.
                    let to = unsafe { to.add(place - 1) };
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

    /// Copies a value out over `target`, at once and as [`Bytes::load`] does.
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

    /// Asks for the line that starts at or before `offset`, which is about to be written. A hint,
    /// which touches nothing.
    #[inline(always)]
    pub(crate) fn prefetch_for_writing(self, offset: usize) {
        let at = self.0.addr() + offset;
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        // SAFETY: a hint, whatever the address is.
        unsafe {
            core::arch::asm!("prefetchw [{0}]", in(reg) at, options(nomem, nostack, preserves_flags));
        }
        #[cfg(all(target_arch = "aarch64", not(miri)))]
        // SAFETY: a hint, whatever the address is.
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

/// Makes the compiler believe that the copy was changed since, so that nobody who looks
/// at it later can be made to look at the shared original instead.
#[inline(always)]
fn hide_from_optimizer(copy: *mut u8) {
    #[cfg(not(miri))]
    // SAFETY: an empty instruction sequence, which touches nothing.
    unsafe {
        core::arch::asm!("/* {0} */", in(reg) copy, options(nostack, preserves_flags));
    }
    #[cfg(miri)]
    let _ = copy;
}
