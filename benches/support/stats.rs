//! Medians and their spread.

use std::fmt;

pub fn median(values: Vec<f64>) -> f64 {
    Spread::of(values).median
}

/// The median of some values, and their quartiles.
pub struct Spread {
    pub median: f64,
    pub quartiles: [f64; 2],
    pub count: usize,
}

impl Spread {
    /// Without values, every result is NaN.
    pub fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let [lower, median, upper] = [0.25, 0.5, 0.75].map(|part| quantile(&values, part));
        Self {
            median,
            quartiles: [lower, upper],
            count: values.len(),
        }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [lower, upper] = self.quartiles;
        let digits = f.precision().unwrap_or(3);
        let text = format!(
            "{:.digits$} [{lower:.digits$}, {upper:.digits$}]",
            self.median
        );
        write!(f, "{text:>width$}", width = f.width().unwrap_or(0))
    }
}

/// A quantile of sorted values, interpolated between neighbours.
pub fn quantile(sorted: &[f64], part: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else {
        return f64::NAN;
    };
    let index = part * last as f64;
    let (below, above) = (index.floor(), index.ceil());
    let weight = index - below;
    sorted[below as usize] * (1.0 - weight) + sorted[above as usize] * weight
}

/// The distance of two cores, measured by an exchange of two lines before and after a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distance {
    Near,
    Far,
    /// It changed in between, or is neither near nor far.
    Unclear,
}

impl Distance {
    pub const ALL: [Self; 3] = [Self::Near, Self::Far, Self::Unclear];

    pub fn of(before: f64, after: f64) -> Self {
        const NEAR: f64 = 200.0;
        const FAR: f64 = 300.0;
        if before.max(after) < NEAR {
            Self::Near
        } else if before.min(after) > FAR {
            Self::Far
        } else {
            Self::Unclear
        }
    }
}

impl fmt::Display for Distance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Near => "near",
            Self::Far => "far",
            Self::Unclear => "unclear",
        })
    }
}
