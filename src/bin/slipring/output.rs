//! Text for people and scripts.

use std::io::{self, IsTerminal, Write};
use std::thread;
use std::time::Duration;

use super::failure::Failure;

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
    let before = match io::stdout().is_terminal() {
        true => CLEAR,
        false => "",
    };
    loop {
        print(&format!("{before}{}", text()?))?;
        thread::sleep(interval);
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
    fn numbers_are_short() {
        let shown = [0, 1023, 1024, 10 << 10, 1023 << 10, 1 << 30, u64::MAX].map(bytes);
        assert_eq!(shown, ["0", "1023", "1.0K", "10K", "1.0M", "1.0G", "16E"]);
        let shown = [0, 59, 60, 7200, 90_000].map(|seconds| time(Duration::from_secs(seconds)));
        assert_eq!(shown, ["0s", "59s", "1m", "2h", "1d"]);
    }
}
