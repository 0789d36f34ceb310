//! Tests by the path of their source file. `tests/a.rs` is the test program `a`, and `tests/a/b.rs`
//! is the module `b` of the test program `a`.

use std::collections::BTreeMap;
use std::path::Path;

/// The test program of a source file.
pub(crate) fn program(path: &str) -> &str {
    split(path).0
}

/// The start of the names of the tests in a source file; empty for a whole program.
pub(crate) fn module(path: &str) -> String {
    match split(path).1 {
        "" | "main" => String::new(),
        module => format!("{}::", module.replace('/', "::")),
    }
}

fn split(path: &str) -> (&str, &str) {
    let path = path.trim_start_matches("tests/").trim_end_matches(".rs");
    path.split_once('/').unwrap_or((path, ""))
}

/// The test programs of source files, each with the filters to run only the tests of those files.
pub(crate) fn programs<'p>(paths: &[&'p str]) -> BTreeMap<&'p str, Vec<String>> {
    let mut programs: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for path in paths {
        let filters = programs.entry(program(path)).or_default();
        filters.extend(Some(module(path)).filter(|module| !module.is_empty()));
    }
    programs
}

/// The name of the test program that cargo built as `executable`.
pub(crate) fn name_of(executable: &str) -> &str {
    let file = Path::new(executable).file_name();
    let file = file.and_then(|file| file.to_str()).unwrap_or_default();
    file.rsplit_once('-').map_or(file, |(name, _)| name)
}

/// The executable of a test program among those that cargo built.
pub(crate) fn executable<'b>(built: &'b [String], program: &str) -> Result<&'b str, String> {
    let found = built.iter().find(|path| name_of(path) == program);
    let found = found.map(String::as_str);
    found.ok_or_else(|| format!("cargo: found no test program {program}, expected one"))
}

#[cfg(test)]
mod tests {
    use super::{executable, module, program, programs};

    #[test]
    fn path_names_a_program_or_a_module_of_one() {
        assert_eq!((program("tests/a.rs"), &*module("tests/a.rs")), ("a", ""));
        assert_eq!(
            (program("tests/a/main.rs"), &*module("tests/a/main.rs")),
            ("a", "")
        );
        assert_eq!(
            (program("tests/a/b.rs"), &*module("tests/a/b.rs")),
            ("a", "b::")
        );
        assert_eq!(module("tests/a/b/c.rs"), "b::c::");
    }

    #[test]
    fn programs_have_the_filters_of_their_files() {
        let programs = programs(&["tests/a/b.rs", "tests/d.rs", "tests/a/c.rs"]);
        assert_eq!(programs["a"], ["b::", "c::"]);
        assert_eq!(programs["d"], [""; 0]);
    }

    #[test]
    fn executable_is_found_by_the_name_of_its_program() {
        let built = ["/t/a-b-0f".to_owned(), "/t/a-1e".to_owned()];
        assert_eq!(executable(&built, "a"), Ok("/t/a-1e"));
        assert!(executable(&built, "b").is_err());
    }
}
