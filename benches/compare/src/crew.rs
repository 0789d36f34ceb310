//! The conductor and those it starts: processes at the other ends, and threads for the subjects
//! that don't leave a process. All are there before anything is measured; who has no turn sleeps.

use crate::fabric::{Fabric, Side};
use crate::workload::Experiment;
use bench_support::{Board, Kind, Lane, Result, Task, run_on, run_on_any, share_with_forks};
use nix::libc::{SCHED_FIFO, SCHED_OTHER, c_int, sched_param, sched_setscheduler};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, alarm, fork};
use std::thread::{self, JoinHandle};

/// No experiment lasts longer, whatever happened: the kernel ends the process then, also one that
/// looks all the time with the highest priority.
const WATCHDOG: u32 = 120;

/// Messages of 64 KiB are handed over by value by some.
const STACK: usize = 64 << 20;

pub(crate) struct Crew {
    board: &'static Board,
    experiment: Experiment,
    lanes: Vec<Option<Seat>>,
    processes: Vec<Pid>,
    threads: Vec<JoinHandle<()>>,
    places: Places,
    /// Whether both sides run with the highest priority.
    pub(crate) is_fifo: bool,
}

/// The conductor's end of a subject.
struct Seat {
    kind: Kind,
    lane: Box<dyn Lane>,
}

/// A member's own part.
struct Member {
    board: &'static Board,
    kind: Kind,
    side: Side,
    places: Places,
    is_fifo: bool,
}

/// Where a member runs.
#[derive(Clone, Copy)]
struct Places {
    own: usize,
    all: [usize; 2],
    /// Whether the kernel may move it in a slice. In a probe it never may.
    is_free: bool,
}

impl Places {
    fn take(&self, task: Task) -> Result<()> {
        match task {
            Task::Slice { .. } if self.is_free => run_on_any(&self.all),
            _ if self.is_free => run_on(self.own),
            _ => Ok(()),
        }
    }
}

impl Crew {
    /// Starts everybody, those who send on one processor and those who receive on another. A
    /// subject that has no fabric has no lane.
    pub(crate) fn start(
        experiment: &Experiment,
        fabrics: &[Option<Fabric>],
        all @ [one, other]: [usize; 2],
    ) -> Result<Self> {
        let board: &Board = share_with_forks()?;
        let is_fifo = !experiment.is_crowded() && may_be_fifo();
        let places = |own| Places {
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
            places: places(one),
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
            places: match side {
                Side::Producer(_) => places(one),
                Side::Consumer(_) => places(other),
            },
            is_fifo,
        };
        for &side in &others {
            crew.fork(&member(Kind::Processes, side), fabrics)?;
        }
        for &side in &others {
            crew.spawn(member(Kind::Threads, side), fabrics)?;
        }
        // The others wait for the first producer's ends, and it for theirs.
        for fabric in fabrics {
            let seat = match fabric {
                Some(Fabric::Apart(apart)) => Some(Seat {
                    kind: Kind::Processes,
                    lane: apart.lane(Side::Producer(0))?,
                }),
                Some(Fabric::Together(together)) => Some(Seat {
                    kind: Kind::Threads,
                    lane: together.lane(Side::Producer(0))?,
                }),
                None => None,
            };
            crew.lanes.push(seat);
        }
        board.await_all_arrived(2 * crew.others())?;
        run_on(one)?;
        if is_fifo {
            schedule(SCHED_FIFO)?;
        }
        Ok(crew)
    }

    /// Of each kind.
    fn others(&self) -> u64 {
        2 * self.experiment.each - 1
    }

    fn fork(&mut self, member: &Member, fabrics: &[Option<Fabric>]) -> Result<()> {
        // SAFETY: no other thread of this program is at work.
        match unsafe { fork()? } {
            ForkResult::Parent { child } => self.processes.push(child),
            ForkResult::Child => {
                let end = member.live(|| {
                    set_pdeathsig(Signal::SIGKILL)?;
                    alarm::set(WATCHDOG);
                    let open = |fabric: &Option<Fabric>| match fabric {
                        Some(Fabric::Apart(apart)) => apart.lane(member.side).map(Some),
                        _ => Ok(None),
                    };
                    fabrics.iter().map(open).collect()
                });
                // What the conductor has made is not the child's to drop.
                // SAFETY: ends the process at once.
                unsafe { nix::libc::_exit(end) }
            }
        }
        Ok(())
    }

