//! The main process and the members that it starts: processes for the other endpoints, and threads
//! for the subjects that work within a process. All members start before the measurement. A member
//! without a turn blocks.

use crate::instance::{Instance, Side};
use crate::workload::Experiment;
use bench_support::{Board, Kind, Lane, Result, Task, run_on, run_on_any, share_with_forks};
use nix::libc::{SCHED_FIFO, SCHED_OTHER, c_int, sched_param, sched_setscheduler};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, alarm, fork};
use std::thread::{self, JoinHandle};

/// Seconds until the kernel kills a process that still runs an experiment, also one that spins
/// with real-time priority.
const WATCHDOG: u32 = 120;

/// The stack of a thread: some subjects pass messages of 64 KiB by value.
const STACK: usize = 64 << 20;

pub(crate) struct Crew {
    board: &'static Board,
    experiment: Experiment,
    lanes: Vec<Option<MainLane>>,
    processes: Vec<Pid>,
    threads: Vec<JoinHandle<()>>,
    placement: Placement,
    /// Whether both sides run with SCHED_FIFO.
    pub(crate) is_fifo: bool,
}

/// The main process's lane of a subject.
struct MainLane {
    kind: Kind,
    lane: Box<dyn Lane>,
}

/// The parameters of a member.
struct Member {
    board: &'static Board,
    kind: Kind,
    side: Side,
    placement: Placement,
    is_fifo: bool,
}

/// The processors of a member.
#[derive(Clone, Copy)]
struct Placement {
    own: usize,
    all: [usize; 2],
    /// Whether the kernel may move the member during a slice. During a probe it may not.
    is_free: bool,
}

impl Placement {
    fn apply(&self, task: Task) -> Result<()> {
        match task {
            Task::Slice { .. } if self.is_free => run_on_any(&self.all),
            _ if self.is_free => run_on(self.own),
            _ => Ok(()),
        }
    }
}

impl Crew {
    /// Starts all members, with the sending ones on one processor and the receiving ones on
    /// another. A subject without an instance has no lane.
    pub(crate) fn start(
        experiment: &Experiment,
        instances: &[Option<Instance>],
        all @ [one, other]: [usize; 2],
    ) -> Result<Self> {
        let board: &Board = share_with_forks()?;
        let is_fifo = !experiment.is_crowded() && may_be_fifo();
        let placement = |own| Placement {
            own,
            all,
            is_free: experiment.is_unplaced(),
        };
        let mut crew = Self {
            board,
            experiment: *experiment,
            lanes: Vec::new(),
            processes: Vec::new(),
            threads: Vec::new(),
            placement: placement(one),
            is_fifo,
        };
        alarm::set(WATCHDOG);
        let others: Vec<Side> = (1..experiment.each)
            .map(Side::Producer)
            .chain((0..experiment.each).map(Side::Consumer))
            .collect();
        let member = |kind, side| Member {
            board,
            kind,
            side,
            placement: match side {
                Side::Producer(_) => placement(one),
                Side::Consumer(_) => placement(other),
            },
            is_fifo,
        };
        for &side in &others {
            crew.fork(&member(Kind::Processes, side), instances)?;
        }
        for &side in &others {
            crew.spawn(member(Kind::Threads, side), instances)?;
        }
        // The other members wait for the lanes of the first producer, which waits for theirs.
        for instance in instances {
            let lane = match instance {
                Some(Instance::Processes(in_processes)) => Some(MainLane {
                    kind: Kind::Processes,
                    lane: in_processes.lane(Side::Producer(0))?,
                }),
                Some(Instance::Threads(in_threads)) => Some(MainLane {
                    kind: Kind::Threads,
                    lane: in_threads.lane(Side::Producer(0))?,
                }),
                None => None,
            };
            crew.lanes.push(lane);
        }
        board.await_all_arrived(2 * crew.others())?;
        run_on(one)?;
        if is_fifo {
            schedule(SCHED_FIFO)?;
        }
        Ok(crew)
    }

    /// The number of members of each kind.
    fn others(&self) -> u64 {
        2 * self.experiment.each - 1
    }

    fn fork(&mut self, member: &Member, instances: &[Option<Instance>]) -> Result<()> {
        // SAFETY: this program has no other running thread.
        match unsafe { fork()? } {
            ForkResult::Parent { child } => self.processes.push(child),
            ForkResult::Child => {
                let end = member.live(|| {
                    set_pdeathsig(Signal::SIGKILL)?;
                    alarm::set(WATCHDOG);
                    let open = |instance: &Option<Instance>| match instance {
                        Some(Instance::Processes(in_processes)) => {
                            in_processes.lane(member.side).map(Some)
                        }
                        _ => Ok(None),
                    };
                    instances.iter().map(open).collect()
                });
                // The child must not drop values of the main process.
                // SAFETY: ends the process at once.
                unsafe { nix::libc::_exit(end) }
            }
        }
        Ok(())
    }

