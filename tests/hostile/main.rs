//! Peers that violate the protocol: corrupt words, random writes, foreign locks and stolen wakes.

#[macro_use]
#[path = "../support/mod.rs"]
mod support;
#[path = "../support/trials/mod.rs"]
mod trials;

mod bad_peers;
mod corrupt_words;
mod forged_intents;
mod random_writes;
mod random_writes_live;
