//! Line charts of the curves: nanoseconds over capacity, seats or message size. Both axes are
//! logarithmic. Vertical lines mark where the ring's memory exceeds a cache or the reach of the TLB.

use crate::curves::{Axis, limits};
use crate::record::Record;
use bench_support::Result;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;

const SIZE: (u32, u32) = (790, 342);
const LEGEND: u32 = 170;
const COLOURS: [RGBColor; 6] = [
    RGBColor(0xc0, 0x39, 0x2b),
    RGBColor(0x4a, 0x7f, 0xb5),
    RGBColor(0x27, 0x77, 0x4a),
    RGBColor(0xb9, 0x77, 0x0e),
    RGBColor(0x7d, 0x3c, 0x98),
    RGBColor(0x5d, 0x6d, 0x7e),
];
const GREY: RGBColor = RGBColor(0x77, 0x77, 0x77);
const LIGHT_GREY: RGBColor = RGBColor(0xee, 0xee, 0xee);

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
            chart.draw(&directory.join(name), axis, placement)?;
        }
    }
    Ok(())
}

struct Chart {
    /// The points of each curve, by its name, from left to right.
    curves: BTreeMap<String, Vec<(f64, f64)>>,
    /// The places where the ring of a curve exceeds a limit, and the limit's name.
    marks: Vec<(f64, String)>,
    x: Range<f64>,
    y: Range<f64>,
}

/// The whole powers of `base` around the values.
fn range(values: impl Iterator<Item = f64> + Clone, base: f64) -> Range<f64> {
    let from = values.clone().fold(f64::MAX, f64::min).log(base).floor();
    let to = values.fold(f64::MIN, f64::max).log(base).ceil();
    base.powf(from)..base.powf(to.max(from + 1.0))
}

/// Bytes of a slot: the message and its stamp.
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
                let exceeded =
                    |(name, size)| (size / capacity as f64, format!("{name} ({capacity})"));
                marks.extend(limits().into_iter().map(exceeded));
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
            x: range(points().map(|point| point.0), 2.0),
            y: range(points().map(|point| point.1), 10.0),
            curves,
            marks,
        })
    }

    fn draw(&self, path: &Path, axis: Axis, placement: &str) -> Result<()> {
        let (title, over) = match axis {
            Axis::Capacity | Axis::Fill => {
                ("one way, ns", "memory of the slots, 64 to 16 M of them")
            }
            Axis::Seats => ("1 to 1 among many seats, 8 B, ns", "seats"),
            Axis::Payload => ("one way, ns", "bytes of a message"),
        };
        let root = SVGBackend::new(path, SIZE).into_drawing_area();
        root.fill(&WHITE)?;
        let bold = ("sans-serif", 15).into_font().style(FontStyle::Bold);
        let title = format!("{title}, {placement} cores");
        root.draw_text(&title, &bold.into_text_style(&root), (8, 8))?;
        let small = ("sans-serif", 12).into_font().color(&GREY);
        let mut chart = ChartBuilder::on(&root)
            .margin_top(34)
            .margin_right(LEGEND)
            .x_label_area_size(40)
            .y_label_area_size(60)
            .build_cartesian_2d(
                self.x.clone().log_scale().base(2.0),
                self.y.clone().log_scale(),
            )?;
        chart
            .configure_mesh()
            .bold_line_style(LIGHT_GREY)
            .light_line_style(TRANSPARENT)
            .x_labels(14)
            .x_label_formatter(&|&value| amount(value))
            .y_label_formatter(&|ns| ns.to_string())
            .x_desc(over)
            .axis_desc_style(("sans-serif", 15))
            .label_style(small.clone())
            .draw()?;
        for (index, (x, name)) in self.marks.iter().enumerate() {
            if !(self.x.start..=self.x.end).contains(x) {
                continue;
            }
            let line = [(*x, self.y.start), (*x, self.y.end)];
            chart.draw_series(DashedLineSeries::new(line, 4, 3, GREY.stroke_width(1)))?;
            // Labels of neighbours are at different heights.
            let below = 2 + 12 * (index % 3) as i32;
            let label = Text::new(name.clone(), (3, below), small.clone());
            chart
                .plotting_area()
                .draw(&(EmptyElement::at((*x, self.y.end)) + label))?;
        }
        for (index, (name, points)) in self.curves.iter().enumerate() {
            let colour = COLOURS[index % COLOURS.len()];
            chart.draw_series(LineSeries::new(
                points.iter().copied(),
                colour.stroke_width(2),
            ))?;
            let circles = points.iter();
            chart.draw_series(circles.map(|&point| Circle::new(point, 3, colour.filled())))?;
            let style = ("sans-serif", 15).into_font().color(&colour);
            let style = style.pos(Pos::new(HPos::Left, VPos::Center));
            let left = (SIZE.0 - LEGEND + 14) as i32;
            root.draw_text(name, &style, (left, 46 + 18 * index as i32))?;
        }
        Ok(root.present()?)
    }
}

/// A power of two in short form.
fn amount(value: f64) -> String {
    match value {
        below if below < 1024.0 => format!("{below}"),
        kilo if kilo < 1_048_576.0 => format!("{:.0} K", kilo / 1024.0),
        mega if mega < 1_073_741_824.0 => format!("{:.0} M", mega / 1_048_576.0),
        giga => format!("{:.0} G", giga / 1_073_741_824.0),
    }
}
