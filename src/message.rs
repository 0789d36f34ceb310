//! What may travel: plain values, or byte strings up to a length.

use crate::properties::Encoding;
use crate::ring::slot::SlotLayout;
use crate::sync::Bytes;
use bytemuck::Pod;
use core::marker::PhantomData;

/// What a ring can carry: any [`bytemuck::Pod`] type, or `[u8]`.
///
/// A peer is another program, perhaps a broken one, so every bit pattern must be a value.
/// That rules out references, `String`, `bool`, enums and types with padding; they don't
/// compile. The trait is sealed.
///
/// A plain value:
///
/// ```
/// #[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
/// #[repr(C)]
/// struct Quote {
///     id: u32,
///     price: u32,
/// }
///
/// fn carries<M: slipring::Message + ?Sized>() {}
/// carries::<Quote>();
/// carries::<u8>();
/// carries::<[u8]>();
/// ```
///
/// Not so a `bool`,
///
/// ```compile_fail,E0277
/// fn carries<M: slipring::Message + ?Sized>() {}
/// carries::<bool>();
/// ```
///
/// a `String`,
///
/// ```compile_fail,E0277
/// fn carries<M: slipring::Message + ?Sized>() {}
/// carries::<String>();
/// ```
///
/// a reference,
///
/// ```compile_fail,E0277
/// fn carries<M: slipring::Message + ?Sized>() {}
/// carries::<&'static u8>();
/// ```
///
/// or the same struct with a hole in it:
///
/// ```compile_fail,E0512
/// #[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
/// #[repr(C)]
/// struct Quote {
///     id: u16,
///     price: u32,
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be sent to another process: it is not plain bytes",
    note = "a ring carries `[u8]` and types that implement `bytemuck::Pod`"
)]
pub trait Message: Wire {}

impl<T: Pod> Message for T {}

impl Message for [u8] {}

/// The room that a message takes in a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    pub(crate) encoding: Encoding,
    /// In bytes; of byte strings, the longest.
    pub(crate) size: u32,
    pub(crate) align: u32,
}

/// The largest payload in bytes: with the slot's word before it, and rounded up to any
/// alignment, a stride still has 32 bits.
pub(crate) const MAX_PAYLOAD: u32 = u32::MAX - 2 * MAX_ALIGN as u32;
/// The largest alignment in bytes: the first slot lies at a multiple of it.
pub(crate) const MAX_ALIGN: usize = 4096;

/// What the crate must know of a message, out of users' reach.
pub trait Wire: ToOwned {
    /// The room to set aside. `max_len` counts only for messages that differ in length.
    fn shape(max_len: u32) -> Shape;

    /// The length of this message in bytes, which may be too much for a slot.
    fn wire_len(&self) -> usize;

    /// Whether a message of this kind fits whatever it is.
    const ALWAYS_FITS: bool;

    /// How the slots of all rings for this kind of message lie, if they do so all alike.
    const LAYOUT: Option<SlotLayout>;

    /// Whether the message fits in a slot with room for `size` bytes.
    fn fits(&self, size: u32) -> bool;

    /// Copies the message into a slot.
    ///
    /// # Safety
    ///
    /// The slot was laid out for the shape of `Self`, nobody else writes it, and the message
    /// [fits](Wire::fits).
    unsafe fn store(&self, slot: Bytes);

    /// Whether a message of this kind, in a slot with room for `size` bytes, can have `len`.
    fn can_have(len: u32, size: u32) -> bool;

    /// What stands for a message that can't be reached: zeroes, or no bytes.
    fn nothing() -> Self::Owned;

    /// Copies a message out of a slot.
    ///
    /// # Safety
    ///
    /// The slot was laid out for a shape of `Self`, which [can have](Wire::can_have) `len`.
    unsafe fn load(slot: Bytes, len: u32) -> Self::Owned;

    /// Copies a message out of a slot, over `message`, whose memory is used again.
    ///
    /// # Safety
    ///
    /// As for [`Wire::load`].
    unsafe fn load_into(slot: Bytes, len: u32, message: &mut Self::Owned);
}

