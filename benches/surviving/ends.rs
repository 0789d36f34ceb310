//! What is sent, and the ends that send it.

use crate::Result;
use common::{Body, CAPACITY, Patience, Plain};
use slipring::error::{TryPopError, TryPushError};
use slipring::{Options, WaitStrategy, mpmc};
use std::time::Duration;

pub(crate) trait Push<B> {
    fn push(&mut self, message: &B) -> Result<()>;

    fn push_all(&mut self, messages: &[B]) -> Result<()> {
        messages.iter().try_for_each(|message| self.push(message))
    }

    /// Pushes until there is no room.
    fn fill(&mut self) -> Result<()>;
}

pub(crate) trait Pop<B> {
    fn pop(&mut self) -> Result<B>;

    /// At least one message, and at most as many as fit.
    fn pop_some(&mut self, messages: &mut [B]) -> Result<usize> {
        messages[0] = self.pop()?;
        Ok(1)
    }

    /// Pops until there is no message.
    fn drain(&mut self) -> Result<()>;
}

/// Ends that never sleep: what is measured is the ring, not the kernel.
pub(crate) fn sleepless() -> Options {
    Options::new().wait(WaitStrategy::Sleep {
        spins: Patience::SPINS,
        yields: u32::MAX,
    })
}

/// A ring whose survivors look after the dead every so often.
pub(crate) fn create<B: Body>(name: &str, interval: Duration) -> Result<mpmc::Ring<B>> {
    let options = sleepless().capacity(CAPACITY).liveness_interval(interval);
    Ok(mpmc::Ring::create_with(name, &options)?)
}

pub(crate) fn producer<B: Body>(name: &str) -> Result<mpmc::Producer<B>> {
    let options = sleepless().prefault(true);
    Ok(mpmc::Ring::open_with(name, &options)?.producer()?)
}

pub(crate) fn consumer<B: Body>(name: &str) -> Result<mpmc::Consumer<B>> {
    let options = sleepless().prefault(true);
    Ok(mpmc::Ring::open_with(name, &options)?.consumer()?)
}

impl<B: Body> Push<B> for mpmc::Producer<B> {
    #[inline(always)]
    fn push(&mut self, message: &B) -> Result<()> {
        Ok(self.push(message)?)
    }

    #[inline(always)]
    fn push_all(&mut self, messages: &[B]) -> Result<()> {
        Ok(self.push_slice(messages)?)
    }

    fn fill(&mut self) -> Result<()> {
        loop {
            match self.try_push(&B::numbered(0)) {
                Ok(()) => {}
                Err(TryPushError::Full) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl<B: Body> Pop<B> for mpmc::Consumer<B> {
    #[inline(always)]
    fn pop(&mut self) -> Result<B> {
        Ok(self.pop()?)
    }

    #[inline(always)]
    fn pop_some(&mut self, messages: &mut [B]) -> Result<usize> {
        Ok(self.pop_slice(messages)?)
    }

    fn drain(&mut self) -> Result<()> {
        loop {
            match self.try_pop() {
                Ok(_) => {}
                Err(TryPopError::Empty) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl<B: Body, const HAS_INTENT: bool> Push<B> for Plain<B, HAS_INTENT> {
    #[inline(always)]
    fn push(&mut self, message: &B) -> Result<()> {
        self.push(message)
    }

    fn fill(&mut self) -> Result<()> {
        self.fill();
        Ok(())
    }
}

impl<B: Body, const HAS_INTENT: bool> Pop<B> for Plain<B, HAS_INTENT> {
    #[inline(always)]
    fn pop(&mut self) -> Result<B> {
        self.pop()
    }

    fn drain(&mut self) -> Result<()> {
        self.drain();
        Ok(())
    }
}
