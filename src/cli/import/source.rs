//! The people of an NDJSON file, in chunks that are the same each time the file is read.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use prost::Message;
use sha2::{Digest, Sha256};

use super::super::failure::file_failure;
use super::super::{Failure, json};
use super::tally::Reject;
use crate::proto::registry::Person;

/// The longest line that is read. A person has a few kilobytes at most.
const MAX_LINE: u64 = 256 << 10;
/// A chunk ends before it reaches this size: the registry takes 1 MiB, and the rest of the message needs some of it.
const MAX_CHUNK_BYTES: usize = 960 << 10;

/// A chunk ends when it has come to so many lines without a person: rejects are held in memory till then.
const MAX_REJECTS: usize = 1000;

/// An open input.
pub struct Source {
    path: PathBuf,
    input: Box<dyn BufRead + Send>,
    length: Option<u64>,
    chunk: usize,
    line: u64,
    position: u64,
    /// A person that did not fit into the chunk before.
    waiting: Option<(u64, Person)>,
}

/// People to send at once.
#[derive(Default)]
pub struct Chunk {
    /// The people.
    pub persons: Vec<Person>,
    /// The line that each of them stands on.
    pub lines: Vec<u64>,
    /// Lines on the way that hold no person.
    pub rejects: Vec<Reject>,
    /// How many people's text was brought into NFC.
    pub normalised: u64,
}

impl Source {
    /// Opens the file, `-` for standard input, to be read in chunks of `chunk` people.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(path: &Path, chunk: usize) -> Result<Self, Failure> {
        let (input, length): (Box<dyn BufRead + Send>, _) = if path == Path::new("-") {
            (Box::new(BufReader::new(io::stdin())), None)
        } else {
            let open = File::open(path).and_then(|file| Ok((file.metadata()?, file)));
            let (about, file) = open.map_err(|e| file_failure("read", path, &e))?;
            // A pipe has no length and cannot be read twice.
            let length = about.is_file().then_some(about.len());
            (Box::new(BufReader::with_capacity(1 << 18, file)), length)
        };
        Ok(Self { path: path.to_path_buf(), input, length, chunk, line: 0, position: 0, waiting: None })
    }

    /// Length in bytes, when it is known.
    pub fn length(&self) -> Option<u64> {
        self.length
    }

    /// Bytes read so far.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// A name for the import of this content in chunks of this size; a new name each time when the input cannot be
    /// read twice.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn name(&self) -> Result<String, Failure> {
        if self.length.is_none() {
            return Ok(crate::client::request_id()[..28].to_owned());
        }
        let mut hash = Sha256::new();
        hash.update((self.chunk as u64).to_be_bytes());
        let copied =
            File::open(&self.path).and_then(|mut file| io::copy(&mut file, &mut HashWriter(&mut hash)));
        copied.map_err(|e| file_failure("read", &self.path, &e))?;
        let mut name = String::from("file-");
        for byte in &hash.finalize()[..11] {
            write!(name, "{byte:02x}").expect("writing to a string does not fail");
        }
        Ok(name)
    }

    /// The next people; `None` at the end.
    ///
    /// # Errors
    /// When the input cannot be read.
    pub fn next_chunk(&mut self) -> Result<Option<Chunk>, Failure> {
        let mut chunk = Chunk::default();
        let mut bytes = 0;
        if let Some((line, person)) = self.waiting.take() {
            bytes = person.encoded_len();
            chunk.lines.push(line);
            chunk.persons.push(person);
        }
        while chunk.persons.len() < self.chunk && chunk.rejects.len() < MAX_REJECTS {
            let Some(text) = self.next_line()? else { break };
            match parse(&text) {
                Ok(None) => {}
                Err(reject) => chunk.rejects.push(Reject { line: self.line, ..reject }),
                Ok(Some((person, normalised))) => {
                    chunk.normalised += u64::from(normalised);
                    bytes += person.encoded_len();
                    if bytes > MAX_CHUNK_BYTES {
                        self.waiting = Some((self.line, person));
                        break;
                    }
                    chunk.lines.push(self.line);
                    chunk.persons.push(person);
                }
            }
        }
        let empty = chunk.persons.is_empty() && chunk.rejects.is_empty();
        Ok((!empty).then_some(chunk))
    }

    /// The next line, cut off at `MAX_LINE`; `None` at the end.
    fn next_line(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        let mut line = Vec::new();
        let failed = |e| file_failure("read", &self.path, &e);
        let mut read = self.input.by_ref().take(MAX_LINE + 1).read_until(b'\n', &mut line).map_err(failed)?;
        if read == 0 {
            return Ok(None);
        }
        if line.len() as u64 > MAX_LINE && line.last() != Some(&b'\n') {
            read += self.input.skip_until(b'\n').map_err(failed)?;
        }
        self.line += 1;
        self.position += read as u64;
        Ok(Some(line))
    }
}

