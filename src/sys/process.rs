//! The identity of this process, for users of an observer.
//!
//! The library never relies on it: pids are reused, and differ between namespaces.

use std::fs;
use std::os::unix::fs::MetadataExt;

pub(crate) fn pid() -> u32 {
    std::process::id()
}

/// When the process started, in clock ticks since boot; 0 where /proc is missing.
pub(crate) fn start_time() -> u64 {
    // The second field, the command name in parentheses, may contain any character.
    const START_TIME_AFTER_NAME: usize = 19;
    fs::read_to_string("/proc/self/stat")
        .ok()
        .and_then(|stat| {
            let (_, after_name) = stat.rsplit_once(')')?;
            after_name
                .split_ascii_whitespace()
                .nth(START_TIME_AFTER_NAME)?
                .parse()
                .ok()
        })
        .unwrap_or(0)
}

/// The inode of the pid namespace; 0 where /proc is missing.
pub(crate) fn pid_namespace() -> u64 {
    fs::metadata("/proc/self/ns/pid").map_or(0, |namespace| namespace.ino())
}

/// The identity of the boot; zeroes where /proc is missing.
pub(crate) fn boot_id() -> [u8; 16] {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .ok()
        .and_then(|text| {
            let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
            let digits = std::str::from_utf8(&digits).ok()?;
            Some(u128::from_str_radix(digits, 16).ok()?.to_be_bytes())
        })
        .unwrap_or_default()
}
