//! The subjects.

mod bare;
mod crossbeam;
mod exchange;
mod filled;
mod iceoryx;
mod ipc_channel;
mod ipmpsc;
mod kernel;
mod ringfire;
mod rtrb;
mod shaq;
#[cfg(feature = "shaq5")]
mod shaq5;
mod shmem_ipc;
mod slipring;
mod slots;
mod vyukov;

use crate::channel::Channel;
use crate::instance::{Directions, Instance};
use crate::workload::{Experiment, Workload};
use bench_support::{Body, Result, sum_of_shares};
use iceoryx2::prelude::ZeroCopySend;
use std::fmt::Debug;
use std::time::{Duration, Instant};

/// The category of a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Category {
    Ours,
    Rival,
    /// A lower bound for all subjects.
    Floor,
}

type Create = fn(&Experiment, &str) -> Result<Instance>;

pub(crate) struct Subject {
    pub(crate) name: &'static str,
    pub(crate) category: Category,
    /// Whether it works between threads of one process.
    pub(crate) is_in_process: bool,
    /// The reason why it cannot run the experiment, or `None`.
    pub(crate) unsupported: Option<&'static str>,
    /// Creates an instance under a name.
    pub(crate) create: Create,
    /// The sum of all words, for a number of messages per producer and a number of producers.
    pub(crate) sum: fn(u64, u64) -> u64,
}

/// All subjects of an experiment.
pub(crate) fn subjects(experiment: &Experiment) -> Result<Vec<Subject>> {
    Ok(match experiment.bytes {
        8 => with_body::<[u64; 1]>(experiment),
        56 => with_body::<[u64; 7]>(experiment),
        256 => with_body::<[u64; 32]>(experiment),
        1024 => with_body::<[u64; 128]>(experiment),
        4096 => with_body::<[u64; 512]>(experiment),
        65536 => with_body::<[u64; 8192]>(experiment),
        other => {
            return Err(
                format!("message size: found {other} bytes, expected a supported size").into(),
            );
        }
    })
}

/// slipring alone, also with message sizes and rings that other subjects do not run.
pub(crate) fn ours(experiment: &Experiment) -> Result<Subject> {
    Ok(match experiment.bytes {
        8 => ours_with::<[u64; 1]>(experiment),
        56 => ours_with::<[u64; 7]>(experiment),
        256 => ours_with::<[u64; 32]>(experiment),
        1024 => ours_with::<[u64; 128]>(experiment),
        4096 => ours_with::<[u64; 512]>(experiment),
        16384 => ours_with::<[u64; 2048]>(experiment),
        65536 => ours_with::<[u64; 8192]>(experiment),
        262_144 => ours_with::<[u64; 32768]>(experiment),
        1_048_576 => ours_with::<[u64; 131_072]>(experiment),
        other => {
            return Err(
                format!("message size: found {other} bytes, expected a supported size").into(),
            );
        }
    })
}

fn ours_with<B: Body>(experiment: &Experiment) -> Subject {
    type OneToOne = slipring::OneToOne<slipring::Default>;
    type ManyToMany = slipring::ManyToMany<slipring::Default>;
    let (name, category) = ("slipring", Category::Ours);
    if experiment.is_for_many() {
        return in_processes::<B, ManyToMany>(name, category, experiment);
    }
    let subject = in_processes::<B, OneToOne>(name, category, experiment);
    match experiment.fill {
        None => subject,
        Some(_) => Subject {
            create: |experiment, name| {
                let filled = filled::Filled::<B, OneToOne>::new(experiment, name)?;
                Ok(Instance::Processes(Box::new(filled)))
            },
            ..subject
        },
    }
}

