//! A crew for one point of a benchmark: this program again, each copy on the processor of its side,
//! at the other ends of the rings.

use crate::ends::{Receiving, Sending};
use common::{
    Board, Body, Echoer, Kind, Lane, Method, Names, Patience, Pinger, Receiver, Result, Sender,
    Task, prefix, processors, run_on, share, sum_of_shares,
};
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use slipring::{Mpmc, Options, Protocol, Ring, Spsc, WaitStrategy};
use std::marker::PhantomData;
use std::process::{Child, Command, ExitCode};
use std::sync::OnceLock;
use std::time::Duration;
use std::{env, iter};

/// What a point of a benchmark is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Point {
    pub(crate) way: Way,
    pub(crate) method: Method,
    pub(crate) bytes: u64,
    pub(crate) capacity: u64,
    /// Producers, and as many consumers.
    pub(crate) each: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// There and back, both sides looking all the time.
    RoundTrip,
    /// There and back, each side asleep until it is woken.
    Wake,
    /// From one to one.
    Stream,
    /// From many to many.
    Many,
}

const WAYS: [Way; 4] = [Way::RoundTrip, Way::Wake, Way::Stream, Way::Many];
const METHODS: [Method; 3] = [Method::Single, Method::Batch, Method::InPlace];

impl Point {
    pub(crate) const fn new(way: Way, method: Method, bytes: u64) -> Self {
        Self {
            way,
            method,
            bytes,
            capacity: common::CAPACITY as u64,
            each: 1,
        }
    }

    /// As another process is told.
    fn words(&self) -> [u64; 5] {
        let (way, method) = (self.way as u64, self.method as u64);
        [way, method, self.bytes, self.capacity, self.each]
    }

    fn of(words: &[u64]) -> Option<Self> {
        let &[way, method, bytes, capacity, each] = words else {
            return None;
        };
        Some(Self {
            way: *WAYS.get(way as usize)?,
            method: *METHODS.get(method as usize)?,
            bytes,
            capacity,
            each,
        })
    }

    fn options(&self) -> Options {
        let wait = match self.way {
            Way::Wake => WaitStrategy::Sleep {
                spins: 0,
                yields: 0,
            },
            _ if self.each == 1 => WaitStrategy::Spin,
            _ => WaitStrategy::Sleep {
                spins: Patience::SPINS,
                yields: u32::MAX,
            },
        };
        Options::new().wait(wait).prefault(true)
    }
}

/// Where a member stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Producer(u64),
    Consumer,
}

/// By which a started process knows what it is for: where the names start, the point, its side,
/// and its processor.
const PART: &str = "SLIPRING_BENCH_PART";

/// Runs a benchmark, or a member of one's crew.
pub(crate) fn run(benchmark: fn(&mut Criterion)) -> ExitCode {
    if let Ok(part) = env::var(PART) {
        return match take_part(&part) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{part}: {error}");
                ExitCode::FAILURE
            }
        };
    }
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(5))
        .configure_from_args();
    benchmark(&mut criterion);
    criterion.final_summary();
    ExitCode::SUCCESS
}

/// Measures a point.
pub(crate) fn measure(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, point: Point) {
    group.bench_function(name, |bencher| {
        // Only for the points that are wanted.
        let crew = Crew::start(point).and_then(|mut crew| {
            crew.pass(CHECKED)?;
            Ok(crew)
        });
        let mut crew = crew.expect("the ring delivers");
        bencher.iter_custom(|messages| crew.pass(messages).expect("the ring delivers"));
        crew.finish().expect("all went well");
    });
}

/// Messages that are sent before anything is measured.
const CHECKED: u64 = 10_000;

struct Crew {
    point: Point,
    board: &'static Board,
    lane: Box<dyn Lane>,
    others: Vec<Child>,
    _names: Names,
}

impl Crew {
    fn start(point: Point) -> Result<Self> {
        let prefix = prefix("bench");
        let mut names = Names::default();
        let board = share::<Board>(&names.keep(board_name(&prefix)))?;
        for name in [there(&prefix), back(&prefix)] {
            create(&point, &names.keep(name))?;
        }
        let sides = (1..point.each)
            .map(Side::Producer)
            .chain(iter::repeat_n(Side::Consumer, point.each as usize));
        let processors = two_processors()?;
        let others = sides.map(|side| start(&prefix, &point, side, processors));
        let mut crew = Self {
            point,
            board,
            others: others.collect::<Result<_>>()?,
            lane: lane(&prefix, &point, Side::Producer(0))?,
            _names: names,
        };
        crew.look_after()?;
        board.await_all_here(crew.others.len() as u64)?;
        run_on(processor_of(Side::Producer(0), processors))?;
        Ok(crew)
    }

    /// Whether all of them are at it.
    fn look_after(&mut self) -> Result<()> {
        for child in &mut self.others {
            if let Some(status) = child.try_wait()? {
                return Err(format!("one of the others ended with {status}").into());
            }
        }
        Ok(())
    }

    /// How long so many messages or round trips take.
    fn pass(&mut self, wanted: u64) -> Result<Duration> {
        self.look_after()?;
        let (board, others) = (self.board, self.others.len() as u64);
        let grain = match self.point.method {
            Method::Batch => common::BATCH as u64,
            _ => 1,
        };
        let messages = wanted.div_ceil(self.point.each).next_multiple_of(grain);
        board.begin(Kind::Processes, Task::Slice { lane: 0, messages });
        board.await_all_here(others)?;
        self.lane.run(board, messages)?;
        board.await_all_done(others)?;
        if self.point.each > 1 && board.sum() != sum(&self.point, messages) {
            return Err("messages were lost, changed or doubled".into());
        }
        let each = board.nanos() / (messages * self.point.each) as f64;
        Ok(Duration::from_secs_f64(each * wanted as f64 / 1e9))
    }

