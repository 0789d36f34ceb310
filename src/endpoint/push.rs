//! The engine of a producer: claims slots, fills and publishes them, waits for room, and follows
//! the ring into its next segment.

#![allow(unsafe_code)]

use super::shared::Endpoint;
use super::wait::{WaitLimit, retry_until_done};
use crate::error::{
    AttachError, Corrupt, Disconnected, EndpointError, PushError, PushSliceError, Refusal, TooLong,
};
use crate::message::Message;
use crate::open::TypedRing;
use crate::protocol::Protocol;
use crate::ring::{PushSide, Words};
use crate::role::Role;
use crate::sync::Bytes;
use crate::sys::clock::Instant;
use core::borrow::Borrow;
use core::cell::Cell;
use core::fmt;
use core::hint::spin_loop;
use core::marker::PhantomData;

/// How many pauses a producer that finds the ring full makes for a run of free slots, before it
/// claims a single one.
const RUN_PAUSES: u32 = 400;

/// A producer's endpoint, for messages of type `M`.
pub(crate) struct PushEndpoint<M: Message + ?Sized, P: Protocol> {
    writer: P::Writer,
    message_size: u32,
    endpoint: Endpoint,
    messages: PhantomData<fn(&M)>,
    // One thread at a time uses a handle, and what borrows from it.
    not_sync: PhantomData<Cell<()>>,
}

