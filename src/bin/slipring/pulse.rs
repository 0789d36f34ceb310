//! How rings change from one look to the next.

use super::output;
use super::rings::{self, Finding};
use slipring::{Backing, Occupancy, Role, Snapshot};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// A ring as it was found, and what has become of it since the look before.
#[derive(Clone, Debug)]
pub(crate) struct Pulse {
    ring: Backing,
    /// Messages in a second.
    pushed: f64,
    popped: f64,
    depth: u64,
    capacity: u64,
    /// Whether an older ring is still in use.
    is_growing: bool,
    most: u64,
    stalls: u64,
    alive: usize,
    pub(crate) dead: usize,
}

impl Pulse {
    pub(crate) const HEADING: [&str; 7] =
        ["RING", "IN/s", "OUT/s", "DEPTH", "MOST", "STALLS", "SEATS"];

    pub(crate) fn cells(&self) -> [String; 7] {
        let seats = match self.dead {
            0 => self.alive.to_string(),
            dead => format!("{}+{dead}†", self.alive),
        };
        let name = output::plain(&self.ring);
        [
            match self.is_growing {
                true => format!("{name} → {}", self.capacity),
                false => name.into(),
            },
            short(self.pushed),
            short(self.popped),
            short(self.depth as f64),
            short(self.most as f64),
            self.stalls.to_string(),
            seats,
        ]
    }

    /// The depth, in eighths of columns.
    pub(crate) fn bar(&self, columns: usize) -> String {
        const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
        let full = self.depth as f64 / self.capacity as f64;
        // Not nothing, unless there is nothing.
        let eighths = (full * columns as f64 * 8.0).ceil() as usize;
        let eighths = eighths.min(columns * 8);
        "█".repeat(eighths / 8) + EIGHTHS[eighths % 8]
    }
}

/// A number in at most five letters.
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

/// What is remembered of a ring between two looks.
#[derive(Debug)]
struct Last {
    at: Instant,
    pushed: u64,
    popped: u64,
    most: u64,
    stalls: u64,
}

#[derive(Debug)]
pub(crate) struct Pulses {
    /// All there are, if none are named.
    named: Vec<Backing>,
    last: HashMap<Backing, Last>,
}

impl Pulses {
    pub(crate) fn new(named: &[Backing]) -> Self {
        let mut pulses = Self {
            named: named.to_vec(),
            last: HashMap::new(),
        };
        pulses.take();
        pulses
    }

    /// Looks at the rings once more.
    pub(crate) fn take(&mut self) -> Vec<Pulse> {
        let rings = rings::named_or_all(&self.named);
        let mut last = HashMap::new();
        let mut pulses = Vec::new();
        for ring in rings {
            if let Finding::Ring(snapshot) = rings::look(&ring) {
                let before = self.last.remove(&ring);
                let (pulse, now) = compare(&ring, &snapshot, before);
                pulses.push(pulse);
                last.insert(ring, now);
            }
        }
        self.last = last;
        pulses
    }
}

fn compare(ring: &Backing, snapshot: &Snapshot, before: Option<Last>) -> (Pulse, Last) {
    let (pushed, popped, depth) = (snapshot.pushed(), snapshot.popped(), snapshot.len());
    let mut now = Last {
        at: Instant::now(),
        pushed,
        popped,
        most: depth,
        stalls: 0,
    };
    let mut rates = (0.0, 0.0);
    if let Some(before) = before {
        let time = now
            .at
            .duration_since(before.at)
            .max(Duration::from_millis(1));
        // Another ring may have taken the name.
        let rate = |now: u64, before: u64| now.saturating_sub(before) as f64 / time.as_secs_f64();
        rates = (rate(pushed, before.pushed), rate(popped, before.popped));
        now.most = depth.max(before.most);
        // Messages are there, and nobody has taken one since the look before.
        let is_stalled = depth > 0 && popped == before.popped;
        now.stalls = before.stalls + u64::from(is_stalled);
    }
    let seats = |occupancy| {
        let of = |role| rings::count(snapshot, role, occupancy);
        of(Role::Producer) + of(Role::Consumer)
    };
    let pulse = Pulse {
        ring: ring.clone(),
        pushed: rates.0,
        popped: rates.1,
        depth,
        capacity: snapshot.capacity,
        is_growing: snapshot.is_growing(),
        most: now.most,
        stalls: now.stalls,
        alive: seats(Occupancy::Alive),
        dead: seats(Occupancy::Dead),
    };
    (pulse, now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_bars_keep_to_their_columns() {
        let shown = [0.0, 9999.0, 10_000.0, 1.5e7, 2e12].map(short);
        assert_eq!(shown, ["0", "9999", "10k", "15M", "2000G"]);
        let mut pulse = Pulse {
            ring: "/ring".parse().unwrap(),
            pushed: 0.0,
            popped: 0.0,
            depth: 0,
            capacity: 1024,
            is_growing: false,
            most: 0,
            stalls: 0,
            alive: 1,
            dead: 1,
        };
        for (depth, bar) in [(0, ""), (1, "▏"), (512, "█████"), (1024, "██████████")]
        {
            pulse.depth = depth;
            assert_eq!(pulse.bar(10), bar);
        }
        assert_eq!(pulse.cells()[6], "1+1†");
    }
}
