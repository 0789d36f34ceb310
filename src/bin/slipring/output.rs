//! Printing, and the formats of printed values.

use super::failure::Failure;
use bytesize::ByteSize;
use nix::unistd::{Uid, User};
use slipring::Backing;
use std::borrow::Cow;
use std::env;
use std::io::{self, IsTerminal, Write};
use std::thread;
use std::time::Duration;

pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut output = io::stdout().lock();
    output.write_all(text.as_bytes())?;
    Ok(output.flush()?)
}

/// Prints once, or at every interval. On a terminal each text replaces the previous one.
pub(crate) fn print_every(
    interval: Option<Duration>,
    mut text: impl FnMut() -> Result<String, Failure>,
) -> Result<(), Failure> {
    const CLEAR: &str = "\x1b[H\x1b[2J";
    let Some(interval) = interval else {
        return print(&text()?);
    };
    let prefix = match is_screen() {
        true => CLEAR,
        false => "",
    };
    loop {
        print(&format!("{prefix}{}", text()?))?;
        thread::sleep(interval);
    }
}

/// Whether standard output is a terminal that supports clearing and cursor movement.
pub(crate) fn is_screen() -> bool {
    let is_dumb = env::var_os("TERM").is_none_or(|kind| kind.is_empty() || kind == "dumb");
    io::stdout().is_terminal() && !is_dumb
}

/// Whether colours are permitted: see no-color.org.
pub(crate) fn has_colours() -> bool {
    env::var_os("NO_COLOR").is_none_or(|set| set.is_empty())
}

/// Escapes control characters, because other users choose the names of rings and commands.
pub(crate) fn escape<T: AsRef<str> + ?Sized>(text: &T) -> Cow<'_, str> {
    let text = text.as_ref();
    let is_plain =
        |letter: char| matches!(letter, '\'' | '"' | '\\') || letter.escape_debug().eq([letter]);
    if text.chars().all(is_plain) {
        return text.into();
    }
    let shown = text.chars().map(|letter| match is_plain(letter) {
        true => letter.to_string(),
        false => letter.escape_debug().to_string(),
    });
    shown.collect()
}

/// Quotes the name of a ring as a word of a shell command.
pub(crate) fn shell_word(ring: &Backing) -> String {
    let is_safe = |letter: char| letter.is_alphanumeric() || "/:._-+,@%".contains(letter);
    match ring.as_str().chars().all(is_safe) {
        true => ring.to_string(),
        false => format!("'{}'", ring.as_str().replace('\'', "'\\''")),
    }
}

/// An amount of bytes in a binary unit, without a space: one word in a table.
pub(crate) fn bytes(bytes: u64) -> String {
    ByteSize(bytes).display().iec_short().to_string()
}

/// A duration in its largest unit alone, which keeps a table column narrow.
pub(crate) fn short_time(time: Duration) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3600, "h"), (60, "m"), (1, "s")];
    let seconds = time.as_secs();
    let fitting = UNITS.into_iter().find(|&(unit, _)| seconds >= unit);
    fitting.map_or("0s".into(), |(unit, name)| {
        format!("{}{name}", seconds / unit)
    })
}

/// The name of a user, or the number of a user without a name.
pub(crate) fn user_name(id: u32) -> String {
    match User::from_uid(Uid::from_raw(id)) {
        Ok(Some(user)) => user.name,
        _ => id.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_with_control_characters_is_escaped() {
        assert_eq!(escape("/ü 'x' \\"), "/ü 'x' \\");
        assert_eq!(escape("a\nb\x1b[1m\u{202e}"), "a\\nb\\u{1b}[1m\\u{202e}");
    }

    #[test]
    fn name_with_shell_characters_is_quoted() {
        let quoted = |name: &str| shell_word(&name.parse().unwrap());
        assert_eq!(quoted("file:/tmp/a-b.c"), "file:/tmp/a-b.c");
        assert_eq!(quoted("/a; it's"), "'/a; it'\\''s'");
    }

    #[test]
    fn sizes_and_times_have_short_units() {
        let shown = [0, 1023, 1024, 10 << 10, 1 << 30, u64::MAX].map(bytes);
        assert_eq!(shown, ["0B", "1023B", "1.0K", "10.0K", "1.0G", "16.0E"]);
        let shown = [0, 59, 60, 7200, 90_000].map(|time| short_time(Duration::from_secs(time)));
        assert_eq!(shown, ["0s", "59s", "1m", "2h", "1d"]);
    }
}
