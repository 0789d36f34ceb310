//! `slipring rm`.

use super::args::Remove;
use super::failure::Failure;
use super::rings::{self, Finding};
use slipring::{Backing, ExclusiveRing};

pub(crate) fn run(asked: &Remove) -> Result<(), Failure> {
    for ring in &asked.rings {
        let removed = match asked.force {
            true => {
                check(ring)?;
                slipring::unlink(ring)
            }
            false => vacancy(ring)?.unlink(),
        };
        removed.map_err(|error| Failure::unlink(ring, &error))?;
    }
    Ok(())
}

/// What is not a ring is never removed.
fn check(ring: &Backing) -> Result<(), Failure> {
    match rings::look(ring) {
        Finding::Ring(_) | Finding::Broken(_) => Ok(()),
        _ => rings::open(ring).map(drop),
    }
}

/// Has nobody begin to use the ring meanwhile.
fn vacancy(ring: &Backing) -> Result<ExclusiveRing, Failure> {
    match rings::look(ring) {
        Finding::Ring(snapshot) if snapshot.alive() > 0 => {
            let users = snapshot.alive();
            let reason = format!("in use by {users} of its seats; --force removes its name");
            return Err(Failure::of(ring, reason));
        }
        Finding::Broken(reason) => {
            let reason = format!("broken: {reason}; --force removes it");
            return Err(Failure::of(ring, reason));
        }
        _ => {}
    }
    ExclusiveRing::lock(ring).map_err(|error| Failure::vacancy(ring, &error))
}
