//! `slipring top`.

use super::args::Top;
use super::failure::Failure;
use super::rates::{RingRates, Sampler};
use super::{discover, output, signals, table};
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Color, Modifier, Style, Stylize};
use ratatui::text::{Line, Text};
use ratatui::widgets::{Cell, Row, Table};
use ratatui::{DefaultTerminal, Frame};
use std::io::{self, IsTerminal};
use std::thread;
use std::time::{Duration, Instant};

/// Columns of a full bar.
const BAR: usize = 12;
/// Columns of everything but the name.
const OTHER_COLUMNS: usize = BAR + 5 * 6 + 7 + 7;

pub(crate) fn run(args: &Top) -> Result<(), Failure> {
    for ring in &args.rings {
        discover::open(ring)?;
    }
    let mut sampler = Sampler::new(&args.rings);
    if !output::is_screen() || !io::stdin().is_terminal() {
        return print(args, &mut sampler);
    }
    signals::catch_termination();
    let terminal = ratatui::try_init()?;
    let shown = show(terminal, args.interval, &mut sampler);
    ratatui::restore();
    if let Some(signal) = signals::received() {
        signals::end_by(signal);
    }
    Ok(shown?)
}

/// Without a terminal: prints one line per ring at every interval.
fn print(args: &Top, sampler: &mut Sampler) -> Result<(), Failure> {
    let mut rounds = 0;
    loop {
        thread::sleep(args.interval);
        let row = |ring: &RingRates| ring.cells();
        let rows: Vec<_> = sampler.sample().iter().map(row).collect();
        output::print(&table::render(
            RingRates::HEADING,
            &RingRates::HEADING[1..],
            &rows,
        ))?;
        rounds += 1;
        if args.count == Some(rounds) {
            return Ok(());
        }
    }
}

fn show(
    mut terminal: DefaultTerminal,
    interval: Duration,
    sampler: &mut Sampler,
) -> io::Result<()> {
    /// Longest delay until a signal is handled.
    const POLL: Duration = Duration::from_millis(100);
    let mut first = 0;
    loop {
        let rings = sampler.sample();
        let next = Instant::now() + interval;
        terminal.draw(|frame| draw(frame, &rings, &mut first))?;
        while let Some(left) = next.checked_duration_since(Instant::now()) {
            if signals::received().is_some() {
                return Ok(());
            }
            if !event::poll(left.min(POLL))? {
                continue;
            }
            match event::read()? {
                Event::Key(key) if key.kind == KeyEventKind::Press => match key.code {
                    KeyCode::Char('q') | KeyCode::Esc => return Ok(()),
                    KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => {
                        return Ok(());
                    }
                    KeyCode::Up | KeyCode::Char('k') => first = first.saturating_sub(1),
                    KeyCode::Down | KeyCode::Char('j') => first += 1,
                    _ => continue,
                },
                Event::Resize(..) => {}
                _ => continue,
            }
            terminal.draw(|frame| draw(frame, &rings, &mut first))?;
        }
    }
}

/// Draws the rings from `first` on. Limits `first` so that the last rings fill the screen.
fn draw(frame: &mut Frame<'_>, rings: &[RingRates], first: &mut usize) {
    let [top, body] =
        Layout::vertical([Constraint::Length(1), Constraint::Min(0)]).areas(frame.area());
    let count = rings.len();
    let room = usize::from(body.height.saturating_sub(1));
    *first = (*first).min(count.saturating_sub(room));
    let dead: usize = rings.iter().map(|ring| ring.dead).sum();
    let scroll = if count > room {
        ", ↑ and ↓ scroll"
    } else {
        ""
    };
    let title = Line::from(vec![
        "slipring top".bold(),
        format!("  {count} rings, {dead} dead seats, q quits{scroll}").into(),
    ]);
    frame.render_widget(title, top);
    let name_room = usize::from(body.width).saturating_sub(OTHER_COLUMNS);
    let widths = [
        Constraint::Fill(1),
        Constraint::Length(6),
        Constraint::Length(6),
        Constraint::Length(BAR as u16),
        Constraint::Length(6),
        Constraint::Length(6),
        Constraint::Length(6),
        Constraint::Length(7),
    ];
    let heading = [
        "RING", "IN/s", "OUT/s", "DEPTH", "", "MAX", "STALLS", "SEATS",
    ];
    let mut highlight = Style::new().add_modifier(Modifier::BOLD);
    if output::has_colours() {
        highlight = highlight.fg(Color::Red);
    }
    let right = |text: String| Cell::from(Text::from(text).right_aligned());
    let row = |ring: &RingRates| {
        let [name, pushed, popped, depth, max_depth, stalls, seats] = ring.cells();
        let seats = match ring.dead {
            0 => right(seats),
            _ => right(seats).style(highlight),
        };
        Row::new([
            Cell::from(fit(&name, name_room)),
            right(pushed),
            right(popped),
            Cell::from(ring.bar(BAR)),
            right(depth),
            right(max_depth),
            right(stalls),
            seats,
        ])
    };
    let table = Table::new(rings.iter().skip(*first).map(row), widths)
        .header(Row::new(heading).style(Style::new().add_modifier(Modifier::DIM)))
        .column_spacing(1);
    frame.render_widget(table, body);
}

/// Shortens a long name in the middle, because both ends distinguish it from others.
fn fit(name: &str, columns: usize) -> String {
    let letters: Vec<char> = name.chars().collect();
    let Some(over) = letters.len().checked_sub(columns).filter(|&over| over > 0) else {
        return name.into();
    };
    let left = columns / 2;
    let (start, end) = (
        &letters[..left],
        &letters[(left + over + 1).min(letters.len())..],
    );
    start.iter().chain(&['…']).chain(end).collect()
}

#[cfg(test)]
mod tests {
    use super::fit;

    #[test]
    fn fit_long_name_loses_its_middle() {
        assert_eq!(fit("/quotes", 7), "/quotes");
        assert_eq!(fit("/quotes-1", 7), "/qu…s-1");
        assert_eq!(fit("/quotes", 1), "…");
        assert_eq!(fit("/quotes", 0), "…");
    }
}
