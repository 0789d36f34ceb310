//! `slipring top`.

use super::args::Top;
use super::failure::Failure;
use super::pulse::{Pulse, Pulses};
use super::{output, rings, signals, table};
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Color, Modifier, Style, Stylize};
use ratatui::text::{Line, Text};
use ratatui::widgets::{Cell, Row, Table};
use ratatui::{DefaultTerminal, Frame};
use std::io::{self, IsTerminal};
use std::thread;
use std::time::{Duration, Instant};

/// Columns of the widest bar.
const BAR: usize = 12;
/// Columns of all but the name.
const OTHER_COLUMNS: usize = BAR + 5 * 6 + 7 + 7;

pub(crate) fn run(asked: &Top) -> Result<(), Failure> {
    for ring in &asked.rings {
        rings::open(ring)?;
    }
    let mut pulses = Pulses::new(&asked.rings);
    if !output::is_screen() || !io::stdin().is_terminal() {
        return print(asked, &mut pulses);
    }
    signals::heed_endings();
    let terminal = ratatui::try_init()?;
    let shown = show(terminal, asked.interval, &mut pulses);
    ratatui::restore();
    if let Some(signal) = signals::received() {
        signals::die_of(signal);
    }
    Ok(shown?)
}

/// Where there is no terminal: one line for each ring, again and again.
fn print(asked: &Top, pulses: &mut Pulses) -> Result<(), Failure> {
    let mut rounds = 0;
    loop {
        thread::sleep(asked.interval);
        let row = |pulse: &Pulse| pulse.cells();
        let rows: Vec<_> = pulses.take().iter().map(row).collect();
        output::print(&table::lay_out(Pulse::HEADING, &Pulse::HEADING[1..], &rows))?;
        rounds += 1;
        if asked.count == Some(rounds) {
            return Ok(());
        }
    }
}

fn show(mut terminal: DefaultTerminal, interval: Duration, pulses: &mut Pulses) -> io::Result<()> {
    /// How long a request to end may wait.
    const MOMENT: Duration = Duration::from_millis(100);
    let mut first = 0;
    loop {
        let seen = pulses.take();
        let next = Instant::now() + interval;
        terminal.draw(|frame| draw(frame, &seen, &mut first))?;
        while let Some(left) = next.checked_duration_since(Instant::now()) {
            if signals::received().is_some() {
                return Ok(());
            }
            if !event::poll(left.min(MOMENT))? {
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
            terminal.draw(|frame| draw(frame, &seen, &mut first))?;
        }
    }
}

/// Draws the rings from the `first` on, or as many of the last ones as there is room for.
fn draw(frame: &mut Frame<'_>, pulses: &[Pulse], first: &mut usize) {
    let [top, body] =
        Layout::vertical([Constraint::Length(1), Constraint::Min(0)]).areas(frame.area());
    let count = pulses.len();
    let room = usize::from(body.height.saturating_sub(1));
    *first = (*first).min(count.saturating_sub(room));
    let dead: usize = pulses.iter().map(|pulse| pulse.dead).sum();
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
        "RING", "IN/s", "OUT/s", "DEPTH", "", "MOST", "STALLS", "SEATS",
    ];
    let mut striking = Style::new().add_modifier(Modifier::BOLD);
    if output::has_colours() {
        striking = striking.fg(Color::Red);
    }
    let right = |text: String| Cell::from(Text::from(text).right_aligned());
    let row = |pulse: &Pulse| {
        let [name, pushed, popped, depth, most, stalls, seats] = pulse.cells();
        let seats = match pulse.dead {
            0 => right(seats),
            _ => right(seats).style(striking),
        };
        Row::new([
            Cell::from(fit(&name, name_room)),
            right(pushed),
            right(popped),
            Cell::from(pulse.bar(BAR)),
            right(depth),
            right(most),
            right(stalls),
            seats,
        ])
    };
    let table = Table::new(pulses.iter().skip(*first).map(row), widths)
        .header(Row::new(heading).style(Style::new().add_modifier(Modifier::DIM)))
        .column_spacing(1);
    frame.render_widget(table, body);
}

/// A name that is too long loses its middle: what tells it from others is at either end.
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
    fn long_names_fit() {
        assert_eq!(fit("/quotes", 7), "/quotes");
        assert_eq!(fit("/quotes-1", 7), "/qu…s-1");
        assert_eq!(fit("/quotes", 1), "…");
        assert_eq!(fit("/quotes", 0), "…");
    }
}
