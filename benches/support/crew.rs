//! The processes of one benchmark point. The benchmark starts its own program again for each
//! member, and pins it to the processor of its side.

use crate::{
    BATCH, Board, Body, CAPACITY, Echoer, Kind, Lane, Method, Names, Pinger, Receiver, Result,
    Sender, SlipringSink, SlipringSource, SpinWait, Task, prefix, processors, run_on, share,
    sum_of_shares,
};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use slipring::{Mpmc, Options, Protocol, Ring, Spsc, WaitStrategy};
use std::marker::PhantomData;
use std::process::{Child, Command};
use std::sync::OnceLock;
use std::time::Duration;
use std::{env, iter};

/// The parameters of one point of a benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    pub way: Way,
    pub method: Method,
    pub bytes: u64,
    pub capacity: u64,
    /// The number of producers, and also of consumers.
    pub each: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// A round trip between two sides that spin.
    RoundTrip,
    /// A round trip between two sides that block until they are woken.
    Wake,
    /// A stream from one producer to one consumer.
    Stream,
    /// A stream from many producers to many consumers.
    Many,
}

const WAYS: [Way; 4] = [Way::RoundTrip, Way::Wake, Way::Stream, Way::Many];
const METHODS: [Method; 3] = [Method::Single, Method::Batch, Method::InPlace];

impl Point {
    pub const fn new(way: Way, method: Method, bytes: u64) -> Self {
        Self {
            way,
            method,
            bytes,
            capacity: CAPACITY as u64,
            each: 1,
        }
    }

    /// Encodes the point for the environment of another process.
    fn encode(&self) -> [u64; 5] {
        let (way, method) = (self.way as u64, self.method as u64);
        [way, method, self.bytes, self.capacity, self.each]
    }

    fn decode(words: &[u64]) -> Option<Self> {
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
                spins: SpinWait::SPINS,
                yields: u32::MAX,
            },
        };
        Options::new().wait(wait).prefault(true)
    }
}

/// The side of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Producer(u64),
    Consumer,
}

/// The environment variable that describes the part of a started process: the prefix of names,
/// the point, the side, and the processor.
pub(crate) const PART: &str = "SLIPRING_BENCH_PART";

pub(crate) struct Crew {
    point: Point,
    board: &'static Board,
    lane: Box<dyn Lane>,
    others: Vec<Child>,
    _names: Names,
}

impl Crew {
    pub(crate) fn start(point: Point) -> Result<Self> {
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
        crew.check()?;
        board.await_all_arrived(crew.others.len() as u64)?;
        run_on(processor_of(Side::Producer(0), processors))?;
        Ok(crew)
    }

    /// Fails if a member has exited.
    fn check(&mut self) -> Result<()> {
        for child in &mut self.others {
            if let Some(status) = child.try_wait()? {
                return Err(format!("a member exited with {status}").into());
            }
        }
        Ok(())
    }

    /// Returns the time for `wanted` messages or round trips.
    pub(crate) fn pass(&mut self, wanted: u64) -> Result<Duration> {
        self.check()?;
        let (board, others) = (self.board, self.others.len() as u64);
        let grain = match self.point.method {
            Method::Batch => BATCH as u64,
            _ => 1,
        };
        let messages = wanted.div_ceil(self.point.each).next_multiple_of(grain);
        board.begin(Kind::Processes, Task::Slice { lane: 0, messages });
        board.await_all_arrived(others)?;
        self.lane.run(board, messages)?;
        board.await_all_finished(others)?;
        if self.point.each > 1 && board.sum() != sum(&self.point, messages) {
            return Err("messages are lost, changed or duplicated".into());
        }
        let each = board.nanos() / (messages * self.point.each) as f64;
        Ok(Duration::from_secs_f64(each * wanted as f64 / 1e9))
    }

    pub(crate) fn finish(mut self) -> Result<()> {
        self.board.begin(Kind::Processes, Task::End);
        for child in &mut self.others {
            let status = child.wait()?;
            if !status.success() {
                return Err(format!("a member exited with {status}").into());
            }
        }
        Ok(())
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        for child in &mut self.others {
            // After a successful run every member has already exited.
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
    let words = point.encode().map(|word| word.to_string()).join(",");
    let processor = processor_of(side, processors);
    let part = format!("{prefix},{words},{index},{processor}");
    Ok(Command::new(env::current_exe()?).env(PART, part).spawn()?)
}

pub(crate) fn take_part(part: &str) -> Result<()> {
    set_pdeathsig(Signal::SIGKILL)?;
    let (prefix, words) = part.split_once(',').ok_or("malformed benchmark part")?;
    let words = words.split(',').map(str::parse);
    let words: Vec<u64> = words.collect::<std::result::Result<_, _>>()?;
    let &[ref point @ .., index, processor] = &words[..] else {
        return Err("malformed benchmark part".into());
    };
    let point = Point::decode(point).ok_or("unknown benchmark point")?;
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
    board.arrive();
    let mut turn = 0;
    while let Task::Slice { messages, .. } = board.await_turn(Kind::Processes, &mut turn) {
        board.arrive();
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

/// The two processors of the measurement, read before this process is pinned to one of them.
fn two_processors() -> Result<[usize; 2]> {
    static BOTH: OnceLock<[usize; 2]> = OnceLock::new();
    if let Some(&both) = BOTH.get() {
        return Ok(both);
    }
    match processors()?[..] {
        [one, other, ..] => Ok(*BOTH.get_or_init(|| [one, other])),
        _ => Err("processors: found fewer than 2, expected at least 2".into()),
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

/// Calls a function with the message type and the ring protocol of a point.
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
            _ => panic!("unsupported benchmark point: {:?}", $point),
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
            sink: SlipringSink::<B, P>::open(&there, &options)?,
            method: point.method,
            index,
            body,
        }),
        (Side::Consumer, false) => Box::new(Receiver {
            source: SlipringSource::<B, P>::open(&there, &options)?,
            method: point.method,
            each: point.each,
            body,
        }),
        (Side::Producer(_), true) => Box::new(Pinger {
            sink: SlipringSink::<B, P>::open(&there, &options)?,
            source: SlipringSource::<B, P>::open(&back, &options)?,
            body,
        }),
        (Side::Consumer, true) => Box::new(Echoer {
            sink: SlipringSink::<B, P>::open(&back, &options)?,
            source: SlipringSource::<B, P>::open(&there, &options)?,
            body,
        }),
    })
}

/// The sum of all words of all messages, with many producers.
fn sum(point: &Point, messages: u64) -> u64 {
    match point.bytes {
        8 => sum_of_shares::<[u64; 1]>(messages, point.each),
        _ => sum_of_shares::<[u64; 7]>(messages, point.each),
    }
}
