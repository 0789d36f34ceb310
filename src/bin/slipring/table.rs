//! Tables of text.

use super::output;
use std::borrow::Cow;
use std::fmt::Write;

/// Aligns rows under a heading. The columns named in `right` are right-aligned, the others
/// left-aligned.
pub(crate) fn render<const N: usize>(
    heading: [&str; N],
    right: &[&str],
    rows: &[[String; N]],
) -> String {
    let rows: Vec<[Cow<'_, str>; N]> = rows
        .iter()
        .map(|row| row.each_ref().map(|cell| output::escape(cell)))
        .collect();
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([heading[column].len()]).max().unwrap_or(0)
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let mut text = String::new();
    for row in [heading.map(Cow::from)].iter().chain(&rows) {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let width = widths[column];
            let gap = if column > 0 { "  " } else { "" };
            let padded = match right.contains(&heading[column]) {
                true => format!("{gap}{cell:>width$}"),
                false => format!("{gap}{cell:<width$}"),
            };
            line.push_str(&padded);
        }
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}
