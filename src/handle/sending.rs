//! How a producer finds room for the next message, waits for it, and goes on to the ring that follows.

use super::{Producer, Protocol, patiently};
use crate::attachment::Patience;
use crate::error::{Broken, Corrupt, Disconnected, PushError, Refused, TooLong};
use crate::message::Message;
use crate::ring::{PushSide, Words};
use crate::sync::Bytes;
use crate::sys::clock::Instant;
use core::hint::spin_loop;

/// How often a producer that finds the ring full pauses for a run of free slots before it takes any. What it would
/// push comes after all that is in the ring.
const HEAD_START: u32 = 400;

impl<M: Message + ?Sized, P: Protocol> Producer<M, P> {
    #[inline(always)]
    pub(super) fn fits(&self, message: &M) -> Result<(), TooLong> {
        fits(message, self.message_size)
    }

    pub(super) fn admit(&self) -> Result<(), Broken> {
        self.end.admit()
    }

    /// Makes sure of a free slot, and of up to `most` at once.
    #[inline(always)]
    pub(super) fn room(&mut self, patience: Patience, most: usize) -> Result<(), Refused> {
        self.end.admit()?;
        if !self.end.is_open() {
            self.follow(patience.deadline())?;
        }
        if self.look(most)? {
            return Ok(());
        }
        self.room_later(patience, most)
    }

    /// Goes on to the ring that follows, if one does and this one has ended or can be ended. Says whether it has.
    #[cold]
    #[inline(never)]
    fn follow(&mut self, deadline: Option<Instant>) -> Result<bool, Refused> {
        let mut has_moved = false;
        loop {
            // In a ring that is closed as well nobody goes on: those who close the next one may not have come to it.
            if self.end.is_closed() {
                return Err(Disconnected::Closed.into());
            }
            let may_end = P::Writer::IS_SHARED || self.end.is_followed();
            if !may_end || self.writer.is_holding() {
                return Ok(has_moved);
            }
            match self.writer.pass(&self.end.station().for_pushing()) {
                Ok(true) => self.announce(),
                Ok(false) => return Ok(has_moved),
                Err(corrupt) => return Err(self.end.distrust(corrupt).into()),
            }
            if self.end.move_on(deadline)? {
                let begun = P::Writer::resume(&self.end.station().for_pushing());
                self.writer = begun.map_err(|corrupt| self.end.distrust(corrupt))?;
                has_moved = true;
            }
        }
    }

    #[inline(always)]
    pub(super) fn look(&mut self, most: usize) -> Result<bool, Refused> {
        let words = self.end.station().for_pushing();
        match self.writer.claim(&words, most as u64) {
            Ok(free) => Ok(free),
            Err(corrupt) => Err(self.end.distrust(corrupt).into()),
        }
    }

    #[inline(never)]
    fn room_later(&mut self, patience: Patience, most: usize) -> Result<(), Refused> {
        let deadline = patience.deadline();
        loop {
            if self.follow(deadline)? && self.look(most)? {
                return Ok(());
            }
            let spins = self.end.spins(deadline);
            // Who was only slower than another has nothing to wait for; and nobody sleeps before a look.
            let head_start = match self.writer.is_holding() || self.is_due() {
                true => 0,
                false => HEAD_START.min(spins.saturating_sub(1)),
            };
            for pause in 0..spins {
                spin_loop();
                if (pause >= head_start || self.has_run()) && self.look(most)? {
                    return Ok(());
                }
            }
            let station = *self.end.station();
            let is_due = || self.writer.is_holding() || self.writer.is_due(&station.for_pushing());
            let has_slept = self.end.wait(deadline, most, is_due)?;
            // In a ring that is to end, and is full all the time, its end comes first.
            let has_moved = self.follow(deadline)?;
            if self.look(most)? {
                // The wake-up may have been for the slot after this one.
                if has_slept && !has_moved && P::Writer::IS_SHARED && self.is_due() {
                    self.end.pass_on();
                }
                return Ok(());
            }
            if !P::Writer::IS_SHARED && !has_moved {
                // Nobody takes a free slot away: who saw it free and then full looks at a forgery.
                return Err(self.end.distrust(Corrupt).into());
            }
            // What was due was another one's in the end; that may go on for ever.
            if deadline.is_none_or(|deadline| Instant::now() >= deadline) {
                return Err(Refused::NotNow);
            }
        }
    }

