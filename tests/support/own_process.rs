//! Tests that have a process to themselves.

use super::peer::path_from;
use std::env;
use std::panic::Location;
use std::process::Command;

/// Runs `body`, which looks at or changes something that all tests share, in a process of its
/// own: this test's, started again.
#[track_caller]
pub(crate) fn alone(test: &str, body: impl FnOnce()) {
    const ALONE: &str = "SLIPRING_TEST_ALONE";
    if env::var_os(ALONE).is_some() {
        return body();
    }
    let mut again = Command::new(env::current_exe().unwrap());
    let ran = again
        .args(["--exact", &path_from(Location::caller(), test)])
        .env(ALONE, "1")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(ran.status.success() && told.contains("1 passed"), "{told}");
}
