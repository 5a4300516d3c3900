//! What the columns of a CSV file are: which field of a person each holds, and how it is written there.
//!
//! ```text
//! mapping.toml -> Mapping::load -> bind(header) -> person(record)     column -> field
//!                                                  column(field)      what the registry says of a field -> column
//! ```
//!
//! `mapping.toml` beside this file is the documentation and the example: `dancu import --help` shows it. A mapping that
//! names what there is not, or leaves a column of the file out, is refused before anything is sent.

use std::collections::BTreeMap;
use std::path::Path;

use csv::ByteRecord;
use serde::Deserialize;
use serde_json::Value;
use unicode_normalization::UnicodeNormalization;

use super::super::failure::file_failure;
use super::super::{Failure, json};
use super::cell::{Options, Reader, trimmed};
use super::place::{Place, covers};
use crate::domain::error::rejection;
use crate::proto::registry::{ErrorReason, Rejection};

/// The mapping as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default = "comma")]
    delimiter: char,
    dates: Option<Vec<String>>,
    #[serde(default)]
    ignored: Vec<String>,
    columns: BTreeMap<String, Entry>,
    #[serde(default)]
    constants: BTreeMap<String, Value>,
}

fn comma() -> char {
    ','
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a field, or { field, dates, words, separator }")]
enum Entry {
    Field(String),
    Detailed(Detailed),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Detailed {
    field: String,
    dates: Option<Vec<String>>,
    #[serde(default)]
    words: BTreeMap<String, String>,
    separator: Option<String>,
}

/// A mapping, once it is bound to the header of a file.
pub struct Mapping {
    /// Where it was read from, for messages.
    file: String,
    text: String,
    delimiter: u8,
    ignored: Vec<String>,
    columns: Vec<Column>,
    constants: Vec<(Place, Value)>,
}

struct Column {
    name: String,
    /// Its position in a record.
    position: usize,
    place: Place,
    reader: Reader,
}

/// Items of lists that a row has nothing for, so that those behind them moved up.
pub type Absent = Vec<(String, usize)>;

impl Mapping {
    /// Reads a mapping.
    ///
    /// # Errors
    /// When the file cannot be read, is no TOML, or says what cannot be.
    pub fn load(path: &Path) -> Result<Self, Failure> {
        let text = std::fs::read_to_string(path).map_err(|e| file_failure("read", path, &e))?;
        Self::parse(path.display().to_string(), text)
    }

    /// Reads a mapping from its text; `file` is its name in errors.
    ///
    /// # Errors
    /// When it is no TOML, or says what cannot be.
    pub fn parse(file: String, text: String) -> Result<Self, Failure> {
        let refuse = |problem: String| Failure::Input(format!("{file}: {problem}; see dancu import --help"));
        let parsed: File = toml::from_str(&text).map_err(|e| {
            let before = e.span().map_or(0, |span| text[..span.start].matches('\n').count());
            refuse(format!("line {}: {}", before + 1, e.message()))
        })?;
        let delimiter = Some(parsed.delimiter).filter(|c| c.is_ascii() && !"\"\r\n".contains(*c));
        let Some(delimiter) = delimiter.and_then(|c| u8::try_from(c).ok()) else {
            return Err(refuse(
                "the delimiter must be one ASCII character, and no quote or line break".to_owned(),
            ));
        };
        let mut columns: Vec<Column> = Vec::new();
        for (name, entry) in parsed.columns {
            let column = Column::new(nfc(&name), entry, parsed.dates.as_ref());
            let column = column.map_err(|problem| refuse(format!("column {name:?}: {problem}")))?;
            if let Some(other) = columns.iter().find(|other| other.place.meets(&column.place)) {
                let (other, place) = (&other.name, column.place.text());
                return Err(refuse(format!("columns {other:?} and {name:?} both say what {place} is")));
            }
            columns.push(column);
        }
        let constants = constants(parsed.constants, &columns).map_err(refuse)?;
        let ignored = parsed.ignored.iter().map(|name| nfc(name)).collect();
        Ok(Self { text, delimiter, ignored, columns, constants, file })
    }

    /// What it says, to name an import by.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What stands between two cells.
    pub fn delimiter(&self) -> u8 {
        self.delimiter
    }

    /// Finds the columns in the header, the first record of the file.
    ///
    /// # Errors
    /// When the two do not name the same columns.
    pub fn bind(&mut self, header: &ByteRecord) -> Result<(), Failure> {
        let names: Vec<_> = header.iter().map(|cell| nfc(trimmed(&String::from_utf8_lossy(cell)))).collect();
        self.find(&names).map_err(|problem| Failure::Input(format!("{}: {problem}", self.file)))
    }

    fn find(&mut self, names: &[String]) -> Result<(), String> {
        // Whatever else stands there may be a person's: it is not repeated.
        if !names.iter().any(|name| self.columns.iter().any(|column| column.name == *name)) {
            let problem =
                "the first line of the CSV file names none of the mapped columns: it must be a header";
            return Err(problem.to_owned());
        }
        for (position, name) in names.iter().enumerate() {
            if names[..position].contains(name) {
                return Err(format!("the header of the CSV file names column {name:?} twice"));
            }
            let known = self.ignored.contains(name) || self.columns.iter().any(|column| column.name == *name);
            if !known {
                return Err(format!(
                    "the first line of the CSV file, its header, has a column {name:?}: map it, or list it as ignored"
                ));
            }
        }
        for column in &mut self.columns {
            let position = names.iter().position(|name| *name == column.name);
            column.position = position.ok_or_else(|| {
                format!("the first line of the CSV file, its header, has no column {:?}", column.name)
            })?;
        }
        Ok(())
    }

    /// The person of a record.
    ///
    /// # Errors
    /// With the column at fault as the field.
    pub fn person(&self, record: &ByteRecord) -> Result<(json::Person, Absent), Rejection> {
        let mut tree = Value::Object(serde_json::Map::new());
        for column in &self.columns {
            let named = |rejection| Rejection { field: column.name.clone(), ..rejection };
            let cell = std::str::from_utf8(record.get(column.position).unwrap_or_default());
            let cell = cell.map_err(|_| named(rejection(ErrorReason::NameCharset, "", "must be UTF-8")))?;
            let cell = trimmed(cell);
            if !cell.is_empty() {
                *column.place.slot(&mut tree) = column.reader.value(cell).map_err(named)?;
            }
        }
        // A constant stands beside what the row has: an address of nothing but its edition is none.
        for (place, value) in &self.constants {
            if place.has_neighbour(&tree) {
                *place.slot(&mut tree) = value.clone();
            }
        }
        let absent = close_gaps(&mut tree);
        match json::read_value(&tree) {
            Ok(person) => Ok((person, absent)),
            Err(rejection) => Err(Rejection { field: self.column(&rejection.field, &absent), ..rejection }),
        }
    }

    /// The column that a field of a row's person came from; the field itself when none did.
    pub fn column(&self, field: &str, absent: &Absent) -> String {
        let field = before_closing(field, absent);
        let within = self.columns.iter().filter(|column| covers(column.place.text(), &field));
        let around = || self.columns.iter().find(|column| covers(&field, column.place.text()));
        let found = within.max_by_key(|column| column.place.text().len()).or_else(around);
        found.map_or(field, |column| column.name.clone())
    }
}

impl Column {
    fn new(name: String, entry: Entry, dates: Option<&Vec<String>>) -> Result<Self, String> {
        let entry = match entry {
            Entry::Field(field) => Detailed { field, dates: None, words: BTreeMap::new(), separator: None },
            Entry::Detailed(entry) => entry,
        };
        let kind = json::Person::kind_at(&entry.field)
            .ok_or_else(|| format!("a person has no field {:?}", entry.field))?;
        let of_file = || dates.filter(|_| kind == json::Kind::Date).cloned();
        let dates = entry.dates.or_else(of_file);
        let options = Options { dates, words: entry.words, separator: entry.separator };
        let reader = Reader::new(&entry.field, kind, options)?;
        Ok(Self { name, position: 0, place: Place::new(&entry.field), reader })
    }
}

/// Constants whose fields exist, take their values, and are no column's.
fn constants(stated: BTreeMap<String, Value>, columns: &[Column]) -> Result<Vec<(Place, Value)>, String> {
    let mut constants = Vec::new();
    for (field, value) in stated.into_iter().flat_map(|(field, value)| flat(field, value)) {
        if json::Person::kind_at(&field).is_none() {
            return Err(format!("constant {field:?}: a person has no such field"));
        }
        let place = Place::new(&field);
        if let Some(column) = columns.iter().find(|column| column.place.meets(&place)) {
            return Err(format!("constant {field:?}: column {:?} says what it is", column.name));
        }
        let mut tree = Value::Null;
        *place.slot(&mut tree) = value.clone();
        close_gaps(&mut tree);
        json::read_value::<json::Person>(&tree).map_err(|e| format!("constant {field:?}: {}", e.detail))?;
        constants.push((place, value));
    }
    Ok(constants)
}

/// TOML takes `a.b = 1` as a table, and means the field `a.b`.
fn flat(field: String, value: Value) -> Vec<(String, Value)> {
    match value {
        Value::Object(fields) => {
            fields.into_iter().flat_map(|(name, value)| flat(format!("{field}.{name}"), value)).collect()
        }
        value => vec![(field, value)],
    }
}

/// Takes the items that nothing was put into out of the lists.
fn close_gaps(tree: &mut Value) -> Absent {
    let mut absent = Vec::new();
    for (field, value) in tree.as_object_mut().into_iter().flatten() {
        let Some(items) = value.as_array_mut() else { continue };
        let gaps = items.iter().enumerate().filter(|(_, item)| item.is_null());
        absent.extend(gaps.map(|(position, _)| (field.clone(), position)));
        items.retain(|item| !item.is_null());
    }
    absent
}

/// The field as the mapping numbers it: its list had those items too that the row has nothing for.
fn before_closing(field: &str, absent: &Absent) -> String {
    let parts = || {
        let (list, rest) = field.split_once('[')?;
        let (position, rest) = rest.split_once(']')?;
        Some((list, position.parse::<usize>().ok()?, rest))
    };
    let Some((list, mut position, rest)) = parts() else { return field.to_owned() };
    for (_, gap) in absent.iter().filter(|(of, _)| of == list) {
        position += usize::from(*gap <= position);
    }
    format!("{list}[{position}]{rest}")
}

fn nfc(text: &str) -> String {
    text.nfc().collect()
}
