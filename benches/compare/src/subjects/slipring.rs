//! slipring, as its users have it: rings by name, able to block.

use crate::link::{Inlet, Link, Outlet, Setup};
use crate::workload::Experiment;
use common::{BATCH, Body, CAPACITY, Patience, Result};
use slipring::{Consumer, Fences, Mpmc, Options, Producer, Protocol, Ring, Spsc, WaitStrategy};
use std::marker::PhantomData;

/// What keeps its wake-ups from being lost.
pub(crate) trait Fencing: 'static {
    const FENCES: Option<Fences>;
}

/// Whatever the library takes.
pub(crate) struct Default;
/// A fence on both sides.
pub(crate) struct Symmetric;

impl Fencing for Default {
    const FENCES: Option<Fences> = None;
}

impl Fencing for Symmetric {
    const FENCES: Option<Fences> = Some(Fences::Symmetric);
}

pub(crate) type OneToOne<F> = Slipring<Spsc, F>;
pub(crate) type ManyToMany<F> = Slipring<Mpmc, F>;

pub(crate) struct Slipring<P, F> {
    name: String,
    protocol: PhantomData<(P, F)>,
}

fn options(setup: &Setup) -> Options {
    let wait = match (setup.sleeps(), setup.experiment.is_crowded()) {
        (true, _) => WaitStrategy::Sleep {
            spins: 0,
            yields: 0,
        },
        (_, true) => WaitStrategy::Sleep {
            spins: Patience::SPINS,
            yields: u32::MAX,
        },
        _ => WaitStrategy::Spin,
    };
    Options::new().wait(wait).prefault(true)
}

impl<P: Protocol, F: Fencing> Slipring<P, F> {
    fn ring<B: Body>(&self, setup: &Setup) -> Result<Ring<B, P>> {
        Ok(Ring::open_with(&self.name, &options(setup))?)
    }
}

impl<B: Body, P: Protocol, F: Fencing> Link<B> for Slipring<P, F> {
    type Outlet = Producer<B, P>;
    type Inlet = Ends<B, P>;

    fn lacks(experiment: &Experiment) -> Option<&'static str> {
        let is_single = std::any::TypeId::of::<P>() == std::any::TypeId::of::<Spsc>();
        (is_single && experiment.is_for_many()).then_some("one to one")
    }

    fn new(setup: &Setup) -> Result<Self> {
        let name = format!("/{}", setup.name);
        let mut options = options(setup).capacity(CAPACITY);
        if let Some(fences) = F::FENCES {
            options = options.fences(fences);
        }
        Ring::<B, P>::create_with(&name, &options)?;
        Ok(Self {
            name,
            protocol: PhantomData,
        })
    }

    fn outlet(&self, setup: &Setup) -> Result<Self::Outlet> {
        Ok(self.ring(setup)?.producer()?)
    }

    fn inlet(&self, setup: &Setup) -> Result<Self::Inlet> {
        Ok(Ends {
            consumer: self.ring(setup)?.consumer()?,
            messages: vec![B::zeroed(); BATCH],
        })
    }
}

impl<B: Body, P: Protocol> Outlet<B> for Producer<B, P> {
    #[inline(always)]
    fn send(&mut self, message: &B) -> Result<()> {
        Ok(self.push(message)?)
    }

    #[inline(always)]
    fn send_batch(&mut self, first: u64) -> Result<()> {
        let messages: [B; BATCH] = std::array::from_fn(|place| B::numbered(first + place as u64));
        Ok(self.push_slice(&messages)?)
    }

    #[inline(always)]
    fn send_in_place(&mut self, number: u64) -> Result<()> {
        let mut claim = self.claim()?;
        // SAFETY: both sides keep to the protocol.
        let place = unsafe { claim.get_mut() };
        // SAFETY: room for a message.
        unsafe { B::fill(place, number) }
        claim.commit();
        Ok(())
    }
}

/// A consumer, and where it puts what it is given.
pub(crate) struct Ends<B: Body, P: Protocol> {
    consumer: Consumer<B, P>,
    messages: Vec<B>,
}

/// Messages that are handed over in registers, or nearly so.
const SMALL: usize = 64;

impl<B: Body, P: Protocol> Inlet<B> for Ends<B, P> {
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
