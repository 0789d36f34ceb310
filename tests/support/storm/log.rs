//! What the participants note, in memory that outlives them: each message before anything is
//! done about it.

use crate::support::Dice;
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, munmap};
use std::array;
use std::num::NonZeroUsize;
use std::ptr::NonNull;
use std::slice;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};

/// Lives that one storm has room for.
pub(crate) const MOST_LIVES: usize = 1 << 14;
/// Words of a life: a line to itself, so that nobody waits for another's notes.
const LIFE: usize = 16;
const LIVES_AT: usize = 16;
/// Counts of what participants did besides.
const DEEDS_AT: usize = 2;
const CHUNKS_AT: usize = LIVES_AT + MOST_LIVES * LIFE;
/// Words that a consumer gets at once to write its notes into. The first says whose they are.
const CHUNK: usize = 512;
const CHUNKS: usize = 1 << 19;

/// The message had been in a dead consumer's hands before.
const REDELIVERED: u64 = 1 << 63;
/// The message was not whole.
const TORN: u64 = 1 << 62;

/// Who pushed a message, and its number among the pusher's own.
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

/// The id of a message, unless it is not whole.
fn read<const N: usize>(message: &[u64; N]) -> Option<Id> {
    let bits = message[0] & ((1 << 40) - 1);
    let is_whole = (0..N).all(|index| message[index] == word(bits, index));
    is_whole.then(|| Id::from_bits(bits))
}

/// One taken message.
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
        // Not zero, which is no note.
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

/// How a life ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Killed = 1,
    Left = 2,
}

/// What a participant does besides pushing or popping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    Returned,
    /// As forked children count themselves, and those of them whose handle was refused.
    Forked,
    Refused,
    Executed,
    /// Had the ring grow.
    Grew,
}

/// Until when the participants go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Orders {
    ProducersLeave = 1,
    AllLeave = 2,
}

/// Notes in anonymous memory, shared with forked children. Pages are there once they are used.
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
        // SAFETY: mapped until the value is dropped, of zeroes, accessed only as atomics.
        let words = unsafe { slice::from_raw_parts(words, Self::WORDS) };
        Self { words }
    }

    /// No fence goes with a note, which would stand in for one that the ring lacks. What a
    /// process has stored is seen even if it is killed at once.
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

    pub(crate) fn count(&self, deed: Deed) {
        self.words[DEEDS_AT + deed as usize].fetch_add(1, SeqCst);
    }

    pub(crate) fn counted(&self, deed: Deed) -> u64 {
        self.get(DEEDS_AT + deed as usize)
    }

    pub(crate) fn life(&self, index: usize) -> Life<'_> {
        assert!(index < MOST_LIVES, "too many lives");
        Life {
            log: self,
            index,
            at: LIVES_AT + index * LIFE,
        }
    }

    /// What each life noted, in its order.
    pub(crate) fn notes(&self, lives: usize) -> Vec<Vec<Note>> {
        let mut notes = vec![Vec::new(); lives];
        let used = self.get(1) as usize;
        for chunk in 0..used {
            let words = &self.words[CHUNKS_AT + chunk * CHUNK..][..CHUNK];
            // Who was killed just here took a chunk and did not say so.
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
        // SAFETY: the mapping is the value's own, and no life borrows it any more.
        unsafe { munmap(base, Self::WORDS * 8) }.unwrap();
    }
}

/// The words of one participant.
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
        /// Whether it has got its seat.
        is_seated set_seated 0;
        /// Operations, for who wants to know whether it does anything.
        progress set_progress 1;
        /// Messages of which the push had begun.
        begun set_begun 2;
        /// Messages of which the push had returned.
        done set_done 3;
        /// The most messages that the pop may take that is under way.
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

    /// The randomness of a life: its own.
    pub(crate) fn dice(&self, seed: u64) -> Dice {
        Dice::new(seed << 32 | self.index as u64)
    }
}

/// Where a consumer writes its notes.
pub(crate) struct Pen<'l> {
    life: Life<'l>,
    next: usize,
    end: usize,
}

impl<'l> Pen<'l> {
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
