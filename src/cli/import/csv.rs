//! The records of a CSV file: cells between delimiters, one record a line, quotes around cells that hold delimiters,
//! quotes (doubled) or line breaks (RFC 4180).
//!
//! A quote that never closes would swallow the rest of the file. So a record whose quotes do not close costs its first
//! line only: the lines that it seemed to go on over are read again, as records of their own.

use csv::{ByteRecord, ReaderBuilder};

use super::super::Failure;
use super::lines::{Line, Lines, MAX_LINE};
use crate::domain::error::rejection;
use crate::proto::registry::{ErrorReason, Rejection};

const NOT_CLOSED: &str = "a quote opens a cell and none closes it before the next delimiter";

/// The first line of a record, and its cells or what is wrong with it.
type Numbered = (u64, Result<ByteRecord, Rejection>);

/// How the records of a file are written.
#[derive(Clone, Copy)]
pub struct Csv {
    /// What stands between two cells.
    pub delimiter: u8,
    /// Cells of each record; 0 while the header is not read.
    pub columns: usize,
}

impl Csv {
    /// The next record and its first line; `None` at the end. Blank lines are passed over.
    ///
    /// # Errors
    /// When the input cannot be read.
    pub fn next(self, lines: &mut Lines) -> Result<Option<Numbered>, Failure> {
        loop {
            let Some(first) = lines.next()? else { return Ok(None) };
            if first.text.trim_ascii().is_empty() {
                continue;
            }
            let Line { number, mut text } = first;
            let mut rest = Vec::new();
            let mut quotes = Quotes::Start.after(&text, self.delimiter);
            while quotes == Quotes::Open && text.len() <= MAX_LINE {
                let Some(line) = lines.next()? else { break };
                quotes = quotes.after(&line.text, self.delimiter);
                text.extend_from_slice(&line.text);
                rest.push(line);
            }
            let record = match quotes {
                _ if text.len() > MAX_LINE && rest.is_empty() => Err(too_long()),
                _ if text.len() > MAX_LINE => Err(broken(NOT_CLOSED)),
                Quotes::Open | Quotes::Torn => Err(broken(NOT_CLOSED)),
                _ => self.parse(&text),
            };
            let closed = !matches!(quotes, Quotes::Open | Quotes::Torn) && text.len() <= MAX_LINE;
            if record.is_err() && !closed {
                lines.put_back(rest);
            }
            return Ok(Some((number, record)));
        }
    }

    fn parse(self, text: &[u8]) -> Result<ByteRecord, Rejection> {
        let mut reader = ReaderBuilder::new();
        let reader = reader.has_headers(false).flexible(true).delimiter(self.delimiter);
        let mut reader = reader.buffer_capacity(text.len()).from_reader(text);
        let mut read =
            |into: &mut ByteRecord| reader.read_byte_record(into).map_err(|_| broken("not a record of CSV"));
        let (mut record, mut more) = (ByteRecord::new(), ByteRecord::new());
        read(&mut record)?;
        // The reader ends a record there, and what stands behind it would be lost.
        if read(&mut more)? {
            return Err(broken("a carriage return alone ends no row: lines end with LF or CRLF"));
        }
        if self.columns != 0 && record.len() != self.columns {
            return Err(broken(&format!("{} cells and not {}", record.len(), self.columns)));
        }
        Ok(record)
    }
}

/// The rejection of a row that is longer than any is read.
pub fn too_long() -> Rejection {
    rejection(ErrorReason::TooLarge, "", format!("the row is longer than {MAX_LINE} bytes"))
}

fn broken(what: &str) -> Rejection {
    rejection(ErrorReason::FieldInvalid, "", what)
}

/// Where a record stands, as far as quotes go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Quotes {
    /// At the start of a cell, where alone a quote opens one.
    Start,
    /// In a cell without quotes around it.
    Bare,
    /// In a quoted cell, which may hold line breaks.
    Open,
    /// After a quote in such a cell: it closed the cell, unless another follows and both are one of its letters.
    Closed,
    /// A closed cell goes on: somewhere before, a quote opened that nobody meant to.
    Torn,
}

