//! The people of an NDJSON or CSV file, in chunks that are the same each time the file is read.

use std::fmt::Write as _;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use prost::Message;
use sha2::{Digest, Sha256};

use super::super::Failure;
use super::super::failure::file_failure;
use super::super::json::{self, Texts as _};
use super::csv::{self, Csv};
use super::lines::{Lines, MAX_LINE};
use super::mapping::{Absent, Mapping};
use super::tally::Reject;
use crate::domain::validate;
use crate::proto::registry::write::Write as Kind;
use crate::proto::registry::{CreatePerson, Person, Rejection, Write};

/// A chunk ends before it reaches this size: the registry takes 1 MiB, and the rest of the message needs some of it.
const MAX_CHUNK_BYTES: usize = 960 << 10;

/// A chunk ends when it has come to so many rows without a person: rejects are held in memory till then.
const MAX_REJECTS: usize = 1000;

/// An open input.
pub struct Source {
    path: PathBuf,
    lines: Lines,
    format: Format,
    chunk: usize,
    /// A person that did not fit into the chunk before.
    waiting: Option<(Origin, Person)>,
}

/// How people are written.
enum Format {
    Ndjson,
    Csv(Csv, Mapping),
}

/// Where a person stands in the input.
pub struct Origin {
    /// The first line of the row, from 1.
    pub line: u64,
    /// What the row left out of its lists.
    absent: Absent,
}

/// People to send at once.
#[derive(Default)]
pub struct Chunk {
    /// The people.
    pub persons: Vec<Person>,
    /// Where each of them stands.
    pub origins: Vec<Origin>,
    /// Rows on the way that hold no person.
    pub rejects: Vec<Reject>,
    /// How many people's text was brought into NFC.
    pub normalised: u64,
}

impl Source {
    /// Opens the file, `-` for standard input, to be read in chunks of `chunk` people: CSV with a mapping, NDJSON
    /// without one.
    ///
    /// # Errors
    /// When it cannot be opened, or the mapping is wrong or does not fit the file's header.
    pub fn open(path: &Path, mapping: Option<&Path>, chunk: usize) -> Result<Self, Failure> {
        let mapping = mapping.map(Mapping::load).transpose()?;
        let mut lines = Lines::open(path)?;
        let format = match mapping {
            Some(mapping) => with_header(path, mapping, &mut lines)?,
            None if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv")) => {
                let path = path.display();
                return Err(Failure::Input(format!(
                    "{path} is CSV: say with --mapping what its columns are; dancu import --help shows how"
                )));
            }
            None => Format::Ndjson,
        };
        Ok(Self { path: path.to_path_buf(), lines, format, chunk, waiting: None })
    }

    /// Length in bytes, when it is known.
    pub fn length(&self) -> Option<u64> {
        self.lines.length()
    }

    /// Bytes read so far.
    pub fn position(&self) -> u64 {
        self.lines.position()
    }

    /// A name for the import of this content by this mapping in chunks of this size; a new name each time when the
    /// input cannot be read twice.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn name(&self) -> Result<String, Failure> {
        if self.length().is_none() {
            return Ok(crate::client::request_id()[..28].to_owned());
        }
        let mut hash = Sha256::new();
        hash.update((self.chunk as u64).to_be_bytes());
        if let Format::Csv(_, mapping) = &self.format {
            hash.update((mapping.text().len() as u64).to_be_bytes());
            hash.update(mapping.text());
        }
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
        if let Some((origin, person)) = self.waiting.take() {
            bytes = person.encoded_len();
            chunk.origins.push(origin);
            chunk.persons.push(person);
        }
        while chunk.persons.len() < self.chunk && chunk.rejects.len() < MAX_REJECTS {
            let Some((line, row)) = self.next_row()? else { break };
            let (mut person, absent) = match row {
                Ok(row) => row,
                Err(rejection) => {
                    chunk.rejects.push(Reject::new(line, rejection));
                    continue;
                }
            };
            let normalised = person.normalise();
            let origin = Origin { line, absent };
            let person = match check(person.into()) {
                Ok(person) => person,
                Err(rejection) => {
                    chunk.rejects.push(self.reject(&origin, rejection));
                    continue;
                }
            };
            chunk.normalised += u64::from(normalised);
            bytes += person.encoded_len();
            if bytes > MAX_CHUNK_BYTES {
                self.waiting = Some((origin, person));
                break;
            }
            chunk.origins.push(origin);
            chunk.persons.push(person);
        }
        let empty = chunk.persons.is_empty() && chunk.rejects.is_empty();
        Ok((!empty).then_some(chunk))
    }

    /// What became of a row whose person was refused, in the terms of the input.
    pub fn reject(&self, origin: &Origin, rejection: Rejection) -> Reject {
        let field = rejection.field.strip_prefix("person.").unwrap_or(&rejection.field);
        let field = match &self.format {
            Format::Ndjson => field.to_owned(),
            Format::Csv(_, mapping) => mapping.column(field, &origin.absent),
        };
        Reject::new(origin.line, Rejection { field, ..rejection })
    }

    /// The first line of the next row, and its person; `None` at the end.
    fn next_row(&mut self) -> Result<Option<Row>, Failure> {
        match &self.format {
            Format::Csv(csv, mapping) => {
                let Some((line, record)) = csv.next(&mut self.lines)? else { return Ok(None) };
                Ok(Some((line, record.and_then(|record| mapping.person(&record)))))
            }
            Format::Ndjson => loop {
                let Some(line) = self.lines.next()? else { return Ok(None) };
                if line.text.len() > MAX_LINE {
                    return Ok(Some((line.number, Err(csv::too_long()))));
                }
                if !line.text.trim_ascii().is_empty() {
                    return Ok(Some((
                        line.number,
                        json::read(&line.text).map(|person| (person, Absent::new())),
                    )));
                }
            },
        }
    }
}

