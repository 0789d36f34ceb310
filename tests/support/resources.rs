//! The resources that a process holds for rings, and the objects that it has left behind. A test
//! compares them before and after.

use crate::support::backings::directory;
use std::fs;
use std::path::Path;
use std::process;

/// Everything that could leak.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Resources {
    descriptors: usize,
    /// Mappings of files only: the allocator may change the others.
    mappings: usize,
    /// The names of objects that this process's tests created.
    objects: Vec<String>,
}

impl Resources {
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
