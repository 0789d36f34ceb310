//! Removes files that subjects leave, also after a panic.

use std::fs;
use std::path::Path;

/// The directory of subjects that do not keep their files in shared memory.
pub(crate) const DIRECTORY: &str = "/tmp";
const PLACES: [&str; 3] = ["/dev/shm", "/dev/mqueue", DIRECTORY];

/// Removes all files with the tag of an experiment in their names.
pub(crate) struct TempFiles {
    tag: String,
}

impl TempFiles {
    pub(crate) fn of(experiment: usize) -> Self {
        Self {
            tag: format!("{TAG}{}-{experiment}-", std::process::id()),
        }
    }

    pub(crate) fn tag(&self) -> &str {
        &self.tag
    }
}

/// The prefix of all names, before the process ID. It is short: iceoryx2 puts a name twice into the
/// path of a socket, which holds 107 bytes.
const TAG: &str = "slipring-cmp-";

/// Removes the files of killed runs. The process of such a run does not exist.
pub(crate) fn remove_stale() {
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

impl Drop for TempFiles {
    fn drop(&mut self) {
        for place in PLACES {
            remove(Path::new(place), &self.tag);
        }
    }
}

/// Errors are ignored: the files may already be removed.
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
