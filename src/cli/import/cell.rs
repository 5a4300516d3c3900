//! One cell of a CSV file as a value of the JSON form.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use unicode_normalization::UnicodeNormalization;

use super::super::json::{Date, Kind};
use crate::domain::date;
use crate::domain::error::rejection;
use crate::proto::registry::{ErrorReason, Rejection};

/// How dates are written unless the mapping says otherwise.
const ISO: [&str; 3] = ["yyyy-mm-dd", "yyyy-mm", "yyyy"];

/// How genders are written: as the standard's codes (QCVN 109) and as words.
const GENDERS: [(&str, &str); 9] = [
    ("0", "unknown"),
    ("1", "male"),
    ("2", "female"),
    ("nam", "male"),
    ("nữ", "female"),
    ("nu", "female"),
    ("male", "male"),
    ("female", "female"),
    ("unknown", "unknown"),
];

/// How the cells of a column are read.
pub struct Reader {
    what: What,
    /// What stands for a text, in the form that [`plain`] gives it.
    words: BTreeMap<String, String>,
}

/// What the cells of a column hold.
enum What {
    Text,
    Number,
    Flag,
    Date(Vec<String>),
    List(Option<String>),
    Name,
}

/// What a mapping says about a column besides its field.
#[derive(Default)]
pub struct Options {
    /// Patterns of dates.
    pub dates: Option<Vec<String>>,
    /// Texts and what they stand for.
    pub words: BTreeMap<String, String>,
    /// What stands between the items of a list.
    pub separator: Option<String>,
}

impl Reader {
    /// A reader for the field at `path`, which holds `kind`. The error says which option does not fit it.
    pub fn new(path: &str, kind: Kind, options: Options) -> Result<Self, String> {
        if options.dates.is_some() && kind != Kind::Date {
            return Err("dates are for fields that hold a date".to_owned());
        }
        if options.separator.is_some() && kind != Kind::List {
            return Err("a separator is for fields that hold a list".to_owned());
        }
        let what = match kind {
            Kind::Text | Kind::Word => What::Text,
            Kind::Number => What::Number,
            Kind::Flag => What::Flag,
            Kind::Date => What::Date(patterns(options.dates)?),
            Kind::List => What::List(options.separator.filter(|separator| !separator.is_empty())),
            Kind::Part if path == "birth_name" => What::Name,
            Kind::Part => return Err(format!("{path} has fields of its own: name one of them")),
        };
        let standard = GENDERS.iter().filter(|_| path == "gender").map(|(text, word)| (*text, *word));
        let own = options.words.iter().map(|(text, word)| (text.as_str(), word.as_str()));
        let words = standard.chain(own).map(|(text, word)| (plain(text), word.to_owned())).collect();
        Ok(Self { what, words })
    }

    /// The value of a cell that is not empty.
    pub fn value(&self, cell: &str) -> Result<Value, Rejection> {
        let invalid = |detail: &str| rejection(ErrorReason::FieldInvalid, "", detail);
        match &self.what {
            What::Text => Ok(json!(self.word(cell))),
            What::Number => match self.word(cell).parse::<i64>() {
                Ok(number) => Ok(json!(number)),
                Err(_) => Err(invalid("expected a whole number")),
            },
            What::Flag => match self.word(cell).to_lowercase().as_str() {
                "true" => Ok(json!(true)),
                "false" => Ok(json!(false)),
                _ => Err(invalid("expected true or false")),
            },
            What::Date(patterns) => Ok(json!(read_date(patterns, cell)?.to_string())),
            What::List(separator) => {
                let items = match separator {
                    Some(separator) => cell.split(separator).map(trimmed).collect(),
                    None => vec![cell],
                };
                let items = items.into_iter().filter(|item| !item.is_empty());
                Ok(items.map(|item| json!(self.word(item))).collect())
            }
            What::Name => Ok(name(cell)),
        }
    }

    /// What a text stands for: itself, unless the mapping or the standard has another word for it.
    fn word<'a>(&'a self, text: &'a str) -> &'a str {
        if self.words.is_empty() { text } else { self.words.get(&plain(text)).map_or(text, String::as_str) }
    }
}

/// Text as words are compared: in one Unicode form, without case.
fn plain(text: &str) -> String {
    text.nfc().collect::<String>().to_lowercase()
}

