//! `slipring tap`.

use super::args::Tap;
use super::failure::Failure;
use super::{discover, output, signals};
use slipring::{Observer, Peek};
use std::fmt::Write;
use std::thread;
use std::time::Duration;

/// Time between two reads of the positions.
const TICK: Duration = Duration::from_millis(10);
const TICKS_PER_SECOND: u32 = 100;

/// Number of bytes of a message that are shown.
const SHOWN: usize = 32;

pub(crate) fn run(args: &Tap) -> Result<(), Failure> {
    signals::catch_termination();
    let observer = discover::open(&args.ring)?;
    let mut cursor = Cursor {
        next: positions(args, &observer)?.0,
        seen: 0,
        missed: 0,
    };
    let mut budget = 0;
    let is_over = |cursor: &Cursor| args.count.is_some_and(|count| cursor.seen >= count);
    while signals::received().is_none() && !is_over(&cursor) {
        // The budget is limited, so that an idle period does not permit a burst.
        budget = (budget + args.rate).min(args.rate.max(TICKS_PER_SECOND));
        let (head, tail) = positions(args, &observer)?;
        let mut text = String::new();
        cursor.skip_to(head, tail);
        while cursor.next != tail && budget >= TICKS_PER_SECOND && !is_over(&cursor) {
            budget -= TICKS_PER_SECOND;
            if !cursor.advance(args, &observer, &mut text)? {
                break;
            }
        }
        output::print(&text)?;
        if !is_over(&cursor) {
            thread::sleep(TICK);
        }
    }
    eprintln!("slipring: {} seen, {} missed", cursor.seen, cursor.missed);
    Ok(())
}

fn positions(args: &Tap, observer: &Observer) -> Result<(u64, u64), Failure> {
    let positions = observer.positions();
    positions.map_err(|error| Failure::of(&args.ring, error))
}

struct Cursor {
    /// The next position to show.
    next: u64,
    seen: u64,
    missed: u64,
}

impl Cursor {
    /// Skips positions that left the ring.
    fn skip_to(&mut self, head: u64, tail: u64) {
        let behind = head.wrapping_sub(self.next);
        if behind <= u64::MAX / 2 {
            self.missed = self.missed.saturating_add(behind);
            self.next = head;
        } else if tail.wrapping_sub(self.next) > u64::MAX / 2 {
            // The value was beyond the tail, and never a valid position.
            self.next = tail;
        }
    }

    /// Shows the message at the next position. Returns `false` if it is not published yet.
    fn advance(
        &mut self,
        args: &Tap,
        observer: &Observer,
        text: &mut String,
    ) -> Result<bool, Failure> {
        let mut message = Vec::new();
        let peeked = observer.peek(self.next, &mut message);
        match peeked.map_err(|error| Failure::of(&args.ring, error))? {
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
    let text_column: String = shown.iter().map(|&byte| letter(byte)).collect();
    let len = message.len();
    let _ = writeln!(
        text,
        "{position}  {len}  {}{more}  |{text_column}{more}|",
        hex.join(" ")
    );
}

fn letter(byte: u8) -> char {
    match byte {
        b' '..=b'~' => byte.into(),
        _ => '.',
    }
}
