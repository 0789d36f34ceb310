//! Many messages at once: one announcement for all of them.

use super::sending::fits;
use super::{Consumer, Producer, Protocol, patiently};
use crate::attachment::Patience;
use crate::error::{PopError, PushError, PushSliceError, TooLong, TryPopError, TryPushError};
use crate::message::{Message, Payload};
use crate::ring::{PopSide, PushSide, Words};
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
        match self.send_slice(messages, fitting)? {
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
                    patiently(|| self.room(Patience::Forever, fitting))?;
                    Ok(self.send_slice(&messages[pushed..], fitting)?)
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
    fn send_slice<B: Borrow<M>>(&mut self, messages: &[B], most: usize) -> Result<usize, TooLong> {
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
        let mut too_long = None;
        // An error is told by the next call, which meets it first.
        while sent < most && matches!(producer.look(most - sent), Ok(true)) {
            let Producer {
                writer,
                end,
                message_size,
                ..
            } = &mut *producer;
            // SAFETY: the ring was opened for the shape of `M`.
            let slots = unsafe { end.view().slots().known(M::SPACING) };
            let words = Words {
                slots: &slots,
                ..end.station().for_pushing()
            };
            let run = writer.send_claimed(&words, |slot| {
                let message = messages[..most].get(sent)?.borrow();
                end.admit().ok()?;
                if let Err(refused) = fits(message, *message_size) {
                    too_long = Some(refused);
                    return None;
                }
                // SAFETY: the ring was opened for the shape of `M`, the claimed slot is this
                // producer's alone, and the message fits.
                unsafe { message.store(slot) }
                sent += 1;
                Some(message.wire_len() as u32)
            });
            if run == 0 {
                break;
            }
        }
        match too_long {
            Some(too_long) if sent == 0 => Err(too_long),
            _ => Ok(sent),
        }
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
        self.next(Patience::None, messages.len())?;
        Ok(self.receive_slice(messages))
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
        patiently(|| self.next(Patience::Forever, messages.len()))?;
        Ok(self.receive_slice(messages))
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
        self.next(Patience::None, most)?;
        Ok(self.receive_vec(messages, most))
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
        patiently(|| self.next(Patience::Forever, most))?;
        Ok(self.receive_vec(messages, most))
    }

    fn receive_slice(&mut self, messages: &mut [M::Owned]) -> usize {
        let mut free = messages.iter_mut();
        self.receive_some(free.len(), |next| {
            if let Some(message) = free.next() {
                next.load_into(message);
            }
        })
    }

    fn receive_vec(&mut self, messages: &mut Vec<M::Owned>, most: usize) -> usize {
        self.receive_some(most, |next| messages.push(next.load()))
    }

    /// Pops the next message, which is there, and those after it, at most a lap.
    #[inline(always)]
    fn receive_some(&mut self, most: usize, mut keep: impl FnMut(Payload<'_, M>)) -> usize {
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
        let mut received = 0;
        loop {
            // SAFETY: the ring was opened for the shape of `M`.
            let slots = unsafe { consumer.end.view().slots().known(M::SPACING) };
            let words = Words {
                slots: &slots,
                ..consumer.end.station().for_popping()
            };
            let run = consumer.reader.receive_taken(&words, |slot, len| {
                // SAFETY: the ring was opened for the shape of `M`; `keep` is done with the
                // payload when it returns.
                match unsafe { Payload::new(slot, len, consumer.message_size) } {
                    Some(next) if received < most => {
                        keep(next);
                        received += 1;
                        true
                    }
                    _ => false,
                }
            });
            let is_over = run == 0 || received == most;
            // An error is told by the next call, which meets it first.
            if is_over || !matches!(consumer.look(most - received), Ok(Some(_))) {
                return received;
            }
        }
    }
}
