//! The cost of a dead participant to the others, before and after recovery.
//!
//! A victim is killed at a random moment of a push or pop. This repeats until an intent remains
//! set that blocks no other participant. No process may clear it early: the liveness interval
//! never elapses, and every process has checked its peers after the victim attached.

use crate::object::{IntentState, Object};
use crate::processes::{Crew, Role, Shape, Victim};
use crate::rings::{create, sink, source};
use crate::steps::{Barrier, Board, Lane, SinkLane, SourceLane, Step, run};
use crate::{Effort, Result};
use bench_support::{
    Body, CachePadded, Distance, Names, Shared, Sink, Source, Spread, now, prefix, share,
};
use slipring::mpmc::Ring;
use std::marker::PhantomData;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::thread;
use std::time::Duration;

const WITHOUT_DEATH: usize = 0;
const WITH_DEATH: usize = 1;
const PHASES: [&str; 3] = ["alive", "dead, unrecovered", "recovered"];
const NEVER: Duration = Duration::from_secs(3600);
/// The two endpoints and the coordinating process.
const PARTIES: u64 = 3;

/// State that the processes share between the slices.
#[repr(C)]
struct DeathState {
    barrier: Barrier,
    /// The process ID of the victim that has attached.
    ready: CachePadded<AtomicU64>,
    /// The process ID of the victim that may start.
    go: CachePadded<AtomicU64>,
    is_done: CachePadded<AtomicU64>,
}

// SAFETY: every field is atomic, and all zeroes are a valid value.
unsafe impl Shared for DeathState {}

fn steps(rounds: u64) -> Vec<Step> {
    let mut steps = Vec::new();
    for round in 0..rounds {
        let (one, other) = if round % 2 == 0 {
            (WITHOUT_DEATH, WITH_DEATH)
        } else {
            (WITH_DEATH, WITHOUT_DEATH)
        };
        steps.push(Step::Floor);
        steps.extend([one, other, other, one].map(Step::Single));
    }
    steps.push(Step::Floor);
    steps
}

fn names(prefix: &str) -> [String; 4] {
    ["intact", "killed", "board", "state"].map(|what| format!("{prefix}-{what}"))
}

pub(crate) fn measure_and_print(effort: Effort) -> Result<()> {
    println!("A dead participant, 1 to 1: the rate of a ring in which a participant was killed,");
    println!(
        "compared with a ring without a death. Medians [quartiles].
"
    );
    println!(
        "{:>5} {:18} {:7} {:>5} {:>10} {:>10} {:>22}",
        "bytes", "the victim is", "cores", "pairs", "intact ns", "killed ns", "killed/intact"
    );
    for bytes in [8, 56] {
        let shape = Shape {
            each: 1,
            rounds: effort.rounds,
            bytes,
            ..Shape::default()
        };
        let (board, victim) = match bytes {
            8 => measure::<[u64; 1]>(&shape)?,
            _ => measure::<[u64; 7]>(&shape)?,
        };
        show(&shape, board);
        println!("      ({victim})");
    }
    println!();
    Ok(())
}

fn measure<B: Body>(shape: &Shape) -> Result<(&'static Board, String)> {
    let prefix = prefix("surviving-dead");
    let mut names_guard = Names::default();
    let [without_death, with_death, board, state] =
        names(&prefix).map(|name| names_guard.keep(name));
    let board = share(&board)?;
    let state: &DeathState = share(&state)?;
    let _healthy = create::<B>(&without_death, NEVER)?;
    let ring = create::<B>(&with_death, NEVER)?;
    let object = Object::open(&with_death)?;
    let mut crew = Crew::default();
    for role in [Role::DeadProducer, Role::DeadConsumer] {
        crew.start(role, &prefix, shape)?;
    }
    // Phase 0: no process has died.
    meet(state, &mut crew)?;

    let (seats, victim) = kill_one(state, &ring, &object, &mut crew, &prefix, shape)?;
    meet(state, &mut crew)?;
    for &seat in &seats {
        if object.intent_state(seat)? == IntentState::None {
            return Err("an intent was cleared before the measurement".into());
        }
    }
    ring.recover()?;
    for &seat in &seats {
        if object.intent_state(seat)? != IntentState::None {
            return Err("an intent is still set after recovery".into());
        }
    }
    meet(state, &mut crew)?;
    crew.finish()?;
    Ok((board, victim))
}

