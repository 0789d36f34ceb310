//! Tests that run in a process of their own.

use super::peer::path_from;
use std::env;
use std::panic::Location;
use std::process::Command;

/// Runs `body` in a process of its own, by executing this test program again with one test. This is
/// for tests that read or change state of the whole process. The test `test` must be in the same
/// file as the caller.
#[track_caller]
pub(crate) fn in_own_process(test: &str, body: impl FnOnce()) {
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
    let output = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(
        ran.status.success() && output.contains("1 passed"),
        "{output}"
    );
}
