//! Which mutants or seeded mistakes to try, for how long, and the summary of a run.

use crate::git;
use std::process::Command;
use std::time::{Duration, Instant};

/// The arguments of `mutants` and `seeded`.
#[derive(Debug, Default, PartialEq)]
struct Arguments {
    part: Option<String>,
    /// With the base, if one is named.
    changed: Option<Option<String>>,
    limit: Option<Duration>,
}

/// A selection, and when the run started.
pub(crate) struct Selection {
    part: Option<String>,
    /// The files to which the run is limited.
    changed: Option<Vec<String>>,
    limit: Option<Duration>,
    start: Instant,
}

/// What a run has found.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    tried: usize,
    /// The names of those that no check found.
    survivors: Vec<String>,
    /// Those that the time limit left out.
    untried: usize,
}

impl Arguments {
    fn parse(arguments: &[String]) -> Result<Self, String> {
        let mut parsed = Self::default();
        let mut rest = arguments.iter().map(String::as_str).peekable();
        while let Some(argument) = rest.next() {
            match argument {
                "--changed" => {
                    let base = rest.next_if(|base| !base.starts_with("--"));
                    parsed.changed = Some(base.map(str::to_owned));
                }
                "--minutes" => {
                    let minutes = rest.next().unwrap_or_default();
                    parsed.limit = Some(duration(minutes)?);
                }
                _ if argument.starts_with("--") || parsed.part.is_some() => {
                    return Err(format!("unexpected argument {argument}"));
                }
                _ => parsed.part = Some(argument.to_owned()),
            }
        }
        Ok(parsed)
    }
}

fn duration(minutes: &str) -> Result<Duration, String> {
    let parsed = minutes.parse().ok();
    let duration = parsed.and_then(|minutes: f64| Duration::try_from_secs_f64(minutes * 60.0).ok());
    duration.ok_or_else(|| format!("--minutes: found \"{minutes}\", expected a number of minutes"))
}

impl Selection {
    pub(crate) fn parse(arguments: &[String]) -> Result<Self, String> {
        let start = Instant::now();
        let Arguments {
            part,
            changed,
            limit,
        } = Arguments::parse(arguments)?;
        let changed = match changed {
            Some(base) => Some(git::changed(base.as_deref())?),
            None => None,
        };
        Ok(Self {
            part,
            changed,
            limit,
            start,
        })
    }

    /// Whether to try what is in `file` and has these names.
    pub(crate) fn includes(&self, file: &str, names: &[&str]) -> bool {
        let is_changed = |changed: &Vec<String>| changed.iter().any(|path| path == file);
        let is_named = |part: &String| names.iter().any(|name| name.contains(part.as_str()));
        self.changed.as_ref().is_none_or(is_changed) && self.part.as_ref().is_none_or(is_named)
    }

    /// The result of a run that has nothing to try. Only a part of a name that matches nothing is
    /// an error.
    pub(crate) fn nothing(&self, what: &str) -> Result<(), String> {
        match (&self.part, &self.changed) {
            (Some(part), None) => Err(format!("no {what} matches \"{part}\"")),
            _ => {
                println!("no {what} in the changed files");
                Ok(())
            }
        }
    }

    /// Whether no other one may be started.
    pub(crate) fn is_over(&self) -> bool {
        self.limit
            .is_some_and(|limit| self.start.elapsed() >= limit)
    }

    fn is_whole(&self) -> bool {
        self.part.is_none() && self.changed.is_none()
    }
}

impl Tally {
    /// Counts one that was tried.
    pub(crate) fn add(&mut self, name: &str, is_found: bool) {
        self.tried += 1;
        if !is_found {
            self.survivors.push(name.to_owned());
        }
    }

    /// Counts one that was not tried.
    pub(crate) fn leave(&mut self) {
        self.untried += 1;
    }

