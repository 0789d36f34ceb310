//! Runs every model under every checker.

use crate::passes::{PASSES, Verdict, root, target};
use crate::tree::copy_library;
use std::time::{Duration, Instant};

/// The time limit of a model, far more than any of them takes.
const LIMIT: Duration = Duration::from_secs(300);

pub(crate) fn run() -> Result<(), String> {
    let tree = target().join("library");
    copy_library(root(), &tree)?;
    let mut failed = 0;
    for pass in &PASSES {
        println!("{}", pass.name);
        let build = pass.build(&tree, &target(), "")?;
        let start = Instant::now();
        let models = build.models()?;
        build.run(
            &models,
            |_| LIMIT,
            |run| {
                let seconds = run.time.as_secs_f64();
                match &run.verdict {
                    Verdict::Passed { executions } => {
                        println!("{seconds:>8.2} s {executions:>8}  {}", run.model);
                    }
                    bad => {
                        failed += 1;
                        println!("{seconds:>8.2} s   FAILED  {}: {bad}", run.model);
                    }
                }
                true
            },
        )?;
        let seconds = start.elapsed().as_secs_f64();
        println!("{seconds:>8.2} s for {} models\n", models.len());
    }
    match failed {
        0 => Ok(()),
        _ => Err(format!("{failed} failed")),
    }
}
