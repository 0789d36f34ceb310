//! Message rates of rings, from the counters of two successive snapshots.

use super::discover::{self, Finding};
use super::{output, summary};
use slipring::{Backing, Occupancy, Role, Snapshot};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// A ring, and its changes since the previous sample.
#[derive(Clone, Debug)]
pub(crate) struct RingRates {
    ring: Backing,
    /// Messages per second.
    pushed: f64,
    popped: f64,
    depth: u64,
    capacity: u64,
    /// Whether an old segment is still in use.
    is_growing: bool,
    max_depth: u64,
    stalls: u64,
    alive: usize,
    pub(crate) dead: usize,
}

impl RingRates {
    pub(crate) const HEADING: [&str; 7] =
        ["RING", "IN/s", "OUT/s", "DEPTH", "MAX", "STALLS", "SEATS"];

    pub(crate) fn cells(&self) -> [String; 7] {
        let seats = match self.dead {
            0 => self.alive.to_string(),
            dead => format!("{}+{dead}†", self.alive),
        };
        let name = output::escape(&self.ring);
        [
            match self.is_growing {
                true => format!("{name} → {}", self.capacity),
                false => name.into(),
            },
            short(self.pushed),
            short(self.popped),
            short(self.depth as f64),
            short(self.max_depth as f64),
            self.stalls.to_string(),
            seats,
        ]
    }

    /// A bar of the depth. Any message at all shows at least one eighth of a column.
    pub(crate) fn bar(&self, columns: usize) -> String {
        const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
        let full = self.depth as f64 / self.capacity as f64;
        let eighths = (full * columns as f64 * 8.0).ceil() as usize;
        let eighths = eighths.min(columns * 8);
        "█".repeat(eighths / 8) + EIGHTHS[eighths % 8]
    }
}

/// A number in at most five characters.
fn short(number: f64) -> String {
    const UNITS: [&str; 4] = ["", "k", "M", "G"];
    let mut amount = number;
    let mut unit = 0;
    while amount >= 9999.5 && unit + 1 < UNITS.len() {
        amount /= 1000.0;
        unit += 1;
    }
    format!("{amount:.0}{}", UNITS[unit])
}

/// The counters of a ring at one time.
#[derive(Debug)]
struct Sample {
    at: Instant,
    pushed: u64,
    popped: u64,
    max_depth: u64,
    stalls: u64,
}

#[derive(Debug)]
pub(crate) struct Sampler {
    /// All rings if empty.
    named: Vec<Backing>,
    last: HashMap<Backing, Sample>,
}

impl Sampler {
    pub(crate) fn new(named: &[Backing]) -> Self {
        let mut sampler = Self {
            named: named.to_vec(),
            last: HashMap::new(),
        };
        sampler.sample();
        sampler
    }

    /// The rates since the previous sample.
    pub(crate) fn sample(&mut self) -> Vec<RingRates> {
        let rings = discover::named_or_all(&self.named);
        let mut last = HashMap::new();
        let mut rates = Vec::new();
        for ring in rings {
            if let Finding::Ring(snapshot) = discover::inspect(&ring) {
                let before = self.last.remove(&ring);
                let (ring_rates, now) = compare(&ring, &snapshot, before);
                rates.push(ring_rates);
                last.insert(ring, now);
            }
        }
        self.last = last;
        rates
    }
}

fn compare(ring: &Backing, snapshot: &Snapshot, before: Option<Sample>) -> (RingRates, Sample) {
    let (pushed, popped, depth) = (snapshot.pushed(), snapshot.popped(), snapshot.len());
    let mut now = Sample {
        at: Instant::now(),
        pushed,
        popped,
        max_depth: depth,
        stalls: 0,
    };
    let mut per_second = (0.0, 0.0);
    if let Some(before) = before {
        let time = now
            .at
            .duration_since(before.at)
            .max(Duration::from_millis(1));
        // Saturating, because another ring may have replaced this one under the same name.
        let rate = |now: u64, before: u64| now.saturating_sub(before) as f64 / time.as_secs_f64();
        per_second = (rate(pushed, before.pushed), rate(popped, before.popped));
        now.max_depth = depth.max(before.max_depth);
        let is_stalled = depth > 0 && popped == before.popped;
        now.stalls = before.stalls + u64::from(is_stalled);
    }
    let seats = |occupancy| {
        let of = |role| summary::seat_count(snapshot, role, occupancy);
        of(Role::Producer) + of(Role::Consumer)
    };
    let rates = RingRates {
        ring: ring.clone(),
        pushed: per_second.0,
        popped: per_second.1,
        depth,
        capacity: snapshot.capacity,
        is_growing: snapshot.is_growing(),
        max_depth: now.max_depth,
        stalls: now.stalls,
        alive: seats(Occupancy::Alive),
        dead: seats(Occupancy::Dead),
    };
    (rates, now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_bars_fit_their_columns() {
        let shown = [0.0, 9999.0, 10_000.0, 1.5e7, 2e12].map(short);
        assert_eq!(shown, ["0", "9999", "10k", "15M", "2000G"]);
        let mut ring = RingRates {
            ring: "/ring".parse().unwrap(),
            pushed: 0.0,
            popped: 0.0,
            depth: 0,
            capacity: 1024,
            is_growing: false,
            max_depth: 0,
            stalls: 0,
            alive: 1,
            dead: 1,
        };
        for (depth, bar) in [(0, ""), (1, "▏"), (512, "█████"), (1024, "██████████")]
        {
            ring.depth = depth;
            assert_eq!(ring.bar(10), bar);
        }
        assert_eq!(ring.cells()[6], "1+1†");
    }
}
