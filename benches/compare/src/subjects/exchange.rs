//! The floors of the round trips: an exchange of cache lines, and an exchange of futex words
//! between processes that sleep.

use crate::instance::{ProcessLanes, Side};
use bench_support::{
    Board, CachePadded, Floor, Lane, Result, Shared, futex, now, share_with_forks,
};
use nix::libc::{FUTEX_WAIT, FUTEX_WAKE};
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

#[derive(Clone, Copy)]
pub(crate) enum Lines {
    One,
    Two,
}

pub(crate) struct Exchange(Lines, &'static Floor);

impl Exchange {
    pub(crate) fn new(lines: Lines) -> Result<Self> {
        Ok(Self(lines, share_with_forks()?))
    }
}

impl ProcessLanes for Exchange {
    fn lane(&self, side: Side) -> Result<Box<dyn Lane>> {
        let Self(lines, floor) = *self;
        Ok(Box::new(Exchanging { lines, floor, side }))
    }
}

struct Exchanging {
    lines: Lines,
    floor: &'static Floor,
    side: Side,
}

impl Exchanging {
    fn ping(&self, exchanges: u64) {
        match self.lines {
            Lines::One => self.floor.one_line(exchanges),
            Lines::Two => self.floor.two_lines(exchanges),
        };
    }
}

impl Lane for Exchanging {
    fn run(&mut self, board: &Board, messages: u64) -> Result<()> {
        match (self.side, self.lines) {
            (Side::Producer(_), _) => {
                board.start_clock();
                self.ping(messages);
                board.stop_clock(0);
            }
            (Side::Consumer(_), Lines::One) => self.floor.answer_one_line(messages),
            (Side::Consumer(_), Lines::Two) => self.floor.answer_two_lines(messages),
        }
        Ok(())
    }

    fn run_timed(&mut self, board: &Board, messages: u64, note: &mut dyn FnMut(u64)) -> Result<()> {
        if let Lines::One = self.lines {
            // The peer's numbers continue across exchanges, so a single one cannot be timed.
            return self.run(board, messages);
        }
        board.start_clock();
        for _ in 0..messages {
            note(self.floor.two_lines(1) as u64);
        }
        board.stop_clock(0);
        Ok(())
    }
}

/// One word in each direction.
#[repr(C)]
pub(crate) struct Words {
    there: CachePadded<AtomicU32>,
    back: CachePadded<AtomicU32>,
}

// SAFETY: every field is atomic, and all zeroes are a valid value.
unsafe impl Shared for Words {}

pub(crate) struct Futex(&'static Words);

impl Futex {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self(share_with_forks()?))
    }
}

impl ProcessLanes for Futex {
    fn lane(&self, side: Side) -> Result<Box<dyn Lane>> {
        Ok(Box::new(Sleeping {
            words: self.0,
            side,
        }))
    }
}

struct Sleeping {
    words: &'static Words,
    side: Side,
}

impl Sleeping {
    fn wake(word: &AtomicU32, number: u32) {
        word.store(number, Release);
        futex(word, FUTEX_WAKE, 1);
    }

    fn sleep_until(word: &AtomicU32, number: u32) {
        loop {
            let seen = word.load(Acquire);
            if seen == number {
                return;
            }
            futex(word, FUTEX_WAIT, seen);
        }
    }

    fn trip(&self) {
        let number = self.words.back.load(Relaxed).wrapping_add(1);
        Self::wake(&self.words.there, number);
        Self::sleep_until(&self.words.back, number);
    }
}

impl Lane for Sleeping {
    fn run(&mut self, board: &Board, messages: u64) -> Result<()> {
        if let Side::Producer(_) = self.side {
            board.start_clock();
            (0..messages).for_each(|_| self.trip());
            board.stop_clock(0);
            return Ok(());
        }
        for _ in 0..messages {
            let number = self.words.back.load(Relaxed).wrapping_add(1);
            Self::sleep_until(&self.words.there, number);
            Self::wake(&self.words.back, number);
        }
        Ok(())
    }

    fn run_timed(&mut self, board: &Board, messages: u64, note: &mut dyn FnMut(u64)) -> Result<()> {
        board.start_clock();
        let mut start = now();
        for _ in 0..messages {
            self.trip();
            let end = now();
            note(end - start);
            start = end;
        }
        board.stop_clock(0);
        Ok(())
    }
}
