//! The trials of the tests, each by one call.

#[path = "../../tests/kinds/mod.rs"]
mod kinds;
#[path = "../../tests/naming/mod.rs"]
mod naming;
#[path = "../../tests/numbers/mod.rs"]
mod numbers;
#[path = "../../tests/tampering/mod.rs"]
mod tampering;
#[path = "../../tests/trials/mod.rs"]
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
