//! What a process holds for rings, and which objects it left: to be the same before and after.

use crate::support::backings::directory;
use std::fs;
use std::path::Path;
use std::process;

/// Everything that could be left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Remains {
    descriptors: usize,
    /// Of files: the rest of the address space is the allocator's business.
    mappings: usize,
    /// Objects that bear a name of this process's tests.
    objects: Vec<String>,
}

impl Remains {
    pub(crate) fn now() -> Self {
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        Self {
            descriptors: fs::read_dir("/proc/self/fd").unwrap().count(),
            mappings: maps.lines().filter(|line| line.contains(" /")).count(),
            objects: objects(),
        }
    }
}

fn objects() -> Vec<String> {
    let ours = format!("-{}-", process::id());
    let mut found = Vec::new();
    for directory in [Path::new("/dev/shm"), directory()] {
        let entries = fs::read_dir(directory).unwrap().flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        found.extend(names.filter(|name| name.starts_with("slipring-") && name.contains(&ours)));
    }
    found.sort();
    found
}
