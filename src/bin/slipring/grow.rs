//! `slipring grow`.

use super::args::Grow;
use super::failure::Failure;
use super::{discover, output, summary};

pub(crate) fn run(args: &Grow) -> Result<(), Failure> {
    let ring = &args.ring;
    slipring::grow(ring, args.capacity).map_err(|error| Failure::grow(ring, &error))?;
    let snapshot = discover::snapshot(ring, &discover::open(ring)?)?;
    let progress = summary::growth(&snapshot).unwrap_or(snapshot.capacity.to_string());
    output::print(&format!("{}: {progress}\n", output::escape(ring)))
}