impl<M: Message + ?Sized, P: Protocol> PushEndpoint<M, P> {
    pub(crate) fn attach(ring: &TypedRing<M, P>) -> Result<Self, AttachError> {
        let endpoint = Endpoint::attach(ring.open_ring(), Role::Producer)?;
        Ok(Self {
            writer: P::Writer::resume(&endpoint.words().push_words())?,
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

    pub(crate) fn message_size(&self) -> u32 {
        self.message_size
    }

    #[inline(always)]
    pub(crate) fn check_len(&self, message: &M) -> Result<(), TooLong> {
        check_len(message, self.message_size)
    }

    /// The next position that a push claims, as far as is known.
    pub(crate) fn next_position(&self) -> u64 {
        self.writer.next(&self.endpoint.words().push_words())
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.writer.is_ready(&self.endpoint.words().push_words())
    }

    /// Pushes a message, which fits, if a slot is free and nothing else needs attention. `false`
    /// does not tell the reason: [`push_slow`](Self::push_slow) finds it.
    #[inline(always)]
    pub(crate) fn push_fast(&mut self, message: &M) -> bool {
        if !self.endpoint.is_usable() || !self.endpoint.is_open() {
            return false;
        }
        let header = self.endpoint.view().header();
        let words = self.endpoint.words().push_words();
        // SAFETY: a `TypedRing` has slots for `M`.
        let slots = unsafe { words.slots.with_layout(M::LAYOUT) };
        let words = Words {
            slots: &slots,
            ..words
        };
        let is_pushed = self.writer.push_one(&words, |slot| {
            // SAFETY: a `TypedRing` has slots for `M`, this producer alone has claimed the slot,
            // and the message fits.
            unsafe { message.store(slot) }
            message.wire_len() as u32
        });
        if is_pushed {
            header.not_empty.0.notify(self.endpoint.fences());
        }
        is_pushed
    }

    /// Pushes a message, which fits, and waits for a free slot within the limit.
    #[inline(never)]
    pub(crate) fn push_slow(&mut self, message: &M, limit: WaitLimit) -> Result<(), Refusal> {
        self.endpoint.check_usable()?;
        let deadline = limit.deadline();
        if !self.endpoint.is_open() {
            self.follow_growth(deadline)?;
        }
        // An MPMC push has just tried. To try again at once would take the cache line from the
        // consumer that is about to release the slot.
        if P::Writer::IS_SHARED || !self.try_claim(1)? {
            self.claim_waiting(deadline, 1)?;
        }
        // SAFETY: as in `push_fast`.
        unsafe { message.store(self.payload()) }
        self.commit(message.wire_len() as u32);
        Ok(())
    }

    #[cold]
    #[inline(never)]
    pub(crate) fn push_blocking(&mut self, message: &M) -> Result<(), PushError> {
        Ok(retry_until_done(|| {
            self.push_slow(message, WaitLimit::Forever)
        })?)
    }

    /// Claims one slot, and up to `max` at once, and waits for the first within the limit.
    #[inline(always)]
    pub(crate) fn claim(&mut self, limit: WaitLimit, max: usize) -> Result<(), Refusal> {
        self.endpoint.check_usable()?;
        if !self.endpoint.is_open() {
            return self.claim_waiting(limit.deadline(), max);
        }
        if self.try_claim(max)? {
            return Ok(());
        }
        self.claim_waiting(limit.deadline(), max)
    }

    #[inline(always)]
    fn try_claim(&mut self, max: usize) -> Result<bool, Refusal> {
        let words = self.endpoint.words().push_words();
        match self.writer.claim(&words, max as u64) {
            Ok(is_claimed) => Ok(is_claimed),
            Err(corrupt) => Err(self.endpoint.poison(corrupt).into()),
        }
    }

    #[inline(never)]
    fn claim_waiting(&mut self, deadline: Option<Instant>, max: usize) -> Result<(), Refusal> {
        loop {
            if self.follow_growth(deadline)? && self.try_claim(max)? {
                return Ok(());
            }
            let spins = self.endpoint.spins(deadline);
            // A producer that only lost a race finds room at once. At least one attempt is made
            // before it sleeps.
            let run_pauses = match self.writer.has_claim() || self.is_ready() {
                true => 0,
                false => RUN_PAUSES.min(spins.saturating_sub(1)),
            };
            for pause in 0..spins {
                spin_loop();
                if (pause >= run_pauses || self.has_free_run()) && self.try_claim(max)? {
                    return Ok(());
                }
            }
            let writer = &self.writer;
            let has_slept = self.endpoint.wait(deadline, max, |words| {
                writer.has_claim() || writer.is_ready(&words.push_words())
            })?;
            // Before the next claim: a segment that is always full would never end otherwise.
            let has_moved = self.follow_growth(deadline)?;
            if self.try_claim(max)? {
                // The wake-up may have been meant for the producer of the slot after this one.
                if has_slept && !has_moved && P::Writer::IS_SHARED && self.is_ready() {
                    self.endpoint.forward_wake();
                }
                return Ok(());
            }
            if !P::Writer::IS_SHARED && !has_moved {
                // No other process takes a free slot away: one that was free and is full is forged.
                return Err(self.endpoint.poison(Corrupt).into());
            }
            // Another producer claimed the slot. That may happen any number of times.
            if deadline.is_none_or(|deadline| Instant::now() >= deadline) {
                return Err(Refusal::NotReady);
            }
        }
    }

    fn has_free_run(&self) -> bool {
        self.writer
            .has_free_run(&self.endpoint.words().push_words())
    }

    /// Moves to the next segment, if one follows and this one has ended or can be ended here.
    /// Returns whether it moved.
    #[cold]
    #[inline(never)]
    fn follow_growth(&mut self, deadline: Option<Instant>) -> Result<bool, Refusal> {
        let mut has_moved = false;
        loop {
            // A closed segment is not left: the process that closes the ring may not have reached
            // the next segment yet.
            if self.endpoint.is_closed() {
                return Err(Disconnected::Closed.into());
            }
            let may_end = P::Writer::IS_SHARED || self.endpoint.has_next_segment();
            if !may_end || self.writer.has_claim() {
                return Ok(has_moved);
            }
            match self.writer.end_segment(&self.endpoint.words().push_words()) {
                Ok(true) => self.announce(),
                Ok(false) => return Ok(has_moved),
                Err(corrupt) => return Err(self.endpoint.poison(corrupt).into()),
            }
            if self.endpoint.advance_segment(deadline)? {
                let resumed = P::Writer::resume(&self.endpoint.words().push_words());
                self.writer = resumed.map_err(|corrupt| self.endpoint.poison(corrupt))?;
                has_moved = true;
            }
        }
    }

    /// The payload of the next claimed slot.
    #[inline(always)]
    pub(crate) fn payload(&self) -> Bytes {
        self.payload_at(0)
    }

    /// The number of claimed slots, at most `max`.
    pub(crate) fn claimed(&mut self, max: usize) -> usize {
        let words = self.endpoint.words().push_words();
        self.writer.claimed(&words, max as u64) as usize
    }

    /// The payload of a claimed slot, counted from the next one.
    #[inline(always)]
    pub(crate) fn payload_at(&self, index: usize) -> Bytes {
        let position = self.writer.claim_start().wrapping_add(index as u64);
        let words = self.endpoint.words().push_words();
        words.slots.at(position).payload()
    }

    /// Publishes values in the first claimed slots.
    pub(crate) fn commit_first(&mut self, count: usize) {
        let words = self.endpoint.words().push_words();
        for _ in 0..count {
            self.writer.publish(&words, self.message_size);
        }
        self.announce();
    }

    /// Publishes the message in the next claimed slot, `len` bytes long.
    #[inline(always)]
    pub(crate) fn commit(&mut self, len: u32) {
        self.writer
            .publish(&self.endpoint.words().push_words(), len);
        self.announce();
    }

    /// Stores the hint and wakes a consumer, after messages were published.
    #[inline(always)]
    fn announce(&self) {
        self.writer.store_hint(&self.endpoint.words().push_words());
        let header = self.endpoint.view().header();
        header.not_empty.0.notify(self.endpoint.fences());
    }

    /// Gives up the claimed slots that are not published.
    #[inline(always)]
    pub(crate) fn abandon(&mut self) {
        let tombstones = self.writer.abandon(&self.endpoint.words().push_words());
        if tombstones > 0 {
            self.endpoint.count_tombstones(tombstones);
        }
    }

    /// Pushes from the start of a slice, as many messages as one claim has room for. `claim` claims
    /// up to the given number of slots, or says why it can't.
    pub(crate) fn push_some<B, E>(
        &mut self,
        messages: &[B],
        claim: impl FnOnce(&mut Self, usize) -> Result<(), E>,
    ) -> Result<usize, E>
    where
        B: Borrow<M>,
        E: From<EndpointError> + From<TooLong>,
    {
        self.endpoint.check_usable()?;
        let Some(first) = messages.first() else {
            return Ok(0);
        };
        self.check_len(first.borrow())?;
        let fitting = self.fitting(messages);
        claim(self, fitting)?;
        let pushed = self.push_run(messages, fitting)?;
        if pushed == 0 {
            // The first slot was claimed, so only a fork within `borrow` ended the run.
            self.endpoint.check_usable()?;
        }
        Ok(pushed)
    }

    /// Pushes a whole slice; otherwise as [`push_some`](Self::push_some).
    pub(crate) fn push_all<B, E>(
        &mut self,
        messages: &[B],
        mut claim: impl FnMut(&mut Self, usize) -> Result<(), E>,
    ) -> Result<(), PushSliceError<E>>
    where
        B: Borrow<M>,
        E: From<EndpointError> + From<TooLong>,
    {
        let mut pushed = 0;
        loop {
            match self.push_some(&messages[pushed..], &mut claim) {
                Ok(more) => pushed += more,
                Err(reason) => return Err(PushSliceError { pushed, reason }),
            }
            if pushed == messages.len() {
                return Ok(());
            }
        }
    }

    /// How many slots to claim for messages, of which the first fits. A slot that is claimed for a
    /// message that does not fit becomes a tombstone.
    fn fitting<B: Borrow<M>>(&self, messages: &[B]) -> usize {
        let lap = messages.len().min(self.endpoint.capacity());
        if M::ALWAYS_FITS || !P::Writer::IS_SHARED {
            return lap;
        }
        let rest = messages[1..lap].iter();
        1 + rest
            .take_while(|&message| self.check_len(message.borrow()).is_ok())
            .count()
    }

    /// Pushes messages until one does not fit or no slot is free, at most `max`. The first slot is
    /// claimed.
    fn push_run<B: Borrow<M>>(&mut self, messages: &[B], max: usize) -> Result<usize, TooLong> {
        /// Announces what was published and abandons the other claimed slots, also when a `borrow`
        /// panics, but not in a child that a `borrow` forked.
        struct Batch<'p, M: Message + ?Sized, P: Protocol>(&'p mut PushEndpoint<M, P>);
        impl<M: Message + ?Sized, P: Protocol> Drop for Batch<'_, M, P> {
            fn drop(&mut self) {
                if self.0.endpoint.is_usable() {
                    self.0.abandon();
                    self.0.announce();
                }
            }
        }
        let batch = Batch(self);
        let push = &mut *batch.0;
        let mut pushed = 0;
        let mut too_long = None;
        // The next call returns the error, which it meets first.
        while pushed < max && matches!(push.try_claim(max - pushed), Ok(true)) {
            let PushEndpoint {
                writer,
                endpoint,
                message_size,
                ..
            } = &mut *push;
            let words = endpoint.words().push_words();
            // SAFETY: a `TypedRing` has slots for `M`.
            let slots = unsafe { words.slots.with_layout(M::LAYOUT) };
            let words = Words {
                slots: &slots,
                ..words
            };
            let run = writer.push_claimed(&words, |slot| {
                let message = messages[..max].get(pushed)?.borrow();
                if !endpoint.is_usable() {
                    return None;
                }
                if let Err(refused) = check_len(message, *message_size) {
                    too_long = Some(refused);
                    return None;
                }
                // SAFETY: a `TypedRing` has slots for `M`, this producer alone has claimed the
                // slot, and the message fits.
                unsafe { message.store(slot) }
                pushed += 1;
                Some(message.wire_len() as u32)
            });
            if run == 0 {
                break;
            }
        }
        match too_long {
            Some(too_long) if pushed == 0 => Err(too_long),
            _ => Ok(pushed),
        }
    }
}

/// A claim that was forgotten is given up.
impl<M: Message + ?Sized, P: Protocol> Drop for PushEndpoint<M, P> {
    fn drop(&mut self) {
        if self.endpoint.is_usable() {
            self.abandon();
        }
    }
}

impl<M: Message + ?Sized, P: Protocol> fmt::Debug for PushEndpoint<M, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PushEndpoint")
            .field("writer", &self.writer)
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

#[inline(always)]
fn check_len<M: Message + ?Sized>(message: &M, size: u32) -> Result<(), TooLong> {
    if message.fits(size) {
        Ok(())
    } else {
        Err(TooLong {
            len: message.wire_len(),
            max: size as usize,
        })
    }
}