impl Quotes {
    /// Where the record stands after these bytes.
    fn after(self, text: &[u8], delimiter: u8) -> Self {
        text.iter().fold(self, |at, &byte| match (at, byte) {
            (Self::Torn, _) => Self::Torn,
            (Self::Open, b'"') => Self::Closed,
            (Self::Open, _) | (Self::Start | Self::Closed, b'"') => Self::Open,
            (_, byte) if byte == delimiter || byte == b'\n' => Self::Start,
            (Self::Closed, b'\r') => Self::Closed,
            (Self::Closed, _) => Self::Torn,
            (Self::Start | Self::Bare, _) => Self::Bare,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Line and cells of each record, or what is wrong with it.
    fn records(text: &str, columns: usize) -> Vec<(u64, Result<Vec<String>, String>)> {
        let mut lines = Lines::of(text.into());
        let csv = Csv { delimiter: b',', columns };
        let cells =
            |record: ByteRecord| record.iter().map(|c| String::from_utf8(c.to_vec()).unwrap()).collect();
        std::iter::from_fn(|| csv.next(&mut lines).unwrap())
            .map(|(line, record)| (line, record.map(cells).map_err(|r| r.detail)))
            .collect()
    }

    fn cells(cells: [&str; 2]) -> Result<Vec<String>, String> {
        Ok(cells.map(str::to_owned).to_vec())
    }

    #[test]
    fn quotes_hold_delimiters_line_breaks_and_quotes() {
        let text = "\u{FEFF}a,b\r\n\n\"x,\"\"y\n1\",\"2\n\n3\"\n\"\",\"\"\"\"\nlast,\"\"";
        let expected = [
            (1, cells(["a", "b"])),
            (3, cells(["x,\"y\n1", "2\n\n3"])),
            (7, cells(["", "\""])),
            (8, cells(["last", ""])),
        ];
        assert_eq!(records(text, 2), expected);
    }

    #[test]
    fn a_quote_that_does_not_close_costs_its_line_alone() {
        for rest in ["1,2\n3,4\n", "1,2\n\"3\",4\n", "1,2\n\"3\",\"4\"\n"] {
            let found = records(&format!("\"x,y\n{rest}"), 2);
            assert_eq!(found[1..], [(2, cells(["1", "2"])), (3, cells(["3", "4"]))], "{rest}");
            assert_eq!(found[0].0, 1);
            assert!(found[0].1.is_err());
        }
        // The quotes of the next row could be taken for its end, and the cells would even be as many.
        let found = records("1,\"x\n\"3\n\",4\n", 2);
        assert!(found[0].0 == 1 && found[0].1.is_err(), "{found:?}");
        assert_eq!(found[1..], [(2, cells(["3\n", "4"]))]);
        // And not the whole file is kept in memory to find that out.
        let many = "1,2\n".repeat(200_000);
        assert_eq!(records(&format!("\"x,y\n{many}"), 2).len(), 200_001);
    }

    #[test]
    fn a_row_at_fault_that_goes_over_several_lines_is_one_row() {
        let found = records("\"1\n2\",3,4\n5,6\n", 2);
        assert_eq!(found, [(1, Err("3 cells and not 2".to_owned())), (3, cells(["5", "6"]))]);
    }

    #[test]
    fn nothing_behind_a_lone_carriage_return_is_lost() {
        for text in ["1,2\r3,4\n5,6\n", "\"1\",2\r3,4\r\n5,6\r\n"] {
            let found = records(text, 2);
            assert!(found[0].1.as_ref().is_err_and(|why| why.contains("carriage return")), "{found:?}");
            assert_eq!(found[1..], [(2, cells(["5", "6"]))]);
        }
    }

    #[test]
    fn a_row_of_another_length_is_named() {
        let found = records("1,2\n1\n1,2,3\n", 2);
        assert_eq!(
            found[1..],
            [(2, Err("1 cells and not 2".to_owned())), (3, Err("3 cells and not 2".to_owned())),]
        );
    }
}
