//! No safe function returns a reference into a ring's bytes, which a peer may change.
//!
//! A public function that returns something borrowed is `unsafe`, or it borrows private memory and
//! is listed here.

use std::fs;
use std::path::{Path, PathBuf};

/// Safe functions that return something borrowed, and the private memory that they borrow.
const ALLOWED: [(&str, &str); 3] = [
    ("descriptor", "a descriptor's number, of the handle"),
    ("seats_of", "seats in a snapshot, which is a copy"),
    ("as_str", "the text of a backing"),
];

/// Traits with functions that return references. Only `Backing` may implement them.
const BORROWING: [&str; 9] = [
    "Deref",
    "DerefMut",
    "AsRef",
    "AsMut",
    "Borrow",
    "BorrowMut",
    "Index",
    "IndexMut",
    "BufRead",
];

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            // The tool uses only the public API.
            true if path.ends_with("bin") => {}
            true => sources(&path, found),
            false => found.push(path),
        }
    }
}

#[test]
fn no_safe_function_returns_a_reference_into_a_ring() {
    let mut files = Vec::new();
    sources(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        &mut files,
    );
    let (mut borrowing, mut count) = (Vec::new(), 0);
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let code: Vec<_> = text
            .lines()
            .filter(|it| !it.trim_start().starts_with("//"))
            .collect();
        let code = code.join("\n");
        for (at, _) in code.match_indices("pub fn ") {
            count += 1;
            let signature = &code[at + "pub fn ".len()..];
            let signature = &signature[..signature.find(['{', ';']).unwrap()];
            let name = &signature[..signature.find(['(', '<']).unwrap()];
            let Some((_, returned)) = signature.split_once("->") else {
                continue;
            };
            let borrows = ["&", "*const", "*mut", "NonNull", "BorrowedFd"];
            if borrows.iter().any(|it| returned.contains(it)) {
                borrowing.push(name.to_owned());
            }
        }
        for line in code.lines().filter(|line| line.starts_with("impl")) {
            let Some((of, what)) = line.split_once(" for ") else {
                continue;
            };
            let last = of.rsplit([' ', ':']).next().unwrap();
            let last = last.split('<').next().unwrap();
            if BORROWING.contains(&last) {
                assert!(what.starts_with("Backing"), "{}: {line}", file.display());
            }
        }
    }
    assert!(
        count > 80,
        "public functions: found {count}, expected more than 80"
    );
    borrowing.sort();
    let mut allowed: Vec<_> = ALLOWED.iter().map(|(name, _)| *name).collect();
    allowed.sort();
    assert_eq!(borrowing, allowed);
}
