//! How a consumer finds the next message, waits for it, and goes on to the ring that follows.

use super::{Consumer, Protocol, patiently};
use crate::attachment::Patience;
use crate::error::{Broken, Corrupt, PopError, Refused};
use crate::message::{Message, Payload};
use crate::ring::slot::{MOVED, TOMBSTONE};
use crate::ring::{PopSide, Words};
use crate::sync::{Acquire, Bytes};
use crate::sys::clock::Instant;
use core::hint::spin_loop;

impl<M: Message + ?Sized, P: Protocol> Consumer<M, P> {
    pub(super) fn admit(&self) -> Result<(), Broken> {
        self.end.admit()
    }

    /// The length of the next message, and up to `most` taken at once.
    #[inline(always)]
    pub(super) fn next(&mut self, patience: Patience, most: usize) -> Result<u32, Refused> {
        self.end.admit()?;
        if let Some(len) = self.look(most)? {
            return Ok(len);
        }
        let deadline = patience.deadline();
        self.next_later(deadline, most, self.end.spins(deadline))
    }

    #[inline(always)]
    pub(super) fn look(&mut self, most: usize) -> Result<Option<u32>, Refused> {
        let words = self.end.station().for_popping();
        match self.reader.take(&words, most as u64) {
            Ok(Some(len)) if !M::can_have(len, self.message_size) => self.look_past(len, most),
            Ok(next) => Ok(next),
            Err(corrupt) => Err(self.end.distrust(corrupt).into()),
        }
    }

    /// Skips tombstones, at most a lap of them.
    #[cold]
    #[inline(never)]
    fn look_past(&mut self, mut len: u32, most: usize) -> Result<Option<u32>, Refused> {
        let mut left = self.capacity();
        loop {
            if !P::Reader::IS_SHARED && len == MOVED && self.end.is_followed() {
                return Ok(None);
            }
            if !P::Reader::IS_SHARED || len != TOMBSTONE {
                return Err(self.end.distrust(Corrupt).into());
            }
            self.release();
            left -= 1;
            // Nothing more is taken only to be held.
            if left == 0 {
                return Ok(None);
            }
            let words = self.end.station().for_popping();
            match self.reader.take(&words, most as u64) {
                Ok(Some(next)) if !M::can_have(next, self.message_size) => len = next,
                Ok(next) => return Ok(next),
                Err(corrupt) => return Err(self.end.distrust(corrupt).into()),
            }
        }
    }

    /// As [`next`](Self::next), where it was not there: looks `spins` times, which whoever has looked before
    /// need not do again, and then asks for more than the message.
    #[inline(never)]
    fn next_later(
        &mut self,
        deadline: Option<Instant>,
        most: usize,
        mut spins: u32,
    ) -> Result<u32, Refused> {
        // Inherited, put back, or a tombstone: it comes first, and who still has it adopts nothing.
        if self.reader.is_holding() {
            if let Some(len) = self.look(most)? {
                return Ok(len);
            }
            // A lap of tombstones, and there are more.
            if deadline.is_none() && self.is_due() {
                return Err(Refused::NotNow);
            }
            spins = self.end.spins(deadline);
        }
        loop {
            if self.has_passed() && self.follow(deadline)? {
                if let Some(len) = self.look(most)? {
                    return Ok(len);
                }
                spins = self.end.spins(deadline);
            }
            for _ in 0..spins {
                spin_loop();
                if let Some(len) = self.look(most)? {
                    return Ok(len);
                }
            }
            spins = self.end.spins(deadline);
            let station = *self.end.station();
            let words = station.for_popping();
            let is_followed = || station.view().successor().load(Acquire) != 0; // G
            let is_due = || {
                self.reader.is_holding()
                    || self.reader.is_due(&words)
                    || is_followed() && self.reader.has_passed(&words)
            };
            let has_slept = self.end.wait(deadline, most, is_due)?;
            if let Some(run) = self.end.take_inherited() {
                self.reader.inherit(run);
            }
            let has_moved = self.has_passed() && self.follow(deadline)?;
            if let Some(len) = self.look(most)? {
                // The wake-up may have been for the message after this one, or the end of the ring.
                if has_slept && P::Reader::IS_SHARED && (self.is_due() || self.has_passed()) {
                    self.end.pass_on();
                }
                return Ok(len);
            }
            if !P::Reader::IS_SHARED && !has_moved {
                // Nobody takes a message back: who saw it and then none looks at a forgery.
                return Err(self.end.distrust(Corrupt).into());
            }
            // What was due was another one's in the end, or no message; that may go on for ever.
            if deadline.is_none_or(|deadline| Instant::now() >= deadline) {
                return Err(Refused::NotNow);
            }
        }
    }

