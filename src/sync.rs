//! The one door to shared atomics and payload bytes: `core` in a build, loom or shuttle in a model.
//!
//! Payload bytes pass through here as well, because loom runs one thread at a time: a plain
//! write is visible to it at once, and a model with untracked payloads passes whatever the
//! orderings say.

#[cfg(not(any(loom, shuttle)))]
pub(crate) use core::sync::atomic::{AtomicU32, AtomicU64, compiler_fence, fence};

#[cfg(any(loom, shuttle))]
pub(crate) use self::modelled::{AtomicU32, AtomicU64, fence};

pub(crate) use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};

pub(crate) use self::bytes::Bytes;
#[cfg(all(test, loom))]
pub(crate) use self::bytes::Cell;

#[cfg(all(test, any(loom, shuttle)))]
pub(crate) mod modelling;
#[cfg(any(loom, shuttle))]
pub(crate) mod mortality;

/// How often this thread has looked at a slot or at an intent. Every loop over shared bytes does either, so
/// a fuzzer, which builds with its own `cfg`, can bound what an operation takes without a clock.
#[cfg(fuzzing)]
pub mod steps {
    use core::cell::Cell;

    thread_local! {
        static TAKEN: Cell<u64> = const { Cell::new(0) };
    }

    pub(crate) fn take() {
        TAKEN.set(TAKEN.get() + 1);
    }

    /// The steps of the calling thread so far.
    pub fn taken() -> u64 {
        TAKEN.get()
    }
}

/// Whose threads, locks and atomics the models have. With `native`, on top of shuttle's cfg, they
/// are the machine's own: for Miri and the sanitizers, which check what one schedule does.
#[cfg(any(loom, shuttle))]
pub(crate) mod checker {
    #[cfg(loom)]
    pub(crate) use loom::{sync, thread, thread_local};
    #[cfg(all(shuttle, not(native)))]
    pub(crate) use shuttle::{sync, thread, thread_local};
    #[cfg(native)]
    pub(crate) use std::{sync, thread, thread_local};
}

#[cfg(not(loom))]
mod bytes {
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
                    forget_origin(to.cast());
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
            forget_origin(ptr::from_mut(target).cast());
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
            forget_origin(into);
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
    fn forget_origin(copy: *mut u8) {
        #[cfg(not(miri))]
        // SAFETY: an empty instruction sequence, which touches nothing.
        unsafe {
            core::arch::asm!("/* {0} */", in(reg) copy, options(nostack, preserves_flags));
        }
        #[cfg(miri)]
        let _ = copy;
    }
}

#[cfg(loom)]
mod bytes {
    use loom::cell::UnsafeCell;

    /// What stands for the payload of a slot: one tracked cell.
    pub(crate) type Cell = UnsafeCell<u64>;

    /// The payload of one slot, each access checked by loom against all others.
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
}

/// The checkers' atomics, whose every store may be one that its thread does not live to make;
/// and loom's with loads that can be made read-modify-writes.
///
/// loom 0.7 skips interleavings in which a thread loads an atomic that it stores to later; a
/// load done as `fetch_or(0)` is not skipped, but sees only the newest value. Each model runs
/// both ways ([`has_rmw_loads`]). Stores become swaps with them: loom does not know that a
/// plain store can't come between the two halves of another thread's read-modify-write, and
/// would take what was written back for newer than what was stored.
#[cfg(any(loom, shuttle))]
mod modelled {
    use super::checker::sync::atomic;
    use super::mortality::outlive_a_store;
    use core::sync::atomic::Ordering;
    use std::env;
    use std::sync::OnceLock;

    pub(crate) use atomic::fence;

    /// Whether the environment asks for loads that are read-modify-writes.
    pub(crate) fn has_rmw_loads() -> bool {
        static ANSWER: OnceLock<bool> = OnceLock::new();
        *ANSWER.get_or_init(|| env::var_os("SLIPRING_RMW_LOADS").is_some())
    }

    macro_rules! atomic {
        ($name:ident, $word:ty) => {
            #[derive(Debug)]
            pub(crate) struct $name(atomic::$name);

            impl $name {
                pub(crate) fn new(value: $word) -> Self {
                    Self(atomic::$name::new(value))
                }

                pub(crate) fn load(&self, order: Ordering) -> $word {
                    if has_rmw_loads() {
                        self.0.fetch_or(0, order)
                    } else {
                        self.0.load(order)
                    }
                }

                pub(crate) fn store(&self, value: $word, order: Ordering) {
                    outlive_a_store();
                    if has_rmw_loads() {
                        self.0.swap(value, order);
                    } else {
                        self.0.store(value, order);
                    }
                }

                pub(crate) fn fetch_add(&self, value: $word, order: Ordering) -> $word {
                    outlive_a_store();
                    self.0.fetch_add(value, order)
                }

                pub(crate) fn fetch_or(&self, bits: $word, order: Ordering) -> $word {
                    outlive_a_store();
                    self.0.fetch_or(bits, order)
                }

                pub(crate) fn compare_exchange(
                    &self,
                    current: $word,
                    new: $word,
                    success: Ordering,
                    failure: Ordering,
                ) -> Result<$word, $word> {
                    outlive_a_store();
                    self.0.compare_exchange(current, new, success, failure)
                }
            }
        };
    }

    atomic!(AtomicU32, u32);
    atomic!(AtomicU64, u64);
}
