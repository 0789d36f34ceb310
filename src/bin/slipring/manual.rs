//! `slipring completions` and `slipring man`: what clap makes of the command line's description.

use super::args::{Arguments, Completions};
use super::failure::Failure;
use super::output;
use clap::CommandFactory;

pub(crate) fn complete(asked: &Completions) -> Result<(), Failure> {
    let mut text = Vec::new();
    let mut command = Arguments::command();
    clap_complete::generate(asked.shell, &mut command, "slipring", &mut text);
    output::print(&String::from_utf8_lossy(&text))
}

/// The page of the tool, and of each of its commands in turn.
pub(crate) fn print() -> Result<(), Failure> {
    let mut text = Vec::new();
    let mut command = Arguments::command();
    command.build();
    clap_mangen::Man::new(command.clone()).render(&mut text)?;
    for part in command
        .get_subcommands()
        .filter(|part| part.get_name() != "help")
    {
        let page = clap_mangen::Man::new(part.clone());
        page.render_synopsis_section(&mut text)?;
        page.render_description_section(&mut text)?;
        page.render_options_section(&mut text)?;
    }
    output::print(&String::from_utf8_lossy(&text))
}
