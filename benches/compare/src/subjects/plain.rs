//! The queue of Dmitry Vyukov as it is, in shared memory: what a ring for many to many costs in
//! which nobody may die.

use crate::link::{Link, Setup};
use crate::workload::Experiment;
use common::{Body, Plain, Result};

/// The name of its memory.
pub(crate) struct Vyukov(String);

impl<B: Body> Link<B> for Vyukov {
    type Outlet = Plain<B>;
    type Inlet = Plain<B>;

    fn lacks(experiment: &Experiment) -> Option<&'static str> {
        use crate::workload::Workload::{InPlace, Mpmc, MpmcBatch, OneWay, RoundTrip};
        match experiment.workload {
            Mpmc => None,
            MpmcBatch => Some("no batches"),
            RoundTrip | OneWay | InPlace => Some("many to many"),
            _ => Some("does not sleep"),
        }
    }

    fn new(setup: &Setup) -> Result<Self> {
        let name = format!("/{}", setup.name);
        Plain::<B>::create(&name)?;
        Ok(Self(name))
    }

    fn outlet(&self, _setup: &Setup) -> Result<Self::Outlet> {
        Plain::open(&self.0)
    }

    fn inlet(&self, _setup: &Setup) -> Result<Self::Inlet> {
        Plain::open(&self.0)
    }
}
