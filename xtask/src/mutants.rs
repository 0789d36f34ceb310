//! Weakens each ordering in turn, and breaks the logic in a few places, in a copy of the
//! sources: a model must fail every time. An ordering that no model misses is either not
//! needed or not tested.

use crate::mistakes::{MISTAKES, Mistake};
use crate::passes::{PASSES, Verdict, root, target};
use crate::tree::{copy_library, read, write};
use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

/// Where the orderings stand.
const FILES: [&str; 10] = [
    "src/ring/ending.rs",
    "src/ring/intent.rs",
    "src/ring/mpmc.rs",
    "src/ring/recovery.rs",
    "src/ring/roll.rs",
    "src/ring/slot.rs",
    "src/ring/spsc.rs",
    "src/ring/tenancy.rs",
    "src/wait.rs",
    "src/sys/fence.rs",
];

/// One change to one file.
pub(crate) struct Mutant {
    file: &'static str,
    line: usize,
    /// The letter of the edge, for an ordering.
    edge: String,
    change: String,
    pub(crate) mutated: String,
}

/// Tries the mutants whose path or name contains `part`.
pub(crate) fn run(part: &str) -> Result<(), String> {
    let start = Instant::now();
    let target = target();
    let tree = target.join("tree");
    copy_library(root(), &tree)?;
    let mut mutants = Vec::new();
    for file in FILES {
        mutants.extend(weaken(file, &read(&root().join(file))?));
    }
    for mistake in MISTAKES {
        mutants.push(mistake.make(&read(&root().join(mistake.file))?)?);
    }
    mutants.retain(|mutant| mutant.file.contains(part) || mutant.change.contains(part));

    let usual = usual_times(&tree, &target)?;
    println!("{} mutants", mutants.len());
    let mut survivors = 0;
    for mutant in &mutants {
        let path = tree.join(mutant.file);
        let original = read(&path)?;
        write(&path, &mutant.mutated)?;
        let fate = try_out(&tree, &target, &usual)?;
        write(&path, &original)?;
        survivors += usize::from(fate.is_none());
        println!(
            "{:<18} {:>4}  {:<4} {:<44} {}",
            mutant.file.trim_start_matches("src/"),
            mutant.line,
            mutant.edge,
            mutant.change,
            fate.as_deref().unwrap_or("SURVIVED"),
        );
    }
    println!("{:.0} s", start.elapsed().as_secs_f64());
    match survivors {
        0 => Ok(()),
        _ => Err(format!("{survivors} survived")),
    }
}

