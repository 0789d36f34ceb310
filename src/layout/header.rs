//! The live words of a header: those that processes store to while the ring is in use.

#![allow(unsafe_code)]

use super::codes::Code;
use super::{Geometry, HEADER_SIZE, HeaderConstants, Identity, LINE, Settings};
use crate::ring::Words;
use crate::ring::closing::Closing;
use crate::ring::intent::Intent;
use crate::ring::participants::{Arrivals, OrphanHint, SeatSnapshot, SeatState};
use crate::ring::slot::Slots;
use crate::role::Role;
use crate::sync::{Acquire, AtomicU32, AtomicU64, Relaxed, Release};
use crate::wait::Event;
use core::cell::UnsafeCell;
use core::mem::offset_of;
use core::ptr::NonNull;

/// A value with a cache line of its own.
#[derive(Debug)]
#[repr(C, align(128))]
pub(crate) struct Line<T>(pub(crate) T);

#[derive(Debug)]
#[repr(C)]
pub(crate) struct Header {
    identity: Line<UnsafeCell<Identity>>,
    pub(crate) tail: Line<AtomicU64>,
    pub(crate) head: Line<AtomicU64>,
    pub(crate) not_empty: Line<Event>,
    pub(crate) not_full: Line<Event>,
    pub(crate) status: Line<Status>,
    settings: UnsafeCell<Settings>,
}

/// Words that are seldom stored: arrivals, closing flags and recovery counters. All but `closing`
/// are used in the first segment of an object alone.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Status {
    pub(crate) closing: Closing,
    producers: Arrivals,
    consumers: Arrivals,
    pub(crate) orphans: OrphanHint,
    /// The pid of the last holder of the recovery lock, for error texts.
    pub(crate) recoverer: AtomicU32,
    /// The pid of the last holder of the growth lock, for error texts.
    pub(crate) grower: AtomicU32,
    pub(crate) recoveries: AtomicU64,
    pub(crate) tombstones: AtomicU64,
    pub(crate) redelivered: AtomicU64,
    pub(crate) dropped: AtomicU64,
    /// The offset of the oldest segment that is not retired.
    pub(crate) oldest_active: AtomicU64,
    /// The offset of the oldest segment that still has its memory.
    pub(crate) oldest_allocated: AtomicU64,
}

impl Status {
    #[inline(always)]
    pub(crate) fn arrivals(&self, role: Role) -> &Arrivals {
        match role {
            Role::Producer => &self.producers,
            Role::Consumer => &self.consumers,
        }
    }
}

/// The record of a seat, written by its holder. Only the seat's lock proves anything.
#[derive(Debug)]
#[repr(C, align(128))]
pub(crate) struct Entry {
    pub(super) seat_state: SeatState,
    role: AtomicU32,
    pub(super) pid: AtomicU32,
    pub(super) start_time: AtomicU64,
    pub(super) pid_namespace: AtomicU64,
    pub(super) intent: Intent,
    /// The offset of the segment that the holder works on, or of an earlier one.
    pub(super) oldest_segment: AtomicU64,
}

const _: () = {
    assert!(offset_of!(Header, tail) == 0x080);
    assert!(offset_of!(Header, head) == 0x100);
    assert!(offset_of!(Header, not_empty) == 0x180);
    assert!(offset_of!(Header, not_full) == 0x200);
    assert!(offset_of!(Header, status) == 0x280);
    assert!(offset_of!(Status, orphans) == 0x0c);
    assert!(offset_of!(Status, grower) == 0x14);
    assert!(offset_of!(Status, recoveries) == 0x18);
    assert!(offset_of!(Status, dropped) == 0x30);
    assert!(offset_of!(Status, oldest_active) == 0x38);
    assert!(offset_of!(Status, oldest_allocated) == 0x40);
    assert!(offset_of!(Header, settings) == 0x300);
    assert!(size_of::<Header>() == HEADER_SIZE);
    assert!(size_of::<Entry>() == LINE);
    assert!(offset_of!(Entry, pid) == 0x08);
    assert!(offset_of!(Entry, start_time) == 0x10);
    assert!(offset_of!(Entry, pid_namespace) == 0x18);
    assert!(offset_of!(Entry, intent) == 0x20);
    assert!(offset_of!(Entry, oldest_segment) == 0x30);
    assert!(size_of::<Intent>() == 0x10);
};

