//! Many messages at once: one announcement for all of them.

use super::{Consumer, Producer, Protocol};
use crate::attachment::Patience;
use crate::error::{PopError, PushError, PushSliceError, TooLong, TryPopError, TryPushError};
use crate::message::Message;
use crate::ring::PushSide;
use crate::sync::Bytes;
use core::borrow::Borrow;

impl<M: Message + ?Sized, P: Protocol> Producer<M, P> {
    /// Pushes messages from the start of a slice, as many as there is room for and at most a
    /// whole ring of them, and says how many. Never blocks. The consumer is told once.
    ///
    /// A producer that is killed in here has pushed some of them, in order and each one whole. In an
    /// MPMC ring they lie one after the other, unless a stretch of free slots ended in between or
    /// they are more than 4096, and are claimed by one compare-and-swap.
    ///
    /// ```
    /// # let name = &format!("/slipring-doc-try-push-slice-{}", std::process::id());
    /// # let ring = slipring::spsc::Ring::<u64>::create(name, 4)?;
    /// # slipring::unlink(name)?;
    /// # let (mut producer, mut consumer) = (ring.producer()?, ring.consumer()?);
    /// assert_eq!(producer.try_push_slice(&[1, 2, 3, 4, 5])?, 4);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`try_push`](Self::try_push) of the first message. A message that is too long ends
    /// the batch before it.
    pub fn try_push_slice<B: Borrow<M>>(&mut self, messages: &[B]) -> Result<usize, TryPushError> {
        self.admit()?;
        let Some(first) = messages.first() else {
            return Ok(0);
        };
        self.fits(first.borrow())?;
        let fitting = self.fitting(messages);
        self.room(Patience::None, fitting)?;
        match self.send_some(messages, fitting)? {
            0 => {
                // Its own first slot was free: a `borrow` must have forked.
                self.admit()?;
                Ok(0)
            }
            sent => Ok(sent),
        }
    }

    /// Pushes all messages of a slice, and waits for room as often as there is none. The consumer
    /// is told once per stretch of free slots.
    ///
    /// ```
    /// # let name = &format!("/slipring-doc-push-slice-{}", std::process::id());
    /// # let ring = slipring::spsc::Ring::<[u8]>::create(name, 4, 16)?;
    /// # slipring::unlink(name)?;
    /// # let (mut producer, mut consumer) = (ring.producer()?, ring.consumer()?);
    /// let message: &[u8] = b"hello";
    /// producer.push_slice(&[message, b"world"])?;
    /// assert_eq!(consumer.pop()?, b"hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`push`](Self::push); and how many were pushed before.
    pub fn push_slice<B: Borrow<M>>(&mut self, messages: &[B]) -> Result<(), PushSliceError> {
        let mut pushed = 0;
        self.admit().map_err(|broken| PushSliceError {
            pushed,
            reason: broken.into(),
        })?;
        while let Some(next) = messages.get(pushed) {
            let sent = self
                .fits(next.borrow())
                .map_err(PushError::from)
                .and_then(|()| {
                    let fitting = self.fitting(&messages[pushed..]);
                    self.wait_for_room(fitting)?;
                    Ok(self.send_some(&messages[pushed..], fitting)?)
                });
            pushed += sent.map_err(|reason| PushSliceError { pushed, reason })?;
        }
        Ok(())
    }

    /// For how many messages, from the first on, which fits, to claim places: one that is claimed
    /// for a message that does not fit is lost to everybody.
    fn fitting<B: Borrow<M>>(&self, messages: &[B]) -> usize {
        let lap = messages.len().min(self.capacity());
        if M::ALWAYS_FITS || !P::Writer::IS_SHARED {
            return lap;
        }
        let rest = messages[1..lap].iter();
        1 + rest
            .take_while(|&message| self.fits(message.borrow()).is_ok())
            .count()
    }

    /// Pushes messages until one does not fit or no slot is free, `most` at most; the first slot
    /// is claimed.
    fn send_some<B: Borrow<M>>(&mut self, messages: &[B], most: usize) -> Result<usize, TooLong> {
        /// What was published is announced, and what was claimed beyond it given up, even if a
        /// `borrow` panics, but not in a child that a `borrow` forked.
        struct Announced<'p, M: Message + ?Sized, P: Protocol>(&'p mut Producer<M, P>);
        impl<M: Message + ?Sized, P: Protocol> Drop for Announced<'_, M, P> {
            fn drop(&mut self) {
                if self.0.is_here() {
                    self.0.abandon();
                    self.0.announce();
                }
            }
        }
        let batch = Announced(self);
        let producer = &mut *batch.0;
        let mut sent = 0;
        for message in messages.iter().take(most) {
            let message = message.borrow();
            if !producer.is_here() {
                break;
            }
            match producer.fits(message) {
                Ok(()) => {}
                Err(too_long) if sent == 0 => return Err(too_long),
                Err(_) => break,
            }
            if !matches!(producer.look(most - sent), Ok(true)) {
                break;
            }
            producer.fill(message);
            sent += 1;
        }
        Ok(sent)
    }
}

