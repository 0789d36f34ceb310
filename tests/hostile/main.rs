//! Peers that do not follow the protocol: corrupt words, random writes, locks and wake-ups.

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
