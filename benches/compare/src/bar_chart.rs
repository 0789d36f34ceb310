//! Bar charts: one for each family of workloads and each placement. A chart has a panel for each
//! workload and a bar for each subject. The axis is logarithmic, because the subjects are decades
//! apart.

use crate::record::Record;
use crate::table::digits;
use bench_support::Result;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::collections::BTreeSet;
use std::path::Path;

const WIDTH: u32 = 720;
const NAMES: u32 = 230;
const VALUES: u32 = 70;
const BAR: u32 = 20;
const TITLE: u32 = 28;
const AXIS: u32 = 18;

/// Draws all charts of the results into a directory.
pub(crate) fn draw(results: &[Record], directory: &Path) -> Result<()> {
    let charts: BTreeSet<(&str, &str)> = results
        .iter()
        .filter(|record| record.placement != "unclear" && record.capacity.is_none())
        .map(|record| (record.family.as_str(), record.placement.as_str()))
        .collect();
    for (family, placement) in charts {
        let measured: Vec<&Record> = results
            .iter()
            .filter(|it| it.family == family && it.placement == placement && it.ns.is_some())
            .collect();
        let name = format!("{}-{placement}.svg", dashed(family));
        draw_chart(&directory.join(name), placement, &panels(&measured))?;
    }
    Ok(())
}

/// `OneWay` as `one-way`.
fn dashed(family: &str) -> String {
    let mut name = String::new();
    for (index, letter) in family.char_indices() {
        if letter.is_uppercase() && index > 0 {
            name.push('-');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}

/// The records of each workload, the fastest first.
fn panels<'r>(records: &[&'r Record]) -> Vec<Vec<&'r Record>> {
    let mut panels: Vec<Vec<&Record>> = Vec::new();
    for record in records {
        match panels
            .iter_mut()
            .find(|it| it[0].workload == record.workload)
        {
            Some(panel) => panel.push(record),
            None => panels.push(vec![record]),
        }
    }
    for panel in &mut panels {
        panel.sort_by(|one, other| nanos(one).total_cmp(&nanos(other)));
    }
    panels
}

fn nanos(record: &Record) -> f64 {
    record.ns.unwrap_or(f64::MAX)
}

fn draw_chart(path: &Path, placement: &str, panels: &[Vec<&Record>]) -> Result<()> {
    let height = |panel: &Vec<&Record>| TITLE + AXIS + panel.len() as u32 * BAR;
    let size = (WIDTH, panels.iter().map(height).sum());
    let root = SVGBackend::new(path, size).into_drawing_area();
    root.fill(&WHITE)?;
    let mut rest = root.clone();
    for panel in panels {
        let (area, below) = rest.split_vertically(height(panel));
        draw_panel(&area, placement, panel)?;
        rest = below;
    }
    Ok(root.present()?)
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

fn draw_panel(area: &Area<'_>, placement: &str, records: &[&Record]) -> Result<()> {
    let (Some(first), Some(last)) = (records.first(), records.last()) else {
        return Ok(());
    };
    let (from, to) = (nanos(first).log10().floor(), nanos(last).log10().ceil());
    let from = 10_f64.powf(from);
    let to = 10_f64.powf(to).max(10.0 * from);
    let title = format!("{}: ns, {placement} cores", first.workload);
    let bold = ("sans-serif", 15).into_font().style(FontStyle::Bold);
    area.draw_text(&title, &bold.into_text_style(area), (8, 6))?;
    let mut chart = ChartBuilder::on(area)
        .margin_top(TITLE)
        .margin_right(VALUES)
        .set_label_area_size(LabelAreaPosition::Left, NAMES)
        .set_label_area_size(LabelAreaPosition::Bottom, AXIS)
        // The fastest subject is on top.
        .build_cartesian_2d((from..to).log_scale(), (records.len() as f64)..0.0)?;
    chart
        .configure_mesh()
        .disable_y_mesh()
        .disable_y_axis()
        .y_labels(0)
        .x_labels(1 + (to / from).log10().round() as usize)
        .x_label_formatter(&|ns| ns.to_string())
        .bold_line_style(RGBColor(221, 221, 221))
        .light_line_style(TRANSPARENT)
        .label_style(
            ("sans-serif", 12)
                .into_font()
                .color(&RGBColor(119, 119, 119)),
        )
        .draw()?;
    let text = ("sans-serif", 15).into_text_style(area);
    let name_style = text.pos(Pos::new(HPos::Right, VPos::Center));
    let value_style = text.pos(Pos::new(HPos::Left, VPos::Center));
    for (index, record) in records.iter().enumerate() {
        let (top, ns) = (index as f64, nanos(record));
        let colour = match (record.is_ours(), record.is_floor()) {
            (true, _) => RGBColor(0xc0, 0x39, 0x2b),
            (_, true) => RGBColor(0x7f, 0x8c, 0x8d),
            _ if record.in_process => RGBColor(0xa9, 0xc6, 0xe3),
            _ => RGBColor(0x4a, 0x7f, 0xb5),
        };
        let name = match record.in_process {
            true => format!("{} (threads)", record.subject),
            false => record.subject.clone(),
        };
        let bar = [(from, top + 0.1), (ns, top + 0.9)];
        let middle = top + 0.5;
        chart.draw_series([Rectangle::new(bar, colour.filled())])?;
        chart.plotting_area().draw(
            &(EmptyElement::at((ns, middle)) + Text::new(digits(ns), (4, 0), value_style.clone())),
        )?;
        let name = Text::new(name, (-6, 0), name_style.clone());
        chart
            .plotting_area()
            .draw(&(EmptyElement::at((from, middle)) + name))?;
    }
    Ok(())
}
