//! Copies of the sources, to build with other options or with a change.

use std::fs;
use std::path::Path;

/// The parts of a copy of the whole project.
const EVERYTHING: [&str; 9] = [
    ".ci",
    "Cargo.toml",
    "Cargo.lock",
    "fuzz",
    "src",
    "tests",
    "xtask",
    "benches",
    "examples",
];

/// The parts of a copy of the library, with its models.
const LIBRARY: [&str; 2] = ["Cargo.lock", "src"];

/// Tables of the manifest that a copy of the library omits. The dependencies of the other tests
/// take longer to build than all models take to run.
const OMITTED: [&str; 5] = [
    "[dev-dependencies]",
    "[[bin]]",
    "[[test]]",
    "[[bench]]",
    "[workspace]",
];

/// Makes `tree` a copy of the library alone. Files that are equal are not written, so cargo does
/// not build them again.
pub(crate) fn copy_library(root: &Path, tree: &Path) -> Result<(), String> {
    for part in LIBRARY {
        copy(&root.join(part), &tree.join(part))?;
    }
    let manifest = read(&root.join("Cargo.toml"))?;
    let mut kept = String::from("[workspace]\n\n");
    let mut is_kept = true;
    for line in manifest.lines() {
        if line.starts_with('[') {
            is_kept = !OMITTED.contains(&line);
        }
        if is_kept {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    write(&tree.join("Cargo.toml"), &kept)
}

/// Makes `tree` a copy of the whole project.
pub(crate) fn copy_everything(root: &Path, tree: &Path) -> Result<(), String> {
    for part in EVERYTHING {
        copy(&root.join(part), &tree.join(part))?;
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<(), String> {
    if !from.is_dir() {
        return write_bytes(to, &fs::read(from).map_err(failed(from))?);
    }
    fs::create_dir_all(to).map_err(failed(to))?;
    for name in names(to)? {
        if !from.join(&name).exists() {
            remove(&to.join(&name))?;
        }
    }
    for name in names(from)? {
        // The build directory of a package outside the workspace.
        if name != "target" {
            copy(&from.join(&name), &to.join(&name))?;
        }
    }
    Ok(())
}

/// The files that `part` names or contains, as paths from `root`.
pub(crate) fn files_below(root: &Path, part: &str) -> Result<Vec<String>, String> {
    let path = root.join(part);
    if !path.is_dir() {
        return Ok(vec![part.to_owned()]);
    }
    let mut files = Vec::new();
    for name in names(&path)? {
        files.extend(files_below(
            root,
            &format!("{part}/{}", name.to_string_lossy()),
        )?);
    }
    Ok(files)
}

fn names(directory: &Path) -> Result<Vec<std::ffi::OsString>, String> {
    let entries = fs::read_dir(directory).map_err(failed(directory))?;
    let names = entries.map(|entry| Ok(entry.map_err(failed(directory))?.file_name()));
    names.collect()
}

fn remove(path: &Path) -> Result<(), String> {
    let removed = match path.is_dir() {
        true => fs::remove_dir_all(path),
        false => fs::remove_file(path),
    };
    removed.map_err(failed(path))
}

pub(crate) fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(failed(path))
}

pub(crate) fn write(path: &Path, text: &str) -> Result<(), String> {
    write_bytes(path, text.as_bytes())
}

fn write_bytes(path: &Path, bytes: &[u8]) -> Result<(), String> {
    if fs::read(path).is_ok_and(|found| found == bytes) {
        return Ok(());
    }
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory).map_err(failed(directory))?;
    }
    fs::write(path, bytes).map_err(failed(path))
}

fn failed(path: &Path) -> impl FnOnce(std::io::Error) -> String {
    let path = path.display().to_string();
    move |error| format!("{path}: {error}")
}
