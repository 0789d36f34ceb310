//! Broken, forged and truncated rings, and other objects among the rings. Each command succeeds or
//! reports the reason in one line.

use crate::program::{Ended, Running, run, slipring};
use crate::support::{Name, Random, until};
use nix::libc;
use nix::sys::signal::Signal;
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use nix::unistd::mkfifo;
use slipring::{Options, mpmc, spsc};
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::process::Stdio;
use std::time::Duration;

/// Commands that take a ring. Each of them ends even if the ring stays empty or full.
const COMMANDS: [&[&str]; 12] = [
    &["list", "RING"],
    &["stat", "RING"],
    &["stat", "--json", "RING"],
    &["stat", "--prometheus", "RING"],
    &["top", "--interval", "0.001", "--count", "2", "RING"],
    &["doctor", "RING"],
    &["doctor", "--repair", "RING"],
    &["grow", "RING", "8"],
    &["gc", "--older", "0", "RING"],
    &["recv", "--timeout", "0.02", "RING"],
    &["send", "--timeout", "0.02", "RING"],
    &["rm", "RING"],
];

/// Checks that the process exited by itself with a known status and at most one line of error.
#[track_caller]
fn assert_orderly(ended: &Ended, case: &str) {
    let is_known = matches!(ended.status, Some(0 | 1 | 3 | 124));
    let lines = ended.stderr.lines().count();
    let is_expected = ended.stderr.is_empty() || ended.stderr.starts_with("slipring: ");
    assert!(is_known && lines <= 1 && is_expected, "{case}: {ended:?}");
}

/// Runs every command on a ring that `make` creates again for each of them.
fn try_all_commands(name: &Name, case: &str, make: impl Fn()) {
    for command in COMMANDS {
        make();
        let arguments = command.iter().map(|word| word.replace("RING", name));
        let mut command = slipring(arguments);
        command.stdin(Stdio::piped());
        let mut running = Running::start(command);
        // The process may have exited already.
        running.try_feed(b"something");
        let ended = running.end();
        assert_orderly(&ended, case);
    }
    make();
    let mut tap = Running::start(slipring(["tap", name]));
    // tap may wait for a message that never arrives.
    tap.end_within(Duration::from_millis(20), Signal::SIGINT);
    let tapped = tap.end();
    // A signal that arrives before the handler is installed ends the process.
    if tapped.signal != Some(Signal::SIGINT as i32) {
        assert_orderly(&tapped, case);
    }
}

fn recreate(name: &Name, is_mpmc: bool) -> File {
    let _ = slipring::unlink(name);
    let options = Options::new().capacity(4).message_size(100);
    if is_mpmc {
        let options = options.producers(2).consumers(2);
        let ring = mpmc::Ring::<[u8]>::create_with(name, &options).unwrap();
        ring.producer().unwrap().push(b"message").unwrap();
    } else {
        let ring = spsc::Ring::<[u8]>::create_with(name, &options).unwrap();
        ring.producer().unwrap().push(b"message").unwrap();
    }
    let mut opened = OpenOptions::new();
    opened.read(true).write(true).open(name.path()).unwrap()
}

#[test]
fn commands_on_truncated_ring_end_with_one_line() {
    let name = Name::in_memory("cut");
    let len = recreate(&name, true).metadata().unwrap().len();
    let edges = [
        0, 0x80, 0x100, 0x180, 0x200, 0x280, 0x300, 0x400, 0x480, 0x1000,
    ];
    let around = edges
        .into_iter()
        .flat_map(|edge: u64| [edge.saturating_sub(1), edge]);
    for left in around.chain([len - 0x1000, len - 1]) {
        try_all_commands(&name, &format!("{left} bytes left"), || {
            recreate(&name, true).set_len(left).unwrap();
        });
    }
}

/// Creates a ring that has grown. Returns its file and the offset of the second segment.
fn recreate_grown(name: &Name) -> (File, u64) {
    let file = recreate(name, true);
    let second = file.metadata().unwrap().len();
    let ring = mpmc::Ring::<[u8]>::open(name).unwrap();
    ring.grow(8).unwrap();
    ring.producer().unwrap().push(b"more").unwrap();
    (file, second)
}

