//! Standard output: text for people, or one JSON value for programs (`--json`).

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

use comfy_table::{ContentArrangement, Table, presets};
use serde_json::Value;

use super::Failure;

/// Where a command's result goes, and in which form.
pub struct Output {
    json: bool,
}

impl Output {
    /// JSON, or text.
    pub fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether JSON was asked for.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Prints a result: `json` when JSON was asked for, `text` otherwise.
    ///
    /// # Errors
    /// When standard output cannot be written, other than because its reader has gone.
    pub fn result(&self, json: impl FnOnce() -> Value, text: impl FnOnce() -> String) -> Result<(), Failure> {
        if self.json { line(format!("{:#}", json())) } else { line(text()) }
    }

    /// Prints a remark that only people want.
    ///
    /// # Errors
    /// As [`Output::result`].
    pub fn remark(&self, text: impl Display) -> Result<(), Failure> {
        if self.json { Ok(()) } else { line(text) }
    }
}

/// Prints a line. A reader that has gone (`| head`) wants no more: that is no failure.
pub fn line(text: impl Display) -> Result<(), Failure> {
    match writeln!(io::stdout().lock(), "{text}") {
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::Input(format!("cannot write to standard output: {e}")))
        }
        _ => Ok(()),
    }
}

/// Columns under a header, without lines. Wide cells wrap on a terminal.
pub fn table(header: &[&str], rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header);
    if io::stdout().is_terminal() {
        table.set_content_arrangement(ContentArrangement::Dynamic);
    }
    table.add_rows(rows);
    table.trim_fmt()
}

/// A whole number with its thousands set apart: `1,234,567`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position != 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn thousands_are_grouped() {
        let shown: Vec<String> = [0, 999, 1000, 100_000, 1_234_567].map(grouped).into();
        assert_eq!(shown, ["0", "999", "1,000", "100,000", "1,234,567"]);
    }
}
