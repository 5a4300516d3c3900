//! For the fuzzer: files of people, and what their columns are. See `crate::fuzz`.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::super::json;
use super::csv::Csv;
use super::lines::Lines;
use super::mapping::Mapping;
use crate::proto::registry::Person;

/// The mapping of the example.
const EXAMPLE: &str = include_str!("mapping.toml");

/// A CSV file by the example's mapping: every row is a person or says what is wrong, and the file ends.
pub(crate) fn csv(text: &[u8]) {
    let mut mapping = Mapping::parse("example".to_owned(), EXAMPLE.to_owned()).expect("the example is right");
    let mut lines = Lines::of(text.to_vec());
    let mut csv = Csv { delimiter: mapping.delimiter(), columns: 0 };
    let Ok(Some((_, Ok(header)))) = csv.next(&mut lines) else { return };
    csv.columns = header.len();
    let bound = mapping.bind(&header).is_ok();
    while let Ok(Some((line, record))) = csv.next(&mut lines) {
        assert!(line as usize <= text.len(), "more lines than bytes");
        if let Ok(record) = record {
            assert_eq!(record.len(), csv.columns, "a row of another length");
            if bound && let Ok((person, _)) = mapping.person(&record) {
                there_and_back(person);
            }
        }
    }
}

/// A mapping that somebody wrote.
pub(crate) fn mapping(text: &str) {
    if let Ok(mapping) = Mapping::parse("mapping".to_owned(), text.to_owned()) {
        assert_eq!(mapping.text(), text);
        assert!(mapping.delimiter().is_ascii());
    }
}

/// A line of NDJSON, and what `dancu event` takes.
pub(crate) fn line(text: &[u8]) {
    if let Ok(person) = json::read::<json::Person>(text) {
        there_and_back(again(person));
    }
    if let Ok(event) = json::read::<json::Event>(text) {
        again(event);
    }
}

fn again<T: Serialize + DeserializeOwned + PartialEq>(value: T) -> T {
    let text = serde_json::to_vec(&value).expect("plain data");
    assert!(json::read::<T>(&text).is_ok_and(|again| again == value), "JSON is not read as it was written");
    value
}

/// Between JSON and the protocol.
fn there_and_back(person: json::Person) {
    let there = Person::from(person);
    assert!(Person::from(json::Person::from(there.clone())) == there, "a person is not what JSON says");
}
