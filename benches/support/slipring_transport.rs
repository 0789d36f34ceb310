//! slipring's producers and consumers as sinks and sources.

use crate::Result;
use crate::message::{BATCH, Body};
use crate::transport::{Sink, Source};
use slipring::error::{TryPopError, TryPushError};
use slipring::{Consumer, Options, Producer, Protocol, Ring};

pub struct SlipringSink<B: Body, P: Protocol>(Producer<B, P>);

impl<B: Body, P: Protocol> SlipringSink<B, P> {
    pub fn open(name: &str, options: &Options) -> Result<Self> {
        Ok(Self(Ring::open_with(name, options)?.producer()?))
    }
}

impl<B: Body, P: Protocol> Sink<B> for SlipringSink<B, P> {
    #[inline(always)]
    fn send(&mut self, message: &B) -> Result<()> {
        Ok(self.0.push(message)?)
    }

    #[inline(always)]
    fn send_batch(&mut self, first: u64) -> Result<()> {
        let messages: [B; BATCH] = std::array::from_fn(|place| B::numbered(first + place as u64));
        Ok(self.0.push_slice(&messages)?)
    }

    #[inline(always)]
    fn send_in_place(&mut self, number: u64) -> Result<()> {
        let mut claim = self.0.claim()?;
        // SAFETY: both sides follow the protocol.
        let place = unsafe { claim.get_mut() };
        // SAFETY: room for a message.
        unsafe { B::fill(place, number) }
        claim.commit();
        Ok(())
    }

    fn fill(&mut self) -> Result<()> {
        loop {
            match self.0.try_push(&B::numbered(0)) {
                Ok(()) => {}
                Err(TryPushError::Full) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// A consumer and its message buffer.
pub struct SlipringSource<B: Body, P: Protocol> {
    consumer: Consumer<B, P>,
    messages: Vec<B>,
}

/// Messages of at most this size are returned by value.
const SMALL: usize = 64;

impl<B: Body, P: Protocol> SlipringSource<B, P> {
    pub fn open(name: &str, options: &Options) -> Result<Self> {
        Ok(Self {
            consumer: Ring::open_with(name, options)?.consumer()?,
            messages: vec![B::zeroed(); BATCH],
        })
    }
}

impl<B: Body, P: Protocol> Source<B> for SlipringSource<B, P> {
    #[inline(always)]
    fn receive(&mut self, visit: impl FnOnce(&B)) -> Result<()> {
        if size_of::<B>() <= SMALL {
            visit(&self.consumer.pop()?);
        } else {
            self.consumer.pop_into(&mut self.messages[0])?;
            visit(&self.messages[0]);
        }
        Ok(())
    }

    #[inline(always)]
    fn receive_batch(&mut self, most: usize, visit: impl FnMut(&B)) -> Result<usize> {
        let received = self.consumer.pop_slice(&mut self.messages[..most])?;
        self.messages[..received].iter().for_each(visit);
        Ok(received)
    }

    #[inline(always)]
    fn receive_in_place(&mut self, visit: impl FnOnce(&B)) -> Result<()> {
        let guard = self.consumer.read()?;
        // SAFETY: both sides follow the protocol.
        visit(unsafe { guard.get_ref() });
        Ok(())
    }

    #[inline(always)]
    fn receive_value(&mut self) -> Result<B> {
        Ok(self.consumer.pop()?)
    }

    fn drain(&mut self) -> Result<()> {
        loop {
            match self.consumer.try_pop() {
                Ok(_) => {}
                Err(TryPopError::Empty) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }
}