/// The process that holds a seat, for diagnostics.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProcessIdentity {
    pub(crate) pid: u32,
    pub(crate) start_time: u64,
    pub(crate) pid_namespace: u64,
}

impl Entry {
    #[inline(always)]
    pub(crate) fn intent(&self) -> &Intent {
        &self.intent
    }

    pub(crate) fn seat_state(&self) -> SeatSnapshot {
        self.seat_state.load()
    }

    pub(crate) fn pid(&self) -> u32 {
        // Relaxed: for diagnostics.
        self.pid.load(Relaxed)
    }

    /// The offset of the segment that the holder works on, or of an earlier one.
    pub(crate) fn oldest_segment(&self) -> u64 {
        self.oldest_segment.load(Acquire) // W
    }

    /// Records that the holder has finished with all segments before this offset.
    pub(crate) fn set_oldest_segment(&self, offset: u64) {
        self.oldest_segment.store(offset, Release); // W
    }

    /// Records the new holder of the seat. Only for the holder of the seat's lock.
    pub(crate) fn activate(&self, identity: ProcessIdentity, role: Role) {
        self.role.store(role.encode(), Relaxed);
        self.pid.store(identity.pid, Relaxed);
        self.start_time.store(identity.start_time, Relaxed);
        self.pid_namespace.store(identity.pid_namespace, Relaxed);
        self.seat_state.activate();
    }

    /// Records that the holder leaves. Only for the holder of the seat's lock.
    pub(crate) fn leave(&self) {
        self.seat_state.leave();
    }
}

/// Access to a mapped ring, as its geometry lays it out.
#[derive(Debug)]
pub(crate) struct View {
    header: NonNull<Header>,
    // `'static` means "as long as the view": only borrows of the view leave this module.
    slots: Slots<'static>,
    participants: u32,
}

// SAFETY: everything that a shared reference to a view reaches is atomic.
unsafe impl Send for View {}
// SAFETY: as for `Send`.
unsafe impl Sync for View {}

impl View {
    /// # Safety
    ///
    /// While the view is in use, `base` is the start of a readable and writable mapping of at least
    /// `geometry.total_len()` bytes.
    pub(crate) unsafe fn new(base: NonNull<u8>, geometry: &Geometry) -> Self {
        // SAFETY: the slots lie inside the ring.
        let first_slot = unsafe { base.add(geometry.slots_offset() as usize) };
        // SAFETY: the mapping has room for all slots. They start at a page, which is aligned for a
        // word and, since geometries are validated, for the payload.
        let slots = unsafe { Slots::new(first_slot, geometry.capacity, geometry.slot_layout()) };
        Self {
            header: base.cast(),
            slots,
            participants: geometry.participants(),
        }
    }

    #[inline(always)]
    pub(crate) fn header(&self) -> &Header {
        // SAFETY: the mapping starts with a header and lasts while the view is in use. The live
        // words are atomic, and the constant lines are never read through this reference.
        unsafe { self.header.as_ref() }
    }

