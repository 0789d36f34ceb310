//! `slipring rm`.

use super::args::Remove;
use super::failure::Failure;
use super::rings::{self, Finding};
use slipring::Backing;

pub(crate) fn run(asked: &Remove) -> Result<(), Failure> {
    for ring in &asked.rings {
        check(ring, asked.force)?;
        slipring::unlink(ring).map_err(|error| Failure::unlink(ring, &error))?;
    }
    Ok(())
}

/// What is not a ring is never removed.
fn check(ring: &Backing, is_forced: bool) -> Result<(), Failure> {
    match rings::look(ring) {
        Finding::Ring(snapshot) if is_forced || snapshot.alive() == 0 => Ok(()),
        Finding::Ring(snapshot) => {
            let users = snapshot.alive();
            let reason = format!("in use by {users} of its seats; --force removes its name");
            Err(Failure::of(ring, reason))
        }
        Finding::Broken(_) if is_forced => Ok(()),
        Finding::Broken(reason) => {
            let reason = format!("broken: {reason}; --force removes it");
            Err(Failure::of(ring, reason))
        }
        Finding::Other => rings::open(ring).map(drop),
    }
}
