//! slipring in its usual form: named rings with handles that can block.

use crate::channel::{Channel, Setup};
use crate::workload::Experiment;
use bench_support::{Body, Result, SlipringSink, SlipringSource, SpinWait};
use slipring::{Fences, Mpmc, Options, Protocol, Ring, Spsc, WaitStrategy};
use std::marker::PhantomData;

/// The fences that prevent lost wake-ups.
pub(crate) trait Fencing: 'static {
    const FENCES: Option<Fences>;
}

/// The library's default.
pub(crate) struct Default;
/// Fences on both sides.
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
            spins: SpinWait::SPINS,
            yields: u32::MAX,
        },
        _ => WaitStrategy::Spin,
    };
    Options::new().wait(wait).prefault(true)
}

impl<B: Body, P: Protocol, F: Fencing> Channel<B> for Slipring<P, F> {
    type Sink = SlipringSink<B, P>;
    type Source = SlipringSource<B, P>;

    fn unsupported(experiment: &Experiment) -> Option<&'static str> {
        let is_single = std::any::TypeId::of::<P>() == std::any::TypeId::of::<Spsc>();
        (is_single && experiment.is_for_many()).then_some("one to one")
    }

    fn new(setup: &Setup) -> Result<Self> {
        let name = format!("/{}", setup.name);
        let mut options = options(setup).capacity(setup.experiment.capacity);
        if let Some(seats) = setup.experiment.seats {
            options = options.producers(seats).consumers(seats);
        }
        if let Some(fences) = F::FENCES {
            options = options.fences(fences);
        }
        Ring::<B, P>::create_with(&name, &options)?;
        Ok(Self {
            name,
            protocol: PhantomData,
        })
    }

    fn sink(&self, setup: &Setup) -> Result<Self::Sink> {
        SlipringSink::open(&self.name, &options(setup))
    }

    fn source(&self, setup: &Setup) -> Result<Self::Source> {
        SlipringSource::open(&self.name, &options(setup))
    }
}
