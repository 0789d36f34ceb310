//! What is not plain bytes does not compile, and the compiler says why.
//!
//! The compiler is run on pairs that differ in one type. Where there is none, or where the
//! crate's compiled form is not to be found, the test is skipped, with a word.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::SystemTime;

/// What the compiler says to a program; `None` if there is no compiler, nothing if all is well.
fn diagnostics(library: &Path, program: &str) -> Option<String> {
    let compiler = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let mut crate_path = OsString::from("slipring=");
    crate_path.push(library);
    let mut compiling = Command::new(compiler)
        .args([
            "-",
            "--edition=2024",
            "--crate-name=pair",
            "--emit=metadata",
        ])
        .args(["--crate-type=lib", "-Awarnings"])
        .args(["--out-dir", env!("CARGO_TARGET_TMPDIR"), "-L"])
        .arg(library.parent()?)
        .arg("--extern")
        .arg(crate_path)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .ok()?;
    let mut input = compiling.stdin.take()?;
    input.write_all(program.as_bytes()).ok()?;
    drop(input);
    let output = compiling.wait_with_output().ok()?;
    Some(String::from_utf8_lossy(&output.stderr).into_owned())
}

fn carrying(message: &str) -> String {
    format!(
        "fn carries<M: slipring::Message + ?Sized>() {{}}
         pub fn pair() {{ carries::<{message}>() }}"
    )
}

/// The crate as the build of this test left it: the newest that this compiler can use.
fn library() -> Option<PathBuf> {
    let beside = env::current_exe().ok()?;
    let built = fs::read_dir(beside.parent()?).ok()?.flatten();
    let is_it = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.starts_with("libslipring-") && name.ends_with(".rlib"))
    };
    let mut built: Vec<_> = built.map(|entry| entry.path()).filter(is_it).collect();
    let age = |path: &PathBuf| fs::metadata(path).and_then(|file| file.modified()).ok();
    built.sort_by_key(|path| age(path).unwrap_or(SystemTime::UNIX_EPOCH));
    let works =
        |path: &PathBuf| diagnostics(path, &carrying("u8")).is_some_and(|told| told.is_empty());
    built.into_iter().rev().find(works)
}

/// What the compiler says to each of a pair of programs, of which the first must be fine.
fn told(library: &Path, plain: &str, not_plain: &str) -> String {
    assert_eq!(diagnostics(library, plain).unwrap(), "", "{plain}");
    diagnostics(library, not_plain).unwrap()
}

#[test]
fn the_compiler_says_which_type_is_not_plain_bytes() {
    let Some(library) = library() else {
        return eprintln!("skipped: no compiler here, or not the one that built the crate");
    };
    let pairs = [
        ("u8", "bool"),
        ("u32", "char"),
        ("u64", "&'static u64"),
        ("u64", "Box<u64>"),
        ("u64", "*const u64"),
        ("[u8]", "str"),
        ("[u8]", "[u16]"),
        ("[u8]", "Vec<u8>"),
        ("()", "String"),
        ("[f32; 2]", "(f32, f32)"),
    ];
    for (plain, not_plain) in pairs {
        let told = told(&library, &carrying(plain), &carrying(not_plain));
        let reason =
            format!("`{not_plain}` can't be sent to another process: it is not plain bytes");
        assert!(told.contains("E0277") && told.contains(&reason), "{told}");
        assert!(
            told.contains("`[u8]` and types that implement `bytemuck::Pod`"),
            "{told}"
        );
    }
    for (plain, not_plain) in [
        ("[u8; 2]", "[bool; 2]"),
        ("Option<core::num::NonZeroU8>", "Option<u8>"),
    ] {
        let told = told(&library, &carrying(plain), &carrying(not_plain));
        assert!(
            told.contains("E0277") && told.contains("bytemuck::pod"),
            "{told}"
        );
    }
}

#[test]
fn the_compiler_says_so_to_who_opens_a_ring() {
    let Some(library) = library() else {
        return eprintln!("skipped: no compiler here, or not the one that built the crate");
    };
    let opening = |message: &str| {
        format!("pub fn pair() {{ let _ = slipring::spsc::Ring::<{message}>::open(\"/x\"); }}")
    };
    let told = told(&library, &opening("u8"), &opening("bool"));
    let reason = "`bool` can't be sent to another process: it is not plain bytes";
    assert!(told.contains(reason), "{told}");
}
