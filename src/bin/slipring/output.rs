//! Text for people and scripts.

use super::failure::Failure;
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

/// Prints once, or again and again; on a terminal each time over what was there.
pub(crate) fn print_every(
    interval: Option<Duration>,
    mut text: impl FnMut() -> Result<String, Failure>,
) -> Result<(), Failure> {
    const CLEAR: &str = "\x1b[H\x1b[2J";
    let Some(interval) = interval else {
        return print(&text()?);
    };
    let before = match is_screen() {
        true => CLEAR,
        false => "",
    };
    loop {
        print(&format!("{before}{}", text()?))?;
        thread::sleep(interval);
    }
}

/// Whether standard output can be cleared, and written anywhere.
pub(crate) fn is_screen() -> bool {
    let is_dumb = env::var_os("TERM").is_none_or(|kind| kind.is_empty() || kind == "dumb");
    io::stdout().is_terminal() && !is_dumb
}

/// Whether colours are welcome: see no-color.org.
pub(crate) fn has_colours() -> bool {
    env::var_os("NO_COLOR").is_none_or(|set| set.is_empty())
}

/// Text in which nothing has a meaning of its own to a terminal: others choose names as they like.
pub(crate) fn plain(text: &str) -> Cow<'_, str> {
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

/// A ring's name as a word of a shell's command.
pub(crate) fn word(ring: &Backing) -> String {
    let is_safe = |letter: char| letter.is_alphanumeric() || "/:._-+,@%".contains(letter);
    match ring.chars().all(is_safe) {
        true => ring.to_string(),
        false => format!("'{}'", ring.replace('\'', "'\\''")),
    }
}

/// A number of bytes in three digits or four.
pub(crate) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["K", "M", "G", "T", "P", "E"];
    if bytes < 1024 {
        return bytes.to_string();
    }
    let mut amount = bytes as f64 / 1024.0;
    let mut unit = 0;
    while amount >= 999.5 {
        amount /= 1024.0;
        unit += 1;
    }
    match amount {
        small if small < 9.95 => format!("{small:.1}{}", UNITS[unit]),
        large => format!("{large:.0}{}", UNITS[unit]),
    }
}

/// A length of time in its largest unit.
pub(crate) fn time(time: Duration) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3600, "h"), (60, "m"), (1, "s")];
    let seconds = time.as_secs();
    let fitting = UNITS.into_iter().find(|&(unit, _)| seconds >= unit);
    fitting.map_or("0s".into(), |(unit, name)| {
        format!("{}{name}", seconds / unit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_words_without_a_meaning() {
        assert_eq!(plain("/ü 'x' \\"), "/ü 'x' \\");
        assert_eq!(plain("a\nb\x1b[1m\u{202e}"), "a\\nb\\u{1b}[1m\\u{202e}");
        let quoted = |name: &str| word(&name.parse().unwrap());
        assert_eq!(quoted("file:/tmp/a-b.c"), "file:/tmp/a-b.c");
        assert_eq!(quoted("/a; it's"), "'/a; it'\\''s'");
    }

    #[test]
    fn numbers_are_short() {
        let shown = [0, 1023, 1024, 10 << 10, 1023 << 10, 1 << 30, u64::MAX].map(bytes);
        assert_eq!(shown, ["0", "1023", "1.0K", "10K", "1.0M", "1.0G", "16E"]);
        let shown = [0, 59, 60, 7200, 90_000].map(|seconds| time(Duration::from_secs(seconds)));
        assert_eq!(shown, ["0s", "59s", "1m", "2h", "1d"]);
    }
}
