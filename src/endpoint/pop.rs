//! The engine of a consumer: claims messages, reads and releases their slots, waits for messages,
//! and follows the ring into its next segment.
//!
//! A pop tries in this order: [`pop_fast`](PopEndpoint::pop_fast) makes one attempt;
//! [`pop_spinning`](PopEndpoint::pop_spinning) repeats it with pauses;
//! [`pop_waiting`](PopEndpoint::pop_waiting) checks the peers and sleeps.

#![allow(unsafe_code)]

use super::shared::Endpoint;
use super::wait::{WaitLimit, retry_until_done};
use crate::error::{AttachError, Corrupt, EndpointError, PopError, Refusal};
use crate::message::{Message, Payload};
use crate::open::TypedRing;
use crate::protocol::Protocol;
use crate::ring::slot::{SEGMENT_END, TOMBSTONE};
use crate::ring::{PopSide, Words};
use crate::role::Role;
use crate::sync::{Acquire, Bytes};
use crate::sys::clock::Instant;
use core::cell::Cell;
use core::fmt;
use core::hint::spin_loop;
use core::marker::PhantomData;

/// A consumer's endpoint, for messages of type `M`.
pub(crate) struct PopEndpoint<M: Message + ?Sized, P: Protocol> {
    reader: P::Reader,
    message_size: u32,
    endpoint: Endpoint,
    messages: PhantomData<fn(&M)>,
    // One thread at a time uses a handle, and what borrows from it.
    not_sync: PhantomData<Cell<()>>,
}

impl<M: Message + ?Sized, P: Protocol> PopEndpoint<M, P> {
    pub(crate) fn attach(ring: &TypedRing<M, P>) -> Result<Self, AttachError> {
        let mut endpoint = Endpoint::attach(ring.open_ring(), Role::Consumer)?;
        let mut reader = P::Reader::resume(&endpoint.words().pop_words())?;
        if let Some(run) = endpoint.take_adopted() {
            reader.adopt(run);
        }
        Ok(Self {
            reader,
            message_size: ring.open_ring().geometry().shape.size,
            endpoint,
            messages: PhantomData,
            not_sync: PhantomData,
        })
    }

    #[inline(always)]
    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    pub(crate) fn reader(&self) -> &P::Reader {
        &self.reader
    }

    /// The next position that a pop claims, as far as is known.
    pub(crate) fn next_position(&self) -> u64 {
        self.reader.next(&self.endpoint.words().pop_words())
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.reader.is_ready(&self.endpoint.words().pop_words())
    }

    pub(crate) fn has_claim(&self) -> bool {
        self.reader.has_claim()
    }

    /// Whether another segment follows, and nothing is left to claim in this one.
    pub(crate) fn is_past_end(&self) -> bool {
        self.endpoint.has_next_segment()
            && !self.reader.has_claim()
            && self.reader.is_past_end(&self.endpoint.words().pop_words())
    }