    fn finish(mut self) -> Result<()> {
        self.board.begin(Kind::Processes, Task::End);
        for child in &mut self.others {
            let status = child.wait()?;
            if !status.success() {
                return Err(format!("one of the others ended with {status}").into());
            }
        }
        Ok(())
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        for child in &mut self.others {
            // None of them is left if all went well.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn start(prefix: &str, point: &Point, side: Side, processors: [usize; 2]) -> Result<Child> {
    let index = match side {
        Side::Producer(index) => index,
        Side::Consumer => u64::MAX,
    };
    let words = point.words().map(|word| word.to_string()).join(",");
    let processor = processor_of(side, processors);
    let part = format!("{prefix},{words},{index},{processor}");
    Ok(Command::new(env::current_exe()?).env(PART, part).spawn()?)
}

fn take_part(part: &str) -> Result<()> {
    set_pdeathsig(Signal::SIGKILL)?;
    let (prefix, words) = part.split_once(',').ok_or("no part")?;
    let words = words.split(',').map(str::parse);
    let words: Vec<u64> = words.collect::<std::result::Result<_, _>>()?;
    let &[ref point @ .., index, processor] = &words[..] else {
        return Err("no part".into());
    };
    let point = Point::of(point).ok_or("no such point")?;
    let side = match index {
        u64::MAX => Side::Consumer,
        index => Side::Producer(index),
    };
    run_on(processor as usize)?;
    let board = share::<Board>(&board_name(prefix))?;
    take_turns(board, prefix, &point, side).inspect_err(|_| board.fail())
}

fn take_turns(board: &Board, prefix: &str, point: &Point, side: Side) -> Result<()> {
    let mut lane = lane(prefix, point, side)?;
    board.come();
    let mut turn = 0;
    while let Task::Slice { messages, .. } = board.await_turn(Kind::Processes, &mut turn) {
        board.come();
        lane.run(board, messages)?;
        board.finish();
    }
    Ok(())
}

fn processor_of(side: Side, [one, other]: [usize; 2]) -> usize {
    match side {
        Side::Producer(_) => one,
        Side::Consumer => other,
    }
}

/// The two that are measured on, as they were before this process was kept on one of them.
fn two_processors() -> Result<[usize; 2]> {
    static BOTH: OnceLock<[usize; 2]> = OnceLock::new();
    if let Some(&both) = BOTH.get() {
        return Ok(both);
    }
    match processors()?[..] {
        [one, other, ..] => Ok(*BOTH.get_or_init(|| [one, other])),
        _ => Err("two processors are needed".into()),
    }
}

fn board_name(prefix: &str) -> String {
    format!("{prefix}-board")
}

fn there(prefix: &str) -> String {
    format!("{prefix}-there")
}

fn back(prefix: &str) -> String {
    format!("{prefix}-back")
}

/// Calls a function with the type of a message and the kind of a ring.
macro_rules! with_types {
    ($point:expr, $call:ident ( $($argument:expr),* )) => {
        match ($point.bytes, $point.way) {
            (8, Way::Many) => $call::<[u64; 1], Mpmc>($($argument),*),
            (56, Way::Many) => $call::<[u64; 7], Mpmc>($($argument),*),
            (8, _) => $call::<[u64; 1], Spsc>($($argument),*),
            (56, _) => $call::<[u64; 7], Spsc>($($argument),*),
            (256, _) => $call::<[u64; 32], Spsc>($($argument),*),
            (1024, _) => $call::<[u64; 128], Spsc>($($argument),*),
            (4096, _) => $call::<[u64; 512], Spsc>($($argument),*),
            (65536, _) => $call::<[u64; 8192], Spsc>($($argument),*),
            _ => panic!("nobody is prepared for this: {:?}", $point),
        }
    };
}

fn create(point: &Point, name: &str) -> Result<()> {
    with_types!(point, create_of(point, name))
}

fn create_of<B: Body, P: Protocol>(point: &Point, name: &str) -> Result<()> {
    let options = point.options().capacity(point.capacity as usize);
    Ring::<B, P>::create_with(name, &options)?;
    Ok(())
}

fn lane(prefix: &str, point: &Point, side: Side) -> Result<Box<dyn Lane>> {
    with_types!(point, lane_of(prefix, point, side))
}

fn lane_of<B: Body, P: Protocol>(prefix: &str, point: &Point, side: Side) -> Result<Box<dyn Lane>> {
    let options = point.options();
    let is_round_trip = matches!(point.way, Way::RoundTrip | Way::Wake);
    let (there, back) = (there(prefix), back(prefix));
    let body = PhantomData::<B>;
    Ok(match (side, is_round_trip) {
        (Side::Producer(index), false) => Box::new(Sender {
            outlet: Sending::<B, P>::open(&there, &options)?,
            method: point.method,
            index,
            body,
        }),
        (Side::Consumer, false) => Box::new(Receiver {
            inlet: Receiving::<B, P>::open(&there, &options)?,
            method: point.method,
            each: point.each,
            body,
        }),
        (Side::Producer(_), true) => Box::new(Pinger {
            outlet: Sending::<B, P>::open(&there, &options)?,
            inlet: Receiving::<B, P>::open(&back, &options)?,
            body,
        }),
        (Side::Consumer, true) => Box::new(Echoer {
            outlet: Sending::<B, P>::open(&back, &options)?,
            inlet: Receiving::<B, P>::open(&there, &options)?,
            body,
        }),
    })
}

/// Of all words, of many to many.
fn sum(point: &Point, messages: u64) -> u64 {
    match point.bytes {
        8 => sum_of_shares::<[u64; 1]>(messages, point.each),
        _ => sum_of_shares::<[u64; 7]>(messages, point.each),
    }
}