type Times = HashMap<(&'static str, String), Duration>;

/// How long each model takes when nothing is wrong; also makes sure that nothing is.
fn usual_times(tree: &Path, target: &Path) -> Result<Times, String> {
    let mut times = Times::new();
    let mut wrong = None;
    for pass in &PASSES {
        let build = pass.build(tree, target, "--cap-lints allow")?;
        let forever = Duration::from_secs(300);
        build.run(
            &build.models()?,
            |_| forever,
            |run| {
                if !matches!(run.verdict, Verdict::Passed { .. }) {
                    wrong = Some(format!(
                        "unchanged, {} {}: {}",
                        pass.name, run.model, run.verdict
                    ));
                }
                times.insert((pass.name, run.model), run.time);
                wrong.is_none()
            },
        )?;
    }
    wrong.map_or(Ok(times), Err)
}

/// Which model catches the mutant in the tree, and how. A model that only takes too long has
/// caught nothing.
fn try_out(tree: &Path, target: &Path, usual: &Times) -> Result<Option<String>, String> {
    for pass in &PASSES {
        let build = pass.build(tree, target, "--cap-lints allow")?;
        let usual = |model: &str| {
            let key = (pass.name, model.to_owned());
            usual.get(&key).copied().unwrap_or_default()
        };
        let mut models = build.models()?;
        models.sort_by_key(|model| usual(model));
        let limit = |model: &str| usual(model) * 5 + Duration::from_secs(5);
        let mut fate = None;
        build.run(&models, limit, |run| {
            if let (Verdict::Failed { reason }, None) = (run.verdict, &fate) {
                let model = run.model.replace("::models", "");
                fate = Some(format!("{} {model}: {reason}", pass.name));
            }
            fate.is_none()
        })?;
        if fate.is_some() {
            return Ok(fate);
        }
    }
    Ok(None)
}

/// A mutant for each ordering in a file that a modelled build compiles.
fn weaken(file: &'static str, source: &str) -> Vec<Mutant> {
    let lines: Vec<_> = source.lines().collect();
    let modelled = modelled(&lines);
    let mut mutants = Vec::new();
    for (at, line) in lines.iter().enumerate().filter(|&(at, _)| modelled[at]) {
        let code = line.split("//").next().unwrap_or_default();
        let ways: Vec<_> = if code.contains("fence(SeqCst)") {
            vec![
                (
                    "fence(SeqCst)".len(),
                    code.find("fence(SeqCst)"),
                    "()",
                    "removed",
                ),
                ("SeqCst".len(), code.find("SeqCst"), ACQ_REL, "AcqRel"),
            ]
        } else {
            ["Acquire", "Release", "AcqRel", "SeqCst"]
                .iter()
                .flat_map(|name| {
                    let found = code.match_indices(name);
                    found.map(|(start, _)| (name.len(), Some(start), RELAXED, "Relaxed"))
                })
                .collect()
        };
        for (len, start, weaker, name) in ways {
            let Some(start) = start else { continue };
            let mut changed: Vec<_> = lines.iter().map(ToString::to_string).collect();
            changed[at].replace_range(start..start + len, weaker);
            mutants.push(Mutant {
                file,
                line: at + 1,
                edge: edge(&lines, at),
                change: format!("{} -> {name}", &line[start..start + len]),
                mutated: changed.join("\n") + "\n",
            });
        }
    }
    mutants
}

const RELAXED: &str = "core::sync::atomic::Ordering::Relaxed";
const ACQ_REL: &str = "core::sync::atomic::Ordering::AcqRel";

/// Which lines are code that the checkers see: no imports, and nothing under a `cfg` that
/// leaves them out, which goes up to the next line that is indented as little.
fn modelled(lines: &[&str]) -> Vec<bool> {
    let mut left_out: Option<usize> = None;
    lines
        .iter()
        .map(|line| {
            let code = line.trim_start();
            let indent = line.len() - code.len();
            if code.starts_with("#[cfg(not(any(loom") || code.starts_with("#[cfg(test)]") {
                left_out = Some(indent);
                return false;
            }
            if let Some(outer) = left_out {
                let ends = indent == outer && (code.ends_with('}') || code.ends_with(';'));
                left_out = (!ends).then_some(outer);
                return false;
            }
            !code.starts_with("use ") && !code.starts_with("pub(crate) use ")
        })
        .collect()
}

/// The edge that an ordering is labelled with, at the end of its line or alone on the next.
fn edge(lines: &[&str], at: usize) -> String {
    let label = |line: &str| {
        let (_, comment) = line.split_once("// ")?;
        let is_edge = |word: &str| word.len() == 1 && word.chars().all(char::is_uppercase);
        comment.split(", ").all(is_edge).then(|| comment.to_owned())
    };
    label(lines[at])
        .or_else(|| {
            label(
                lines
                    .get(at + 1)
                    .filter(|next| next.trim().starts_with("//"))?,
            )
        })
        .unwrap_or_else(|| "?".to_owned())
}

impl Mistake {
    pub(crate) fn make(&self, source: &str) -> Result<Mutant, String> {
        let mut places = source.match_indices(self.right);
        let (Some((start, _)), None) = (places.next(), places.next()) else {
            return Err(format!(
                "{}: not there exactly once, for \"{}\":\n{}",
                self.file, self.name, self.right
            ));
        };
        Ok(Mutant {
            file: self.file,
            line: source[..start].lines().count() + 1,
            edge: String::new(),
            change: self.name.to_owned(),
            mutated: source.replace(self.right, self.wrong),
        })
    }
}
