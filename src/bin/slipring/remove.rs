//! `slipring rm`.

use super::args::Remove;
use super::discover::{self, Finding};
use super::failure::Failure;
use slipring::{Backing, ExclusiveRing};

pub(crate) fn run(args: &Remove) -> Result<(), Failure> {
    for ring in &args.rings {
        let removed = match args.force {
            true => {
                check_is_ring(ring)?;
                slipring::unlink(ring)
            }
            false => lock(ring)?.unlink(),
        };
        removed.map_err(|error| Failure::unlink(ring, &error))?;
    }
    Ok(())
}

fn check_is_ring(ring: &Backing) -> Result<(), Failure> {
    match discover::inspect(ring) {
        Finding::Ring(_) | Finding::Broken(_) => Ok(()),
        _ => discover::open(ring).map(drop),
    }
}

/// Locks all seats, so that no process can attach during the removal.
fn lock(ring: &Backing) -> Result<ExclusiveRing, Failure> {
    match discover::inspect(ring) {
        Finding::Ring(snapshot) if snapshot.alive() > 0 => {
            let holders = snapshot.alive();
            let reason = format!("in use (live participants: {holders}); --force removes its name");
            return Err(Failure::of(ring, reason));
        }
        Finding::Broken(reason) => {
            let reason = format!("broken: {reason}; --force removes it");
            return Err(Failure::of(ring, reason));
        }
        _ => {}
    }
    ExclusiveRing::lock(ring).map_err(|error| Failure::exclusive(ring, &error))
}