impl<T: Pod> Wire for T {
    fn shape(_max_len: u32) -> Shape {
        const {
            assert!(
                size_of::<T>() <= MAX_PAYLOAD as usize,
                "the type is too large for a slot"
            );
            assert!(
                align_of::<T>() <= MAX_ALIGN,
                "the type is aligned beyond a page"
            );
        }
        Shape {
            encoding: Encoding::Values,
            size: size_of::<T>() as u32,
            align: align_of::<T>() as u32,
        }
    }

    #[inline(always)]
    fn wire_len(&self) -> usize {
        size_of::<T>()
    }

    const ALWAYS_FITS: bool = true;

    const LAYOUT: Option<SlotLayout> = Some(SlotLayout::of(
        size_of::<T>() as u32,
        align_of::<T>() as u32,
    ));

    #[inline(always)]
    fn fits(&self, _size: u32) -> bool {
        true
    }

    #[inline(always)]
    unsafe fn store(&self, slot: Bytes) {
        // SAFETY: laid out for a `T`, by this function's contract.
        unsafe { slot.store(self) }
    }

    #[inline(always)]
    fn can_have(len: u32, _size: u32) -> bool {
        len as usize == size_of::<T>()
    }

    fn nothing() -> T {
        T::zeroed()
    }

    #[inline(always)]
    unsafe fn load(slot: Bytes, _len: u32) -> T {
        // SAFETY: laid out for a `T`, by this function's contract; any bytes are a `T`.
        unsafe { slot.load() }
    }

    #[inline(always)]
    unsafe fn load_into(slot: Bytes, _len: u32, message: &mut T) {
        // SAFETY: as for `load`.
        unsafe { slot.load_into(message) }
    }
}

impl Wire for [u8] {
    fn shape(max_len: u32) -> Shape {
        Shape {
            encoding: Encoding::Bytes,
            size: max_len,
            align: 1,
        }
    }

    #[inline(always)]
    fn wire_len(&self) -> usize {
        self.len()
    }

    const ALWAYS_FITS: bool = false;

    const LAYOUT: Option<SlotLayout> = None;

    #[inline(always)]
    fn fits(&self, size: u32) -> bool {
        self.len() <= size as usize
    }

    #[inline(always)]
    unsafe fn store(&self, slot: Bytes) {
        // SAFETY: the slot has room for `self.len()` bytes, by this function's contract.
        unsafe { slot.copy_from(0, self) }
    }

    #[inline(always)]
    fn can_have(len: u32, size: u32) -> bool {
        len <= size
    }

    fn nothing() -> Vec<u8> {
        Vec::new()
    }

    #[inline]
    unsafe fn load(slot: Bytes, len: u32) -> Vec<u8> {
        let mut message = Vec::new();
        // SAFETY: this function's contract is the same.
        unsafe { Self::load_into(slot, len, &mut message) }
        message
    }

    #[inline]
    unsafe fn load_into(slot: Bytes, len: u32, message: &mut Vec<u8>) {
        let len = len as usize;
        message.clear();
        message.reserve(len);
        // SAFETY: the slot holds `len` bytes, by this function's contract.
        unsafe { slot.copy_to(&mut message.spare_capacity_mut()[..len]) };
        // SAFETY: the line above initialised as many.
        unsafe { message.set_len(len) };
    }
}

/// A message in a slot that is this process's until it is given back.
#[derive(Debug)]
pub(crate) struct Payload<'ring, M: ?Sized> {
    slot: Bytes,
    len: u32,
    message: PhantomData<&'ring M>,
}

impl<M: Message + ?Sized> Payload<'_, M> {
    /// The message, if it can have the length that its slot's word tells.
    ///
    /// # Safety
    ///
    /// The slot was laid out for the shape of `M` with room for `size` bytes, and lies there as
    /// long as the value.
    #[inline(always)]
    pub(crate) unsafe fn new(slot: Bytes, len: u32, size: u32) -> Option<Self> {
        M::can_have(len, size).then_some(Self {
            slot,
            len,
            message: PhantomData,
        })
    }

    /// Copies the message out.
    #[inline(always)]
    pub(crate) fn load(self) -> M::Owned {
        // SAFETY: as `new` was promised, and it checked the length.
        unsafe { M::load(self.slot, self.len) }
    }

    /// Copies the message out over `message`, whose memory is used again.
    #[inline(always)]
    pub(crate) fn load_into(self, message: &mut M::Owned) {
        // SAFETY: as for `load`.
        unsafe { M::load_into(self.slot, self.len, message) }
    }
}
