//! The operations of rings and handles, with producers and consumers in one process.

#[macro_use]
#[path = "../support/mod.rs"]
mod support;
#[path = "../support/trials/mod.rs"]
mod trials;

mod batches;
mod chunks;
mod claims;
mod deadlines;
mod instructions;
mod layers;
mod memory_size;
mod mpmc_batches;
mod mpmc_options;
mod mpmc_rings;
mod names;
mod operations;
mod payloads;
mod peer_status;
mod plain_bytes;
mod positions;
mod properties;
mod references;
mod rings;
mod threads;
mod types;
