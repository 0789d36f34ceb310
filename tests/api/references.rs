//! No safe function hands out a reference into a ring's bytes, which a peer may change: what is public and says
//! that it returns something borrowed is `unsafe`, or known to be of something private.

use std::fs;
use std::path::{Path, PathBuf};

/// Safe functions that return something borrowed, and from what.
const KNOWN: [(&str, &str); 3] = [
    ("descriptor", "a descriptor's number, of the handle"),
    ("seats_of", "seats in a snapshot, which is a copy"),
    ("as_str", "the text of a backing"),
];

/// Traits that hand out references, and for what they may be implemented.
const LENDING: [&str; 9] = [
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
            // The tool has no more than the public surface.
            true if path.ends_with("bin") => {}
            true => sources(&path, found),
            false => found.push(path),
        }
    }
}

#[test]
fn no_safe_function_hands_out_a_reference_into_a_ring() {
    let mut files = Vec::new();
    sources(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        &mut files,
    );
    let (mut lenders, mut seen) = (Vec::new(), 0);
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let code: Vec<_> = text
            .lines()
            .filter(|it| !it.trim_start().starts_with("//"))
            .collect();
        let code = code.join("\n");
        for (at, _) in code.match_indices("pub fn ") {
            seen += 1;
            let signature = &code[at + "pub fn ".len()..];
            let signature = &signature[..signature.find(['{', ';']).unwrap()];
            let name = &signature[..signature.find(['(', '<']).unwrap()];
            let Some((_, returned)) = signature.split_once("->") else {
                continue;
            };
            let borrows = ["&", "*const", "*mut", "NonNull", "BorrowedFd"];
            if borrows.iter().any(|it| returned.contains(it)) {
                lenders.push(name.to_owned());
            }
        }
        for line in code.lines().filter(|line| line.starts_with("impl")) {
            let Some((of, what)) = line.split_once(" for ") else {
                continue;
            };
            let last = of.rsplit([' ', ':']).next().unwrap();
            let last = last.split('<').next().unwrap();
            if LENDING.contains(&last) {
                assert!(what.starts_with("Backing"), "{}: {line}", file.display());
            }
        }
    }
    assert!(seen > 80, "the public functions are where they were");
    lenders.sort();
    let mut known: Vec<_> = KNOWN.iter().map(|(name, _)| *name).collect();
    known.sort();
    assert_eq!(lenders, known);
}
