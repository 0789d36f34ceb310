//! What is only done on a terminal.

use crate::running::slipring;
use crate::support::{Name, until};
use nix::pty::{Winsize, openpty};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use slipring::spsc;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// Runs the program on a terminal of 80 columns until it has shown `awaited`, types, and returns all it has shown.
fn on_terminal(arguments: &[&str], awaited: &str, keys: &str) -> String {
    let (ended, shown) = on_terminal_of("xterm", arguments, awaited, |_, master| {
        master.write_all(keys.as_bytes()).unwrap();
    });
    assert!(ended.success(), "{ended}: {shown}");
    shown
}

/// The same on a terminal of some kind, with something else done to the process when it has shown that.
fn on_terminal_of(
    kind: &str,
    arguments: &[&str],
    awaited: &str,
    act: impl FnOnce(Pid, &mut File),
) -> (ExitStatus, String) {
    let size = Winsize {
        ws_row: 24,
        ws_col: 80,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    let terminal = openpty(Some(&size), None).unwrap();
    let side = || terminal.slave.try_clone().unwrap();
    let mut command = slipring(arguments);
    let mut child = command
        .env("TERM", kind)
        .env("NO_COLOR", "1")
        .stdin(side())
        .stdout(side())
        .stderr(side())
        .spawn()
        .unwrap();
    // Of the slave only the child's copies may stay: the end of the last one ends the reading.
    drop(command);
    drop(terminal.slave);
    let mut master = File::from(terminal.master);
    let mut shown = Vec::new();
    let mut read = |shown: &mut Vec<u8>| {
        let mut bytes = [0; 4096];
        // EIO when nobody has the other side any more.
        let read = master.read(&mut bytes).unwrap_or(0);
        shown.extend(&bytes[..read]);
        read > 0
    };
    let text = |shown: &[u8]| String::from_utf8_lossy(shown).into_owned();
    until("it has shown what it should", || {
        assert!(read(&mut shown), "{}", text(&shown));
        text(&shown).contains(awaited)
    });
    act(Pid::from_raw(child.id() as i32), &mut master);
    let mut bytes = Vec::new();
    let _ = master.read_to_end(&mut bytes);
    shown.extend(bytes);
    (child.wait().unwrap(), text(&shown))
}

#[test]
fn top_shows_rings_until_q() {
    let name = Name::in_memory("screen");
    let ring = spsc::Ring::<u64>::create(&name, 4).unwrap();
    ring.producer().unwrap().push(&1).unwrap();
    let shown = on_terminal(&["top", &name], "DEPTH", "q");
    assert!(
        shown.contains("slipring top") && shown.contains("█"),
        "{shown}"
    );
    // The screen is as it was.
    assert!(shown.contains("\x1b[?1049h") && shown.contains("\x1b[?1049l"));
}

#[test]
fn what_does_not_fit_on_the_screen_is_scrolled_to() {
    let rings: Vec<_> = (0..30)
        .map(|_| Name::in_memory("of-many-that-are-long"))
        .collect();
    for name in &rings {
        let ring = spsc::Ring::<u64>::create(name, 4).unwrap();
        if **name == **rings.last().unwrap() {
            ring.producer().unwrap().push(&1).unwrap();
        }
    }
    let names = rings.iter().map(|name| &**name);
    let command: Vec<_> = ["top"].into_iter().chain(names).collect();
    // A screen is written in pieces: of a long name both ends are one, and only the last ring has a bar.
    let first = format!("…{}", &rings[0][rings[0].len() - 11..]);
    let shown = on_terminal(&command, &first, "q");
    assert!(shown.contains("scroll") && !shown.contains('█'), "{shown}");
    let shown = on_terminal(&command, &first, &("j".repeat(8) + "q"));
    assert!(shown.contains('█'), "{shown}");
}

#[test]
fn who_ends_top_gets_the_terminal_back() {
    let name = Name::in_memory("ended");
    spsc::Ring::<u64>::create(&name, 4).unwrap();
    let (ended, shown) = on_terminal_of("xterm", &["top", &name], "DEPTH", |pid, _| {
        kill(pid, Signal::SIGTERM).unwrap();
    });
    assert_eq!(ended.signal(), Some(Signal::SIGTERM as i32));
    assert!(shown.contains("\x1b[?1049l"), "{shown}");
}

#[test]
fn on_a_terminal_that_can_do_nothing_there_are_lines() {
    let name = Name::in_memory("dumb");
    spsc::Ring::<u64>::create(&name, 4).unwrap();
    for arguments in [
        ["top", "--interval", "0.01", &*name],
        ["stat", "--watch", "0.01", &*name],
    ] {
        let (_, shown) = on_terminal_of("dumb", &arguments, &name, |pid, _| {
            kill(pid, Signal::SIGKILL).unwrap();
        });
        assert!(!shown.contains('\x1b'), "{shown}");
    }
}

#[test]
fn gc_asks_on_a_terminal() {
    let name = Name::in_memory("asked");
    spsc::Ring::<u64>::create(&name, 4).unwrap();
    let shown = on_terminal(&["gc", "--older", "0", &name], "[y/N]", "y\n");
    assert!(shown.contains(&format!("removed {name}")), "{shown}");
    assert!(!name.path().exists());
}
