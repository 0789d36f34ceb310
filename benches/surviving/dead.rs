//! What a dead participant costs the others, before and after somebody recovers what it left.
//!
//! The victim is killed in the middle of a push or pop, at a random moment, again and again until
//! its intent stands but is in nobody's way. Nobody may clear it before that is wanted: the rings
//! have an interval that does not end, and all have heard of the victim when it starts.

use crate::ends::{consumer, create, producer};
use crate::object::{Object, Standing};
use crate::peers::{Crew, Role, Shape, Victim};
use crate::relay::{Board, Lane, Meeting, Receiving, Sending, Step, run};
use crate::{Effort, Result};
use common::{Body, Distance, Line, Names, Shared, Spread, now, prefix, share};
use slipring::mpmc::Ring;
use std::marker::PhantomData;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::thread;
use std::time::Duration;

const HEALTHY: usize = 0;
const WOUNDED: usize = 1;
const STAGES: [&str; 3] = ["alive", "dead, unrecovered", "recovered"];
const NEVER: Duration = Duration::from_secs(3600);
/// The two ends and the conductor.
const PARTIES: u64 = 3;

/// What the processes tell each other between the slices.
#[repr(C)]
struct Ward {
    meeting: Meeting,
    /// The victim that has attached.
    ready: Line<AtomicU64>,
    /// The victim that may start.
    go: Line<AtomicU64>,
    is_done: Line<AtomicU64>,
}

// SAFETY: all of it is atomic, and zero is a value.
unsafe impl Shared for Ward {}

fn steps(rounds: u64) -> Vec<Step> {
    let mut steps = Vec::new();
    for round in 0..rounds {
        let (one, other) = if round % 2 == 0 {
            (HEALTHY, WOUNDED)
        } else {
            (WOUNDED, HEALTHY)
        };
        steps.push(Step::Floor);
        steps.extend([one, other, other, one].map(Step::Single));
    }
    steps.push(Step::Floor);
    steps
}

fn names(prefix: &str) -> [String; 4] {
    ["healthy", "wounded", "board", "ward"].map(|what| format!("{prefix}-{what}"))
}

