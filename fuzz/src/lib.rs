//! The fuzz targets: the trials of the tests, one function each.

/// The parts of the tests' support that trials need.
#[path = "../../tests/support"]
mod support {
    pub(crate) mod backings;
    #[allow(unused_macros, reason = "trials use other parts of it")]
    pub(crate) mod kinds;
    pub(crate) mod names;
    pub(crate) mod numbers;
    pub(crate) mod ring_layout;
    pub(crate) mod wait_strategies;
}
#[path = "../../tests/support/trials/mod.rs"]
mod trials;

/// Opens arbitrary bytes as an object.
pub fn open(bytes: &[u8]) {
    trials::open::run(bytes);
}

/// Runs arbitrary operations, and compares them with a model.
pub fn ops(bytes: &[u8]) {
    trials::ops::run(bytes);
}

/// Lets a hostile peer store arbitrary words.
pub fn hostile(bytes: &[u8]) {
    trials::hostile::run(bytes);
}

/// Sends an arbitrary stream, cut into messages.
pub fn stream(bytes: &[u8]) {
    trials::stream::run(bytes);
}

/// The seeds of the corpus: target, name and bytes.
pub fn seeds() -> Vec<(&'static str, String, Vec<u8>)> {
    trials::seeds::all()
}