    #[inline(always)]
    pub(crate) fn slots(&self) -> &Slots<'_> {
        &self.slots
    }

    /// The entry of a seat.
    ///
    /// # Panics
    ///
    /// If the ring has no such seat.
    pub(crate) fn entry(&self, seat: u32) -> &Entry {
        assert!(seat < self.participants);
        // SAFETY: the entries follow the header, inside the mapping.
        let first = unsafe { self.header.add(1) }.cast::<Entry>();
        // SAFETY: there are `participants` entries, and the seat's number is lower.
        let entry = unsafe { first.add(seat as usize) };
        // SAFETY: all fields are atomic, and the mapping lasts while the view is in use.
        unsafe { entry.as_ref() }
    }

    /// The word on which the participants of a role sleep.
    #[inline(always)]
    pub(crate) fn event(&self, role: Role) -> &Event {
        match role {
            Role::Producer => &self.header().not_full.0,
            Role::Consumer => &self.header().not_empty.0,
        }
    }

    /// The view of the holder of a seat.
    ///
    /// # Panics
    ///
    /// If the ring has no such seat.
    ///
    /// # Safety
    ///
    /// While the result is in use, the ring stays mapped.
    pub(crate) unsafe fn of_seat(&self, seat: u32) -> SeatView {
        let view = Self { ..*self };
        SeatView {
            entry: NonNull::from(self.entry(seat)),
            view,
        }
    }

    /// The word with the offset of the next segment, or 0. It is stored after that segment is
    /// complete.
    pub(crate) fn next_segment(&self) -> &AtomicU64 {
        const { assert!(offset_of!(Settings, next_segment) % 8 == 0) };
        let settings = self.header().settings.get();
        // SAFETY: inside the settings.
        let word = unsafe { settings.byte_add(offset_of!(Settings, next_segment)) };
        // SAFETY: aligned for a word, inside the mapping, and accessed only through this function
        // once the ring is initialised.
        unsafe { AtomicU64::from_ptr(word.cast()) }
    }

    /// The boot of the machine in which the ring was created or, later, first opened.
    pub(crate) fn boot_id(&self) -> [u8; 16] {
        // Relaxed: it is only compared.
        bytemuck::cast(self.boot_words().map(|word| word.load(Relaxed)))
    }

    /// Records that the ring was opened in this boot of the machine.
    pub(crate) fn set_boot_id(&self, boot_id: [u8; 16]) {
        let words: [u64; 2] = bytemuck::pod_read_unaligned(&boot_id);
        for (word, value) in self.boot_words().into_iter().zip(words) {
            word.store(value, Relaxed);
        }
    }

    fn boot_words(&self) -> [&AtomicU64; 2] {
        const { assert!(offset_of!(Settings, boot_id) % 8 == 0) };
        let settings = self.header().settings.get();
        // SAFETY: inside the settings.
        let first = unsafe { settings.byte_add(offset_of!(Settings, boot_id)) }.cast::<u64>();
        // SAFETY: the field is sixteen bytes long.
        [first, unsafe { first.add(1) }].map(|word| {
            // SAFETY: aligned for a word, inside the mapping, and accessed only through this
            // function once the ring is initialised.
            unsafe { AtomicU64::from_ptr(word) }
        })
    }

    /// Initialises a new ring in zeroed memory.
    ///
    /// # Safety
    ///
    /// No other process or thread accesses the ring before this returns, with one exception. A
    /// process that opens a System V segment may load the ring's first word.
    pub(crate) unsafe fn initialise(&mut self, geometry: &Geometry, constants: HeaderConstants) {
        let first = geometry.first_position;
        for index in 0..geometry.capacity {
            let position = first.wrapping_add(index);
            self.slots.at(position).reset(position);
        }
        let header = self.header();
        header.tail.0.store(first, Relaxed);
        header.head.0.store(first, Relaxed);
        // SAFETY: inside the header and aligned for it; no other access, by this function's
        // contract.
        unsafe { header.settings.get().write(constants.settings) };
        let identity = header.identity.0.get().cast::<u64>();
        let (magic, rest) = constants.identity.split_magic();
        for (index, word) in (1..).zip(rest) {
            // SAFETY: the identity has that many words.
            let at = unsafe { identity.add(index) };
            // SAFETY: aligned for a word; no other access, by this function's contract.
            unsafe { at.write(word) };
        }
        // SAFETY: the identity begins with the magic, aligned for a word.
        let first_word = unsafe { AtomicU64::from_ptr(identity) };
        // Release: a process that loads the magic from a System V segment sees all of the above.
        first_word.store(magic, Release);
    }
}

/// A view of a mapped ring for the holder of one seat, with the address of its entry.
#[derive(Debug)]
pub(crate) struct SeatView {
    view: View,
    entry: NonNull<Entry>,
}

// SAFETY: everything that a shared reference to the view reaches is atomic.
unsafe impl Send for SeatView {}
// SAFETY: as for `Send`.
unsafe impl Sync for SeatView {}

impl SeatView {
    #[inline(always)]
    pub(crate) fn view(&self) -> &View {
        &self.view
    }

    #[inline(always)]
    pub(crate) fn push_words(&self) -> Words<'_> {
        Words {
            slots: self.view.slots(),
            index: &self.view.header().tail.0,
            tail: &self.view.header().tail.0,
            intent: self.entry().intent(),
        }
    }

    #[inline(always)]
    pub(crate) fn pop_words(&self) -> Words<'_> {
        Words {
            index: &self.view.header().head.0,
            ..self.push_words()
        }
    }

    #[inline(always)]
    fn entry(&self) -> &Entry {
        // SAFETY: the entry lies in the mapping of the view.
        unsafe { self.entry.as_ref() }
    }
}
