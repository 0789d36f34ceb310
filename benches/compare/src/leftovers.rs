//! What subjects leave behind is removed, also after a panic.

use std::fs;
use std::path::Path;

/// Where those put their files who don't put them into shared memory.
pub(crate) const DIRECTORY: &str = "/tmp";
const PLACES: [&str; 3] = ["/dev/shm", "/dev/mqueue", DIRECTORY];

/// Removes everything whose name has the tag of an experiment in it.
pub(crate) struct Leftovers {
    tag: String,
}

impl Leftovers {
    pub(crate) fn of(experiment: usize) -> Self {
        Self {
            tag: format!("slipring-compare-{}-{experiment}-", std::process::id()),
        }
    }

    pub(crate) fn tag(&self) -> &str {
        &self.tag
    }
}

impl Drop for Leftovers {
    fn drop(&mut self) {
        for place in PLACES {
            remove(Path::new(place), &self.tag);
        }
    }
}

/// What is gone already, or was never there, is no matter.
fn remove(place: &Path, tag: &str) {
    let Ok(entries) = fs::read_dir(place) else {
        return;
    };
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().contains(tag) {
            let path = entry.path();
            let _ = if path.is_dir() {
                fs::remove_dir_all(path)
            } else {
                fs::remove_file(path)
            };
        }
    }
}
