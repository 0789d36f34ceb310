//! Seeds mistakes that checks other than the models must find. Each is made in a copy of the
//! sources, and its check must fail with the expected words.

use crate::aarch64;
use crate::mistakes::{self, Mistake};
use crate::native::Analyzer;
use crate::passes::{Output, root, target};
use crate::selection::{Selection, Tally};
use crate::test_path;
use crate::tree::{copy_everything, read, write};
use serde::Deserialize;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

/// A check that must find a mistake, and words of its output when it does.
#[derive(Debug, Deserialize)]
#[serde(tag = "check", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum FoundBy {
    /// The models under Miri, with so many schedules of each.
    Miri { seeds: u32, words: String },
    /// The models under AddressSanitizer.
    Asan { words: String },
    /// The models under ThreadSanitizer.
    Tsan { words: String },
    /// Inspection of the instructions for aarch64.
    Instructions { words: String },
    /// Rings exchanged between two architectures.
    Exchange { words: String },
    /// libFuzzer, for up to [`SECONDS`].
    Fuzz { target: String, words: String },
    /// The tests of a source file, or only those that `tests` names.
    Test {
        path: String,
        #[serde(default)]
        tests: Vec<String>,
        words: String,
    },
}

const SECONDS: &str = "120";

/// How a check reacted to a mistake.
enum Reaction {
    /// It failed with the expected words, in this line.
    Found(String),
    Passed,
    /// It failed with this output instead.
    OtherFailure(String),
}

impl FoundBy {
    fn name(&self) -> String {
        match self {
            Self::Miri { .. } => "miri".to_owned(),
            Self::Asan { .. } => "asan".to_owned(),
            Self::Tsan { .. } => "tsan".to_owned(),
            Self::Instructions { .. } => "instructions".to_owned(),
            Self::Exchange { .. } => "exchange".to_owned(),
            Self::Fuzz { target, .. } => format!("fuzz {target}"),
            Self::Test { path, .. } => path.clone(),
        }
    }

    fn words(&self) -> &str {
        match self {
            Self::Miri { words, .. }
            | Self::Asan { words }
            | Self::Tsan { words }
            | Self::Instructions { words }
            | Self::Exchange { words }
            | Self::Fuzz { words, .. }
            | Self::Test { words, .. } => words,
        }
    }

    /// Runs the check on the sources in `tree`.
    fn run(&self, tree: &Path, target: &Path) -> Result<(), String> {
        let analyze = |analyzer: Analyzer| analyzer.run_models(tree, target, Output::Captured);
        match self {
            Self::Miri { seeds, .. } => analyze(Analyzer::Miri { seeds: *seeds }),
            Self::Asan { .. } => analyze(Analyzer::Asan),
            Self::Tsan { .. } => analyze(Analyzer::Tsan),
            Self::Instructions { .. } => aarch64::check_orderings(tree, target),
            Self::Exchange { .. } => aarch64::check_exchange(tree, target),
            Self::Fuzz { target: fuzz, .. } => Output::Captured.of(Command::new("bash")
                .args([".ci/fuzz", SECONDS, fuzz])
                .current_dir(tree)
                .env("CARGO_TARGET_DIR", target.join("fuzz"))),
            Self::Test { path, tests, .. } => {
                let mut cargo = Command::new("cargo");
                cargo
                    .args(["test", "--package", "slipring", "--locked"])
                    .args(["--test", test_path::program(path), "--"])
                    .current_dir(tree)
                    .env("CARGO_TARGET_DIR", target.join("tests"))
                    .env("RUST_BACKTRACE", "0");
                match &tests[..] {
                    [] => cargo.arg(test_path::module(path)),
                    tests => cargo.args(tests),
                };
                Output::Captured.of(&mut cargo)
            }
        }
    }

    fn reaction(&self, outcome: Result<(), String>) -> Reaction {
        match outcome {
            Ok(()) => Reaction::Passed,
            Err(output) => match output.lines().find(|line| line.contains(self.words())) {
                Some(line) => Reaction::Found(shortened(line.trim()).to_owned()),
                None => Reaction::OtherFailure(output),
            },
        }
    }
}

