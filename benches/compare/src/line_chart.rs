//! Charts of the curves: nanoseconds over capacity, seats or message size, both axes logarithmic, with
//! a mark where the ring's memory outgrows a cache or what the processor knows of pages.

use crate::curves::{Axis, limits};
use crate::record::Record;
use crate::table::digits;
use bench_support::Result;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::Path;

const LEFT: f64 = 60.0;
const TOP: f64 = 34.0;
const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 260.0;
const LEGEND: f64 = 170.0;
const COLOURS: [&str; 6] = [
    "#c0392b", "#4a7fb5", "#27774a", "#b9770e", "#7d3c98", "#5d6d7e",
];

/// Draws the curves of the results into a directory.
pub(crate) fn draw(results: &[Record], directory: &Path) -> Result<()> {
    for axis in Axis::ALL {
        let family = axis.family();
        let of_family = || results.iter().filter(|it| it.family == family);
        let placements: BTreeSet<&str> = of_family().map(|it| it.placement.as_str()).collect();
        for placement in placements.into_iter().filter(|&it| it != "unclear") {
            let records = of_family().filter(|it| it.placement == placement);
            let name = format!("{}-{placement}.svg", family.to_lowercase());
            let chart = Chart::of(axis, records)?;
            fs::write(directory.join(name), chart.svg(axis, placement)?)?;
        }
    }
    Ok(())
}

struct Chart {
    /// The points of each curve, by its name, from left to right.
    curves: BTreeMap<String, Vec<(f64, f64)>>,
    /// Where the ring of a curve outgrows what.
    marks: Vec<(f64, String)>,
    x: Scale,
    y: Scale,
}

/// A logarithmic axis.
struct Scale {
    from: f64,
    to: f64,
    length: f64,
}

impl Scale {
    fn of(values: impl Iterator<Item = f64> + Clone, base: f64, length: f64) -> Self {
        let from = values.clone().fold(f64::MAX, f64::min).log(base).floor();
        let to = values.fold(f64::MIN, f64::max).log(base).ceil();
        Self {
            from: base.powf(from),
            to: base.powf(to.max(from + 1.0)),
            length,
        }
    }

    fn at(&self, value: f64) -> f64 {
        (value / self.from).ln() / (self.to / self.from).ln() * self.length
    }

    fn has(&self, value: f64) -> bool {
        (self.from..=self.to).contains(&value)
    }
}

/// Bytes of a slot: the message and its word.
fn stride(record: &Record) -> f64 {
    (record.bytes + 8) as f64
}

