//! `slipring top`.

use super::args::Top;
use super::failure::Failure;
use super::pulse::{Pulse, Pulses};
use super::{output, table};
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

pub(crate) fn run(asked: &Top) -> Result<(), Failure> {
    let mut pulses = Pulses::new(&asked.rings);
    if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        return print(asked, &mut pulses);
    }
    let terminal = ratatui::try_init()?;
    let shown = show(terminal, asked.interval, &mut pulses);
    ratatui::restore();
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
    loop {
        let seen = pulses.take();
        terminal.draw(|frame| draw(frame, &seen))?;
        let next = Instant::now() + interval;
        while let Some(left) = next.checked_duration_since(Instant::now()) {
            if event::poll(left)? {
                match event::read()? {
                    Event::Key(key) if key.kind == KeyEventKind::Press => {
                        let is_ctrl_c = key.code == KeyCode::Char('c')
                            && key.modifiers.contains(KeyModifiers::CONTROL);
                        if is_ctrl_c || matches!(key.code, KeyCode::Char('q') | KeyCode::Esc) {
                            return Ok(());
                        }
                    }
                    Event::Resize(..) => {
                        terminal.draw(|frame| draw(frame, &seen))?;
                    }
                    _ => {}
                }
            }
        }
    }
}

fn draw(frame: &mut Frame<'_>, pulses: &[Pulse]) {
    let [top, body] =
        Layout::vertical([Constraint::Length(1), Constraint::Min(0)]).areas(frame.area());
    let count = pulses.len();
    let dead: usize = pulses.iter().map(|pulse| pulse.dead).sum();
    let title = Line::from(vec![
        "slipring top".bold(),
        format!("  {count} rings, {dead} dead seats, q quits").into(),
    ]);
    frame.render_widget(title, top);
    let widths = [
        Constraint::Min(12),
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
    let right = |text: String| Cell::from(Text::from(text).right_aligned());
    let row = |pulse: &Pulse| {
        let [name, pushed, popped, depth, most, stalls, seats] = pulse.cells();
        let seats = match pulse.dead {
            0 => right(seats),
            _ => right(seats).style(Style::new().fg(Color::Red).add_modifier(Modifier::BOLD)),
        };
        Row::new([
            Cell::from(name),
            right(pushed),
            right(popped),
            Cell::from(pulse.bar(BAR)),
            right(depth),
            right(most),
            right(stalls),
            seats,
        ])
    };
    let table = Table::new(pulses.iter().map(row), widths)
        .header(Row::new(heading).style(Style::new().add_modifier(Modifier::DIM)))
        .column_spacing(1);
    frame.render_widget(table, body);
}
