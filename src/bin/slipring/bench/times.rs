//! Distribution of measured times.

use super::TIME;
use hdrhistogram::{CreationError, Histogram};
use serde::Serialize;
use std::fmt::Write;
use std::time::Instant;

/// A histogram of picoseconds: a message in a stream takes a few nanoseconds.
pub(super) struct Times(Histogram<u64>);

#[derive(Serialize)]
pub(super) struct Percentiles {
    pub(super) median_ns: f64,
    pub(super) p99_ns: f64,
    pub(super) worst_ns: f64,
    samples: u64,
}

impl Times {
    pub(super) fn new() -> Result<Self, CreationError> {
        /// Ten seconds.
        const LONGEST: u64 = 10_000_000_000_000;
        const SIGNIFICANT_DIGITS: u8 = 3;
        Histogram::new_with_max(LONGEST, SIGNIFICANT_DIGITS).map(Self)
    }

    /// Repeats an operation for the duration of a measurement.
    pub(super) fn of(mut operation: impl FnMut()) -> Result<Self, CreationError> {
        let mut times = Self::new()?;
        let begin = Instant::now();
        while begin.elapsed() < TIME {
            let start = Instant::now();
            operation();
            times.record(start.elapsed().as_nanos() as f64);
        }
        Ok(times)
    }

    pub(super) fn record(&mut self, nanoseconds: f64) {
        self.0.saturating_record((nanoseconds * 1000.0) as u64);
    }

    pub(super) fn percentiles(&self) -> Percentiles {
        Percentiles {
            median_ns: self.at(0.5),
            p99_ns: self.at(0.99),
            worst_ns: self.at(1.0),
            samples: self.0.len(),
        }
    }

    /// The time that a part of all samples does not exceed, in nanoseconds.
    fn at(&self, part: f64) -> f64 {
        match self.0.is_empty() {
            true => f64::NAN,
            false => self.0.value_at_quantile(part) as f64 / 1000.0,
        }
    }

    /// Bars for time ranges, each a quarter longer than the range before. The last line counts the
    /// slowest samples.
    pub(super) fn histogram(&self) -> String {
        const STEP: f64 = 1.25;
        const COLUMNS: f64 = 50.0;
        let first = (self.0.min().max(1000) as f64 * STEP) as u64;
        let last = self.0.value_at_quantile(0.999) as f64 * STEP;
        let bars: Vec<_> = self
            .0
            .iter_log(first, STEP)
            .map(|step| (step.value_iterated_to(), step.count_since_last_iteration()))
            .take_while(|&(bound, _)| (bound as f64) < last)
            .collect();
        let most = bars.iter().map(|&(_, count)| count).max().unwrap_or(1);
        let mut text = String::new();
        let mut rest = self.0.len();
        for (bound, count) in bars {
            let columns = (count as f64 / most.max(1) as f64 * COLUMNS).ceil() as usize;
            let (bound, bar) = (bound as f64 / 1000.0, "█".repeat(columns));
            let _ = writeln!(text, "{bound:>8.0} ns {bar}");
            rest -= count;
        }
        if rest > 0 {
            let _ = writeln!(text, "{:>11} {rest} more", "above");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_and_rest_cover_all_samples() {
        let mut times = Times::new().unwrap();
        for _ in 0..10_000 {
            times.record(100.0);
        }
        times.record(1e6);
        let text = times.histogram();
        assert!(text.contains("  125 ns ██████████"), "{text}");
        assert!(text.ends_with(" above 1 more\n"), "{text}");
        let percentiles = times.percentiles();
        assert!((percentiles.median_ns - 100.0).abs() < 0.2);
        assert!((percentiles.worst_ns - 1e6).abs() < 1e3);
        assert_eq!(percentiles.samples, 10_001);
    }

    #[test]
    fn empty_distribution_is_printable() {
        let times = Times::new().unwrap();
        assert_eq!(times.histogram(), "");
        assert!(times.percentiles().median_ns.is_nan());
    }
}
