//! The layers of the crate: each file uses only what lies below it, atomics come through one
//! door, and unsafe code stays where it is.

use std::fs;
use std::path::Path;

/// Bottom first.
const LAYERS: &str = "sync terms error sys wait ring message region layout stage seat recovery observer \
                      options attachment handle spsc mpmc";
/// Where `unsafe` may be written.
const UNSAFE: &str = "attachment.rs stage.rs layout/header.rs message.rs region/descriptor.rs \
                      region/mapping.rs ring/models.rs ring/slot.rs handle/batch.rs handle/claim.rs handle/receiving.rs \
                      handle/guard.rs handle/sending.rs sync.rs sys/fence.rs sys/fork.rs sys/futex.rs \
                      sys/ipc.rs sys/socket.rs";

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c != '_' && !c.is_alphanumeric())
}

/// What is wrong with the source at `path`, below `src`.
fn faults(path: &str, source: &str) -> Vec<String> {
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
    let mut faults: Vec<_> = above
        .map(|used| format!("{path} uses crate::{used}"))
        .collect();
    if level(own).is_none() {
        faults.push(format!("{path} belongs to no layer"));
    }
    // The model of the kernel's queue blocks on the checkers' own locks.
    let is_model = path == "sys/futex.rs" || path.contains("/models");
    for past in ["sync::atomic", "loom::", "shuttle::"] {
        let allowed = own == "sync" || is_model && past != "sync::atomic";
        if code.contains(past) && !allowed {
            faults.push(format!("{path} goes past sync.rs to {past}"));
        }
    }
    if words(&code).any(|word| word == "unsafe") && !UNSAFE.split(' ').any(|known| known == path) {
        faults.push(format!("{path} has unsafe code"));
    }
    faults
}

fn check(directory: &Path, below: &str) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap());
    let check_one = |entry: fs::DirEntry| {
        let path = format!("{below}{}", entry.file_name().to_str().unwrap());
        match &*path {
            "lib.rs" | "bin" => Vec::new(),
            _ if entry.path().is_dir() => check(&entry.path(), &format!("{path}/")),
            _ => faults(&path, &fs::read_to_string(entry.path()).unwrap()),
        }
    };
    entries.flat_map(check_one).collect()
}

#[test]
fn every_file_keeps_to_its_layer() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    assert_eq!(check(&src, ""), [""; 0]);
}

#[test]
fn a_fault_of_each_kind_is_found() {
    let seeded = [
        "ring/spsc.rs uses crate::layout <- use crate::layout::Geometry;",
        "wait.rs uses crate::seat <- let x = crate::seat::ask();",
        "seat.rs uses crate:: <- use crate::{sync, spsc};",
        "bridge.rs belongs to no layer <- fn f() {}",
        "wait.rs goes past sync.rs to sync::atomic <- use core::sync::atomic::AtomicU8;",
        "wait.rs goes past sync.rs to loom:: <- loom::model(|| {});",
        "sys/futex.rs goes past sync.rs to sync::atomic <- use std::sync::atomic;",
        "seat.rs has unsafe code <- unsafe { f() }",
    ];
    for (fault, source) in seeded
        .iter()
        .map(|seeded| seeded.split_once(" <- ").unwrap())
    {
        assert_eq!(faults(fault.split(' ').next().unwrap(), source), [fault]);
    }
    let fine = "use crate::sync::Bytes; // unsafe, crate::mpmc\nuse crate::handle::Ring;";
    assert_eq!(faults("handle/claim.rs", fine), [""; 0]);
}