impl Chart {
    fn of<'r>(axis: Axis, records: impl Iterator<Item = &'r Record>) -> Result<Self> {
        let mut curves: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
        let mut marks = Vec::new();
        for record in records {
            let (Some(ns), Some(capacity)) = (record.ns, record.capacity) else {
                continue;
            };
            let bytes = record.bytes;
            let (curve, x) = match axis {
                Axis::Capacity => (format!("{bytes} B"), stride(record) * capacity as f64),
                Axis::Seats => (
                    format!("{bytes} B"),
                    f64::from(2 * record.seats.unwrap_or(1)),
                ),
                Axis::Payload => (format!("capacity {capacity:4}"), bytes as f64),
                Axis::Fill => {
                    let fill = record.fill.as_deref().unwrap_or_default();
                    (
                        format!("{bytes} B, {fill}"),
                        stride(record) * capacity as f64,
                    )
                }
            };
            if axis == Axis::Payload && !curves.contains_key(&curve) {
                let outgrown =
                    |(name, size)| (size / capacity as f64, format!("{name} ({capacity})"));
                marks.extend(limits().into_iter().map(outgrown));
            }
            curves.entry(curve).or_default().push((x, ns));
        }
        if matches!(axis, Axis::Capacity | Axis::Fill) {
            marks.extend(
                limits()
                    .into_iter()
                    .map(|(name, size)| (size, name.to_owned())),
            );
        }
        for points in curves.values_mut() {
            points.sort_by(|one, other| one.0.total_cmp(&other.0));
        }
        let points = || curves.values().flatten();
        if points().next().is_none() {
            return Err("no points to draw".into());
        }
        Ok(Self {
            x: Scale::of(points().map(|point| point.0), 2.0, WIDTH),
            y: Scale::of(points().map(|point| point.1), 10.0, HEIGHT),
            curves,
            marks,
        })
    }

    fn svg(&self, axis: Axis, placement: &str) -> Result<String> {
        let (what, over) = match axis {
            Axis::Capacity | Axis::Fill => {
                ("one way, ns", "memory of the slots, 64 to 16 M of them")
            }
            Axis::Seats => ("1 to 1 among many seats, 8 B, ns", "seats"),
            Axis::Payload => ("one way, ns", "bytes of a message"),
        };
        let (width, height) = (LEFT + WIDTH + LEGEND, TOP + HEIGHT + 48.0);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
             font-family=\"sans-serif\" font-size=\"12\">\n\
             <rect width=\"{width}\" height=\"{height}\" fill=\"white\"/>\n\
             <text x=\"8\" y=\"18\" font-weight=\"bold\">{what}, {placement} cores</text>\n\
             <text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"middle\">{over}</text>\n",
            LEFT + WIDTH / 2.0,
            height - 8.0,
        );
        self.draw_grid(&mut svg)?;
        self.draw_marks(&mut svg)?;
        for (place, (name, points)) in self.curves.iter().enumerate() {
            let colour = COLOURS[place % COLOURS.len()];
            let path: Vec<String> = points
                .iter()
                .map(|&(x, y)| format!("{:.1},{:.1}", self.left(x), self.top(y)))
                .collect();
            let y = TOP + 12.0 + 18.0 * place as f64;
            writeln!(
                svg,
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>\
                 <text x=\"{:.0}\" y=\"{y:.0}\" fill=\"{colour}\">{name}</text>",
                path.join(" "),
                LEFT + WIDTH + 14.0,
            )?;
            for &(x, ns) in points {
                writeln!(
                    svg,
                    "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"{colour}\">\
                     <title>{}: {} ns</title></circle>",
                    self.left(x),
                    self.top(ns),
                    amount(x),
                    digits(ns),
                )?;
            }
        }
        svg.push_str("</svg>\n");
        Ok(svg)
    }

    fn left(&self, x: f64) -> f64 {
        LEFT + self.x.at(x)
    }

    fn top(&self, y: f64) -> f64 {
        TOP + HEIGHT - self.y.at(y)
    }

    fn draw_grid(&self, svg: &mut String) -> Result<()> {
        let mut x = self.x.from;
        while x <= self.x.to {
            let left = self.left(x);
            writeln!(
                svg,
                "<path d=\"M{left:.1} {TOP}v{HEIGHT}\" stroke=\"#eee\"/>\
                 <text x=\"{left:.1}\" y=\"{:.0}\" fill=\"#777\" font-size=\"10\" \
                 text-anchor=\"middle\">{}</text>",
                TOP + HEIGHT + 14.0,
                amount(x),
            )?;
            x *= 4.0;
        }
        let mut decade = self.y.from;
        while decade <= self.y.to {
            for value in [decade, 2.0 * decade, 5.0 * decade] {
                if !self.y.has(value) {
                    continue;
                }
                let top = self.top(value);
                writeln!(
                    svg,
                    "<path d=\"M{LEFT} {top:.1}h{WIDTH}\" stroke=\"#eee\"/>\
                     <text x=\"{:.0}\" y=\"{:.1}\" fill=\"#777\" font-size=\"10\" \
                     text-anchor=\"end\">{value}</text>",
                    LEFT - 6.0,
                    top + 3.5,
                )?;
            }
            decade *= 10.0;
        }
        Ok(())
    }

    fn draw_marks(&self, svg: &mut String) -> Result<()> {
        for (place, (x, name)) in self.marks.iter().enumerate() {
            if !self.x.has(*x) {
                continue;
            }
            let left = self.left(*x);
            writeln!(
                svg,
                "<path d=\"M{left:.1} {TOP}v{HEIGHT}\" stroke=\"#999\" stroke-dasharray=\"4 3\"/>\
                 <text x=\"{:.1}\" y=\"{:.0}\" fill=\"#555\" font-size=\"10\">{name}</text>",
                left + 3.0,
                // Neighbours don't lie on each other.
                TOP + 10.0 + 12.0 * (place % 3) as f64,
            )?;
        }
        Ok(())
    }
}

/// A power of two in few letters.
fn amount(value: f64) -> String {
    match value {
        below if below < 1024.0 => format!("{below}"),
        kilo if kilo < 1_048_576.0 => format!("{:.0} K", kilo / 1024.0),
        mega if mega < 1_073_741_824.0 => format!("{:.0} M", mega / 1_048_576.0),
        giga => format!("{:.0} G", giga / 1_073_741_824.0),
    }
}