/// A cell or item without the spaces around it, which only pad it.
pub fn trimmed(text: &str) -> &str {
    text.trim_matches(' ')
}

/// A whole name in its parts: the first word is the family name, the last the given name, all between the middle name.
fn name(text: &str) -> Value {
    let words: Vec<_> = text.split(' ').filter(|word| !word.is_empty()).collect();
    match words.as_slice() {
        [family, middle @ .., given] => json!({"family": family, "middle": middle.join(" "), "given": given}),
        words => json!({"given": words.concat()}),
    }
}

/// The patterns of a mapping, or the standard's.
fn patterns(stated: Option<Vec<String>>) -> Result<Vec<String>, String> {
    let patterns = stated.unwrap_or_else(|| ISO.map(str::to_owned).to_vec());
    for pattern in &patterns {
        let count = |part| pattern.matches(part).count();
        let parts = (count("yyyy"), count("mm"), count("dd"));
        let letters = pattern.chars().filter(|c| c.is_alphanumeric()).count();
        let known = 4 * parts.0 + 2 * (parts.1 + parts.2) == letters;
        if !matches!(parts, (1, 0, 0) | (1, 1, 0 | 1)) || !known {
            return Err(format!("{pattern:?} is no pattern of dates: dd, mm and yyyy, as in \"dd/mm/yyyy\""));
        }
    }
    if patterns.is_empty() { Err("dates must name a pattern".to_owned()) } else { Ok(patterns) }
}

/// The date by the first pattern that fits. A day or month of 00 is one that nobody knows.
fn read_date(patterns: &[String], text: &str) -> Result<Date, Rejection> {
    let invalid = |detail: String| rejection(ErrorReason::DateInvalid, "", detail);
    let fits = patterns.iter().find_map(|pattern| fit(pattern, text));
    let date = fits.ok_or_else(|| invalid(format!("expected a date as {}", patterns.join(" or "))))?;
    date::check(&date.into()).map_err(|detail| invalid(detail.to_owned()))?;
    Ok(date)
}

