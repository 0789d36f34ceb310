//! The words of a header that live: those that processes store to while the ring is in use.

use super::{Described, Geometry, HEADER_SIZE, Identity, LINE, Settings, encode_role};
use crate::ring::ending::Ending;
use crate::ring::intent::Intent;
use crate::ring::roll::{OrphanHint, Roll};
use crate::ring::slot::Slots;
use crate::ring::tenancy::{Stay, Tenancy};
use crate::sync::{Acquire, AtomicU32, AtomicU64, Relaxed, Release};
use crate::terms::Role;
use crate::wait::Event;
use core::cell::UnsafeCell;
use core::mem::offset_of;
use core::ptr::NonNull;

/// A value with a line to itself.
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

/// What is stored to seldom: who came and went, how the ring ends, what was recovered. All but the ending is
/// looked for in the first ring of an object alone.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Status {
    pub(crate) ending: Ending,
    producers: Roll,
    consumers: Roll,
    pub(crate) orphans: OrphanHint,
    /// Who took the recovery lock last, for people to read.
    pub(crate) recoverer: AtomicU32,
    /// Who took the lock to grow last, for people to read.
    pub(crate) grower: AtomicU32,
    pub(crate) recoveries: AtomicU64,
    pub(crate) tombstones: AtomicU64,
    pub(crate) redelivered: AtomicU64,
    pub(crate) dropped: AtomicU64,
    /// Where the oldest ring lies that is not retired.
    pub(crate) oldest: AtomicU64,
    /// Where the oldest ring lies whose memory was not given back.
    pub(crate) kept: AtomicU64,
}

impl Status {
    /// The participants of a role.
    #[inline(always)]
    pub(crate) fn roll(&self, role: Role) -> &Roll {
        match role {
            Role::Producer => &self.producers,
            Role::Consumer => &self.consumers,
        }
    }
}

/// What a participant says about itself. Only its seat's lock is proof of anything.
#[derive(Debug)]
#[repr(C, align(128))]
pub(crate) struct Entry {
    pub(super) tenancy: Tenancy,
    role: AtomicU32,
    pub(super) pid: AtomicU32,
    pub(super) start_time: AtomicU64,
    pub(super) pid_namespace: AtomicU64,
    pub(super) intent: Intent,
    /// Where the ring lies that the holder works on, or one before it.
    pub(super) works_at: AtomicU64,
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
    assert!(offset_of!(Status, oldest) == 0x38);
    assert!(offset_of!(Status, kept) == 0x40);
    assert!(offset_of!(Header, settings) == 0x300);
    assert!(size_of::<Header>() == HEADER_SIZE);
    assert!(size_of::<Entry>() == LINE);
    assert!(offset_of!(Entry, pid) == 0x08);
    assert!(offset_of!(Entry, start_time) == 0x10);
    assert!(offset_of!(Entry, pid_namespace) == 0x18);
    assert!(offset_of!(Entry, intent) == 0x20);
    assert!(offset_of!(Entry, works_at) == 0x30);
    assert!(size_of::<Intent>() == 0x10);
};

/// Who a participant is, for people to read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Person {
    pub(crate) pid: u32,
    pub(crate) start_time: u64,
    pub(crate) pid_namespace: u64,
}

impl Entry {
    #[inline(always)]
    pub(crate) fn intent(&self) -> &Intent {
        &self.intent
    }

    pub(crate) fn stay(&self) -> Stay {
        self.tenancy.stay()
    }

    pub(crate) fn pid(&self) -> u32 {
        // Relaxed: for people to read.
        self.pid.load(Relaxed)
    }

    /// Where the ring lies that the holder works on, or one before it.
    pub(crate) fn works_at(&self) -> u64 {
        self.works_at.load(Acquire) // W
    }

    /// Says that the holder works on the ring that lies there and on later ones, and is done with those before.
    pub(crate) fn work_at(&self, offset: u64) {
        self.works_at.store(offset, Release); // W
    }

    /// Says who holds the seat from now on. Only the holder of its lock may.
    pub(crate) fn arrive(&self, person: Person, role: Role) {
        self.role.store(encode_role(role), Relaxed);
        self.pid.store(person.pid, Relaxed);
        self.start_time.store(person.start_time, Relaxed);
        self.pid_namespace.store(person.pid_namespace, Relaxed);
        self.tenancy.begin();
    }

    /// Says that the holder goes in good order. Only the holder of the lock may.
    pub(crate) fn leave(&self) {
        self.tenancy.end();
    }
}

/// A participant's own entry, found once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place(NonNull<Entry>);

// SAFETY: all that is reached through a place is atomic.
unsafe impl Send for Place {}
// SAFETY: as for `Send`.
unsafe impl Sync for Place {}

