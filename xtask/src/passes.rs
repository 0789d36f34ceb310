//! Building the models for a checker, and running them one process each.

use std::fmt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, mpsc};
use std::time::{Duration, Instant};
use std::{env, thread};

/// A model checker and its configuration.
pub(crate) struct Pass {
    pub(crate) name: &'static str,
    /// The `cfg` of its build.
    checker: &'static str,
    /// Environment variables of the models.
    variables: &'static [(&'static str, &'static str)],
}

pub(crate) const PASSES: [Pass; 3] = [
    Pass {
        name: "loom",
        checker: "loom",
        variables: &[],
    },
    Pass {
        name: "loom-rmw",
        checker: "loom",
        variables: &[("SLIPRING_RMW_LOADS", "1")],
    },
    Pass {
        name: "shuttle",
        checker: "shuttle",
        variables: &[],
    },
];

/// The working tree.
pub(crate) fn root() -> &'static Path {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask)
}

/// The directory of everything that this program builds.
pub(crate) fn target() -> PathBuf {
    let target = env::var_os("CARGO_TARGET_DIR").map_or("target".into(), PathBuf::from);
    root().join(target).join("models")
}

/// The test binary of a pass.
pub(crate) struct Build {
    binary: PathBuf,
    logs: PathBuf,
    variables: &'static [(&'static str, &'static str)],
}

/// The run of one model.
pub(crate) struct Run {
    pub(crate) model: String,
    pub(crate) verdict: Verdict,
    pub(crate) time: Duration,
}

pub(crate) enum Verdict {
    Passed {
        executions: u64,
    },
    Failed {
        reason: String,
    },
    TimedOut,
    /// The verdict of another model was enough.
    Stopped,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed { executions } => write!(f, "passed, {executions} executions"),
            Self::Failed { reason } => f.write_str(reason),
            Self::TimedOut => f.write_str("timed out"),
            Self::Stopped => f.write_str("stopped"),
        }
    }
}

impl Pass {
    /// Builds the tests of the library in `tree`, with `more` compiler flags.
    pub(crate) fn build(&self, tree: &Path, target: &Path, more: &str) -> Result<Build, String> {
        let cargo = env::var_os("CARGO").unwrap_or("cargo".into());
        let binary = executables(
            Command::new(cargo)
                .args(["test", "--quiet", "--package", "slipring", "--lib"])
                .args(["--profile", "loom", "--no-run"])
                .args(["--message-format", "json-render-diagnostics"])
                .current_dir(tree)
                .env("RUSTFLAGS", format!("--cfg {} {more}", self.checker))
                .env_remove("CARGO_ENCODED_RUSTFLAGS")
                .env("CARGO_TARGET_DIR", target.join(self.checker)),
        )?;
        let binary = binary
            .last()
            .ok_or("cargo: found no test binary, expected one")?
            .into();
        let logs = target.join("logs");
        fs::create_dir_all(&logs).map_err(|error| format!("{}: {error}", logs.display()))?;
        Ok(Build {
            binary,
            logs,
            variables: self.variables,
        })
    }
}