/// The date that a text is by a pattern. A day or month of one digit is taken where another character ends it, and
/// never in a pattern without any, where it could be the one as well as the other.
fn fit(mut pattern: &str, mut text: &str) -> Option<Date> {
    let mut date = Date { year: 0, month: 0, day: 0 };
    let shortest = if pattern.contains(|c: char| !c.is_alphanumeric()) { 1 } else { 2 };
    while let Some(literal) = pattern.chars().next() {
        let parts =
            [("yyyy", 4, &mut date.year), ("mm", shortest, &mut date.month), ("dd", shortest, &mut date.day)];
        match parts.into_iter().find(|(part, ..)| pattern.starts_with(part)) {
            Some((part, least, value)) => {
                let digits = text.bytes().take(part.len()).take_while(u8::is_ascii_digit).count();
                *value = text[..digits].parse().ok().filter(|_| digits >= least)?;
                (pattern, text) = (&pattern[part.len()..], &text[digits..]);
            }
            None => (pattern, text) = (&pattern[literal.len_utf8()..], text.strip_prefix(literal)?),
        }
    }
    text.is_empty().then_some(date)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(path: &str, kind: Kind, options: Options) -> Reader {
        Reader::new(path, kind, options).unwrap_or_else(|e| panic!("{path}: {e}"))
    }

    fn dates(patterns: &[&str]) -> Options {
        let dates = Some(patterns.iter().map(|&pattern| pattern.to_owned()).collect());
        Options { dates, ..Options::default() }
    }

    #[test]
    fn dates_are_read_by_the_patterns_that_are_named() {
        let vietnamese = ["dd/mm/yyyy", "mm/yyyy", "yyyy"];
        #[rustfmt::skip]
        let cases: [(&[&str], &str, Result<&str, ErrorReason>); 21] = [
            (&["yyyymmdd"], "1990117", Err(ErrorReason::DateInvalid)),
            (&ISO, "1990-05-17", Ok("1990-05-17")), (&ISO, "1990-05", Ok("1990-05")), (&ISO, "1990", Ok("1990")),
            (&ISO, "17/05/1990", Err(ErrorReason::DateInvalid)), (&ISO, "90", Err(ErrorReason::DateInvalid)),
            (&ISO, "2023-02-29", Err(ErrorReason::DateInvalid)), (&ISO, "2024-02-29", Ok("2024-02-29")),
            (&vietnamese, "17/05/1990", Ok("1990-05-17")), (&vietnamese, "7/5/1990", Ok("1990-05-07")),
            (&vietnamese, "05/1990", Ok("1990-05")), (&vietnamese, "1990", Ok("1990")),
            (&vietnamese, "00/00/1990", Ok("1990")), (&vietnamese, "17/00/1990", Err(ErrorReason::DateInvalid)),
            (&vietnamese, "17/05/90", Err(ErrorReason::DateInvalid)), (&vietnamese, "17/05/19900", Err(ErrorReason::DateInvalid)),
            (&vietnamese, "1990-05-17", Err(ErrorReason::DateInvalid)), (&vietnamese, "١٩٩٠", Err(ErrorReason::DateInvalid)),
            (&["yyyymmdd"], "19900517", Ok("1990-05-17")), (&["yyyymmdd"], "1990517", Err(ErrorReason::DateInvalid)),
            (&["dd.mm.yyyy"], "31.04.1990", Err(ErrorReason::DateInvalid)),
        ];
        for (patterns, text, expected) in cases {
            let read = reader("birth_date", Kind::Date, dates(patterns)).value(text);
            assert_eq!(
                read.map_err(|r| r.reason()),
                expected.map(|date| json!(date)),
                "{text} by {patterns:?}"
            );
        }
    }

    #[test]
    fn patterns_that_are_none_are_refused() {
        for bad in [&["dd/mm"][..], &["d/m/yyyy"], &["yyyy-dd"], &["yyyy-yyyy"], &[""], &[]] {
            assert!(Reader::new("birth_date", Kind::Date, dates(bad)).is_err(), "{bad:?}");
        }
        assert!(Reader::new("religion", Kind::Text, dates(&["yyyy"])).is_err());
        let separator = Options { separator: Some(";".into()), ..Options::default() };
        assert!(Reader::new("religion", Kind::Text, separator).is_err());
        assert!(Reader::new("birth_place", Kind::Part, Options::default()).is_err());
    }

    #[test]
    fn genders_have_codes_and_words_and_those_of_the_mapping() {
        let words = [("♀".to_owned(), "female".to_owned()), ("1".to_owned(), "female".to_owned())].into();
        let gender = reader("gender", Kind::Word, Options { words, ..Options::default() });
        for (text, word) in [
            ("Nam", "male"),
            ("NỮ", "female"),
            ("Nu\u{031B}\u{0303}", "female"),
            ("2", "female"),
            ("0", "unknown"),
            ("Female", "female"),
            ("♀", "female"),
            ("1", "female"),
            ("x", "x"),
        ] {
            assert_eq!(gender.value(text), Ok(json!(word)), "{text}");
        }
    }

    #[test]
    fn a_whole_name_is_split_by_its_words() {
        let whole = reader("birth_name", Kind::Part, Options::default());
        for (text, parts) in [
            ("Nguyễn Thị Thanh Thúy", ["Nguyễn", "Thị Thanh", "Thúy"]),
            ("Nguyễn  Thúy", ["Nguyễn", "", "Thúy"]),
        ] {
            let [family, middle, given] = parts;
            assert_eq!(whole.value(text), Ok(json!({"family": family, "middle": middle, "given": given})));
        }
        assert_eq!(whole.value("Thúy"), Ok(json!({"given": "Thúy"})));
    }

    #[test]
    fn lists_numbers_and_flags() {
        let separator = Options { separator: Some(";".into()), ..Options::default() };
        let list = reader("old_id_numbers", Kind::List, separator);
        assert_eq!(list.value("271450001; 012345678;"), Ok(json!(["271450001", "012345678"])));
        let one = reader("old_id_numbers", Kind::List, Options::default());
        assert_eq!(one.value("a;b"), Ok(json!(["a;b"])));
        let number = reader("extensions[0].value.number", Kind::Number, Options::default());
        assert_eq!((number.value("-7"), number.value("7.5").is_err()), (Ok(json!(-7)), true));
        let words = [("có".to_owned(), "true".to_owned())].into();
        let flag = reader("extensions[0].value.flag", Kind::Flag, Options { words, ..Options::default() });
        assert_eq!((flag.value("Có"), flag.value("x").is_err()), (Ok(json!(true)), true));
    }
}
