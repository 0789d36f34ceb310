//! Questions to git about the working tree.

use crate::passes::root;
use std::process::Command;

/// The files that differ from where the working tree left `base`, as paths from the root.
///
/// Without a base, that is where it left `origin/main`. It is the commit before the last one if
/// there is no `origin/main` or nothing was committed since.
pub(crate) fn changed(base: Option<&str>) -> Result<Vec<String>, String> {
    let base = match base {
        Some(base) => git(&["merge-base", base, "HEAD"])?,
        None => match git(&["merge-base", "origin/main", "HEAD"]) {
            Ok(base) if base != git(&["rev-parse", "HEAD"])? => base,
            _ => git(&["rev-parse", "--verify", "--quiet", "HEAD~1"])
                .map_err(|_| "no commit to compare with: name one after --changed".to_owned())?,
        },
    };
    let names = git(&["diff", "--name-only", "--no-renames", &base])?;
    Ok(names.lines().map(str::to_owned).collect())
}

/// The commit, marked if files differ from it.
pub(crate) fn commit() -> Result<String, String> {
    git(&["describe", "--always", "--dirty", "--exclude", "*"])
}

/// The files of the given directories and files that git does not ignore.
pub(crate) fn files(parts: &[&str]) -> Result<Vec<String>, String> {
    let list = [
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
        "--",
    ];
    let names = git(&[&list, parts].concat())?;
    let names = names.split('\0').filter(|name| !name.is_empty());
    Ok(names.map(str::to_owned).collect())
}

fn git(arguments: &[&str]) -> Result<String, String> {
    let output = Command::new("git")
        .args(["-c", "core.quotePath=false"])
        .args(arguments)
        .current_dir(root())
        .output()
        .map_err(|error| format!("git: {error}"))?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
        false => Err(format!(
            "git {}: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr).trim()
        )),
    }
}
