//! What the demo says, and whether it came true. Colours on terminals only.

use std::io::{self, IsTerminal};

use clap::builder::styling::{AnsiColor, Style};

use crate::cli::Failure;
use crate::cli::output::line;

/// Tells the demo's story and keeps what did not hold.
pub struct Narrator {
    quiet: bool,
    colours: bool,
    step: u32,
    broken: Vec<String>,
}

impl Narrator {
    /// A narrator; a quiet one only judges.
    pub fn new(quiet: bool) -> Self {
        let colours = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Self { quiet, colours, step: 0, broken: Vec::new() }
    }

    /// Begins a numbered step.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub fn step(&mut self, title: &str) -> Result<(), Failure> {
        self.step += 1;
        let heading = format!("{}. {title}", self.step);
        self.say(&format!("\n{}", self.paint(Style::new().bold(), &heading)))
    }

    /// Says something.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub fn say(&self, text: &str) -> Result<(), Failure> {
        if self.quiet { Ok(()) } else { line(text) }
    }

    /// States what must hold, and remembers when it does not.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub fn holds(&mut self, holds: bool, text: &str) -> Result<(), Failure> {
        let (mark, colour) = if holds { ("✓", AnsiColor::Green) } else { ("✗", AnsiColor::Red) };
        if !holds {
            self.broken.push(text.to_owned());
        }
        self.say(&format!("   {} {text}", self.paint(colour.on_default().bold(), mark)))
    }

    /// What did not hold.
    pub fn broken(&self) -> &[String] {
        &self.broken
    }

    fn paint(&self, style: Style, text: &str) -> String {
        if self.colours { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }
}
