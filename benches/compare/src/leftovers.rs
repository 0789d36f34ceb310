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
            tag: format!("{TAG}{}-{experiment}-", std::process::id()),
        }
    }

    pub(crate) fn tag(&self) -> &str {
        &self.tag
    }
}

/// What the names of every run start with, before the number of its process. It is short, since
/// iceoryx2 puts a name twice into the path of a socket, which has room for 107 bytes.
const TAG: &str = "slipring-cmp-";

/// Removes what runs left that were killed: those whose processes are no more.
pub(crate) fn remove_of_the_dead() {
    for place in PLACES {
        for entry in fs::read_dir(place).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let process = name
                .split(TAG)
                .nth(1)
                .and_then(|rest| rest.split('-').next());
            if let Some(process) = process
                && !Path::new("/proc").join(process).exists()
            {
                remove(Path::new(place), &format!("{TAG}{process}-"));
            }
        }
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
