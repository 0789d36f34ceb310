//! The cost of intents, and the gain of batches.

use crate::processes::{Crew, Role, Shape};
use crate::rings::{create, sink, source};
use crate::steps::{Board, Lane, SinkLane, SourceLane, Step, run};
use crate::{Effort, Result};
use bench_support::{Body, Distance, Names, Spread, VyukovQueue, prefix, share};
use std::marker::PhantomData;
use std::time::Duration;

/// The lanes.
const RING: usize = 0;
const REFERENCE: usize = 1;
/// The reference queue with intents.
const WITH_INTENTS: usize = 2;

/// Steps of a round: an exchange, then all subjects in one order and in the reverse order.
const ROUND: usize = 9;

/// The order changes from round to round.
fn steps(rounds: u64) -> Vec<Step> {
    use Step::{Batched, Floor, Single};
    let mut steps = Vec::new();
    for round in 0..rounds {
        let turns = match round % 3 {
            0 => [RING, REFERENCE, WITH_INTENTS],
            1 => [REFERENCE, WITH_INTENTS, RING],
            _ => [WITH_INTENTS, RING, REFERENCE],
        };
        steps.push(Floor);
        steps.extend(turns.map(Single));
        steps.extend([Batched(RING), Batched(RING)]);
        steps.extend(turns.into_iter().rev().map(Single));
    }
    steps.push(Floor);
    steps
}

pub(crate) fn measure_and_print(effort: Effort) -> Result<()> {
    println!("Single messages and batches of 32, compared with a queue without intents (bare) and");
    println!("the same queue with intents (int.). apart: producers on one processor, consumers on");
    println!("the other; mixed: half of each on both. Ratios of rates, medians [quartiles].\n");
    println!(
        "{:6} {:5} {:>5} {:7} {:>5} {:>7} {:>7} {:>7} {:>7} {:>20} {:>20} {:>20}",
        "to",
        "cpus",
        "bytes",
        "cores",
        "pairs",
        "ring ns",
        "bare ns",
        "int. ns",
        "batch",
        "int./bare",
        "ring/bare",
        "batch/single"
    );
    for (each, is_mixed) in [(1, false), (2, false), (2, true), (4, false), (4, true)] {
        for bytes in [8, 56] {
            let shape = Shape {
                index: 0,
                each,
                is_mixed,
                rounds: effort.rounds,
                bytes,
            };
            let board = match bytes {
                8 => measure::<[u64; 1]>(&shape)?,
                _ => measure::<[u64; 7]>(&shape)?,
            };
            show(&shape, board);
        }
    }
    println!();
    Ok(())
}

fn measure<B: Body>(shape: &Shape) -> Result<&'static Board> {
    let prefix = prefix("surviving-price");
    let mut names = Names::default();
    let board = share(&names.keep(format!("{prefix}-board")))?;
    // Held, so that the ring never loses its last handle.
    let _ring = create::<B>(&names.keep(ring(&prefix)), Duration::from_millis(100))?;
    for lane in [REFERENCE, WITH_INTENTS] {
        VyukovQueue::<B>::create(&names.keep(reference(&prefix, lane)))?;
    }
    let mut crew = Crew::default();
    for index in 0..shape.each {
        for role in [Role::Producer, Role::Consumer] {
            crew.start(role, &prefix, &Shape { index, ..*shape })?;
        }
    }
    crew.finish()?;
    Ok(board)
}

fn ring(prefix: &str) -> String {
    format!("{prefix}-ring")
}

fn reference(prefix: &str, lane: usize) -> String {
    format!("{prefix}-reference-{lane}")
}

pub(crate) fn run_part(role: Role, prefix: &str, shape: &Shape) -> Result<()> {
    let mut lanes = match shape.bytes {
        8 => lanes::<[u64; 1]>(role, prefix)?,
        _ => lanes::<[u64; 7]>(role, prefix)?,
    };
    let board = share::<Board>(&format!("{prefix}-board"))?;
    run(board, role, shape, &mut lanes, 0, &steps(shape.rounds))
}

fn lanes<B: Body>(role: Role, prefix: &str) -> Result<[Box<dyn Lane>; 3]> {
    let ring = ring(prefix);
    let bare = VyukovQueue::<B, false>::open(&reference(prefix, REFERENCE))?;
    let with_intents = VyukovQueue::<B, true>::open(&reference(prefix, WITH_INTENTS))?;
    Ok(match role {
        Role::Consumer => [
            Box::new(SourceLane(source::<B>(&ring)?, PhantomData)),
            Box::new(SourceLane(bare, PhantomData)),
            Box::new(SourceLane(with_intents, PhantomData)),
        ],
        _ => [
            Box::new(SinkLane(sink::<B>(&ring)?, PhantomData)),
            Box::new(SinkLane(bare, PhantomData)),
            Box::new(SinkLane(with_intents, PhantomData)),
        ],
    })
}

/// The times of one pass over the subjects, and the distance of the cores.
struct Lap {
    distance: Distance,
    ring: f64,
    reference: f64,
    with_intents: f64,
    batch: f64,
}

fn laps(shape: &Shape, board: &Board) -> Vec<Lap> {
    let steps = steps(shape.rounds);
    let mut laps = Vec::new();
    for start in (0..steps.len() - 1).step_by(ROUND) {
        let distance = Distance::of(board.result(start), board.result(start + ROUND));
        for half in [start + 1..start + 5, start + 5..start + ROUND] {
            let of = |step| {
                let found = half.clone().find(|&index| steps[index] == step);
                found.map_or(f64::NAN, |index| board.result(index))
            };
            laps.push(Lap {
                distance,
                ring: of(Step::Single(RING)),
                reference: of(Step::Single(REFERENCE)),
                with_intents: of(Step::Single(WITH_INTENTS)),
                batch: of(Step::Batched(RING)),
            });
        }
    }
    laps
}

fn show(shape: &Shape, board: &Board) {
    let laps = laps(shape, board);
    for distance in Distance::ALL {
        let of = |value: fn(&Lap) -> f64| {
            let laps = laps.iter().filter(|lap| lap.distance == distance);
            Spread::of(laps.map(value).collect())
        };
        let ring = of(|lap| lap.ring);
        if ring.count == 0 {
            continue;
        }
        println!(
            "{:6} {:5} {:>5} {distance:7} {:>5} {:>7.1} {:>7.1} {:>7.1} {:>7.1} {:>20} {:>20} {:>20}",
            format!("{0} to {0}", shape.each),
            if shape.is_mixed { "mixed" } else { "apart" },
            shape.bytes,
            ring.count,
            ring.median,
            of(|lap| lap.reference).median,
            of(|lap| lap.with_intents).median,
            of(|lap| lap.batch).median,
            of(|lap| lap.reference / lap.with_intents),
            of(|lap| lap.reference / lap.ring),
            of(|lap| lap.ring / lap.batch),
        );
    }
}