    fn has_run(&self) -> bool {
        self.writer.has_run(&self.end.station().for_pushing())
    }

    pub(super) fn is_due(&self) -> bool {
        self.writer.is_due(&self.end.station().for_pushing())
    }

    /// Pushes a message that fits, if nothing stands in the way; says nothing of what does.
    #[inline(always)]
    pub(super) fn send_now(&mut self, message: &M) -> bool {
        if self.end.admit().is_err() || !self.end.is_open() {
            return false;
        }
        let header = self.end.view().header();
        // SAFETY: the ring was opened for the shape of `M`.
        let slots = unsafe { self.end.view().slots().known(M::SPACING) };
        let words = Words {
            slots: &slots,
            ..self.end.station().for_pushing()
        };
        let is_sent = self.writer.send_one(&words, |slot| {
            // SAFETY: the ring was opened for the shape of `M`, the claimed slot is this
            // producer's alone, and the message was found to fit.
            unsafe { message.store(slot) }
            message.wire_len() as u32
        });
        if is_sent {
            header.not_empty.0.notify(self.end.fences());
        }
        is_sent
    }

    #[inline(never)]
    pub(super) fn send_later(&mut self, message: &M, patience: Patience) -> Result<(), Refused> {
        self.end.admit()?;
        if !self.end.is_open() {
            self.follow(patience.deadline())?;
        }
        // Who has the slots to itself looks only here. Who shares them has looked: another look at once
        // would take the line away from who is about to free the slot.
        if P::Writer::IS_SHARED || !self.look(1)? {
            self.room_later(patience, 1)?;
        }
        // SAFETY: as for `send_now`.
        unsafe { message.store(self.payload()) }
        self.commit(message.wire_len() as u32);
        Ok(())
    }

    #[cold]
    #[inline(never)]
    pub(super) fn send_patiently(&mut self, message: &M) -> Result<(), PushError> {
        Ok(patiently(|| self.send_later(message, Patience::Forever))?)
    }

    /// Whether slots can be reached: not in a forked child.
    #[inline(always)]
    pub(super) fn is_here(&self) -> bool {
        self.end.admit().is_ok()
    }

    /// The payload of the next slot, which was claimed.
    #[inline(always)]
    pub(super) fn payload(&self) -> Bytes {
        self.writer
            .slot(&self.end.station().for_pushing())
            .payload()
    }

    /// Publishes what was written there.
    #[inline(always)]
    pub(super) fn commit(&mut self, len: u32) {
        self.writer.publish(&self.end.station().for_pushing(), len);
        self.announce();
    }

    /// Lets others know of what was published.
    #[inline(always)]
    pub(super) fn announce(&self) {
        let words = self.end.station().for_pushing();
        self.writer.tell(&words);
        let header = self.end.view().header();
        header.not_empty.0.notify(self.end.fences());
    }

    /// Gives up what was claimed and not published.
    #[inline(always)]
    pub(super) fn abandon(&mut self) {
        let tombstones = self.writer.abandon(&self.end.station().for_pushing());
        if tombstones > 0 {
            self.end.tell_of_tombstones(tombstones);
        }
    }
}

#[inline(always)]
pub(super) fn fits<M: Message + ?Sized>(message: &M, size: u32) -> Result<(), TooLong> {
    if message.fits(size) {
        Ok(())
    } else {
        Err(TooLong {
            len: message.wire_len(),
            max: size as usize,
        })
    }
}