/// The executables that a cargo command with JSON messages builds.
pub(crate) fn executables(cargo: &mut Command) -> Result<Vec<String>, String> {
    let output = cargo
        .stderr(Stdio::piped())
        .output()
        .map_err(|error| format!("cargo: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    let after = messages.split(r#""executable":""#).skip(1);
    let paths = after.filter_map(|rest| rest.split('"').next());
    Ok(paths.map(str::to_owned).collect())
}

/// Where the output of a command goes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Output {
    Shown,
    /// Into the error, if the command fails.
    Captured,
}

impl Output {
    /// Runs a command, which must succeed.
    pub(crate) fn of(self, command: &mut Command) -> Result<(), String> {
        let program = command.get_program().to_string_lossy().into_owned();
        let failed = |error| format!("{program}: {error}");
        let (status, captured) = match self {
            Self::Shown => (command.status().map_err(failed)?, Vec::new()),
            Self::Captured => {
                let output = command.output().map_err(failed)?;
                (output.status, [output.stdout, output.stderr].concat())
            }
        };
        match status.success() {
            true => Ok(()),
            false => Err(format!(
                "{}{command:?}: {status}",
                String::from_utf8_lossy(&captured)
            )),
        }
    }
}

impl Build {
    pub(crate) fn models(&self) -> Result<Vec<String>, String> {
        let output = Command::new(&self.binary)
            .args(["--list", "--format", "terse"])
            .output()
            .map_err(|error| format!("{}: {error}", self.binary.display()))?;
        let list = String::from_utf8_lossy(&output.stdout);
        let tests = list.lines().filter_map(|line| line.strip_suffix(": test"));
        let models = tests.filter(|name| name.contains("models::"));
        Ok(models.map(str::to_owned).collect())
    }

    /// Runs models, as many at once as there are processors, until `each` returns `false`.
    pub(crate) fn run(
        &self,
        models: &[String],
        limit: impl Fn(&str) -> Duration + Sync,
        mut each: impl FnMut(Run) -> bool,
    ) -> Result<(), String> {
        let queue = Mutex::new(models.iter());
        let stop = Mutex::new(false);
        let workers = thread::available_parallelism().map_or(1, usize::from);
        thread::scope(|scope| {
            let (sender, runs) = mpsc::channel();
            for worker in 0..workers {
                let (sender, queue, stop, limit) = (sender.clone(), &queue, &stop, &limit);
                scope.spawn(move || {
                    let log = self.logs.join(format!("{worker}.log"));
                    let next = || queue.lock().ok()?.next();
                    while let Some(model) = next().filter(|_| !is_set(stop)) {
                        let run = self.run_one(model, limit(model), &log, stop);
                        if sender.send(run).is_err() {
                            break;
                        }
                    }
                });
            }
            drop(sender);
            for run in runs {
                if !each(run?) {
                    *stop.lock().map_err(|error| error.to_string())? = true;
                }
            }
            Ok(())
        })
    }

    fn run_one(
        &self,
        model: &str,
        limit: Duration,
        log: &Path,
        stop: &Mutex<bool>,
    ) -> Result<Run, String> {
        let start = Instant::now();
        let out = File::create(log).map_err(|error| format!("{}: {error}", log.display()))?;
        let err = out.try_clone().map_err(|error| error.to_string())?;
        let mut child = Command::new(&self.binary)
            .args(["--exact", model, "--nocapture"])
            .env("RUST_BACKTRACE", "0")
            .envs(self.variables.iter().copied())
            .stdout(out)
            .stderr(err)
            .spawn()
            .map_err(|error| format!("{}: {error}", self.binary.display()))?;
        let ended = await_end(&mut child, || {
            if is_set(stop) {
                Some(Verdict::Stopped)
            } else {
                (start.elapsed() > limit).then_some(Verdict::TimedOut)
            }
        });
        let time = start.elapsed();
        let output = fs::read(log).map_err(|error| format!("{}: {error}", log.display()))?;
        let output = String::from_utf8_lossy(&output);
        let verdict = match ended? {
            Ok(true) => Verdict::Passed {
                executions: executions(&output),
            },
            Ok(false) => Verdict::Failed {
                reason: reason(&output),
            },
            Err(verdict) => verdict,
        };
        Ok(Run {
            model: model.to_owned(),
            verdict,
            time,
        })
    }
}

fn is_set(flag: &Mutex<bool>) -> bool {
    flag.lock().is_ok_and(|flag| *flag)
}

/// Whether the child succeeded, or why it was killed.
fn await_end(
    child: &mut Child,
    is_over: impl Fn() -> Option<Verdict>,
) -> Result<Result<bool, Verdict>, String> {
    loop {
        if let Some(status) = child.try_wait().map_err(|error| error.to_string())? {
            return Ok(Ok(status.success()));
        }
        if let Some(verdict) = is_over() {
            // This fails if the child has just ended.
            let _ = child.kill();
            child.wait().map_err(|error| error.to_string())?;
            return Ok(Err(verdict));
        }
        thread::sleep(Duration::from_millis(2));
    }
}

/// The sum of the executions that a model reports.
fn executions(output: &str) -> u64 {
    let counts = output.split(" executions of ").map(|before| {
        let number = before.rsplit(char::is_whitespace).next();
        number.unwrap_or_default().parse().unwrap_or(0)
    });
    counts.sum()
}

/// The message of the first panic, or that there is none.
fn reason(output: &str) -> String {
    let mut lines = output
        .lines()
        .skip_while(|line| !line.contains("panicked at"));
    let message = lines.nth(1).unwrap_or("crashed without a panic");
    message
        .split("; threads =")
        .next()
        .unwrap_or_default()
        .trim()
        .to_owned()
}
