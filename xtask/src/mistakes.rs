//! Mistakes to seed in a copy of the sources, read from `xtask/mistakes` and `xtask/seeded`.
//!
//! A data file is a list of mistakes. Each has a name, a file, and the code to replace:
//!
//! ```toml
//! [[mistake]]
//! name = "the bit is never cleared"
//! file = "src/wait/mod.rs"
//! within = ["fn wake_one"]
//! right = 'word.wrapping_add(EPOCH) & !ASLEEP'
//! wrong = 'word.wrapping_add(EPOCH)'
//! ```
//!
//! `right` must match exactly one place of the file, or of the item that `within` leads to; see
//! [`pattern`](crate::pattern). A mistake with several changes lists them as `[[mistake.changes]]`,
//! each with `right` and `wrong`. In `xtask/seeded`, `found-by` lists the checks that must fail
//! because of the mistake, and words of their output; see [`FoundBy`]. The models must find what is
//! in `xtask/mistakes`.

use crate::passes::root;
use crate::pattern;
use crate::seeded::FoundBy;
use crate::tree::read;
use serde::Deserialize;
use std::fs;
use std::path::Path;

/// Where the mistakes are that the models must find.
pub(crate) const MODELLED: &str = "xtask/mistakes";
/// Where the mistakes are that other checks must find.
pub(crate) const SEEDED: &str = "xtask/seeded";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DataFile {
    mistake: Vec<Mistake>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Mistake {
    pub(crate) name: String,
    pub(crate) file: String,
    /// The items to search in, outermost first.
    #[serde(default)]
    within: Vec<String>,
    right: Option<String>,
    wrong: Option<String>,
    #[serde(default)]
    changes: Vec<Change>,
    #[serde(default)]
    pub(crate) found_by: Vec<FoundBy>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    right: String,
    wrong: String,
}

/// A file with a mistake in it.
pub(crate) struct Mistaken {
    /// The line of the first change.
    pub(crate) line: usize,
    pub(crate) text: String,
}

/// Reads the mistakes of a directory, in the order of the names of its files.
pub(crate) fn load(directory: &str) -> Result<Vec<Mistake>, String> {
    let path = root().join(directory);
    let failed = |error| format!("{}: {error}", path.display());
    let mut files = Vec::new();
    for entry in fs::read_dir(&path).map_err(failed)? {
        let file = entry.map_err(failed)?.path();
        if file
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            files.push(file);
        }
    }
    files.sort();
    let mut mistakes = Vec::new();
    for file in files {
        mistakes.extend(load_file(&file)?);
    }
    Ok(mistakes)
}

fn load_file(path: &Path) -> Result<Vec<Mistake>, String> {
    let in_file = |error: String| format!("{}: {error}", path.display());
    parse(&read(path)?).map_err(in_file)
}

fn parse(text: &str) -> Result<Vec<Mistake>, String> {
    let file: DataFile = toml::from_str(text).map_err(|error| error.to_string())?;
    for mistake in &file.mistake {
        mistake.changes()?;
    }
    Ok(file.mistake)
}

impl Mistake {
    /// The changes, of which there is at least one.
    fn changes(&self) -> Result<Vec<Change>, String> {
        match (&self.right, &self.wrong, &self.changes[..]) {
            (Some(right), Some(wrong), []) => Ok(vec![Change {
                right: right.clone(),
                wrong: wrong.clone(),
            }]),
            (None, None, [_, ..]) => Ok(self.changes.clone()),
            _ => Err(format!(
                "\"{}\": found other keys, expected either right and wrong, or changes",
                self.name
            )),
        }
    }

