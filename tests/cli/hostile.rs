//! Rings that are broken, forged or cut short, and what else lies where rings are: each command does what it can,
//! or says in a line why not.

use crate::running::{Ended, Running, run, slipring};
use crate::support::{Dice, Name, until};
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

/// What can be done to a ring without its consent. None of it needs a message to end.
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

/// Whatever happened, it ended by itself, and said at most a line about it.
#[track_caller]
fn assert_orderly(ended: &Ended, what: &str) {
    let is_known = matches!(ended.status, Some(0 | 1 | 3 | 124));
    let lines = ended.complaint.lines().count();
    let is_said = ended.complaint.is_empty() || ended.complaint.starts_with("slipring: ");
    assert!(is_known && lines <= 1 && is_said, "{what}: {ended:?}");
}

/// Has every command at a ring that `make` makes anew for each.
fn try_everything(name: &Name, what: &str, make: impl Fn()) {
    for command in COMMANDS {
        make();
        let arguments = command.iter().map(|word| word.replace("RING", name));
        let mut command = slipring(arguments);
        command.stdin(Stdio::piped());
        let mut running = Running::start(command);
        // It may have ended already.
        running.try_feed(b"something");
        let ended = running.end();
        assert_orderly(&ended, what);
    }
    make();
    let mut tap = Running::start(slipring(["tap", name]));
    // It may be waiting for a message that never comes.
    tap.end_within(Duration::from_millis(20), Signal::SIGINT);
    let tapped = tap.end();
    // Asked before it listens it ends as any program does.
    if tapped.signal != Some(Signal::SIGINT as i32) {
        assert_orderly(&tapped, what);
    }
}

