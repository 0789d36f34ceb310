//! The system calls of a peer process, as strace records them.

use super::{Name, skip, start_under};
use nix::libc;
use std::fmt::Display;
use std::fs;
use std::process::Command;

/// Runs a role under strace, and returns the trace. Returns `None`, and prints why the test is
/// skipped, if strace is missing or must not trace.
#[track_caller]
pub(crate) fn trace_role(role: &str, arguments: &[&dyn Display]) -> Option<String> {
    let works = Command::new("strace").args(["-qq", "true"]).output();
    if !works.is_ok_and(|output| output.status.success()) {
        skip("strace is not installed, or it has no permission to trace");
        return None;
    }
    let trace = Name::in_memory("trace");
    let output = trace.path().display().to_string();
    let wrapper = ["strace", "-f", "-qq", "-e", "signal=none", "-o", &output];
    start_under(&wrapper, role, arguments).finish();
    Some(fs::read_to_string(&output).unwrap())
}

/// Marks a place in the trace, with a system call that the library never makes.
pub(crate) fn mark(text: &str) {
    let no_descriptor = -1;
    // SAFETY: the bytes outlive the call, which fails.
    unsafe { libc::write(no_descriptor, text.as_ptr().cast(), text.len()) };
}

/// The lines of a trace between two marks, without other marks.
pub(crate) fn calls_between<'t>(trace: &'t str, begin: &str, end: &str) -> Vec<&'t str> {
    let (_, after) = trace
        .split_once(&format!("\"{begin}\""))
        .expect("the trace has the first mark");
    let (part, _) = after
        .split_once(&format!("\"{end}\""))
        .expect("the trace has the last mark");
    let lines = part.lines().skip(1);
    lines.filter(|line| !line.contains("write(-1")).collect()
}
