//! The layers of the crate. Each file uses only the layers below its own, only `sync` names the
//! atomics, and unsafe code is denied where a file does not allow it.

use std::fs;
use std::path::Path;

/// The layers, from the bottom to the top.
const LAYERS: &[&str] = &[
    "sync",
    "properties",
    "role",
    "error",
    "sys",
    "wait",
    "ring",
    "message",
    "protocol",
    "backing",
    "layout",
    "segment",
    "seat",
    "recovery",
    "growth",
    "options",
    "observer",
    "open",
    "endpoint",
    "api",
    "spsc",
    "mpmc",
];

/// The files of a layer, from the bottom to the top. Each uses only those below it, by their names.
const FILES: &[(&str, &[&str])] = &[
    ("growth", &["chain", "append", "reclaim", "mod"]),
    (
        "open",
        &[
            "claim_seat",
            "memory_stat",
            "validate",
            "open_ring",
            "exclusive",
            "typed",
            "mod",
        ],
    ),
    (
        "endpoint",
        &["wait", "liveness", "shared", "pop", "push", "mod"],
    ),
    (
        "api",
        &[
            "chunk", "claim", "guard", "iter", "consumer", "producer", "ring", "backing", "create",
            "mod",
        ],
    ),
];

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c != '_' && !c.is_alphanumeric())
}

/// The words that follow a prefix in the code, one for each occurrence.
fn after<'a>(code: &'a str, prefix: &str) -> Vec<&'a str> {
    let parts = code.split(prefix).skip(1);
    parts.map(|part| words(part).next().unwrap()).collect()
}

fn level(order: &[&str], name: &str) -> Option<usize> {
    order.iter().position(|known| *known == name)
}

/// The violations in the source of `path`, a path below `src`.
fn violations(path: &str, source: &str) -> Vec<String> {
    let code = source.lines().map(|line| line.split("//").next().unwrap());
    let code: String = code.flat_map(|code| [code, "\n"]).collect();
    let own = words(path).next().unwrap();
    let mut found = Vec::new();
    if level(LAYERS, own).is_none() {
        found.push(format!("{path} belongs to no layer"));
    }
    for used in after(&code, "crate::") {
        let is_below = level(LAYERS, used).is_some_and(|used| Some(used) <= level(LAYERS, own));
        if !is_below {
            found.push(format!("{path} uses crate::{used}"));
        }
    }
    if let Some((_, files)) = FILES.iter().find(|(layer, _)| *layer == own) {
        let file = path.rsplit('/').next().unwrap().trim_end_matches(".rs");
        let own = level(files, file);
        if own.is_none() {
            found.push(format!("{path} has no place among the files of its layer"));
        }
        for used in after(&code, "super::") {
            if level(files, used).is_none() || level(files, used) >= own {
                found.push(format!("{path} uses super::{used}"));
            }
        }
    }
    // The model of the kernel's futex queue blocks on locks of the model checkers.
    let is_model = path == "sys/futex.rs" || path.contains("/models");
    for external in ["sync::atomic", "loom::", "shuttle::"] {
        let allowed = own == "sync" || is_model && external != "sync::atomic";
        if code.contains(external) && !allowed {
            found.push(format!("{path} bypasses sync and uses {external}"));
        }
    }
    let has_unsafe = words(&code).any(|word| word == "unsafe");
    if has_unsafe != code.contains("#![allow(unsafe_code)]") {
        found.push(format!(
            "{path} must allow unsafe code exactly if it has some"
        ));
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
fn source_files_respect_layers_atomics_and_unsafe() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    assert_eq!(check(&src, ""), [""; 0]);
    let root = fs::read_to_string(src.join("lib.rs")).unwrap();
    assert!(root.contains("#![deny(unsafe_code)]"));
}

#[test]
fn layer_check_reports_each_kind_of_violation() {
    let seeded = [
        "ring/spsc.rs uses crate::layout <- use crate::layout::Geometry;",
        "wait/mod.rs uses crate::seat <- let x = crate::seat::query_peers();",
        "seat.rs uses crate:: <- use crate::{sync, spsc};",
        "bridge.rs belongs to no layer <- fn f() {}",
        "endpoint/wait.rs uses super::push <- use super::push::PushEndpoint;",
        "open/typed.rs uses super::OpenRing <- use super::OpenRing;",
        "api/part.rs has no place among the files of its layer <- fn f() {}",
        "wait/mod.rs bypasses sync and uses sync::atomic <- use core::sync::atomic::AtomicU8;",
        "wait/mod.rs bypasses sync and uses loom:: <- loom::model(|| {});",
        "sys/futex.rs bypasses sync and uses sync::atomic <- use std::sync::atomic;",
        "seat.rs must allow unsafe code exactly if it has some <- unsafe { f() }",
        "seat.rs must allow unsafe code exactly if it has some <- #![allow(unsafe_code)]",
    ];
    for (violation, source) in seeded
        .iter()
        .map(|seeded| seeded.split_once(" <- ").unwrap())
    {
        let path = violation.split(' ').next().unwrap();
        assert_eq!(violations(path, source), [violation]);
    }
    let correct = "use crate::sync::Bytes; // unsafe, crate::mpmc\nuse crate::api::Ring;";
    assert_eq!(violations("api/claim.rs", correct), [""; 0]);
}