fn remake(name: &Name, is_mpmc: bool) -> File {
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
fn a_ring_cut_short_anywhere_is_no_reason_to_crash() {
    let name = Name::in_memory("cut");
    let len = remake(&name, true).metadata().unwrap().len();
    let edges = [
        0, 0x80, 0x100, 0x180, 0x200, 0x280, 0x300, 0x400, 0x480, 0x1000,
    ];
    let around = edges
        .into_iter()
        .flat_map(|edge: u64| [edge.saturating_sub(1), edge]);
    for left in around.chain([len - 0x1000, len - 1]) {
        try_everything(&name, &format!("{left} bytes left"), || {
            remake(&name, true).set_len(left).unwrap();
        });
    }
}

/// A ring that has grown, and where the second part begins.
fn remake_grown(name: &Name) -> (File, u64) {
    let file = remake(name, true);
    let second = file.metadata().unwrap().len();
    let ring = mpmc::Ring::<[u8]>::open(name).unwrap();
    ring.grow(8).unwrap();
    ring.producer().unwrap().push(b"more").unwrap();
    (file, second)
}

#[test]
fn a_ring_that_has_grown_may_be_cut_short_or_lead_nowhere() {
    let name = Name::in_memory("chain");
    let (file, second) = remake_grown(&name);
    let len = file.metadata().unwrap().len();
    for left in [second - 1, second, second + 0x400, second + 0x1000, len - 1] {
        try_everything(&name, &format!("{left} bytes left"), || {
            remake_grown(&name).0.set_len(left).unwrap();
        });
    }
    // Where the next one lies, where the oldest lies in use and in memory, and where somebody works.
    for place in [0x328, 0x2b8, 0x2c0, 0x430, second + 0x328] {
        for word in [second, second + 0x1000, 1, u64::MAX] {
            try_everything_but_taking_part(&name, &format!("{word:#x} at {place:#x}"), || {
                let (file, _) = remake_grown(&name);
                file.write_all_at(&word.to_le_bytes(), place).unwrap();
            });
        }
    }
}

#[test]
fn a_header_that_can_not_be_is_no_reason_to_crash() {
    let name = Name::in_memory("header");
    // All of the header's fields that say what the ring is, and those of the settings.
    let fields = (0..0x60).step_by(4).chain((0x300..0x340).step_by(4));
    for offset in fields {
        for bytes in [[0xff; 4], [0; 4], [1, 0, 0, 0x80]] {
            try_everything_but_taking_part(&name, &format!("{bytes:?} at {offset:#x}"), || {
                remake(&name, offset % 8 == 0)
                    .write_all_at(&bytes, offset)
                    .unwrap();
            });
        }
    }
}

/// For what is only a matter of the header, which is checked before anything else: some of the commands are
/// enough.
fn try_everything_but_taking_part(name: &Name, what: &str, make: impl Fn()) {
    make();
    for command in [&["list"][..], &["stat", "--json"], &["doctor"], &["rm"]] {
        let arguments = command.iter().copied().chain([&**name]);
        let arguments: Vec<_> = arguments.collect();
        assert_orderly(&run(&arguments), what);
    }
}

#[test]
fn noise_is_no_reason_to_crash() {
    let name = Name::in_memory("noise");
    let mut dice = Dice::new(7);
    for round in 0..8 {
        // Everything; or what changes while a ring is used, with the header as it was.
        let from = [0, 0x80][round % 2];
        let len = remake(&name, true).metadata().unwrap().len();
        let noise: Vec<_> = (from..len).map(|_| dice.below(256) as u8).collect();
        try_everything(&name, &format!("noise {round}"), || {
            let file = remake(&name, round % 4 < 2);
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
fn a_ring_that_is_cut_short_meanwhile_ends_the_watching() {
    let [name, other] = ["shrinks", "stays"].map(Name::in_memory);
    let file = remake(&name, true);
    remake(&other, true);
    let mut watch = Running::start(slipring(["stat", "--watch", "0.001", &name]));
    let mut tap = Running::start(slipring(["tap", &name]));
    let interval = ["top", "--interval", "0.001", &name, &other];
    let mut top = Running::start(slipring(interval));
    for running in [&mut watch, &mut tap, &mut top] {
        running.line();
    }
    file.set_len(0x200).unwrap();
    let watched = watch.end();
    let told = format!("slipring: {name}: size: found 512 bytes, expected ");
    assert!(watched.complaint.starts_with(&told), "{watched:?}");
    assert_orderly(&watched, "stat --watch");
    let tapped = tap.end();
    assert!(tapped.complaint.starts_with(&told), "{tapped:?}");
    assert_orderly(&tapped, "tap");
    until("only the other one is shown", || {
        let lines = [(); 2].map(|()| top.line());
        lines.iter().all(|line| !line.starts_with(&*name))
    });
    top.signal(Signal::SIGTERM);
}

#[test]
fn what_only_has_the_name_of_a_ring_is_none() {
    let labels = ["directory", "fifo", "socket", "dangling", "link", "device"];
    let [directory, fifo, socket, dangling, link, device] = labels.map(Name::in_memory);
    let whole = Name::in_memory("whole");
    remake(&whole, false);
    fs::create_dir(directory.path()).unwrap();
    mkfifo(&fifo.path(), Mode::S_IRWXU).unwrap();
    let _listener = UnixListener::bind(socket.path()).unwrap();
    symlink("/no/such/ring", dangling.path()).unwrap();
    symlink(whole.path(), link.path()).unwrap();
    let mut others = vec![&directory, &fifo, &socket, &dangling, &link];
    // /dev/zero's number; only root may.
    let zero = makedev(1, 5);
    if mknod(&device.path(), SFlag::S_IFCHR, Mode::S_IRWXU, zero).is_ok() {
        others.push(&device);
    }
    for other in &others {
        for command in ["list", "stat", "doctor", "tap", "rm", "send", "recv"] {
            run(&[command, other]).badly(1, &format!("{other}: not a ring"));
        }
        let nothing = run(&["gc", "--older", "0", "--yes", "--force", other]).well();
        assert!(nothing.starts_with(b"nothing to remove"));
        assert!(other.path().symlink_metadata().is_ok());
    }
    let listed = run(&["list"]).well();
    let listed = String::from_utf8(listed).unwrap();
    assert!(
        others.iter().all(|other| !listed.contains(&***other)),
        "{listed}"
    );
    fs::remove_dir(directory.path()).unwrap();
}

#[test]
fn a_name_is_shown_without_its_meaning_to_a_terminal() {
    let odd = "a b\n\x1b[31m'ü\"\\;$(id)";
    let name = Name::in_memory(odd);
    remake(&name, true);
    let shown = name.replace('\n', "\\n").replace('\x1b', "\\u{1b}");
    for command in [
        &["list"][..],
        &["stat", &name],
        &["top", "--interval", "0.001", "--count", "1", &name],
        &["doctor", &name],
        &["gc", "--older", "0", &name],
    ] {
        let ended = run(command);
        let said = format!("{}{}", ended.text(), ended.complaint);
        assert!(said.contains(&shown), "{command:?}: {said}");
        assert!(!said.contains('\x1b'), "{command:?}: {said}");
    }
    let metrics = String::from_utf8(run(&["stat", "--prometheus", &name]).well()).unwrap();
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
    run(&["rm", &name]).well();
    run(&["rm", &name]).badly(1, &format!("{shown}: no such ring"));
}

/// Runs the program as a user to whom permissions mean something, also if that is root.
fn without_privileges(arguments: &[&str]) -> Ended {
    const DAC_OVERRIDE: u64 = 1;
    const DAC_READ_SEARCH: u64 = 2;
    let mut command = slipring(arguments);
    let drop_both = || {
        for capability in [DAC_OVERRIDE, DAC_READ_SEARCH] {
            // SAFETY: takes a number. Who has no privileges is refused, and needs none dropped.
            unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability) };
        }
        Ok(())
    };
    // SAFETY: the closure makes system calls and allocates nothing.
    unsafe { command.pre_exec(drop_both) };
    command.output().unwrap().into()
}

#[test]
fn a_ring_that_may_not_be_read_is_named() {
    let name = Name::in_memory("unreadable");
    remake(&name, false);
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
    refused.badly(1, &format!("{name}: no permission to open it"));
}
