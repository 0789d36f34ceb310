//! Charts: for each family of workloads and each placement one, with a panel for each workload and
//! a bar for each subject, on a logarithmic axis, since the subjects are decades apart.

use crate::record::Record;
use crate::table::digits;
use bench_support::Result;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::Path;

const BAR: f64 = 16.0;
const GAP: f64 = 4.0;
const PANEL: f64 = 46.0;
const NAMES: f64 = 230.0;
const BARS: f64 = 420.0;
const VALUES: f64 = 70.0;

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
        fs::write(directory.join(name), chart(&measured, placement)?)?;
    }
    Ok(())
}

/// `OneWay` as `one-way`.
fn dashed(family: &str) -> String {
    let mut name = String::new();
    for (place, letter) in family.char_indices() {
        if letter.is_uppercase() && place > 0 {
            name.push('-');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}

fn chart(records: &[&Record], placement: &str) -> Result<String> {
    let mut workloads: Vec<&str> = Vec::new();
    for record in records {
        if !workloads.contains(&record.workload.as_str()) {
            workloads.push(&record.workload);
        }
    }
    let mut body = String::new();
    let mut top = 0.0;
    for workload in workloads {
        let panel = records.iter().filter(|it| it.workload == workload);
        top = draw_panel(
            &mut body,
            top,
            workload,
            placement,
            panel.copied().collect(),
        )?;
    }
    let width = NAMES + BARS + VALUES;
    Ok(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"white\"/>\n{body}</svg>\n",
        height = top + 8.0,
    ))
}

/// Returns where the next one starts.
fn draw_panel(
    body: &mut String,
    top: f64,
    workload: &str,
    placement: &str,
    mut records: Vec<&Record>,
) -> Result<f64> {
    let nanos = |record: &Record| record.ns.unwrap_or(f64::MAX);
    records.sort_by(|one, other| nanos(one).total_cmp(&nanos(other)));
    let (Some(first), Some(last)) = (records.first(), records.last()) else {
        return Ok(top);
    };
    let (from, to) = (nanos(first).log10().floor(), nanos(last).log10().ceil());
    let decades = (to - from).max(1.0);
    let at = |ns: f64| (ns.log10() - from) / decades * BARS;
    let base = top + 28.0;
    let height = records.len() as f64 * (BAR + GAP);
    writeln!(
        body,
        "<text x=\"8\" y=\"{:.0}\" font-weight=\"bold\">{workload}: ns, {placement} cores</text>",
        top + 18.0
    )?;
    for decade in 0..=decades as u32 {
        let x = NAMES + f64::from(decade) / decades * BARS;
        let value = 10_f64.powf(from + f64::from(decade));
        writeln!(
            body,
            "<path d=\"M{x:.1} {base:.1}v{height:.1}\" stroke=\"#ddd\"/>\
             <text x=\"{x:.1}\" y=\"{:.1}\" fill=\"#777\" font-size=\"10\" \
             text-anchor=\"middle\">{value}</text>",
            base + height + 11.0
        )?;
    }
    for (place, record) in records.into_iter().enumerate() {
        let y = base + place as f64 * (BAR + GAP);
        let fill = match (record.is_ours(), record.is_floor()) {
            (true, _) => "#c0392b",
            (_, true) => "#7f8c8d",
            _ if record.in_process => "#a9c6e3",
            _ => "#4a7fb5",
        };
        let name = match record.in_process {
            true => format!("{} (threads)", record.subject),
            false => record.subject.clone(),
        };
        let ns = nanos(record);
        writeln!(
            body,
            "<text x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\">{name}</text>\
             <rect x=\"{NAMES}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{BAR}\" fill=\"{fill}\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            NAMES - 6.0,
            y + 12.5,
            at(ns).max(1.0),
            NAMES + at(ns).max(1.0) + 4.0,
            y + 12.5,
            digits(ns)
        )?;
    }
    Ok(base + height + PANEL - 28.0)
}
