//! The layers of the crate. Each file uses only the layers below its own, only `sync.rs` names the
//! atomics, and only listed files contain unsafe code.

use std::fs;
use std::path::Path;

/// The layers, from the bottom to the top.
const LAYERS: &str = "sync terms error sys wait ring message region layout stage seat recovery observer \
                      options attachment handle spsc mpmc";
/// The files that may contain `unsafe`.
const UNSAFE: &str = "attachment.rs stage.rs layout/header.rs message.rs region/descriptor.rs \
                      region/mapping.rs ring/models.rs ring/slot.rs handle/batch.rs handle/claim.rs handle/receiving.rs \
                      handle/guard.rs handle/sending.rs sync.rs sys/fence.rs sys/fork.rs sys/futex.rs \
                      sys/ipc.rs sys/socket.rs";

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c != '_' && !c.is_alphanumeric())
}

/// The violations in the source of `path`, a path below `src`.
fn violations(path: &str, source: &str) -> Vec<String> {
    let code = source.lines().map(|line| line.split("//").next().unwrap());
    let code: String = code.flat_map(|code| [code, "\n"]).collect();
    let level = |layer| LAYERS.split(' ').position(|known| known == layer);
    let own = words(path).next().unwrap();
    let used = code
        .split("crate::")
        .skip(1)
        .map(|after| words(after).next().unwrap());
    let above =
        used.filter(|&used| used != own && (level(used).is_none() || level(used) > level(own)));
    let mut found: Vec<_> = above
        .map(|used| format!("{path} uses crate::{used}"))
        .collect();
    if level(own).is_none() {
        found.push(format!("{path} belongs to no layer"));
    }
    // The model of the kernel's futex queue blocks on locks of the model checkers.
    let is_model = path == "sys/futex.rs" || path.contains("/models");
    for external in ["sync::atomic", "loom::", "shuttle::"] {
        let allowed = own == "sync" || is_model && external != "sync::atomic";
        if code.contains(external) && !allowed {
            found.push(format!("{path} bypasses sync.rs and uses {external}"));
        }
    }
    if words(&code).any(|word| word == "unsafe") && !UNSAFE.split(' ').any(|known| known == path) {
        found.push(format!("{path} has unsafe code"));
    }
    found
}

fn check(directory: &Path, below: &str) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap());
    let check_one = |entry: fs::DirEntry| {
        let path = format!("{below}{}", entry.file_name().to_str().unwrap());
        match &*path {
            "lib.rs" | "bin" => Vec::new(),
            _ if entry.path().is_dir() => check(&entry.path(), &format!("{path}/")),
            _ => violations(&path, &fs::read_to_string(entry.path()).unwrap()),
        }
    };
    entries.flat_map(check_one).collect()
}

#[test]
fn source_files_respect_layers_atomics_and_unsafe_list() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    assert_eq!(check(&src, ""), [""; 0]);
}

#[test]
fn layer_check_finds_each_kind_of_violation() {
    let seeded = [
        "ring/spsc.rs uses crate::layout <- use crate::layout::Geometry;",
        "wait.rs uses crate::seat <- let x = crate::seat::ask();",
        "seat.rs uses crate:: <- use crate::{sync, spsc};",
        "bridge.rs belongs to no layer <- fn f() {}",
        "wait.rs bypasses sync.rs and uses sync::atomic <- use core::sync::atomic::AtomicU8;",
        "wait.rs bypasses sync.rs and uses loom:: <- loom::model(|| {});",
        "sys/futex.rs bypasses sync.rs and uses sync::atomic <- use std::sync::atomic;",
        "seat.rs has unsafe code <- unsafe { f() }",
    ];
    for (violation, source) in seeded
        .iter()
        .map(|seeded| seeded.split_once(" <- ").unwrap())
    {
        let path = violation.split(' ').next().unwrap();
        assert_eq!(violations(path, source), [violation]);
    }
    let valid = "use crate::sync::Bytes; // unsafe, crate::mpmc\nuse crate::handle::Ring;";
    assert_eq!(violations("handle/claim.rs", valid), [""; 0]);
}