    /// Pops the next message, as what `read` makes of it, if one is ready and nothing else needs
    /// attention. `None` does not tell the reason: [`pop_slow`](Self::pop_slow) finds it.
    #[inline(always)]
    pub(crate) fn pop_fast<R>(&mut self, read: impl FnOnce(Payload<'_, M>) -> R) -> Option<R> {
        if !self.endpoint.is_usable() {
            return None;
        }
        let header = self.endpoint.view().header();
        let words = self.endpoint.words().pop_words();
        // SAFETY: a `TypedRing` has slots for `M`.
        let slots = unsafe { words.slots.with_layout(M::LAYOUT) };
        let words = Words {
            slots: &slots,
            ..words
        };
        let message = self.reader.pop_one(&words, |slot, len| {
            // SAFETY: a `TypedRing` has slots for `M`; `read` has copied the payload when it
            // returns.
            unsafe { Payload::new(slot, len, self.message_size) }.map(read)
        });
        if message.is_some() {
            header.not_full.0.notify(self.endpoint.fences());
        }
        message
    }

    /// Repeats [`pop_fast`](Self::pop_fast) as often as a wait begins with attempts. A pause
    /// precedes each: without one, the attempt takes the cache line from the producer that is about
    /// to fill the slot. The attempt that succeeds is the short path, because its instructions add
    /// to the latency.
    #[inline(always)]
    fn pop_spinning<R>(
        &mut self,
        deadline: Option<Instant>,
        read: &mut impl FnMut(Payload<'_, M>) -> R,
    ) -> Option<R> {
        for _ in 0..self.endpoint.spins(deadline) {
            spin_loop();
            let message = self.pop_fast(&mut *read);
            if message.is_some() || self.reader.has_claim() {
                return message;
            }
        }
        None
    }

    /// Pops the next message, and waits for it within the limit.
    #[cold]
    #[inline(never)]
    pub(crate) fn pop_slow<R>(
        &mut self,
        limit: WaitLimit,
        mut read: impl FnMut(Payload<'_, M>) -> R,
    ) -> Result<R, Refusal> {
        self.endpoint.check_usable()?;
        let deadline = limit.deadline();
        match self.pop_spinning(deadline, &mut read) {
            Some(message) => Ok(message),
            None => self.pop_waiting(deadline, read),
        }
    }

    /// Not by way of [`pop_slow`](Self::pop_slow), which would copy the message once more.
    #[cold]
    #[inline(never)]
    pub(crate) fn pop_blocking<R>(
        &mut self,
        mut read: impl FnMut(Payload<'_, M>) -> R,
    ) -> Result<R, PopError> {
        self.endpoint.check_usable()?;
        let deadline = WaitLimit::Forever.deadline();
        match self.pop_spinning(deadline, &mut read) {
            Some(message) => Ok(message),
            None => Ok(retry_until_done(|| self.pop_waiting(deadline, &mut read))?),
        }
    }

    #[inline(never)]
    fn pop_waiting<R>(
        &mut self,
        deadline: Option<Instant>,
        read: impl FnOnce(Payload<'_, M>) -> R,
    ) -> Result<R, Refusal> {
        let len = self.claim_waiting(deadline, 1, 0)?;
        // SAFETY: as in `pop_fast`.
        let next = unsafe { Payload::new(self.payload(), len, self.message_size) };
        let message = next.map(read).ok_or(Refusal::NotReady)?;
        self.release();
        Ok(message)
    }

    /// Claims one message, and up to `max` at once, and waits for the first within the limit.
    /// Returns its length.
    #[inline(always)]
    pub(crate) fn claim(&mut self, limit: WaitLimit, max: usize) -> Result<u32, Refusal> {
        self.endpoint.check_usable()?;
        if let Some(len) = self.try_claim(max)? {
            return Ok(len);
        }
        let deadline = limit.deadline();
        self.claim_waiting(deadline, max, self.endpoint.spins(deadline))
    }

    #[inline(always)]
    fn try_claim(&mut self, max: usize) -> Result<Option<u32>, Refusal> {
        let words = self.endpoint.words().pop_words();
        match self.reader.claim(&words, max as u64) {
            Ok(Some(len)) if !M::can_have(len, self.message_size) => self.skip_tombstones(len, max),
            Ok(next) => Ok(next),
            Err(corrupt) => Err(self.endpoint.poison(corrupt).into()),
        }
    }

    /// Releases tombstones, at most a lap of them, and claims what follows.
    #[cold]
    #[inline(never)]
    fn skip_tombstones(&mut self, mut len: u32, max: usize) -> Result<Option<u32>, Refusal> {
        let mut left = self.endpoint.capacity();
        loop {
            if !P::Reader::IS_SHARED && len == SEGMENT_END && self.endpoint.has_next_segment() {
                return Ok(None);
            }
            if !P::Reader::IS_SHARED || len != TOMBSTONE {
                return Err(self.endpoint.poison(Corrupt).into());
            }
            self.release();
            left -= 1;
            // Before another claim, which would be held without need.
            if left == 0 {
                return Ok(None);
            }
            let words = self.endpoint.words().pop_words();
            match self.reader.claim(&words, max as u64) {
                Ok(Some(next)) if !M::can_have(next, self.message_size) => len = next,
                Ok(next) => return Ok(next),
                Err(corrupt) => return Err(self.endpoint.poison(corrupt).into()),
            }
        }
    }

    /// Makes `spins` attempts, then waits. A caller that has made its attempts passes 0.
    #[inline(never)]
    fn claim_waiting(
        &mut self,
        deadline: Option<Instant>,
        max: usize,
        mut spins: u32,
    ) -> Result<u32, Refusal> {
        // Adopted, put back, or a tombstone: it comes first, and a consumer with a claim adopts
        // nothing.
        if self.reader.has_claim() {
            if let Some(len) = self.try_claim(max)? {
                return Ok(len);
            }
            // A whole lap of tombstones was released, and more may follow.
            if deadline.is_none() && self.is_ready() {
                return Err(Refusal::NotReady);
            }
            spins = self.endpoint.spins(deadline);
        }
        loop {
            if self.is_past_end() && self.follow_growth(deadline)? {
                if let Some(len) = self.try_claim(max)? {
                    return Ok(len);
                }
                spins = self.endpoint.spins(deadline);
            }
            for _ in 0..spins {
                spin_loop();
                if let Some(len) = self.try_claim(max)? {
                    return Ok(len);
                }
            }
            spins = self.endpoint.spins(deadline);
            let reader = &self.reader;
            let has_slept = self.endpoint.wait(deadline, max, |view| {
                let words = view.pop_words();
                let has_next_segment = || view.view().next_segment().load(Acquire) != 0; // G
                reader.has_claim()
                    || reader.is_ready(&words)
                    || has_next_segment() && reader.is_past_end(&words)
            })?;
            if let Some(run) = self.endpoint.take_adopted() {
                self.reader.adopt(run);
            }
            let has_moved = self.is_past_end() && self.follow_growth(deadline)?;
            if let Some(len) = self.try_claim(max)? {
                // The wake-up may have been meant for the consumer of the message after this one,
                // or for the end of the segment.
                if has_slept && P::Reader::IS_SHARED && (self.is_ready() || self.is_past_end()) {
                    self.endpoint.forward_wake();
                }
                return Ok(len);
            }
            if !P::Reader::IS_SHARED && !has_moved {
                // No other process takes a message away: one that was there and is not is forged.
                return Err(self.endpoint.poison(Corrupt).into());
            }
            // Another consumer claimed it, or it was a tombstone. That may happen any number of
            // times.
            if deadline.is_none_or(|deadline| Instant::now() >= deadline) {
                return Err(Refusal::NotReady);
            }
        }
    }

    /// Moves to the next segment, from one in which nothing is left. Returns whether it moved.
    #[cold]
    #[inline(never)]
    fn follow_growth(&mut self, deadline: Option<Instant>) -> Result<bool, Refusal> {
        let mut has_moved = false;
        while self.is_past_end() {
            if self.endpoint.advance_segment(deadline)? {
                let resumed = P::Reader::resume(&self.endpoint.words().pop_words());
                self.reader = resumed.map_err(|corrupt| self.endpoint.poison(corrupt))?;
                has_moved = true;
            }
        }
        Ok(has_moved)
    }

    /// The payload of the next claimed message.
    #[inline(always)]
    pub(crate) fn payload(&self) -> Bytes {
        self.payload_at(0)
    }

    /// The number of messages that are ready, from the next claimed one on, at most `max`. The next
    /// one is, by the claim: it is not checked again, since a hostile peer may have changed its slot.
    pub(crate) fn ready(&self, max: usize) -> usize {
        let words = self.endpoint.words().pop_words();
        let max = max.min(self.reader.claimed(&words) as usize);
        let start = self.reader.claim_start();
        let is_ready = |index: usize| {
            let position = start.wrapping_add(index as u64);
            let stamp = words.slots.at(position).stamp();
            stamp.ahead_of(position) == 1 && M::can_have(stamp.len(), self.message_size)
        };
        1 + (1..max).take_while(|&index| is_ready(index)).count()
    }

    /// The payload of a claimed message, counted from the next one.
    #[inline(always)]
    pub(crate) fn payload_at(&self, index: usize) -> Bytes {
        let position = self.reader.claim_start().wrapping_add(index as u64);
        let words = self.endpoint.words().pop_words();
        words.slots.at(position).payload()
    }

    /// Releases the slots of the first claimed messages.
    pub(crate) fn release_first(&mut self, count: usize) {
        let words = self.endpoint.words().pop_words();
        for _ in 0..count {
            self.reader.release(&words);
        }
        self.announce();
    }

    /// Releases the slot of the next claimed message.
    #[inline(always)]
    pub(crate) fn release(&mut self) {
        self.reader.release(&self.endpoint.words().pop_words());
        self.announce();
    }

    /// Stores the hint and wakes a producer, after slots were released.
    #[inline(always)]
    fn announce(&self) {
        self.reader.store_hint(&self.endpoint.words().pop_words());
        let header = self.endpoint.view().header();
        header.not_full.0.notify(self.endpoint.fences());
    }

    /// Pops messages over those in `messages`, as many as are ready and fit. `claim` claims up to
    /// the given number, or says why it can't.
    pub(crate) fn pop_into_slice<E: From<EndpointError>>(
        &mut self,
        messages: &mut [M::Owned],
        claim: impl FnOnce(&mut Self, usize) -> Result<u32, E>,
    ) -> Result<usize, E> {
        self.endpoint.check_usable()?;
        if messages.is_empty() {
            return Ok(0);
        }
        claim(self, messages.len())?;
        let mut free = messages.iter_mut();
        Ok(self.pop_run(free.len(), |next| {
            if let Some(message) = free.next() {
                next.load_into(message);
            }
        }))
    }

    /// Pops up to `max` messages and appends them to `messages`; otherwise as
    /// [`pop_into_slice`](Self::pop_into_slice).
    pub(crate) fn pop_into_vec<E: From<EndpointError>>(
        &mut self,
        messages: &mut Vec<M::Owned>,
        max: usize,
        claim: impl FnOnce(&mut Self, usize) -> Result<u32, E>,
    ) -> Result<usize, E> {
        self.endpoint.check_usable()?;
        if max == 0 {
            return Ok(0);
        }
        claim(self, max)?;
        Ok(self.pop_run(max, |next| messages.push(next.load())))
    }

    /// Pops the next message, which is claimed, and those after it, at most a lap.
    #[inline(always)]
    fn pop_run(&mut self, max: usize, mut keep: impl FnMut(Payload<'_, M>)) -> usize {
        /// Announces what was released, also when `keep` panics.
        struct Batch<'c, M: Message + ?Sized, P: Protocol>(&'c mut PopEndpoint<M, P>);
        impl<M: Message + ?Sized, P: Protocol> Drop for Batch<'_, M, P> {
            fn drop(&mut self) {
                self.0.announce();
            }
        }
        let max = max.min(self.endpoint.capacity());
        let batch = Batch(self);
        let pop = &mut *batch.0;
        let mut popped = 0;
        loop {
            let words = pop.endpoint.words().pop_words();
            // SAFETY: a `TypedRing` has slots for `M`.
            let slots = unsafe { words.slots.with_layout(M::LAYOUT) };
            let words = Words {
                slots: &slots,
                ..words
            };
            let run = pop.reader.pop_claimed(&words, |slot, len| {
                // SAFETY: a `TypedRing` has slots for `M`; `keep` has copied the payload when it
                // returns.
                match unsafe { Payload::new(slot, len, pop.message_size) } {
                    Some(next) if popped < max => {
                        keep(next);
                        popped += 1;
                        true
                    }
                    _ => false,
                }
            });
            let is_over = run == 0 || popped == max;
            // The next call returns the error, which it meets first.
            if is_over || !matches!(pop.try_claim(max - popped), Ok(Some(_))) {
                return popped;
            }
        }
    }
}

impl<M: Message + ?Sized, P: Protocol> fmt::Debug for PopEndpoint<M, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PopEndpoint")
            .field("reader", &self.reader)
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}