type Row = (u64, Result<(json::Person, Absent), Rejection>);

fn with_header(path: &Path, mut mapping: Mapping, lines: &mut Lines) -> Result<Format, Failure> {
    let mut csv = Csv { delimiter: mapping.delimiter(), columns: 0 };
    let refuse = |what: &str| {
        let path = path.display();
        Failure::Input(format!("{path}: {what}; its first line must name the columns"))
    };
    let (_, header) = csv.next(lines)?.ok_or_else(|| refuse("the file is empty"))?;
    let header = header.map_err(|rejection| refuse(&rejection.detail))?;
    mapping.bind(&header)?;
    csv.columns = header.len();
    Ok(Format::Csv(csv, mapping))
}

/// Refuses early what the registry would refuse whatever it holds, by the same rules. It remains the judge.
fn check(person: Person) -> Result<Person, Rejection> {
    let create = CreatePerson { person: Some(person), accept_existing: true };
    let write = Write { write: Some(Kind::Create(create)) };
    validate::write(&write)?;
    match write.write {
        Some(Kind::Create(create)) => Ok(create.person.unwrap_or_default()),
        _ => unreachable!("it was made above"),
    }
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
    use serde_json::{Value, json};

    use super::*;

    fn chunks(text: &str, size: usize) -> Vec<Chunk> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("people.ndjson");
        std::fs::write(&file, text).unwrap();
        let mut source = Source::open(&file, None, size).unwrap();
        std::iter::from_fn(|| source.next_chunk().unwrap()).collect()
    }

    /// A line with the person of this number, changed.
    fn person(number: u32, change: impl FnOnce(&mut Value)) -> String {
        let mut person = json!({
            "personal_id": format!("001190{number:06}"), "gender": "female", "birth_date": "1990-05-17",
            "birth_name": { "family": "Nguyễn", "given": "Thúy" },
        });
        change(&mut person);
        format!("{person}\n")
    }

    fn lines(chunk: &Chunk) -> Vec<u64> {
        chunk.origins.iter().map(|origin| origin.line).collect()
    }

    #[test]
    fn lines_become_chunks_that_know_where_they_came_from() {
        let [one, two, three] = [1, 2, 3].map(|number| person(number, |_| {}));
        let chunks = chunks(&format!("\u{FEFF}{one}\n{two}{{\"oops\":1}}\n{}", three.trim_end()), 2);
        assert_eq!(chunks.iter().map(lines).collect::<Vec<_>>(), [vec![1, 3], vec![5]]);
        assert_eq!(chunks[1].rejects[0].line, 4);
        assert_eq!(chunks[1].persons[0].personal_id, "001190000003");
    }

    #[test]
    fn a_chunk_stays_below_the_size_the_registry_takes() {
        // Nearly as long as a valid record may be: 32 KiB.
        let relation = json!({ "kind": "child", "name": "Ễ".repeat(300) });
        let long = |p: &mut Value| p["relations"] = Value::from(vec![relation.clone(); 34]);
        let text: String = (0..60).map(|number| person(number, long)).collect();
        let chunks = chunks(&text, 1000);
        let bytes = |chunk: &Chunk| chunk.persons.iter().map(Message::encoded_len).sum::<usize>();
        assert!(chunks.len() > 1 && chunks.iter().all(|chunk| bytes(chunk) <= MAX_CHUNK_BYTES));
        assert_eq!(chunks.iter().flat_map(lines).collect::<Vec<_>>(), (1..=60).collect::<Vec<_>>());
    }

    #[test]
    fn a_line_without_end_is_rejected_and_the_next_one_read() {
        let text = format!("{}\n{}", "x".repeat(1 << 20), person(2, |_| {}));
        let chunks = chunks(&text, 10);
        assert_eq!(chunks[0].rejects[0].reason, "TOO_LARGE");
        assert_eq!(lines(&chunks[0]), [2]);
    }

    #[test]
    fn text_in_the_other_unicode_form_is_normalised_and_counted() {
        let given = |text: &'static str| move |p: &mut Value| p["birth_name"]["given"] = text.into();
        let text = person(1, given("Thu\u{0301}y")) + &person(2, given("Thúy"));
        let chunks = chunks(&text, 10);
        assert_eq!(chunks[0].normalised, 1);
        let given = |i: usize| chunks[0].persons[i].birth_name.clone().unwrap().given;
        assert_eq!(given(0), given(1));
    }

    #[test]
    fn what_the_registry_would_refuse_is_not_sent() {
        let text = person(1, |p| p["birth_name"]["given"] = "Thúy7".into())
            + &person(2, |p| p["personal_id"] = "".into())
            + &person(3, |p| p["relations"] = json!([{ "kind": "spouse", "person_uid": 7 }]));
        let rejects = &chunks(&text, 10)[0].rejects;
        let found: Vec<_> = rejects.iter().map(|r| (r.line, r.field.as_str(), r.reason.as_str())).collect();
        let expected = [
            (1, "birth_name.given", "NAME_CHARSET"),
            (2, "personal_id", "FIELD_INVALID"),
            (3, "relations[0].person_uid", "FIELD_INVALID"),
        ];
        assert_eq!(found, expected);
    }
}