/// Tries the selected mistakes, by the file and name of the mistake and the name of the check.
pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    let selection = Selection::parse(arguments)?;
    let mistakes = mistakes::load(mistakes::SEEDED)?;
    let pairs = mistakes
        .iter()
        .flat_map(|mistake| mistake.found_by.iter().map(move |check| (mistake, check)));
    let is_selected = |&(mistake, check): &(&Mistake, &FoundBy)| {
        let names = [&*mistake.file, &*mistake.name, &*check.name()];
        selection.includes(&mistake.file, &names)
    };
    let selected: Vec<_> = pairs.filter(is_selected).collect();
    if selected.is_empty() {
        return selection.nothing("seeded mistake");
    }
    let target = target();
    let tree = target.join("seeded");
    copy_everything(root(), &tree)?;
    let mut tally = Tally::default();
    for (mistake, check) in selected {
        if selection.is_over() {
            tally.leave();
            continue;
        }
        let path = tree.join(&mistake.file);
        let original = read(&root().join(&mistake.file))?;
        write(&path, &mistake.make(&original)?.text)?;
        let start = Instant::now();
        let outcome = check.run(&tree, &target);
        write(&path, &original)?;
        let (is_found, verdict) = match check.reaction(outcome) {
            Reaction::Found(line) => (true, line),
            Reaction::Passed => (false, "SURVIVED".to_owned()),
            Reaction::OtherFailure(output) => {
                eprintln!("{output}");
                (false, format!("FAILED WITHOUT \"{}\"", check.words()))
            }
        };
        let check = check.name();
        tally.add(&format!("{} ({check})", mistake.name), is_found);
        let seconds = start.elapsed().as_secs_f64();
        println!(
            "{:<64} {check:<24} {seconds:>4.0} s  {verdict}",
            mistake.name
        );
    }
    tally.finish("seeded", &selection)
}

/// The start of a line, as some lines contain pages of a trace.
fn shortened(line: &str) -> &str {
    const LONGEST: usize = 120;
    let end = line
        .char_indices()
        .nth(LONGEST)
        .map_or(line.len(), |(at, _)| at);
    &line[..end]
}

#[cfg(test)]
mod tests {
    use super::{FoundBy, Reaction};
    use crate::git;
    use crate::mistakes::{SEEDED, load};
    use crate::passes::root;
    use crate::tree::read;

    /// Words that are not in the sources: of the test harness, of cargo and of the standard
    /// library.
    const FOREIGN_WORDS: [&str; 4] = [
        "test result: FAILED",
        "panicked",
        "SIGABRT",
        "index out of bounds",
    ];

    fn test_checks() -> Vec<(String, Vec<String>, String)> {
        let mistakes = load(SEEDED).unwrap();
        let checks = mistakes.into_iter().flat_map(|mistake| mistake.found_by);
        let tests = checks.filter_map(|check| match check {
            FoundBy::Test { path, tests, words } => Some((path, tests, words)),
            _ => None,
        });
        tests.collect()
    }

    /// A test that was renamed matches nothing, and the check passes.
    #[test]
    fn every_listed_test_is_in_its_file() {
        for (path, tests, _) in test_checks() {
            let source = read(&root().join(&path)).unwrap();
            for test in tests {
                let name = test.rsplit("::").next().unwrap_or_default();
                let is_word = |c: char| c.is_alphanumeric() || c == '_';
                let mut words = source.split(|c| !is_word(c));
                assert!(words.any(|word| word == name), "{path}: no test {name}");
            }
        }
    }

    #[test]
    fn every_expected_word_is_in_the_sources() {
        let files = git::files(&["src", "tests"]).unwrap();
        let sources = files.iter().filter(|file| file.ends_with(".rs"));
        let sources: Vec<_> = sources
            .filter_map(|file| read(&root().join(file)).ok())
            .collect();
        for (path, _, words) in test_checks() {
            let is_known = FOREIGN_WORDS.contains(&&*words)
                || sources.iter().any(|source| source.contains(&words));
            assert!(is_known, "{path}: \"{words}\" is in no source file");
        }
    }

    #[test]
    fn every_fuzz_target_exists() {
        for mistake in load(SEEDED).unwrap() {
            for check in mistake.found_by {
                if let FoundBy::Fuzz { target, .. } = check {
                    let path = root().join(format!("fuzz/fuzz_targets/{target}.rs"));
                    assert!(path.exists(), "{}", path.display());
                }
            }
        }
    }

    #[test]
    fn reaction_depends_on_the_expected_words() {
        let words = "the slot is lost".to_owned();
        let check = FoundBy::Asan { words };
        assert!(matches!(check.reaction(Ok(())), Reaction::Passed));
        let other = check.reaction(Err("it does not compile".to_owned()));
        assert!(matches!(other, Reaction::OtherFailure(_)));
        let found = check.reaction(Err("x\n  so the slot is lost\ny".to_owned()));
        assert!(matches!(found, Reaction::Found(line) if line == "so the slot is lost"));
    }
}