    /// Makes the mistake in the text of its file.
    pub(crate) fn make(&self, source: &str) -> Result<Mistaken, String> {
        let in_file = |error| format!("{}, \"{}\": {error}", self.file, self.name);
        let mut changes = Vec::new();
        for Change { right, wrong } in self.changes()? {
            changes.push((
                pattern::find(source, &self.within, &right).map_err(in_file)?,
                wrong,
            ));
        }
        changes.sort_by_key(|(range, _)| range.start);
        let mut text = String::new();
        let mut end = 0;
        for (range, wrong) in &changes {
            let between = source.get(end..range.start);
            text += between.ok_or_else(|| in_file("changes overlap".to_owned()))?;
            text += wrong;
            end = range.end;
        }
        text += &source[end..];
        let start = changes.first().map_or(0, |(range, _)| range.start);
        Ok(Mistaken {
            line: source[..start].matches('\n').count() + 1,
            text,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{MODELLED, Mistake, SEEDED, load, parse};
    use crate::passes::root;
    use crate::tree::read;
    use std::collections::HashSet;

    fn all() -> Vec<Mistake> {
        let mut mistakes = load(MODELLED).unwrap();
        mistakes.extend(load(SEEDED).unwrap());
        mistakes
    }

    #[test]
    fn every_mistake_matches_one_place_of_its_file() {
        let mut failures = Vec::new();
        for mistake in all() {
            let made = read(&root().join(&mistake.file)).and_then(|source| mistake.make(&source));
            failures.extend(made.err());
        }
        assert!(failures.is_empty(), "{}", failures.join("\n"));
    }

    #[test]
    fn every_mistake_changes_its_file() {
        for mistake in all() {
            let source = read(&root().join(&mistake.file)).unwrap();
            let made = mistake.make(&source).unwrap();
            assert_ne!(made.text, source, "{}", mistake.name);
        }
    }

    #[test]
    fn names_within_a_directory_are_unique() {
        for directory in [MODELLED, SEEDED] {
            let mut names = HashSet::new();
            for mistake in load(directory).unwrap() {
                assert!(names.insert(mistake.name.clone()), "{}", mistake.name);
            }
        }
    }

    #[test]
    fn only_seeded_mistakes_list_checks() {
        assert!(
            load(MODELLED)
                .unwrap()
                .iter()
                .all(|mistake| mistake.found_by.is_empty())
        );
        assert!(
            load(SEEDED)
                .unwrap()
                .iter()
                .all(|mistake| !mistake.found_by.is_empty())
        );
    }

    fn one(text: &str) -> Mistake {
        let text = format!("[[mistake]]\nname = 'n'\nfile = 'f'\n{text}");
        parse(&text).unwrap().pop().unwrap()
    }

    #[test]
    fn mistake_with_changes_makes_all_of_them() {
        let mistake = one("[[mistake.changes]]\nright = 'c'\nwrong = ''\n\
             [[mistake.changes]]\nright = 'a'\nwrong = 'x'\n");
        let made = mistake.make("\na b\nc d").unwrap();
        assert_eq!((made.line, &*made.text), (2, "\nx b\n d"));
    }

    #[test]
    fn changes_that_overlap_are_refused() {
        let mistake = one("[[mistake.changes]]\nright = 'a b'\nwrong = ''\n\
             [[mistake.changes]]\nright = 'b c'\nwrong = ''\n");
        assert!(mistake.make("a b c").is_err());
    }

    #[test]
    fn mistake_that_matches_twice_is_refused() {
        assert!(one("right = 'a'\nwrong = 'b'\n").make("a a").is_err());
    }

    #[test]
    fn data_file_with_wrong_keys_is_refused() {
        let refused =
            |text: &str| parse(&format!("[[mistake]]\nname = 'n'\nfile = 'f'\n{text}")).is_err();
        assert!(refused("right = 'a'\n"));
        assert!(refused(""));
        assert!(refused("right = 'a'\nwrong = 'b'\nwhere = 'c'\n"));
        assert!(refused(
            "right = 'a'\nwrong = 'b'\n[[mistake.changes]]\nright = 'a'\nwrong = ''\n"
        ));
        assert!(refused(
            "right = 'a'\nwrong = 'b'\n[[mistake.found-by]]\ncheck = 'luck'\n"
        ));
        assert!(!refused("right = 'a'\nwrong = 'b'\n"));
    }
}