    fn spawn(&mut self, member: Member, instances: &[Option<Instance>]) -> Result<()> {
        let open = |instance: &Option<Instance>| match instance {
            Some(Instance::Threads(in_threads)) => in_threads.lane(member.side).map(Some),
            _ => Ok(None),
        };
        let lanes: Vec<Option<Box<dyn Lane + Send>>> =
            instances.iter().map(open).collect::<Result<_>>()?;
        let live = move || {
            member.live(|| {
                let lanes = lanes.into_iter();
                Ok(lanes
                    .map(|lane| lane.map(|lane| lane as Box<dyn Lane>))
                    .collect())
            });
        };
        let thread = thread::Builder::new().stack_size(STACK).spawn(live)?;
        self.threads.push(thread);
        Ok(())
    }

    fn kind(&self, lane: usize) -> Result<Kind> {
        Ok(self.lanes[lane].as_ref().ok_or("no such lane")?.kind)
    }

    /// Nanoseconds of an exchange of two lines with the peer of a lane.
    pub(crate) fn probe(&self, lane: usize) -> Result<f64> {
        self.placement.apply(Task::Probe)?;
        self.board.begin(self.kind(lane)?, Task::Probe);
        self.board.await_all_arrived(self.others())?;
        let nanos = self.board.floor.probe();
        self.board.await_all_finished(self.others())?;
        Ok(nanos)
    }

    /// Nanoseconds per message or round trip. With `note`, each round trip is timed.
    pub(crate) fn slice(
        &mut self,
        lane: usize,
        messages: u64,
        sum: u64,
        note: Option<&mut dyn FnMut(u64)>,
    ) -> Result<f64> {
        let (board, others, each) = (self.board, self.others(), self.experiment.each);
        let Some(main_lane) = &mut self.lanes[lane] else {
            return Err("no such lane".into());
        };
        let task = Task::Slice { lane, messages };
        self.placement.apply(task)?;
        board.begin(main_lane.kind, task);
        board.await_all_arrived(others)?;
        match note {
            Some(note) => main_lane.lane.run_timed(board, messages, note)?,
            None => main_lane.lane.run(board, messages)?,
        }
        board.await_all_finished(others)?;
        if self.experiment.is_crowded() && board.sum() != sum {
            return Err("messages are lost, changed or duplicated".into());
        }
        Ok(board.nanos() / (messages * each) as f64)
    }

    /// Ends all members.
    pub(crate) fn finish(mut self) -> Result<()> {
        if self.is_fifo {
            schedule(SCHED_OTHER)?;
        }
        for kind in [Kind::Processes, Kind::Threads] {
            self.board.begin(kind, Task::End);
            self.board.await_all_finished(self.others())?;
        }
        for child in self.processes.drain(..) {
            waitpid(child, None)?;
        }
        for thread in self.threads.drain(..) {
            thread.join().map_err(|_| "a thread panicked")?;
        }
        alarm::cancel();
        Ok(())
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        // After a successful run all processes have already exited.
        for &child in &self.processes {
            let _ = kill(child, Signal::SIGKILL);
            let _ = waitpid(child, None);
        }
    }
}

impl Member {
    /// Runs tasks until the last one. Returns the exit code of a process.
    fn live(&self, open: impl FnOnce() -> Result<Vec<Option<Box<dyn Lane>>>>) -> i32 {
        match self.take_turns(open) {
            Ok(()) => 0,
            Err(error) => {
                eprintln!("compare: {:?} ({:?}): {error}", self.side, self.kind);
                self.board.fail();
                1
            }
        }
    }

    fn take_turns(&self, open: impl FnOnce() -> Result<Vec<Option<Box<dyn Lane>>>>) -> Result<()> {
        run_on(self.placement.own)?;
        let mut lanes = open()?;
        if self.is_fifo {
            schedule(SCHED_FIFO)?;
        }
        self.board.arrive();
        let mut turn = 0;
        loop {
            let task = self.board.await_turn(self.kind, &mut turn);
            self.placement.apply(task)?;
            match task {
                Task::End => break,
                Task::Probe => {
                    self.board.arrive();
                    if self.side == Side::Consumer(0) {
                        self.board.floor.answer_probe();
                    }
                }
                Task::Slice { lane, messages } => {
                    self.board.arrive();
                    let lane = lanes[lane].as_mut().ok_or("no such lane")?;
                    lane.run(self.board, messages)?;
                }
            }
            self.board.finish();
        }
        drop(lanes);
        self.board.finish();
        Ok(())
    }
}

/// Sets the scheduling policy of this thread.
fn schedule(policy: c_int) -> Result<()> {
    let priority = c_int::from(policy == SCHED_FIFO);
    let parameters = sched_param {
        sched_priority: priority,
    };
    // SAFETY: the parameters are valid during the call.
    let result = unsafe { sched_setscheduler(0, policy, &raw const parameters) };
    nix::errno::Errno::result(result)?;
    Ok(())
}

/// Whether this user may use SCHED_FIFO. Sets the policy and resets it.
fn may_be_fifo() -> bool {
    schedule(SCHED_FIFO).is_ok() && schedule(SCHED_OTHER).is_ok()
}