/// The person on a line and whether its text had to be normalised; `None` for a blank line.
fn parse(line: &[u8]) -> Result<Option<(Person, bool)>, Reject> {
    if line.len() as u64 > MAX_LINE {
        return Err(Reject::local("TOO_LARGE", format!("the line is longer than {MAX_LINE} bytes")));
    }
    if line.iter().all(u8::is_ascii_whitespace) {
        return Ok(None);
    }
    let parsed = serde_json::from_slice::<json::Person>(line);
    let mut person = parsed.map_err(|e| Reject::local("FIELD_INVALID", e.to_string()))?;
    let normalised = person.normalise();
    Ok(Some((person.into(), normalised)))
}

/// Feeds a hash.
struct HashWriter<'a>(&'a mut Sha256);

impl io::Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunks(text: &str, size: usize) -> Vec<Chunk> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("people.ndjson");
        std::fs::write(&file, text).unwrap();
        let mut source = Source::open(&file, size).unwrap();
        std::iter::from_fn(|| source.next_chunk().unwrap()).collect()
    }

    #[test]
    fn lines_become_chunks_that_know_where_they_came_from() {
        let text =
            "{\"personal_id\":\"1\"}\n\n{\"personal_id\":\"2\"}\n{\"oops\":1}\n{\"personal_id\":\"3\"}";
        let chunks = chunks(text, 2);
        assert_eq!(chunks.iter().map(|c| c.lines.clone()).collect::<Vec<_>>(), [vec![1, 3], vec![5]]);
        assert_eq!(chunks[1].rejects[0].line, 4);
        assert_eq!(chunks[1].persons[0].personal_id, "3");
    }

    #[test]
    fn a_chunk_stays_below_the_size_the_registry_takes() {
        let detail = "x".repeat(200 << 10);
        let line = format!("{{\"birth_place\":{{\"detail\":\"{detail}\"}}}}\n");
        let chunks = chunks(&line.repeat(9), 1000);
        assert_eq!(
            chunks.iter().map(|c| c.lines.clone()).collect::<Vec<_>>(),
            [vec![1, 2, 3, 4], vec![5, 6, 7, 8], vec![9]]
        );
    }

    #[test]
    fn a_line_without_end_is_rejected_and_the_next_one_read() {
        let text = format!("{}\n{{\"personal_id\":\"2\"}}\n", "x".repeat(1 << 20));
        let chunks = chunks(&text, 10);
        assert_eq!(chunks[0].rejects[0].reason, "TOO_LARGE");
        assert_eq!(chunks[0].lines, [2]);
    }

    #[test]
    fn text_in_the_other_unicode_form_is_normalised_and_counted() {
        let text = "{\"birth_name\":{\"given\":\"Thu\\u0301y\"}}\n{\"birth_name\":{\"given\":\"Thúy\"}}\n";
        let chunks = chunks(text, 10);
        assert_eq!(chunks[0].normalised, 1);
        let given = |i: usize| chunks[0].persons[i].birth_name.clone().unwrap().given;
        assert_eq!(given(0), given(1));
    }
}
