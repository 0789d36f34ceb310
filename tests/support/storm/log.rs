//! The log of the participants, in memory that outlasts them. A participant logs each message
//! before it acts on it.

use crate::support::Random;
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, munmap};
use std::array;
use std::num::NonZeroUsize;
use std::ptr::NonNull;
use std::slice;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};

/// The most lives that the log of one storm has room for. A life is the run of one participant.
pub(crate) const MAX_LIVES: usize = 1 << 14;
/// Words of a life: whole cache lines, so that participants do not contend for one.
const LIFE: usize = 16;
const LIVES_AT: usize = 16;
/// The index of the counts of other actions.
const ACTIONS_AT: usize = 2;
const CHUNKS_AT: usize = LIVES_AT + MAX_LIVES * LIFE;
/// Words that a consumer allocates at once for its notes. The first word is the consumer's life,
/// plus 1.
const CHUNK: usize = 512;
const CHUNKS: usize = 1 << 19;

/// The message had been claimed by a dead consumer before.
const REDELIVERED: u64 = 1 << 63;
/// The words of the message did not match.
const TORN: u64 = 1 << 62;

/// The life that pushed a message, and the number of the message within that life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Id {
    pub(crate) life: usize,
    pub(crate) number: u64,
}

impl Id {
    const NUMBER: u32 = 24;

    fn bits(self) -> u64 {
        (self.life as u64) << Self::NUMBER | self.number
    }

    fn from_bits(bits: u64) -> Self {
        Self {
            life: (bits >> Self::NUMBER) as usize,
            number: bits & ((1 << Self::NUMBER) - 1),
        }
    }
}

/// The message with an id: every word of it depends on the id.
pub(crate) fn message<const N: usize>(id: Id) -> [u64; N] {
    array::from_fn(|index| word(id.bits(), index))
}

fn word(bits: u64, index: usize) -> u64 {
    let mixed = (bits ^ (index as u64) << 48).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    match index {
        // The id itself, under a checksum.
        0 => bits | mixed >> 40 << 40,
        _ => mixed,
    }
}

/// The ID of a message. `None` if the message is torn.
fn read<const N: usize>(message: &[u64; N]) -> Option<Id> {
    let bits = message[0] & ((1 << 40) - 1);
    let is_whole = (0..N).all(|index| message[index] == word(bits, index));
    is_whole.then(|| Id::from_bits(bits))
}

/// The record of one popped message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Note {
    pub(crate) id: Id,
    pub(crate) is_redelivered: bool,
    pub(crate) is_torn: bool,
}

impl Note {
    pub(crate) fn new<const N: usize>(message: &[u64; N], is_redelivered: bool) -> Self {
        let id = read(message);
        Self {
            id: id.unwrap_or(Id::from_bits(0)),
            is_redelivered,
            is_torn: id.is_none(),
        }
    }

    fn bits(self) -> u64 {
        let marks = [(self.is_redelivered, REDELIVERED), (self.is_torn, TORN)];
        let marks = marks.map(|(is_so, mark)| if is_so { mark } else { 0 });
        // Zero means that there is no note.
        (self.id.bits() + 1) | marks[0] | marks[1]
    }

    fn from_bits(bits: u64) -> Option<Self> {
        let id = (bits & !(REDELIVERED | TORN)).checked_sub(1)?;
        Some(Self {
            id: Id::from_bits(id),
            is_redelivered: bits & REDELIVERED != 0,
            is_torn: bits & TORN != 0,
        })
    }
}

/// The end of a life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Killed = 1,
    Left = 2,
}

/// An action of a participant other than a push or pop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Returned,
    /// Forked children count themselves, and then count those with a refused handle.
    Forked,
    Refused,
    Executed,
    /// Made the ring grow.
    Grew,
}

/// The order on which the participants leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Orders {
    ProducersLeave = 1,
    AllLeave = 2,
}

/// The log, in anonymous memory that forked children share. Pages are allocated on first use.
pub(crate) struct Log {
    words: &'static [AtomicU64],
}

impl Log {
    const WORDS: usize = CHUNKS_AT + CHUNKS * CHUNK;

    pub(crate) fn new() -> Self {
        let size = NonZeroUsize::new(Self::WORDS * 8).unwrap();
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        let flags = MapFlags::MAP_SHARED | MapFlags::MAP_NORESERVE;
        // SAFETY: a new mapping, at an address that the kernel chooses.
        let base = unsafe { mmap_anonymous(None, size, access, flags) }.unwrap();
        let words = base.cast::<AtomicU64>().as_ptr();
        // SAFETY: the memory is zeroed, stays mapped until the value is dropped, and is accessed
        // only as atomics.
        let words = unsafe { slice::from_raw_parts(words, Self::WORDS) };
        Self { words }
    }