#[test]
fn commands_on_damaged_segment_chain_end_with_one_line() {
    let name = Name::in_memory("chain");
    let (file, second) = recreate_grown(&name);
    let len = file.metadata().unwrap().len();
    for left in [second - 1, second, second + 0x400, second + 0x1000, len - 1] {
        try_all_commands(&name, &format!("{left} bytes left"), || {
            recreate_grown(&name).0.set_len(left).unwrap();
        });
    }
    // The fields `successor`, `oldest_active`, `oldest_allocated`, `oldest_segment` of a seat, and
    // `successor` of the second segment.
    for offset in [0x328, 0x2b8, 0x2c0, 0x430, second + 0x328] {
        for word in [second, second + 0x1000, 1, u64::MAX] {
            try_header_checks(&name, &format!("{word:#x} at {offset:#x}"), || {
                let (file, _) = recreate_grown(&name);
                file.write_all_at(&word.to_le_bytes(), offset).unwrap();
            });
        }
    }
}

#[test]
fn commands_on_impossible_header_end_with_one_line() {
    let name = Name::in_memory("header");
    // All fields of the header that describe the ring, and the fields of the settings.
    let fields = (0..0x60).step_by(4).chain((0x300..0x340).step_by(4));
    for offset in fields {
        for bytes in [[0xff; 4], [0; 4], [1, 0, 0, 0x80]] {
            try_header_checks(&name, &format!("{bytes:?} at {offset:#x}"), || {
                recreate(&name, offset % 8 == 0)
                    .write_all_at(&bytes, offset)
                    .unwrap();
            });
        }
    }
}

/// Runs a few commands on a ring with a damaged header. These are enough, because every command
/// validates the header first.
fn try_header_checks(name: &Name, case: &str, make: impl Fn()) {
    make();
    for command in [&["list"][..], &["stat", "--json"], &["doctor"], &["rm"]] {
        let arguments = command.iter().copied().chain([&**name]);
        let arguments: Vec<_> = arguments.collect();
        assert_orderly(&run(&arguments), case);
    }
}

#[test]
fn commands_on_random_bytes_end_with_one_line() {
    let name = Name::in_memory("noise");
    let mut random = Random::new(7);
    for round in 0..8 {
        // The whole ring, or everything that changes during use, with the header intact.
        let from = [0, 0x80][round % 2];
        let len = recreate(&name, true).metadata().unwrap().len();
        let noise: Vec<_> = (from..len).map(|_| random.below(256) as u8).collect();
        try_all_commands(&name, &format!("noise {round}"), || {
            let file = recreate(&name, round % 4 < 2);
            let len = file.metadata().unwrap().len();
            let settings = 0x300 - from as usize..0x400 - from as usize;
            let mut noise = noise[..(len - from) as usize].to_vec();
            if from > 0 {
                file.read_exact_at(&mut noise[settings], 0x300).unwrap();
            }
            file.write_all_at(&noise, from).unwrap();
        });
    }
}

#[test]
fn truncation_during_watch_ends_stat_and_tap_with_error() {
    let [name, other] = ["shrinks", "stays"].map(Name::in_memory);
    let file = recreate(&name, true);
    recreate(&other, true);
    let mut watch = Running::start(slipring(["stat", "--watch", "0.001", &name]));
    let mut tap = Running::start(slipring(["tap", &name]));
    let interval = ["top", "--interval", "0.001", &name, &other];
    let mut top = Running::start(slipring(interval));
    for running in [&mut watch, &mut tap, &mut top] {
        running.line();
    }
    file.set_len(0x200).unwrap();
    let watched = watch.end();
    let expected = format!("slipring: {name}: size: found 512 bytes, expected ");
    assert!(watched.stderr.starts_with(&expected), "{}", watched.stderr);
    assert_orderly(&watched, "stat --watch");
    let tapped = tap.end();
    assert!(tapped.stderr.starts_with(&expected), "{}", tapped.stderr);
    assert_orderly(&tapped, "tap");
    until("top shows only the other ring", || {
        let lines = [(); 2].map(|()| top.line());
        lines.iter().all(|line| !line.starts_with(&*name))
    });
    top.signal(Signal::SIGTERM);
}

