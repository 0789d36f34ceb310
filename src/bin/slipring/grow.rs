//! `slipring grow`.

use super::args::Grow;
use super::failure::Failure;
use super::{output, rings};

pub(crate) fn run(asked: &Grow) -> Result<(), Failure> {
    let ring = &asked.ring;
    slipring::grow(ring, asked.capacity).map_err(|error| Failure::grow(ring, &error))?;
    let snapshot = rings::snapshot(ring, &rings::open(ring)?)?;
    let now = rings::growth(&snapshot).unwrap_or(snapshot.capacity.to_string());
    output::print(&format!("{}: {now}\n", output::plain(ring)))
}