    fn spawn(&mut self, member: Member, fabrics: &[Option<Fabric>]) -> Result<()> {
        let open = |fabric: &Option<Fabric>| match fabric {
            Some(Fabric::Together(together)) => together.lane(member.side).map(Some),
            _ => Ok(None),
        };
        let lanes: Vec<Option<Box<dyn Lane + Send>>> =
            fabrics.iter().map(open).collect::<Result<_>>()?;
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

    /// Nanoseconds of an exchange of two lines with who is at the other end of a lane.
    pub(crate) fn probe(&self, lane: usize) -> Result<f64> {
        self.places.take(Task::Probe)?;
        self.board.begin(self.kind(lane)?, Task::Probe);
        self.board.await_all_arrived(self.others())?;
        let nanos = self.board.floor.probe();
        self.board.await_all_done(self.others())?;
        Ok(nanos)
    }

    /// Nanoseconds of a message, or of a round trip. With `note`, each is timed by itself.
    pub(crate) fn slice(
        &mut self,
        lane: usize,
        messages: u64,
        sum: u64,
        note: Option<&mut dyn FnMut(u64)>,
    ) -> Result<f64> {
        let (board, others, each) = (self.board, self.others(), self.experiment.each);
        let Some(seat) = &mut self.lanes[lane] else {
            return Err("no such lane".into());
        };
        let task = Task::Slice { lane, messages };
        self.places.take(task)?;
        board.begin(seat.kind, task);
        board.await_all_arrived(others)?;
        match note {
            Some(note) => seat.lane.run_timed(board, messages, note)?,
            None => seat.lane.run(board, messages)?,
        }
        board.await_all_done(others)?;
        if self.experiment.is_crowded() && board.sum() != sum {
            return Err("messages were lost, changed or doubled".into());
        }
        Ok(board.nanos() / (messages * each) as f64)
    }

    /// Sends everybody home.
    pub(crate) fn finish(mut self) -> Result<()> {
        if self.is_fifo {
            schedule(SCHED_OTHER)?;
        }
        for kind in [Kind::Processes, Kind::Threads] {
            self.board.begin(kind, Task::End);
            self.board.await_all_done(self.others())?;
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
        // None of them is left if all went well.
        for &child in &self.processes {
            let _ = kill(child, Signal::SIGKILL);
            let _ = waitpid(child, None);
        }
    }
}

impl Member {
    /// Does what it is told until it is sent home. Returns what a process ends with.
    fn live(&self, open: impl FnOnce() -> Result<Vec<Option<Box<dyn Lane>>>>) -> i32 {
        match self.take_turns(open) {
            Ok(()) => 0,
            Err(error) => {
                eprintln!("compare: {:?} of {:?}: {error}", self.side, self.kind);
                self.board.fail();
                1
            }
        }
    }

    fn take_turns(&self, open: impl FnOnce() -> Result<Vec<Option<Box<dyn Lane>>>>) -> Result<()> {
        run_on(self.places.own)?;
        let mut lanes = open()?;
        if self.is_fifo {
            schedule(SCHED_FIFO)?;
        }
        self.board.arrive();
        let mut turn = 0;
        loop {
            let task = self.board.await_turn(self.kind, &mut turn);
            self.places.take(task)?;
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

/// How this thread is scheduled, from the next moment on.
fn schedule(policy: c_int) -> Result<()> {
    let priority = c_int::from(policy == SCHED_FIFO);
    let parameters = sched_param {
        sched_priority: priority,
    };
    // SAFETY: the parameters live as long as the call takes.
    let result = unsafe { sched_setscheduler(0, policy, &raw const parameters) };
    nix::errno::Errno::result(result)?;
    Ok(())
}

/// Whether this user may: tried and taken back.
fn may_be_fifo() -> bool {
    schedule(SCHED_FIFO).is_ok() && schedule(SCHED_OTHER).is_ok()
}