#[test]
fn object_that_is_not_a_ring_is_refused_and_kept() {
    let labels = ["directory", "fifo", "socket", "dangling", "link", "device"];
    let [directory, fifo, socket, dangling, link, device] = labels.map(Name::in_memory);
    let whole = Name::in_memory("whole");
    recreate(&whole, false);
    fs::create_dir(directory.path()).unwrap();
    mkfifo(&fifo.path(), Mode::S_IRWXU).unwrap();
    let _listener = UnixListener::bind(socket.path()).unwrap();
    symlink("/no/such/ring", dangling.path()).unwrap();
    symlink(whole.path(), link.path()).unwrap();
    let mut others = vec![&directory, &fifo, &socket, &dangling, &link];
    // The device number of /dev/zero. Only root may create the node.
    let zero = makedev(1, 5);
    if mknod(&device.path(), SFlag::S_IFCHR, Mode::S_IRWXU, zero).is_ok() {
        others.push(&device);
    }
    for other in &others {
        for command in ["list", "stat", "doctor", "tap", "rm", "send", "recv"] {
            run(&[command, other]).failure(1, &format!("{other}: not a ring"));
        }
        let nothing = run(&["gc", "--older", "0", "--yes", "--force", other]).success();
        assert!(nothing.starts_with(b"nothing to remove"));
        assert!(other.path().symlink_metadata().is_ok());
    }
    let listed = run(&["list"]).success();
    let listed = String::from_utf8(listed).unwrap();
    assert!(
        others.iter().all(|other| !listed.contains(&***other)),
        "{listed}"
    );
    fs::remove_dir(directory.path()).unwrap();
}

#[test]
fn ring_name_with_control_characters_is_shown_escaped() {
    let odd = "a b\n\x1b[31m'ü\"\\;$(id)";
    let name = Name::in_memory(odd);
    recreate(&name, true);
    let shown = name.replace('\n', "\\n").replace('\x1b', "\\u{1b}");
    for command in [
        &["list"][..],
        &["stat", &name],
        &["top", "--interval", "0.001", "--count", "1", &name],
        &["doctor", &name],
        &["gc", "--older", "0", &name],
    ] {
        let ended = run(command);
        let report = format!("{}{}", ended.text(), ended.stderr);
        assert!(report.contains(&shown), "{command:?}: {report}");
        assert!(!report.contains('\x1b'), "{command:?}: {report}");
    }
    let metrics = String::from_utf8(run(&["stat", "--prometheus", &name]).success()).unwrap();
    let label = name
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n");
    assert!(metrics.contains(&format!("slipring_depth{{ring=\"{label}\"}} 1\n")));
    assert!(
        metrics
            .lines()
            .all(|line| line.starts_with("slipring_") || line.starts_with("# "))
    );
    run(&["rm", &name]).success();
    run(&["rm", &name]).failure(1, &format!("{shown}: no such ring"));
}

/// Runs the program without the capabilities that bypass file permissions, even as root.
fn without_privileges(arguments: &[&str]) -> Ended {
    const DAC_OVERRIDE: u64 = 1;
    const DAC_READ_SEARCH: u64 = 2;
    let mut command = slipring(arguments);
    let drop_both = || {
        for capability in [DAC_OVERRIDE, DAC_READ_SEARCH] {
            // SAFETY: the call takes a number. The kernel refuses a process without privileges,
            // which has no capability to drop.
            unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability) };
        }
        Ok(())
    };
    // SAFETY: the closure makes system calls and allocates nothing.
    unsafe { command.pre_exec(drop_both) };
    command.output().unwrap().into()
}

#[test]
fn ring_without_read_permission_is_listed_as_unreadable() {
    let name = Name::in_memory("unreadable");
    recreate(&name, false);
    fs::set_permissions(name.path(), fs::Permissions::from_mode(0o000)).unwrap();
    let listed = without_privileges(&["list"]);
    let line = format!("{name}  unreadable: no permission");
    assert!(
        listed.text().lines().any(|found| found == line),
        "{}",
        listed.text()
    );
    assert_eq!(listed.status, Some(0));
    let json = without_privileges(&["list", "--json"]);
    let object = format!("{{\"ring\":\"{name}\",\"unreadable\":\"no permission\"}}");
    assert!(json.text().contains(&object), "{}", json.text());
    let refused = without_privileges(&["stat", &name]);
    refused.failure(1, &format!("{name}: no permission to open it"));
}