    /// Stores without a fence: a fence here could hide one that the ring lacks. The store is
    /// visible even if the process is killed immediately afterwards.
    fn set(&self, at: usize, value: u64) {
        self.words[at].store(value, Release);
    }

    fn get(&self, at: usize) -> u64 {
        self.words[at].load(Acquire)
    }

    pub(crate) fn order(&self, orders: Orders) {
        self.set(0, orders as u64);
    }

    pub(crate) fn is_ordered(&self, orders: Orders) -> bool {
        self.words[0].load(Relaxed) >= orders as u64
    }

    pub(crate) fn count(&self, deed: Action) {
        self.words[ACTIONS_AT + deed as usize].fetch_add(1, SeqCst);
    }

    pub(crate) fn counted(&self, deed: Action) -> u64 {
        self.get(ACTIONS_AT + deed as usize)
    }

    pub(crate) fn life(&self, index: usize) -> Life<'_> {
        assert!(index < MAX_LIVES, "too many lives");
        Life {
            log: self,
            index,
            at: LIVES_AT + index * LIFE,
        }
    }

    /// The notes of each life, in the order in which it wrote them.
    pub(crate) fn notes(&self, lives: usize) -> Vec<Vec<Note>> {
        let mut notes = vec![Vec::new(); lives];
        let used = self.get(1) as usize;
        for chunk in 0..used {
            let words = &self.words[CHUNKS_AT + chunk * CHUNK..][..CHUNK];
            // The consumer was killed after it allocated the chunk and before it stored its life.
            let Some(life) = words[0].load(Acquire).checked_sub(1) else {
                continue;
            };
            let written = words[1..].iter().map(|word| word.load(Acquire));
            notes[life as usize].extend(written.map_while(Note::from_bits));
        }
        notes
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        let base = NonNull::from(self.words).cast();
        // SAFETY: this value owns the mapping, and no life borrows it here.
        unsafe { munmap(base, Self::WORDS * 8) }.unwrap();
    }
}

/// The record of one participant.
#[derive(Clone, Copy)]
pub(crate) struct Life<'l> {
    log: &'l Log,
    pub(crate) index: usize,
    at: usize,
}

macro_rules! words {
    ($($(#[$doc:meta])* $get:ident $set:ident $offset:literal;)*) => {$(
        $(#[$doc])*
        pub(crate) fn $get(&self) -> u64 {
            self.log.get(self.at + $offset)
        }

        pub(crate) fn $set(&self, value: u64) {
            self.log.set(self.at + $offset, value);
        }
    )*};
}

impl Life<'_> {
    words! {
        /// Whether it has claimed a seat.
        is_seated set_seated 0;
        /// The number of operations, by which the killer observes progress.
        progress set_progress 1;
        /// The number of pushes that have begun.
        begun set_begun 2;
        /// The number of pushes that have returned.
        done set_done 3;
        /// The most messages that the current pop may return.
        open set_open 4;
        fate_word set_fate_word 5;
    }

    pub(crate) fn step(&self) {
        self.set_progress(self.progress() + 1);
    }

    pub(crate) fn end(&self, fate: Fate) {
        self.set_fate_word(fate as u64);
    }

    pub(crate) fn was_killed(&self) -> bool {
        self.fate_word() == Fate::Killed as u64
    }

    /// The random numbers of a life.
    pub(crate) fn random(&self, seed: u64) -> Random {
        Random::new(seed << 32 | self.index as u64)
    }
}

/// The position in the log at which a consumer writes its notes.
pub(crate) struct NoteWriter<'l> {
    life: Life<'l>,
    next: usize,
    end: usize,
}

impl<'l> NoteWriter<'l> {
    pub(crate) fn new(life: Life<'l>) -> Self {
        Self {
            life,
            next: 0,
            end: 0,
        }
    }

    pub(crate) fn note(&mut self, note: Note) {
        let log = self.life.log;
        if self.next == self.end {
            let chunk = log.words[1].fetch_add(1, SeqCst) as usize;
            assert!(chunk < CHUNKS, "the log is full");
            let start = CHUNKS_AT + chunk * CHUNK;
            log.set(start, self.life.index as u64 + 1);
            (self.next, self.end) = (start + 1, start + CHUNK);
        }
        log.set(self.next, note.bits());
        self.next += 1;
        self.life.step();
    }
}
