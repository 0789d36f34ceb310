//! Weakens each ordering in turn, and seeds the mistakes of `xtask/mistakes`, in a copy of the
//! sources: a model must fail every time. An ordering that no model needs is either superfluous or
//! untested.

use crate::mistakes::{self, Mistake};
use crate::passes::{PASSES, Verdict, root, target};
use crate::selection::{Selection, Tally};
use crate::tree::{copy_library, files_below, read, write};
use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

/// Where orderings are that the models cover: files, and directories with all that is below.
const MODELLED: [&str; 3] = ["src/ring", "src/wait", "src/sys/fence.rs"];

/// One change to one file.
struct Mutant {
    file: String,
    line: usize,
    /// The letter of the edge, for an ordering.
    edge: String,
    change: String,
    mutated: String,
}

/// Tries the selected mutants, by path or name.
pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    let selection = Selection::parse(arguments)?;
    let mut mutants = all(root())?;
    mutants.retain(|mutant| selection.includes(&mutant.file, &[&mutant.file, &mutant.change]));
    if mutants.is_empty() {
        return selection.nothing("mutant");
    }
    let target = target();
    let tree = target.join("tree");
    copy_library(root(), &tree)?;
    let usual = usual_times(&tree, &target)?;
    println!("{} mutants", mutants.len());
    let mut tally = Tally::default();
    for mutant in &mutants {
        if selection.is_over() {
            tally.leave();
            continue;
        }
        let path = tree.join(&mutant.file);
        let original = read(&path)?;
        write(&path, &mutant.mutated)?;
        let failure = find_failure(&tree, &target, &usual)?;
        write(&path, &original)?;
        let place = format!("{}:{}", mutant.file, mutant.line);
        tally.add(&format!("{place} {}", mutant.change), failure.is_some());
        println!(
            "{:<28} {:<4} {:<64} {}",
            place.trim_start_matches("src/"),
            mutant.edge,
            mutant.change,
            failure.as_deref().unwrap_or("SURVIVED"),
        );
    }
    tally.finish("mutants", &selection)
}

fn all(root: &Path) -> Result<Vec<Mutant>, String> {
    let mut mutants = Vec::new();
    for file in modelled_files(root)? {
        mutants.extend(weaken(&file, &read(&root.join(&file))?));
    }
    for mistake in mistakes::load(mistakes::MODELLED)? {
        mutants.push(of_mistake(mistake, root)?);
    }
    Ok(mutants)
}

fn of_mistake(mistake: Mistake, root: &Path) -> Result<Mutant, String> {
    let mistaken = mistake.make(&read(&root.join(&mistake.file))?)?;
    Ok(Mutant {
        file: mistake.file,
        line: mistaken.line,
        edge: String::new(),
        change: mistake.name,
        mutated: mistaken.text,
    })
}

/// The files in [`MODELLED`] that are not themselves models or tests.
fn modelled_files(root: &Path) -> Result<Vec<String>, String> {
    let mut files = Vec::new();
    for part in MODELLED {
        files.extend(files_below(root, part)?);
    }
    let is_test = |file: &str| {
        let mut parts = file.trim_end_matches(".rs").split('/');
        parts.any(|part| part == "models" || part == "tests")
    };
    files.retain(|file| file.ends_with(".rs") && !is_test(file));
    files.sort();
    Ok(files)
}