pub(crate) fn conduct(effort: Effort) -> Result<()> {
    println!("A dead participant, 1 to 1: the rate of a ring in which somebody was killed, beside");
    println!("one in which nobody was. Medians [quartiles].\n");
    println!(
        "{:>5} {:18} {:7} {:>5} {:>10} {:>10} {:>22}",
        "bytes", "the victim is", "cores", "pairs", "healthy ns", "wounded ns", "wounded/healthy"
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
    let mut kept = Names::default();
    let [healthy, wounded, board, ward] = names(&prefix).map(|name| kept.keep(name));
    let board = share(&board)?;
    let ward: &Ward = share(&ward)?;
    let _healthy = create::<B>(&healthy, NEVER)?;
    let ring = create::<B>(&wounded, NEVER)?;
    let object = Object::open(&wounded)?;
    let mut crew = Crew::default();
    for role in [Role::DeadProducer, Role::DeadConsumer] {
        crew.start(role, &prefix, shape)?;
    }
    // All are alive.
    meet(ward, &mut crew)?;

    let (seats, victim) = kill_one(ward, &ring, &object, &mut crew, &prefix, shape)?;
    meet(ward, &mut crew)?;
    for &seat in &seats {
        if object.standing(seat)? == Standing::None {
            return Err("somebody recovered too early".into());
        }
    }
    ring.recover()?;
    for &seat in &seats {
        if object.standing(seat)? != Standing::None {
            return Err("recovered, and an intent stands".into());
        }
    }
    meet(ward, &mut crew)?;
    crew.finish()?;
    Ok((board, victim))
}

/// Meets with the crew, unless one of it has failed.
fn meet(ward: &Ward, crew: &mut Crew) -> Result<()> {
    let all = ward.meeting.arrive(PARTIES);
    while !ward.meeting.is_complete(all) {
        crew.are_working()?;
        thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

/// Kills victims until one leaves an intent behind that is in nobody's way. Returns the seats
/// whose intents stand.
fn kill_one<B: Body>(
    ward: &Ward,
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
        while ward.ready.0.load(Acquire) != pid {
            victim.check()?;
            thread::sleep(Duration::from_micros(200));
        }
        for _ in 0..3 {
            meet(ward, crew)?;
        }
        ward.go.0.store(pid, Release);
        // The clock's last digits are as good as dice.
        thread::sleep(Duration::from_micros(300 + now() % 1000));
        let seats = object.seats_of(victim.pid())?;
        victim.kill()?;
        for &seat in &seats {
            while !object.is_free(seat)? {
                thread::yield_now();
            }
        }
        let standings: Vec<Standing> = seats
            .iter()
            .map(|&seat| object.standing(seat))
            .collect::<Result<_>>()?;
        let is_good = standings.contains(&Standing::Idle) && !standings.contains(&Standing::Busy);
        if !is_good {
            ring.recover()?;
        }
        ward.is_done.0.store(is_good.into(), Release);
        meet(ward, crew)?;
        meet(ward, crew)?;
        if is_good {
            let said =
                format!("victim {attempt}: intents of its producer, its consumer: {standings:?}");
            let idle = seats.into_iter().zip(standings);
            let idle = idle.filter(|&(_, standing)| standing == Standing::Idle);
            return Ok((idle.map(|(seat, _)| seat).collect(), said));
        }
    }
    Err(format!("none of {TRIES} victims left an intent behind").into())
}

pub(crate) fn take_part(role: Role, prefix: &str, shape: &Shape) -> Result<()> {
    let [healthy, wounded, board, ward] = names(prefix);
    let mut lanes = match shape.bytes {
        8 => lanes::<[u64; 1]>(role, [&healthy, &wounded])?,
        _ => lanes::<[u64; 7]>(role, [&healthy, &wounded])?,
    };
    let board = share::<Board>(&board)?;
    let ward = share::<Ward>(&ward)?;
    let role = match role {
        Role::DeadConsumer => Role::Consumer,
        _ => Role::Producer,
    };
    let steps = steps(shape.rounds);
    let stage = |lanes: &mut _, stage| run(board, role, shape, lanes, stage * steps.len(), &steps);
    let meet = || ward.meeting.meet(PARTIES);

    stage(&mut lanes, 0)?;
    meet();
    loop {
        // The victim has come. Who is refused hears of it.
        meet();
        if role == Role::Producer {
            lanes[WOUNDED].until_refused()?;
        }
        meet();
        if role == Role::Consumer {
            lanes[WOUNDED].until_refused()?;
        }
        meet();
        // It is killed.
        meet();
        if role == Role::Consumer {
            lanes[WOUNDED].until_refused()?;
        }
        meet();
        if ward.is_done.0.load(Acquire) == 1 {
            break;
        }
    }
    stage(&mut lanes, 1)?;
    meet();
    meet();
    stage(&mut lanes, 2)
}

fn lanes<B: Body>(role: Role, rings: [&str; 2]) -> Result<Vec<Box<dyn Lane>>> {
    let mut lanes: Vec<Box<dyn Lane>> = Vec::new();
    for ring in rings {
        lanes.push(match role {
            Role::DeadConsumer => Box::new(Receiving(consumer::<B>(ring)?, PhantomData)),
            _ => Box::new(Sending(producer::<B>(ring)?, PhantomData)),
        });
    }
    Ok(lanes)
}

pub(crate) fn be_killed(prefix: &str, shape: &Shape) -> Result<()> {
    match shape.bytes {
        8 => push_and_pop::<[u64; 1]>(prefix),
        _ => push_and_pop::<[u64; 7]>(prefix),
    }
}

fn push_and_pop<B: Body>(prefix: &str) -> Result<()> {
    let [_, wounded, _, ward] = names(prefix);
    let ward: &Ward = share(&ward)?;
    let (mut producer, mut consumer) = (producer::<B>(&wounded)?, consumer::<B>(&wounded)?);
    let pid = u64::from(std::process::id());
    ward.ready.0.store(pid, Release);
    while ward.go.0.load(Acquire) != pid {
        thread::yield_now();
    }
    loop {
        producer.push(&B::numbered(7))?;
        consumer.pop()?;
    }
}

fn show(shape: &Shape, board: &Board) {
    let steps = steps(shape.rounds);
    for (stage, said) in STAGES.iter().enumerate() {
        let result = |step| board.result(stage * steps.len() + step);
        let mut pairs = Vec::new();
        for start in (0..steps.len() - 1).step_by(5) {
            let distance = Distance::of(result(start), result(start + 5));
            for first in [start + 1, start + 3] {
                let (mut healthy, mut wounded) = (result(first), result(first + 1));
                if steps[first] == Step::Single(WOUNDED) {
                    (healthy, wounded) = (wounded, healthy);
                }
                pairs.push((distance, healthy, wounded));
            }
        }
        for distance in Distance::ALL {
            let of = |value: fn(f64, f64) -> f64| {
                let pairs = pairs.iter().filter(|pair| pair.0 == distance);
                Spread::of(pairs.map(|pair| value(pair.1, pair.2)).collect())
            };
            let healthy = of(|healthy, _| healthy);
            if healthy.count > 0 {
                println!(
                    "{:>5} {said:18} {distance:7} {:>5} {:>10.1} {:>10.1} {:>22}",
                    shape.bytes,
                    healthy.count,
                    healthy.median,
                    of(|_, wounded| wounded).median,
                    of(|healthy, wounded| healthy / wounded),
                );
            }
        }
    }
}