impl Place {
    #[inline(always)]
    pub(crate) fn entry(&self) -> &Entry {
        // SAFETY: the entry lies in the mapping of the view that the place is from, which whoever
        // copies either keeps.
        unsafe { self.0.as_ref() }
    }
}

/// A mapped ring, seen through its geometry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View {
    header: NonNull<Header>,
    slots: Slots,
    participants: u32,
}

// SAFETY: all that is reached by shared reference through a view is atomic.
unsafe impl Send for View {}
// SAFETY: as for `Send`.
unsafe impl Sync for View {}

impl View {
    /// # Safety
    ///
    /// While the view or a copy of it is in use, `base` is the start of a mapping, readable
    /// and writable, of as many bytes as `geometry` takes.
    pub(crate) unsafe fn new(base: NonNull<u8>, geometry: &Geometry) -> Self {
        // SAFETY: the slots lie inside the ring.
        let first_slot = unsafe { base.add(geometry.slots_offset() as usize) };
        // SAFETY: the mapping has room for as many slots; a page's start is aligned for a word
        // and, as geometries are checked, for any payload.
        let slots = unsafe { Slots::new(first_slot, geometry.capacity, geometry.spacing()) };
        Self {
            header: base.cast(),
            slots,
            participants: geometry.participants(),
        }
    }

    #[inline(always)]
    pub(crate) fn header(&self) -> &Header {
        // SAFETY: a mapping starts with a header, and stays while the view is in use; live words
        // are atomic, and the constant lines are never looked at through this reference.
        unsafe { self.header.as_ref() }
    }

    #[inline(always)]
    pub(crate) fn slots(&self) -> &Slots {
        &self.slots
    }

    /// The entry of a seat, which must be one of the ring's.
    pub(crate) fn entry(&self, seat: u32) -> &Entry {
        assert!(seat < self.participants);
        // SAFETY: the entries follow the header, inside the mapping.
        let first = unsafe { self.header.add(1) }.cast::<Entry>();
        // SAFETY: there are as many as participants, which the seat is below.
        let entry = unsafe { first.add(seat as usize) };
        // SAFETY: all fields are atomic, and the mapping stays while the view is in use.
        unsafe { entry.as_ref() }
    }

    /// The entry of a seat, for its holder.
    pub(crate) fn place(&self, seat: u32) -> Place {
        Place(NonNull::from(self.entry(seat)))
    }

    /// Where in the object the ring lies that follows this one; 0 if none does. It is stored when that one is
    /// whole.
    pub(crate) fn successor(&self) -> &AtomicU64 {
        const { assert!(offset_of!(Settings, successor) % 8 == 0) };
        let settings = self.header().settings.get();
        // SAFETY: inside the settings.
        let word = unsafe { settings.byte_add(offset_of!(Settings, successor)) };
        // SAFETY: aligned for a word, in the mapping, and never looked at but through here.
        unsafe { AtomicU64::from_ptr(word.cast()) }
    }

    /// In which run of the machine the ring was made, or last opened for the first time.
    pub(crate) fn boot_id(&self) -> [u8; 16] {
        // Relaxed: it is only compared.
        bytemuck::cast(self.boot_words().map(|word| word.load(Relaxed)))
    }

    /// Says that the ring was opened in this run of the machine.
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
        // SAFETY: sixteen bytes long.
        [first, unsafe { first.add(1) }].map(|word| {
            // SAFETY: aligned for a word, in the mapping, and never looked at but through here.
            unsafe { AtomicU64::from_ptr(word) }
        })
    }

    /// Writes a new ring into a mapping of zeroes that nobody else writes to.
    pub(crate) fn initialise(&self, geometry: &Geometry, described: Described) {
        let first = geometry.first_position;
        for index in 0..geometry.capacity {
            self.slots
                .at(first.wrapping_add(index))
                .reset(first.wrapping_add(index));
        }
        let header = self.header();
        header.tail.0.store(first, Relaxed);
        header.head.0.store(first, Relaxed);
        // SAFETY: inside the header and aligned like it; nobody else has the ring before it has a name, or its
        // magic, but who waits for the first word.
        unsafe { header.settings.get().write(described.settings) };
        let identity = header.identity.0.get();
        let (magic, unfinished) = described.identity.without_magic();
        // SAFETY: as above; the first word stays 0.
        unsafe { identity.write(unfinished) };
        // SAFETY: the identity begins with the magic, aligned for a word.
        let first_word = unsafe { AtomicU64::from_ptr(identity.cast()) };
        // Who sees it sees all of the above: not every object is without a name until it is whole.
        first_word.store(magic, Release);
    }
}