type Times = HashMap<(&'static str, String), Duration>;

/// How long each model takes on the unchanged sources, on which every model must pass.
fn usual_times(tree: &Path, target: &Path) -> Result<Times, String> {
    let mut times = Times::new();
    let mut wrong = None;
    for pass in &PASSES {
        let build = pass.build(tree, target, "--cap-lints allow")?;
        let limit = Duration::from_secs(300);
        build.run(
            &build.models()?,
            |_| limit,
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

/// Which model fails because of the mutant in the tree, and why. A model that times out has not
/// failed.
fn find_failure(tree: &Path, target: &Path, usual: &Times) -> Result<Option<String>, String> {
    for pass in &PASSES {
        let build = pass.build(tree, target, "--cap-lints allow")?;
        let usual = |model: &str| {
            let key = (pass.name, model.to_owned());
            usual.get(&key).copied().unwrap_or_default()
        };
        let mut models = build.models()?;
        models.sort_by_key(|model| usual(model));
        let limit = |model: &str| usual(model) * 5 + Duration::from_secs(5);
        let mut failure = None;
        build.run(&models, limit, |run| {
            if let (Verdict::Failed { reason }, None) = (run.verdict, &failure) {
                let model = run.model.replace("::models", "");
                failure = Some(format!("{} {model}: {reason}", pass.name));
            }
            failure.is_none()
        })?;
        if failure.is_some() {
            return Ok(failure);
        }
    }
    Ok(None)
}

/// A mutant for each ordering in the lines of a file that a modelled build compiles.
fn weaken(file: &str, source: &str) -> Vec<Mutant> {
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
                file: file.to_owned(),
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

/// Which lines are code that the checkers compile. Imports are not, and neither is what a `cfg`
/// leaves out: the lines up to the next one with the indentation of the `cfg`.
fn modelled(lines: &[&str]) -> Vec<bool> {
    let mut excluded: Option<usize> = None;
    lines
        .iter()
        .map(|line| {
            let code = line.trim_start();
            let indent = line.len() - code.len();
            if code.starts_with("#[cfg(not(any(loom") || code.starts_with("#[cfg(test)]") {
                excluded = Some(indent);
                return false;
            }
            if let Some(outer) = excluded {
                let ends = indent == outer && (code.ends_with('}') || code.ends_with(';'));
                excluded = (!ends).then_some(outer);
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

#[cfg(test)]
mod tests {
    use super::{edge, modelled_files, weaken};
    use crate::passes::root;
    use crate::tree::read;

    #[test]
    fn orderings_are_found_in_the_modelled_files() {
        let files = modelled_files(root()).unwrap();
        let has_orderings = |file: &&String| {
            let source = read(&root().join(file)).unwrap();
            !weaken(file, &source).is_empty()
        };
        let files: Vec<_> = files.iter().filter(has_orderings).collect();
        for module in [
            "ring/claim",
            "ring/mpmc",
            "ring/slot",
            "ring/spsc",
            "sys/fence",
            "wait",
        ] {
            let starts = [format!("src/{module}.rs"), format!("src/{module}/")];
            let is_of = |file: &&String| starts.iter().any(|start| file.starts_with(start));
            assert!(files.iter().copied().any(|file| is_of(&file)), "{module}");
        }
        let is_test = |file: &String| file.contains("models") || file.contains("tests");
        assert!(!files.into_iter().any(is_test));
    }

    #[test]
    fn each_ordering_is_weakened_once() {
        let source = "use sync::Acquire;\n\
            a.load(Acquire); // A, B\n\
            a.compare_exchange(b, c, Release, Acquire);\n\
            // Acquire in a comment\n\
            fence(SeqCst);\n\
            #[cfg(test)]\n\
            fn f() {\n    a.load(Acquire);\n}\n\
            a.load(Relaxed);\n";
        let mutants = weaken("f", source);
        let changes: Vec<_> = mutants
            .iter()
            .map(|mutant| (mutant.line, &*mutant.change))
            .collect();
        let expected = [
            (2, "Acquire -> Relaxed"),
            (3, "Acquire -> Relaxed"),
            (3, "Release -> Relaxed"),
            (5, "fence(SeqCst) -> removed"),
            (5, "SeqCst -> AcqRel"),
        ];
        assert_eq!(changes, expected);
        assert_eq!(mutants[0].edge, "A, B");
    }

    #[test]
    fn edge_is_on_the_line_or_alone_on_the_next() {
        assert_eq!(edge(&["a.load(Acquire) // A"], 0), "A");
        assert_eq!(edge(&["a.load(Acquire)", "    // A"], 0), "A");
        assert_eq!(edge(&["a.load(Acquire)", "b; // A"], 0), "?");
    }
}