fn with_body<B: Body + ZeroCopySend>(experiment: &Experiment) -> Vec<Subject> {
    use Category::{Floor, Ours, Rival};
    let one_to_one = match experiment.workload {
        Workload::Mpmc | Workload::MpmcBatch => vec![
            in_processes::<B, slipring::ManyToMany<slipring::Default>>(
                "slipring", Ours, experiment,
            ),
            in_processes::<B, vyukov::Vyukov>("plain Vyukov queue", Rival, experiment),
            in_processes::<B, shaq::ManyToMany>("shaq 3.0.0", Rival, experiment),
        ],
        Workload::InPlace => vec![
            in_processes::<B, slipring::OneToOne<slipring::Default>>("slipring", Ours, experiment),
            in_processes::<B, shaq::OneToOne>("shaq 3.0.0", Rival, experiment),
        ],
        _ => vec![
            in_processes::<B, slipring::OneToOne<slipring::Default>>("slipring", Ours, experiment),
            in_processes::<B, slipring::OneToOne<slipring::Symmetric>>(
                "slipring, symmetric fences",
                Ours,
                experiment,
            ),
            in_processes::<B, shaq::OneToOne>("shaq 3.0.0", Rival, experiment),
        ],
    };
    let mut subjects = one_to_one;
    subjects.push(newer_shaq::<B>(experiment));
    subjects.extend([
        match experiment.workload {
            Workload::Wake => {
                in_processes::<B, iceoryx::Waking>("iceoryx2 0.10.0", Rival, experiment)
            }
            _ => in_processes::<B, iceoryx::Iceoryx>("iceoryx2 0.10.0", Rival, experiment),
        },
        in_processes::<B, ringfire::Ringfire>("ringfire 0.5.2", Rival, experiment),
        in_processes::<B, ipmpsc::Ipmpsc>("ipmpsc 0.5.1", Rival, experiment),
        match experiment.workload {
            Workload::Wake => {
                in_processes::<B, shmem_ipc::Waking>("shmem-ipc 0.3.0", Rival, experiment)
            }
            _ => in_processes::<B, shmem_ipc::Ring>("shmem-ipc 0.3.0", Rival, experiment),
        },
        in_processes::<B, ipc_channel::IpcChannel>("ipc-channel 0.23.1", Rival, experiment),
        in_threads::<B, rtrb::Rtrb<B>>("rtrb 0.4.1", experiment),
        in_threads::<B, crossbeam::Queue<B>>("crossbeam ArrayQueue 0.3.14", experiment),
        in_threads::<B, crossbeam::BoundedChannel<B>>("crossbeam channel 0.5.17", experiment),
        in_processes::<B, kernel::Pipe>("pipe", Rival, experiment),
        in_processes::<B, kernel::Socket>("Unix socket", Rival, experiment),
        in_processes::<B, kernel::MessageQueue>("POSIX message queue", Rival, experiment),
    ]);
    subjects.extend(match experiment.workload {
        Workload::RoundTrip => vec![
            floor("exchange of two lines", |_, _| {
                let exchange = exchange::Exchange::new(exchange::Lines::Two)?;
                Ok(Instance::Processes(Box::new(exchange)))
            }),
            floor("exchange of one line", |_, _| {
                let exchange = exchange::Exchange::new(exchange::Lines::One)?;
                Ok(Instance::Processes(Box::new(exchange)))
            }),
            in_processes::<B, slots::Slots<B>>("bare slots", Floor, experiment),
        ],
        Workload::Wake => vec![floor("raw futex", |_, _| {
            Ok(Instance::Processes(Box::new(exchange::Futex::new()?)))
        })],
        Workload::OneWay | Workload::Batch | Workload::InPlace => vec![
            in_processes::<B, bare::Bare<B>>("copy through shared memory", Floor, experiment),
            in_processes::<B, slots::Slots<B>>("bare slots", Floor, experiment),
        ],
        _ => Vec::new(),
    });
    subjects
}

/// The reason why a subject runs in the second program only.
pub(crate) const NEEDS_NIGHTLY: &str = "needs a nightly compiler";

fn newer_shaq<B: Body>(experiment: &Experiment) -> Subject {
    const NAME: &str = "shaq 5.1.1";
    #[cfg(feature = "shaq5")]
    return match experiment.workload {
        _ if experiment.is_for_many() => {
            in_processes::<B, shaq5::ManyToMany>(NAME, Category::Rival, experiment)
        }
        Workload::Wake => in_processes::<B, shaq5::Waking>(NAME, Category::Rival, experiment),
        _ => in_processes::<B, shaq5::OneToOne>(NAME, Category::Rival, experiment),
    };
    #[cfg(not(feature = "shaq5"))]
    Subject {
        name: NAME,
        category: Category::Rival,
        is_in_process: false,
        unsupported: shaq::turns(experiment).or(Some(NEEDS_NIGHTLY)),
        create: |_, _| Err(NEEDS_NIGHTLY.into()),
        sum: sum_of_shares::<B>,
    }
}

fn in_processes<B: Body, L: Channel<B>>(
    name: &'static str,
    category: Category,
    experiment: &Experiment,
) -> Subject {
    Subject {
        name,
        category,
        is_in_process: false,
        unsupported: L::unsupported(experiment),
        create: |experiment, name| {
            let directions = Directions::<B, L>::new(experiment, name)?;
            Ok(Instance::Processes(Box::new(directions)))
        },
        sum: sum_of_shares::<B>,
    }
}

fn in_threads<B: Body, L: Channel<B>>(name: &'static str, experiment: &Experiment) -> Subject
where
    L::Sink: Send,
    L::Source: Send,
{
    Subject {
        name,
        category: Category::Rival,
        is_in_process: true,
        unsupported: L::unsupported(experiment),
        create: |experiment, name| {
            let directions = Directions::<B, L>::new(experiment, name)?;
            Ok(Instance::Threads(Box::new(directions)))
        },
        sum: sum_of_shares::<B>,
    }
}

fn floor(name: &'static str, create: Create) -> Subject {
    Subject {
        name,
        category: Category::Floor,
        is_in_process: false,
        unsupported: None,
        create,
        sum: |_, _| 0,
    }
}

/// Repeats an attempt until the peer has done its part.
fn keep_trying<R, E: Debug>(mut attempt: impl FnMut() -> std::result::Result<R, E>) -> Result<R> {
    const TIMEOUT: Duration = Duration::from_secs(5);
    let start = Instant::now();
    loop {
        match attempt() {
            Ok(done) => return Ok(done),
            Err(error) if start.elapsed() > TIMEOUT => return Err(format!("{error:?}").into()),
            Err(_) => std::thread::sleep(Duration::from_millis(1)),
        }
    }
}
