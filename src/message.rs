//! Message types: plain values, or byte strings up to a length.

#![allow(unsafe_code)]

use crate::properties::Encoding;
use crate::ring::slot::SlotLayout;
use crate::sync::Bytes;
use bytemuck::Pod;
use core::marker::PhantomData;

/// A message type: any [`bytemuck::Pod`] type, or `[u8]`. The trait is sealed.
///
/// A peer is another program, perhaps a faulty one, so every bit pattern must be a valid message.
/// References, `String`, `bool`, enums and types with padding therefore do not compile.
///
/// A struct derives [`Pod`]. The crate re-exports [`bytemuck`], so no dependency of
/// a matching version is needed:
///
/// ```
/// use slipring::bytemuck::{Pod, Zeroable};
///
/// #[derive(Clone, Copy, Pod, Zeroable)]
/// #[bytemuck(crate = "slipring::bytemuck")]
/// #[repr(C)]
/// struct Quote {
///     id: u32,
///     price: u32,
/// }
///
/// fn accepts<M: slipring::Message + ?Sized>() {}
/// accepts::<Quote>();
/// accepts::<u8>();
/// accepts::<[u8]>();
/// ```
///
/// A `bool` is no message type,
///
/// ```compile_fail,E0277
/// fn accepts<M: slipring::Message + ?Sized>() {}
/// accepts::<bool>();
/// ```
///
/// nor is a `String`,
///
/// ```compile_fail,E0277
/// fn accepts<M: slipring::Message + ?Sized>() {}
/// accepts::<String>();
/// ```
///
/// a reference,
///
/// ```compile_fail,E0277
/// fn accepts<M: slipring::Message + ?Sized>() {}
/// accepts::<&'static u8>();
/// ```
///
/// or a struct with padding:
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

/// The space that a slot has for a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    pub(crate) encoding: Encoding,
    /// In bytes; for byte strings, the longest.
    pub(crate) size: u32,
    pub(crate) align: u32,
}

/// The largest payload in bytes. Together with the slot's word, and rounded up to any alignment, it
/// gives a stride of 32 bits.
pub(crate) const MAX_PAYLOAD: u32 = u32::MAX - 2 * MAX_ALIGN as u32;
/// The largest alignment in bytes: the offset of the first slot is a multiple of it.
pub(crate) const MAX_ALIGN: usize = 4096;

/// What the crate needs of a message type. The trait can't be named outside of the crate.
pub trait Wire: ToOwned {
    /// The space that a slot needs. `max_len` matters only for messages of different lengths.
    fn shape(max_len: u32) -> Shape;

    /// The length of this message in bytes, which may exceed a slot.
    fn wire_len(&self) -> usize;

    /// Whether every message of the type fits in a slot.
    const ALWAYS_FITS: bool;

    /// The slot layout, if all rings of the type have the same one.
    const LAYOUT: Option<SlotLayout>;

    /// Whether the message fits in a slot with a payload of `size` bytes.
    fn fits(&self, size: u32) -> bool;

    /// Copies the message into a slot.
    ///
    /// # Safety
    ///
    /// The slot was laid out for the shape of `Self`, nothing else writes to it, and the message
    /// [fits](Wire::fits).
    unsafe fn store(&self, slot: Bytes);

    /// Whether a message of the type can have `len` bytes in a slot with a payload of `size` bytes.
    fn can_have(len: u32, size: u32) -> bool;

    /// The replacement for a message that is not accessible: zeroes, or no bytes.
    fn placeholder() -> Self::Owned;

    /// Copies a message out of a slot.
    ///
    /// # Safety
    ///
    /// The slot was laid out for a shape of `Self`, which [can have](Wire::can_have) `len`.
    unsafe fn load(slot: Bytes, len: u32) -> Self::Owned;

    /// Copies a message out of a slot to `message`, and reuses its memory.
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

    fn placeholder() -> T {
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

    fn placeholder() -> Vec<u8> {
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
        // SAFETY: the line above initialised `len` bytes.
        unsafe { message.set_len(len) };
    }
}

/// A message in a slot that this process has claimed and not released.
#[derive(Debug)]
pub(crate) struct Payload<'ring, M: ?Sized> {
    slot: Bytes,
    len: u32,
    message: PhantomData<&'ring M>,
}

impl<M: Message + ?Sized> Payload<'_, M> {
    /// The message, if its type can have the length that the slot's word records.
    ///
    /// # Safety
    ///
    /// The slot was laid out for the shape of `M` with a payload of `size` bytes, and stays mapped
    /// as long as the value exists.
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
        // SAFETY: the caller of `new` vouches for the slot, and `new` checked the length.
        unsafe { M::load(self.slot, self.len) }
    }

    /// Copies the message out to `message`, and reuses its memory.
    #[inline(always)]
    pub(crate) fn load_into(self, message: &mut M::Owned) {
        // SAFETY: as for `load`.
        unsafe { M::load_into(self.slot, self.len, message) }
    }
}
