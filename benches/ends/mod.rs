//! The ends of slipring's rings, as those who send and receive use them.

use common::{BATCH, Body, Inlet, Outlet, Result};
use slipring::{Consumer, Options, Producer, Protocol, Ring};

pub(crate) struct Sending<B: Body, P: Protocol>(Producer<B, P>);

impl<B: Body, P: Protocol> Sending<B, P> {
    pub(crate) fn open(name: &str, options: &Options) -> Result<Self> {
        Ok(Self(Ring::open_with(name, options)?.producer()?))
    }
}

impl<B: Body, P: Protocol> Outlet<B> for Sending<B, P> {
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
        // SAFETY: both sides keep to the protocol.
        let place = unsafe { claim.get_mut() };
        // SAFETY: room for a message.
        unsafe { B::fill(place, number) }
        claim.commit();
        Ok(())
    }
}

/// A consumer, and where it puts what it is given.
pub(crate) struct Receiving<B: Body, P: Protocol> {
    consumer: Consumer<B, P>,
    messages: Vec<B>,
}

/// Messages that are handed over in registers, or nearly so.
const SMALL: usize = 64;

impl<B: Body, P: Protocol> Receiving<B, P> {
    pub(crate) fn open(name: &str, options: &Options) -> Result<Self> {
        Ok(Self {
            consumer: Ring::open_with(name, options)?.consumer()?,
            messages: vec![B::zeroed(); BATCH],
        })
    }
}

impl<B: Body, P: Protocol> Inlet<B> for Receiving<B, P> {
    #[inline(always)]
    fn receive(&mut self, see: impl FnOnce(&B)) -> Result<()> {
        if size_of::<B>() <= SMALL {
            see(&self.consumer.pop()?);
        } else {
            self.consumer.pop_into(&mut self.messages[0])?;
            see(&self.messages[0]);
        }
        Ok(())
    }

    #[inline(always)]
    fn receive_batch(&mut self, most: usize, see: impl FnMut(&B)) -> Result<usize> {
        let received = self.consumer.pop_slice(&mut self.messages[..most])?;
        self.messages[..received].iter().for_each(see);
        Ok(received)
    }

    #[inline(always)]
    fn receive_in_place(&mut self, see: impl FnOnce(&B)) -> Result<()> {
        let guard = self.consumer.read()?;
        // SAFETY: both sides keep to the protocol.
        see(unsafe { guard.as_ref() });
        Ok(())
    }
}