impl<M: Message + ?Sized, P: Protocol> Consumer<M, P> {
    /// Pops messages over those in `messages`, as many as there are and fit, at most a whole ring
    /// of them, and says how many. Never blocks. The producer is told once. In an MPMC ring one
    /// compare-and-swap takes up to 4096 of them.
    ///
    /// Each slot is given back when its message has been copied; a consumer that is killed in here
    /// takes the ones it copied with it.
    ///
    /// ```
    /// # let name = &format!("/slipring-doc-try-pop-slice-{}", std::process::id());
    /// # let ring = slipring::spsc::Ring::<u64>::create(name, 4)?;
    /// # slipring::unlink(name)?;
    /// # let (mut producer, mut consumer) = (ring.producer()?, ring.consumer()?);
    /// producer.push_slice(&[1, 2, 3])?;
    /// let mut numbers = [0; 8];
    /// assert_eq!(consumer.try_pop_slice(&mut numbers)?, 3);
    /// assert_eq!(numbers[..3], [1, 2, 3]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`try_pop`](Self::try_pop).
    pub fn try_pop_slice(&mut self, messages: &mut [M::Owned]) -> Result<usize, TryPopError> {
        self.admit()?;
        if messages.is_empty() {
            return Ok(0);
        }
        let first = self.next(Patience::None, messages.len())?;
        Ok(self.receive_slice(first, messages))
    }

    /// Pops as [`try_pop_slice`](Self::try_pop_slice) does, and waits for the first message.
    ///
    /// # Errors
    ///
    /// As for [`pop`](Self::pop).
    pub fn pop_slice(&mut self, messages: &mut [M::Owned]) -> Result<usize, PopError> {
        self.admit()?;
        if messages.is_empty() {
            return Ok(0);
        }
        let first = self.wait_for_next(messages.len())?;
        Ok(self.receive_slice(first, messages))
    }

    /// Pops up to `most` messages and appends them to `messages`; otherwise as
    /// [`try_pop_slice`](Self::try_pop_slice).
    ///
    /// ```
    /// # let name = &format!("/slipring-doc-try-pop-vec-{}", std::process::id());
    /// # let ring = slipring::spsc::Ring::<u64>::create(name, 4)?;
    /// # slipring::unlink(name)?;
    /// # let (mut producer, mut consumer) = (ring.producer()?, ring.consumer()?);
    /// producer.push_slice(&[1, 2, 3])?;
    /// let mut numbers = Vec::new();
    /// consumer.try_pop_vec(&mut numbers, 2)?;
    /// assert_eq!(numbers, [1, 2]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`try_pop`](Self::try_pop).
    pub fn try_pop_vec(
        &mut self,
        messages: &mut Vec<M::Owned>,
        most: usize,
    ) -> Result<usize, TryPopError> {
        self.admit()?;
        if most == 0 {
            return Ok(0);
        }
        let first = self.next(Patience::None, most)?;
        Ok(self.receive_vec(first, messages, most))
    }

    /// Pops as [`try_pop_vec`](Self::try_pop_vec) does, and waits for the first message.
    ///
    /// # Errors
    ///
    /// As for [`pop`](Self::pop).
    pub fn pop_vec(
        &mut self,
        messages: &mut Vec<M::Owned>,
        most: usize,
    ) -> Result<usize, PopError> {
        self.admit()?;
        if most == 0 {
            return Ok(0);
        }
        let first = self.wait_for_next(most)?;
        Ok(self.receive_vec(first, messages, most))
    }

    fn receive_slice(&mut self, first: u32, messages: &mut [M::Owned]) -> usize {
        let mut free = messages.iter_mut();
        self.receive_some(first, free.len(), |payload, len| {
            if let Some(message) = free.next() {
                // SAFETY: as for `receive`.
                unsafe { M::load_into(payload, len, message) }
            }
        })
    }

    fn receive_vec(&mut self, first: u32, messages: &mut Vec<M::Owned>, most: usize) -> usize {
        self.receive_some(first, most, |payload, len| {
            // SAFETY: as for `receive`.
            messages.push(unsafe { M::load(payload, len) });
        })
    }

    /// Pops the next message, which is `first` bytes long, and those after it, at most a lap.
    #[inline(always)]
    fn receive_some(&mut self, first: u32, most: usize, mut keep: impl FnMut(Bytes, u32)) -> usize {
        /// What was given back is announced even if the `Vec` panics.
        struct Announced<'c, M: Message + ?Sized, P: Protocol>(&'c mut Consumer<M, P>);
        impl<M: Message + ?Sized, P: Protocol> Drop for Announced<'_, M, P> {
            fn drop(&mut self) {
                self.0.announce();
            }
        }
        let most = most.min(self.capacity());
        let batch = Announced(self);
        let consumer = &mut *batch.0;
        let mut len = first;
        let mut received = 0;
        loop {
            keep(consumer.payload(), len);
            consumer.give_back();
            received += 1;
            if received == most {
                return received;
            }
            match consumer.look(most - received) {
                Ok(Some(next)) => len = next,
                // An error is told by the next call, which meets it first.
                Ok(None) | Err(_) => return received,
            }
        }
    }
}
