//! Behaviour on a terminal.

use crate::program::slipring;
use crate::support::{Name, until};
use nix::pty::{Winsize, openpty};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use slipring::spsc;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// Runs the program on a terminal of 80 columns. Types `keys` when the output contains `awaited`,
/// and returns all output.
fn on_terminal(arguments: &[&str], awaited: &str, keys: &str) -> String {
    let (ended, shown) = on_terminal_of("xterm", arguments, awaited, |_, master| {
        master.write_all(keys.as_bytes()).unwrap();
    });
    assert!(ended.success(), "{ended}: {shown}");
    shown
}

/// Runs the program on a terminal of a kind. Calls `act` when the output contains `awaited`, and
/// returns the exit status and all output.
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
    // Only the child may keep the slave open: closing the last copy ends the reading below.
    drop(command);
    drop(terminal.slave);
    let mut master = File::from(terminal.master);
    let mut shown = Vec::new();
    let mut read = |shown: &mut Vec<u8>| {
        let mut bytes = [0; 4096];
        // EIO when no process has the slave open.
        let read = master.read(&mut bytes).unwrap_or(0);
        shown.extend(&bytes[..read]);
        read > 0
    };
    let text = |shown: &[u8]| String::from_utf8_lossy(shown).into_owned();
    until("the terminal shows the awaited text", || {
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
fn top_on_terminal_shows_rings_until_q() {
    let name = Name::in_memory("screen");
    let ring = spsc::Ring::<u64>::create(&name, 4).unwrap();
    ring.producer().unwrap().push(&1).unwrap();
    let shown = on_terminal(&["top", &name], "DEPTH", "q");
    assert!(
        shown.contains("slipring top") && shown.contains("█"),
        "{shown}"
    );
    // The alternate screen is entered and left.
    assert!(shown.contains("\x1b[?1049h") && shown.contains("\x1b[?1049l"));
}

#[test]
fn top_with_more_rings_than_rows_scrolls() {
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
    // A long name is shown as its two ends, and each end is written in one piece. Only the last
    // ring has a bar.
    let first = format!("…{}", &rings[0][rings[0].len() - 11..]);
    let shown = on_terminal(&command, &first, "q");
    assert!(shown.contains("scroll") && !shown.contains('█'), "{shown}");
    let shown = on_terminal(&command, &first, &("j".repeat(8) + "q"));
    assert!(shown.contains('█'), "{shown}");
}

#[test]
fn top_ended_by_sigterm_restores_terminal() {
    let name = Name::in_memory("ended");
    spsc::Ring::<u64>::create(&name, 4).unwrap();
    let (ended, shown) = on_terminal_of("xterm", &["top", &name], "DEPTH", |pid, _| {
        kill(pid, Signal::SIGTERM).unwrap();
    });
    assert_eq!(ended.signal(), Some(Signal::SIGTERM as i32));
    assert!(shown.contains("\x1b[?1049l"), "{shown}");
}

#[test]
fn top_and_stat_watch_on_dumb_terminal_print_lines() {
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
fn gc_on_terminal_asks_before_removal() {
    let name = Name::in_memory("asked");
    spsc::Ring::<u64>::create(&name, 4).unwrap();
    let shown = on_terminal(&["gc", "--older", "0", &name], "[y/N]", "y\n");
    assert!(shown.contains(&format!("removed {name}")), "{shown}");
    assert!(!name.path().exists());
}