    /// Whether another ring follows, and nothing is left to be taken from this one.
    pub(super) fn has_passed(&self) -> bool {
        self.end.is_followed()
            && !self.reader.is_holding()
            && self.reader.has_passed(&self.end.station().for_popping())
    }

    /// Goes on to the ring that follows, from one of which nothing is left. Says whether it has.
    #[cold]
    #[inline(never)]
    fn follow(&mut self, deadline: Option<Instant>) -> Result<bool, Refused> {
        let mut has_moved = false;
        while self.has_passed() {
            if self.end.move_on(deadline)? {
                let begun = P::Reader::resume(&self.end.station().for_popping());
                self.reader = begun.map_err(|corrupt| self.end.distrust(corrupt))?;
                has_moved = true;
            }
        }
        Ok(has_moved)
    }

    /// Pops the next message, as what `read` makes of it, if nothing stands in the way; says
    /// nothing of what does.
    #[inline(always)]
    pub(super) fn receive_now<R>(&mut self, read: impl FnOnce(Payload<'_, M>) -> R) -> Option<R> {
        if self.end.admit().is_err() {
            return None;
        }
        let header = self.end.view().header();
        // SAFETY: the ring was opened for the shape of `M`.
        let slots = unsafe { self.end.view().slots().known(M::SPACING) };
        let words = Words {
            slots: &slots,
            ..self.end.station().for_popping()
        };
        let message = self.reader.receive_one(&words, |slot, len| {
            // SAFETY: the ring was opened for the shape of `M`; `read` is done with the payload
            // when it returns.
            unsafe { Payload::new(slot, len, self.message_size) }.map(read)
        });
        if message.is_some() {
            header.not_full.0.notify(self.end.fences());
        }
        message
    }

    /// As [`receive_now`](Self::receive_now), as often as a wait begins with looks; not without a pause, which would take the line away
    /// from who is about to fill the slot. Whoever waits for an answer waits for all that lies between the look
    /// that finds it and the return, so it is the short way that looks.
    #[inline(always)]
    fn receive_soon<R>(
        &mut self,
        deadline: Option<Instant>,
        read: &mut impl FnMut(Payload<'_, M>) -> R,
    ) -> Option<R> {
        for _ in 0..self.end.spins(deadline) {
            spin_loop();
            let message = self.receive_now(&mut *read);
            if message.is_some() || self.reader.is_holding() {
                return message;
            }
        }
        None
    }

    #[cold]
    #[inline(never)]
    pub(super) fn receive_later<R>(
        &mut self,
        patience: Patience,
        mut read: impl FnMut(Payload<'_, M>) -> R,
    ) -> Result<R, Refused> {
        self.end.admit()?;
        let deadline = patience.deadline();
        match self.receive_soon(deadline, &mut read) {
            Some(message) => Ok(message),
            None => self.receive_at_last(deadline, read),
        }
    }

    /// Not by way of [`receive_later`](Self::receive_later): the message would go through memory once more.
    #[cold]
    #[inline(never)]
    pub(super) fn receive_patiently<R>(
        &mut self,
        mut read: impl FnMut(Payload<'_, M>) -> R,
    ) -> Result<R, PopError> {
        self.end.admit()?;
        let deadline = Patience::Forever.deadline();
        match self.receive_soon(deadline, &mut read) {
            Some(message) => Ok(message),
            None => Ok(patiently(|| self.receive_at_last(deadline, &mut read))?),
        }
    }

    #[inline(never)]
    fn receive_at_last<R>(
        &mut self,
        deadline: Option<Instant>,
        read: impl FnOnce(Payload<'_, M>) -> R,
    ) -> Result<R, Refused> {
        let len = self.next_later(deadline, 1, 0)?;
        // SAFETY: as for `receive_now`.
        let next = unsafe { Payload::new(self.payload(), len, self.message_size) };
        let message = next.map(read).ok_or(Refused::NotNow)?;
        self.release();
        Ok(message)
    }

    pub(super) fn is_due(&self) -> bool {
        self.reader.is_due(&self.end.station().for_popping())
    }

    /// The payload of the next slot that was taken.
    #[inline(always)]
    pub(super) fn payload(&self) -> Bytes {
        self.reader
            .slot(&self.end.station().for_popping())
            .payload()
    }

    /// Whether slots can be reached: not in a forked child.
    #[inline(always)]
    pub(super) fn is_here(&self) -> bool {
        self.end.admit().is_ok()
    }

    /// Gives the next slot that was taken back, and says so.
    #[inline(always)]
    pub(super) fn release(&mut self) {
        self.reader.release(&self.end.station().for_popping());
        self.announce();
    }

    /// Lets others know of what was given back.
    #[inline(always)]
    pub(super) fn announce(&self) {
        let words = self.end.station().for_popping();
        self.reader.tell(&words);
        let header = self.end.view().header();
        header.not_full.0.notify(self.end.fences());
    }
}