    /// Prints the summary of a run, and fails if anything survived.
    pub(crate) fn finish(&self, command: &str, selection: &Selection) -> Result<(), String> {
        println!("{:.0} s", selection.start.elapsed().as_secs_f64());
        if self.untried > 0 {
            println!("{} not tried: the time limit was reached", self.untried);
        } else if selection.is_whole() {
            println!("{}", self.row(command, &date()?, &git::commit()?));
        }
        match self.survivors.len() {
            0 => Ok(()),
            survivors => Err(format!("{survivors} survived")),
        }
    }

    /// A row of the table of runs in `docs/correctness.md`.
    fn row(&self, command: &str, date: &str, commit: &str) -> String {
        let found = self.tried - self.survivors.len();
        let survivors = match &self.survivors[..] {
            [] => "none".to_owned(),
            survivors => survivors.join("; "),
        };
        format!(
            "| `{command}` | {date} | {commit} | {} | {found} | {survivors} |",
            self.tried
        )
    }
}

fn date() -> Result<String, String> {
    let output = Command::new("date").args(["-u", "+%F"]).output();
    let output = output.map_err(|error| format!("date: {error}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::{Arguments, Selection, Tally};
    use std::time::{Duration, Instant};

    fn parse(arguments: &str) -> Result<Arguments, String> {
        let arguments: Vec<_> = arguments.split_whitespace().map(str::to_owned).collect();
        Arguments::parse(&arguments)
    }

    #[test]
    fn arguments_in_any_order_are_parsed() {
        let expected = Arguments {
            part: Some("slot".to_owned()),
            changed: Some(None),
            limit: Some(Duration::from_secs(90)),
        };
        assert_eq!(parse("slot --changed --minutes 1.5"), Ok(expected));
        let base = parse("--minutes 1 --changed HEAD~3").unwrap();
        assert_eq!(base.changed, Some(Some("HEAD~3".to_owned())));
        assert_eq!(parse(""), Ok(Arguments::default()));
    }

    #[test]
    fn arguments_that_are_wrong_are_refused() {
        for wrong in [
            "a b",
            "--all",
            "--minutes",
            "--minutes x",
            "--minutes -1",
            "--minutes NaN",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    fn selection(part: Option<&str>, changed: Option<&[&str]>) -> Selection {
        Selection {
            part: part.map(str::to_owned),
            changed: changed.map(|files| files.iter().map(ToString::to_string).collect()),
            limit: None,
            start: Instant::now(),
        }
    }

    #[test]
    fn selection_includes_changed_and_named_ones() {
        let names = ["src/wait/mod.rs", "the bit is never cleared"];
        let includes = |part, changed| selection(part, changed).includes("src/wait/mod.rs", &names);
        assert!(includes(None, None));
        assert!(includes(Some("bit"), None));
        assert!(!includes(Some("slot"), None));
        assert!(includes(None, Some(&["README.md", "src/wait/mod.rs"])));
        assert!(!includes(None, Some(&["src/wait/mod.rs.orig"])));
        assert!(!includes(Some("slot"), Some(&["src/wait/mod.rs"])));
    }

    #[test]
    fn selection_of_nothing_is_an_error_only_by_name() {
        assert!(selection(Some("x"), None).nothing("mutant").is_err());
        assert!(selection(None, Some(&[])).nothing("mutant").is_ok());
        assert!(selection(Some("x"), Some(&[])).nothing("mutant").is_ok());
    }

    #[test]
    fn selection_is_over_when_its_time_is() {
        let mut selection = selection(None, None);
        assert!(!selection.is_over());
        selection.limit = Some(Duration::ZERO);
        assert!(selection.is_over());
        selection.limit = Some(Duration::from_secs(3600));
        assert!(!selection.is_over());
    }

    #[test]
    fn tally_with_survivors_fails_and_names_them() {
        let mut tally = Tally::default();
        tally.add("a", true);
        assert_eq!(tally.row("c", "D", "C"), "| `c` | D | C | 1 | 1 | none |");
        assert!(tally.finish("c", &selection(Some("a"), None)).is_ok());
        tally.add("b", false);
        tally.leave();
        assert_eq!(tally.row("c", "D", "C"), "| `c` | D | C | 2 | 1 | b |");
        assert!(tally.finish("c", &selection(None, None)).is_err());
    }
}
