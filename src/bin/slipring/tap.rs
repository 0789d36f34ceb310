//! `slipring tap`.

use super::args::Tap;
use super::failure::Failure;
use super::{output, rings, signals};
use slipring::{Observer, Peek};
use std::fmt::Write;
use std::thread;
use std::time::Duration;

/// How often to look.
const TICK: Duration = Duration::from_millis(10);
const TICKS_PER_SECOND: u32 = 100;

/// How many bytes of a message to show.
const SHOWN: usize = 32;

pub(crate) fn run(asked: &Tap) -> Result<(), Failure> {
    signals::heed_endings();
    let observer = rings::open(&asked.ring)?;
    let mut watch = Watch {
        next: positions(asked, &observer)?.0,
        seen: 0,
        missed: 0,
    };
    let mut budget = 0;
    let is_over = |watch: &Watch| asked.count.is_some_and(|count| watch.seen >= count);
    while signals::received().is_none() && !is_over(&watch) {
        // What was saved up while nothing came is not spent in one go.
        budget = (budget + asked.rate).min(asked.rate.max(TICKS_PER_SECOND));
        let (head, tail) = positions(asked, &observer)?;
        let mut text = String::new();
        watch.skip_to(head, tail);
        while watch.next != tail && budget >= TICKS_PER_SECOND && !is_over(&watch) {
            budget -= TICKS_PER_SECOND;
            if !watch.look(asked, &observer, &mut text)? {
                break;
            }
        }
        output::print(&text)?;
        if !is_over(&watch) {
            thread::sleep(TICK);
        }
    }
    eprintln!("slipring: {} seen, {} missed", watch.seen, watch.missed);
    Ok(())
}

fn positions(asked: &Tap, observer: &Observer) -> Result<(u64, u64), Failure> {
    let positions = observer.positions();
    positions.map_err(|error| Failure::of(&asked.ring, error))
}

struct Watch {
    /// The position to be looked at next.
    next: u64,
    seen: u64,
    missed: u64,
}

impl Watch {
    /// Passes over what is gone.
    fn skip_to(&mut self, head: u64, tail: u64) {
        let behind = head.wrapping_sub(self.next);
        if behind <= u64::MAX / 2 {
            self.missed = self.missed.saturating_add(behind);
            self.next = head;
        } else if tail.wrapping_sub(self.next) > u64::MAX / 2 {
            // Whatever stood there, it was no position.
            self.next = tail;
        }
    }

    /// Looks at the next position; `false` if it is not filled yet.
    fn look(
        &mut self,
        asked: &Tap,
        observer: &Observer,
        text: &mut String,
    ) -> Result<bool, Failure> {
        let mut message = Vec::new();
        let peeked = observer.peek(self.next, &mut message);
        match peeked.map_err(|error| Failure::of(&asked.ring, error))? {
            Peek::NotYet => return Ok(false),
            Peek::Message => {
                self.seen += 1;
                show(text, self.next, &message);
            }
            Peek::Gone => self.missed += 1,
            // A tombstone.
            _ => {}
        }
        self.next = self.next.wrapping_add(1);
        Ok(true)
    }
}

fn show(text: &mut String, position: u64, message: &[u8]) {
    let shown = &message[..message.len().min(SHOWN)];
    let more = if message.len() > SHOWN { "…" } else { "" };
    let hex: Vec<_> = shown.iter().map(|byte| format!("{byte:02x}")).collect();
    let letters: String = shown.iter().map(|&byte| letter(byte)).collect();
    let len = message.len();
    let _ = writeln!(
        text,
        "{position}  {len}  {}{more}  |{letters}{more}|",
        hex.join(" ")
    );
}

fn letter(byte: u8) -> char {
    match byte {
        b' '..=b'~' => byte.into(),
        _ => '.',
    }
}
