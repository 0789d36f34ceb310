//! What is only done on a terminal.

use crate::running::slipring;
use crate::support::{Name, until};
use nix::pty::{Winsize, openpty};
use slipring::spsc;
use std::fs::File;
use std::io::{Read, Write};

/// Runs the program on a terminal of 80 columns until it has shown `awaited`, types, and returns all it has shown.
fn on_terminal(arguments: &[&str], awaited: &str, keys: &str) -> String {
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
        .env("TERM", "xterm")
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
    master.write_all(keys.as_bytes()).unwrap();
    let mut bytes = Vec::new();
    let _ = master.read_to_end(&mut bytes);
    shown.extend(bytes);
    let ended = child.wait().unwrap();
    assert!(ended.success(), "{ended}: {}", text(&shown));
    text(&shown)
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
fn gc_asks_on_a_terminal() {
    let name = Name::in_memory("asked");
    spsc::Ring::<u64>::create(&name, 4).unwrap();
    let shown = on_terminal(&["gc", "--older", "0", &name], "[y/N]", "y\n");
    assert!(shown.contains(&format!("removed {name}")), "{shown}");
    assert!(!name.path().exists());
}
