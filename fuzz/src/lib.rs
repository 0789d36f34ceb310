//! The trials of the tests, each by one call.

use support::trials;

/// The parts of the tests' support that trials need.
mod support {
    #[path = "../../../tests/support/backings.rs"]
    pub(crate) mod backings;
    #[path = "../../../tests/support/kinds.rs"]
    pub(crate) mod kinds;
    #[path = "../../../tests/support/names.rs"]
    pub(crate) mod names;
    #[path = "../../../tests/support/numbers.rs"]
    pub(crate) mod numbers;
    #[path = "../../../tests/support/tampering.rs"]
    pub(crate) mod tampering;
    #[path = "../../../tests/support/trials/mod.rs"]
    pub(crate) mod trials;
}

/// Any bytes as an object.
pub fn open(bytes: &[u8]) {
    trials::open::run(bytes);
}

/// Any operations, against a model.
pub fn ops(bytes: &[u8]) {
    trials::ops::run(bytes);
}

/// Any words stored by a peer.
pub fn hostile(bytes: &[u8]) {
    trials::hostile::run(bytes);
}

/// Any stream, cut into messages.
pub fn stream(bytes: &[u8]) {
    trials::stream::run(bytes);
}

/// What to begin with: trial, name and bytes.
pub fn seeds() -> Vec<(&'static str, String, Vec<u8>)> {
    trials::seeds::all()
}
