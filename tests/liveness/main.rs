//! How participants find out that a peer has died, and that a stopped peer has not.

#[macro_use]
#[path = "../support/mod.rs"]
mod support;

mod death_proofs;
mod deaths;
mod stopped;
mod stopped_or_dead;
