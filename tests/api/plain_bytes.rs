//! Code with messages that are not plain bytes does not compile, and the compiler's error states why.
//!
//! The tests compile pairs of programs that differ in one type. They are skipped, with a message,
//! if no compiler or no compiled form of the crate is found.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::SystemTime;

/// The compiler's messages for a program: empty if it compiles, `None` if no compiler is found.
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

fn program_with_message(message: &str) -> String {
    format!(
        "fn carries<M: slipring::Message + ?Sized>() {{}}
         pub fn pair() {{ carries::<{message}>() }}"
    )
}

/// The compiled crate beside this test program: the newest that this compiler can use.
fn library() -> Option<PathBuf> {
    let program = env::current_exe().ok()?;
    let built = fs::read_dir(program.parent()?).ok()?.flatten();
    let is_library = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.starts_with("libslipring-") && name.ends_with(".rlib"))
    };
    let mut built: Vec<_> = built.map(|entry| entry.path()).filter(is_library).collect();
    let modified = |path: &PathBuf| fs::metadata(path).and_then(|file| file.modified()).ok();
    built.sort_by_key(|path| modified(path).unwrap_or(SystemTime::UNIX_EPOCH));
    let is_usable = |path: &PathBuf| {
        let output = diagnostics(path, &program_with_message("u8"));
        output.is_some_and(|text| text.is_empty())
    };
    built.into_iter().rev().find(is_usable)
}

/// The compiler's messages for the second of a pair of programs. The first must compile.
fn diagnostics_of_second(library: &Path, plain: &str, not_plain: &str) -> String {
    assert_eq!(diagnostics(library, plain).unwrap(), "", "{plain}");
    diagnostics(library, not_plain).unwrap()
}

#[test]
fn compile_error_names_the_type_that_is_not_plain_bytes() {
    let Some(library) = library() else {
        return eprintln!("skipped: the compiler that built the crate is not available");
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
        let output = diagnostics_of_second(
            &library,
            &program_with_message(plain),
            &program_with_message(not_plain),
        );
        let reason =
            format!("`{not_plain}` can't be sent to another process: it is not plain bytes");
        assert!(
            output.contains("E0277") && output.contains(&reason),
            "{output}"
        );
        assert!(
            output.contains("`[u8]` and types that implement `bytemuck::Pod`"),
            "{output}"
        );
    }
    for (plain, not_plain) in [
        ("[u8; 2]", "[bool; 2]"),
        ("Option<core::num::NonZeroU8>", "Option<u8>"),
    ] {
        let output = diagnostics_of_second(
            &library,
            &program_with_message(plain),
            &program_with_message(not_plain),
        );
        assert!(
            output.contains("E0277") && output.contains("bytemuck::pod"),
            "{output}"
        );
    }
}

#[test]
fn open_with_type_not_plain_bytes_gives_compile_error() {
    let Some(library) = library() else {
        return eprintln!("skipped: the compiler that built the crate is not available");
    };
    let opening = |message: &str| {
        format!("pub fn pair() {{ let _ = slipring::spsc::Ring::<{message}>::open(\"/x\"); }}")
    };
    let output = diagnostics_of_second(&library, &opening("u8"), &opening("bool"));
    let reason = "`bool` can't be sent to another process: it is not plain bytes";
    assert!(output.contains(reason), "{output}");
}
