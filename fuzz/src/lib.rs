//! The trials of the tests, each by one call.

/// The parts of the tests' support that trials need.
#[path = "../../tests/support"]
mod support {
    pub(crate) mod backings;
    #[allow(unused_macros, reason = "trials use other parts of it")]
    pub(crate) mod kinds;
    pub(crate) mod names;
    pub(crate) mod numbers;
    pub(crate) mod tampering;
}
#[path = "../../tests/support/trials/mod.rs"]
mod trials;

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
