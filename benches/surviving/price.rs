//! What intents cost, and what batches gain.

use crate::ends::{consumer, create, producer};
use crate::peers::{Crew, Role, Shape};
use crate::relay::{Board, Lane, Receiving, Sending, Step, run};
use crate::{Effort, Result};
use common::{Body, Distance, Names, Plain, Spread, prefix, share};
use std::marker::PhantomData;
use std::time::Duration;

/// The lane of each ring.
const RING: usize = 0;
const REFERENCE: usize = 1;

/// A round: an exchange, then each in turn there and back. Every other round the first two change
/// places.
fn steps(rounds: u64) -> Vec<Step> {
    use Step::{Batched, Floor, Single};
    let mut steps = Vec::new();
    for round in 0..rounds {
        let (one, other) = if round % 2 == 0 {
            (RING, REFERENCE)
        } else {
            (REFERENCE, RING)
        };
        steps.extend([Floor, Single(one), Single(other), Batched(RING)]);
        steps.extend([Batched(RING), Single(other), Single(one)]);
    }
    steps.push(Floor);
    steps
}

pub(crate) fn conduct(effort: Effort) -> Result<()> {
    println!("The price of intents: one message at a time, beside the same ring without them,");
    println!("and batches of 32. apart: producers on one processor, consumers on the other;");
    println!("mixed: half of each on both. Ratios of rates, medians [quartiles].\n");
    println!(
        "{:6} {:5} {:>5} {:7} {:>5} {:>8} {:>8} {:>8} {:>22} {:>22}",
        "to",
        "place",
        "bytes",
        "cores",
        "pairs",
        "ring ns",
        "ref. ns",
        "batch ns",
        "ring/reference",
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
    // Kept, so that there is no first and no last to come and go.
    let _ring = create::<B>(&names.keep(ring(&prefix)), Duration::from_millis(100))?;
    Plain::<B>::create(&names.keep(reference(&prefix)))?;
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

fn reference(prefix: &str) -> String {
    format!("{prefix}-reference")
}

pub(crate) fn take_part(role: Role, prefix: &str, shape: &Shape) -> Result<()> {
    let mut lanes = match shape.bytes {
        8 => lanes::<[u64; 1]>(role, prefix)?,
        _ => lanes::<[u64; 7]>(role, prefix)?,
    };
    let board = share::<Board>(&format!("{prefix}-board"))?;
    run(board, role, shape, &mut lanes, 0, &steps(shape.rounds))
}

fn lanes<B: Body>(role: Role, prefix: &str) -> Result<[Box<dyn Lane>; 2]> {
    let (ring, reference) = (ring(prefix), reference(prefix));
    let plain = Plain::<B>::open(&reference)?;
    Ok(match role {
        Role::Consumer => [
            Box::new(Receiving(consumer::<B>(&ring)?, PhantomData)),
            Box::new(Receiving(plain, PhantomData)),
        ],
        _ => [
            Box::new(Sending(producer::<B>(&ring)?, PhantomData)),
            Box::new(Sending(plain, PhantomData)),
        ],
    })
}

/// The times of one way through the subjects, and how far apart the cores were.
struct Lap {
    distance: Distance,
    ring: f64,
    reference: f64,
    batch: f64,
}

fn laps(shape: &Shape, board: &Board) -> Vec<Lap> {
    let steps = steps(shape.rounds);
    let mut laps = Vec::new();
    for start in (0..steps.len() - 1).step_by(7) {
        let distance = Distance::of(board.result(start), board.result(start + 7));
        for half in [start + 1..start + 4, start + 4..start + 7] {
            let of = |step| {
                let found = half.clone().find(|&index| steps[index] == step);
                found.map_or(f64::NAN, |index| board.result(index))
            };
            laps.push(Lap {
                distance,
                ring: of(Step::Single(RING)),
                reference: of(Step::Single(REFERENCE)),
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
            "{:6} {:5} {:>5} {distance:7} {:>5} {:>8.1} {:>8.1} {:>8.1} {:>22} {:>22}",
            format!("{0} to {0}", shape.each),
            if shape.is_mixed { "mixed" } else { "apart" },
            shape.bytes,
            ring.count,
            ring.median,
            of(|lap| lap.reference).median,
            of(|lap| lap.batch).median,
            of(|lap| lap.reference / lap.ring),
            of(|lap| lap.ring / lap.batch),
        );
    }
}
