//! The lines of an input: numbered, bounded in length, and read again when what they began turned out to be nothing.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use super::super::Failure;
use super::super::failure::file_failure;

/// The longest line that is read, and the longest row. A person has a few kilobytes at most.
pub const MAX_LINE: usize = 256 << 10;

/// The mark that some programs put before UTF-8.
const BYTE_ORDER_MARK: &[u8] = "\u{FEFF}".as_bytes();

/// A line with what ends it, cut off a byte after `MAX_LINE`.
pub struct Line {
    /// Its number, from 1.
    pub number: u64,
    /// Its bytes.
    pub text: Vec<u8>,
}

/// An open input.
pub struct Lines {
    path: PathBuf,
    input: Box<dyn BufRead + Send>,
    length: Option<u64>,
    number: u64,
    position: u64,
    /// Lines to be read again, before all others.
    again: VecDeque<Line>,
}

impl Lines {
    /// Opens the file, `-` for standard input.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        let (input, length): (Box<dyn BufRead + Send>, _) = if path == Path::new("-") {
            (Box::new(BufReader::new(io::stdin())), None)
        } else {
            let open = File::open(path).and_then(|file| Ok((file.metadata()?, file)));
            let (about, file) = open.map_err(|e| file_failure("read", path, &e))?;
            // A pipe has no length and cannot be read twice.
            let length = about.is_file().then_some(about.len());
            (Box::new(BufReader::with_capacity(1 << 18, file)), length)
        };
        let path = path.to_path_buf();
        Ok(Self { path, input, length, number: 0, position: 0, again: VecDeque::new() })
    }

    /// The lines of a text.
    #[cfg(any(test, feature = "fuzzing"))]
    pub fn of(text: Vec<u8>) -> Self {
        let input = Box::new(io::Cursor::new(text));
        Self { path: PathBuf::new(), input, length: None, number: 0, position: 0, again: VecDeque::new() }
    }

    /// Length in bytes, when it is known.
    pub fn length(&self) -> Option<u64> {
        self.length
    }

    /// Bytes read so far.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The next line; `None` at the end.
    ///
    /// # Errors
    /// When the input cannot be read.
    pub fn next(&mut self) -> Result<Option<Line>, Failure> {
        if let Some(line) = self.again.pop_front() {
            return Ok(Some(line));
        }
        let mut text = Vec::new();
        let failed = |e| file_failure("read", &self.path, &e);
        let most = MAX_LINE as u64 + 1;
        let mut read = self.input.by_ref().take(most).read_until(b'\n', &mut text).map_err(failed)?;
        if read == 0 {
            return Ok(None);
        }
        if text.len() > MAX_LINE && text.last() != Some(&b'\n') {
            read += self.input.skip_until(b'\n').map_err(failed)?;
        }
        self.number += 1;
        self.position += read as u64;
        if self.number == 1 && text.starts_with(BYTE_ORDER_MARK) {
            text.drain(..BYTE_ORDER_MARK.len());
        }
        Ok(Some(Line { number: self.number, text }))
    }

    /// Takes back the lines that were read last.
    pub fn put_back(&mut self, lines: Vec<Line>) {
        for line in lines.into_iter().rev() {
            self.again.push_front(line);
        }
    }
}