/// Waits at the barrier. Returns an error if a process of the crew has failed.
fn meet(state: &DeathState, crew: &mut Crew) -> Result<()> {
    let all = state.barrier.arrive(PARTIES);
    while !state.barrier.is_complete(all) {
        crew.are_working()?;
        thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

/// Kills victims until one leaves an intent that blocks no other participant. Returns the seats
/// with such intents, and a description.
fn kill_one<B: Body>(
    state: &DeathState,
    ring: &Ring<B>,
    object: &Object,
    crew: &mut Crew,
    prefix: &str,
    shape: &Shape,
) -> Result<(Vec<u64>, String)> {
    const TRIES: u64 = 500;
    for attempt in 1..=TRIES {
        let mut victim = Victim::start(Role::DeadVictim, prefix, shape)?;
        let pid = u64::from(victim.pid());
        while state.ready.load(Acquire) != pid {
            victim.check()?;
            thread::sleep(Duration::from_micros(200));
        }
        for _ in 0..3 {
            meet(state, crew)?;
        }
        state.go.store(pid, Release);
        // The last digits of the clock serve as random numbers.
        thread::sleep(Duration::from_micros(300 + now() % 1000));
        let seats = object.seats_of(victim.pid())?;
        victim.kill()?;
        for &seat in &seats {
            while !object.is_free(seat)? {
                thread::yield_now();
            }
        }
        let intents: Vec<IntentState> = seats
            .iter()
            .map(|&seat| object.intent_state(seat))
            .collect::<Result<_>>()?;
        let is_good = intents.contains(&IntentState::Idle) && !intents.contains(&IntentState::Busy);
        if !is_good {
            ring.recover()?;
        }
        state.is_done.store(is_good.into(), Release);
        meet(state, crew)?;
        meet(state, crew)?;
        if is_good {
            let text = format!("victim {attempt}: intents of its producer, consumer: {intents:?}");
            let idle = seats.into_iter().zip(intents);
            let idle = idle.filter(|&(_, intent_state)| intent_state == IntentState::Idle);
            return Ok((idle.map(|(seat, _)| seat).collect(), text));
        }
    }
    Err(format!("{TRIES} victims: found no intent that remained set").into())
}

pub(crate) fn run_part(role: Role, prefix: &str, shape: &Shape) -> Result<()> {
    let [without_death, with_death, board, state] = names(prefix);
    let mut lanes = match shape.bytes {
        8 => lanes::<[u64; 1]>(role, [&without_death, &with_death])?,
        _ => lanes::<[u64; 7]>(role, [&without_death, &with_death])?,
    };
    let board = share::<Board>(&board)?;
    let state = share::<DeathState>(&state)?;
    let role = match role {
        Role::DeadConsumer => Role::Consumer,
        _ => Role::Producer,
    };
    let steps = steps(shape.rounds);
    let phase = |lanes: &mut _, phase| run(board, role, shape, lanes, phase * steps.len(), &steps);
    let meet = || state.barrier.wait(PARTIES);

    phase(&mut lanes, 0)?;
    meet();
    loop {
        // The victim has attached. An endpoint that finds the ring full or empty checks its peers.
        meet();
        if role == Role::Producer {
            lanes[WITH_DEATH].fill_or_drain()?;
        }
        meet();
        if role == Role::Consumer {
            lanes[WITH_DEATH].fill_or_drain()?;
        }
        meet();
        // The victim has been killed.
        meet();
        if role == Role::Consumer {
            lanes[WITH_DEATH].fill_or_drain()?;
        }
        meet();
        if state.is_done.load(Acquire) == 1 {
            break;
        }
    }
    phase(&mut lanes, 1)?;
    meet();
    meet();
    phase(&mut lanes, 2)
}

fn lanes<B: Body>(role: Role, rings: [&str; 2]) -> Result<Vec<Box<dyn Lane>>> {
    let mut lanes: Vec<Box<dyn Lane>> = Vec::new();
    for ring in rings {
        lanes.push(match role {
            Role::DeadConsumer => Box::new(SourceLane(source::<B>(ring)?, PhantomData)),
            _ => Box::new(SinkLane(sink::<B>(ring)?, PhantomData)),
        });
    }
    Ok(lanes)
}

pub(crate) fn run_victim(prefix: &str, shape: &Shape) -> Result<()> {
    match shape.bytes {
        8 => push_and_pop::<[u64; 1]>(prefix),
        _ => push_and_pop::<[u64; 7]>(prefix),
    }
}

fn push_and_pop<B: Body>(prefix: &str) -> Result<()> {
    let [_, with_death, _, state] = names(prefix);
    let state: &DeathState = share(&state)?;
    let (mut sink, mut source) = (sink::<B>(&with_death)?, source::<B>(&with_death)?);
    let pid = u64::from(std::process::id());
    state.ready.store(pid, Release);
    while state.go.load(Acquire) != pid {
        thread::yield_now();
    }
    loop {
        sink.send(&B::numbered(7))?;
        source.receive(|_| ())?;
    }
}

fn show(shape: &Shape, board: &Board) {
    let steps = steps(shape.rounds);
    for (phase, label) in PHASES.iter().enumerate() {
        let result = |step| board.result(phase * steps.len() + step);
        let mut pairs = Vec::new();
        for start in (0..steps.len() - 1).step_by(5) {
            let distance = Distance::of(result(start), result(start + 5));
            for first in [start + 1, start + 3] {
                let (mut without_death, mut with_death) = (result(first), result(first + 1));
                if steps[first] == Step::Single(WITH_DEATH) {
                    (without_death, with_death) = (with_death, without_death);
                }
                pairs.push((distance, without_death, with_death));
            }
        }
        for distance in Distance::ALL {
            let of = |value: fn(f64, f64) -> f64| {
                let pairs = pairs.iter().filter(|pair| pair.0 == distance);
                Spread::of(pairs.map(|pair| value(pair.1, pair.2)).collect())
            };
            let without_death = of(|without_death, _| without_death);
            if without_death.count > 0 {
                println!(
                    "{:>5} {label:18} {distance:7} {:>5} {:>10.1} {:>10.1} {:>22}",
                    shape.bytes,
                    without_death.count,
                    without_death.median,
                    of(|_, with_death| with_death).median,
                    of(|without_death, with_death| without_death / with_death),
                );
            }
        }
    }
}
