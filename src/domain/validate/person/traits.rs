//! What else a record says of a person: ethnicity, religion, blood type, contacts, and what the Government adds.

use super::super::{
    CONTACTS, Checked, EMAIL_CHARS, ETHNICITIES, EXTENSION_NAME_CHARS, EXTENSION_TEXT_CHARS, EXTENSIONS,
    NAME_PART_CHARS, PHONE_DIGITS, as_reason, at, at_most_chars, at_most_items, refuse,
};
use super::{distinct, free_text, known, optional_date};
use crate::domain::text;
use crate::proto::registry::extension::Value;
use crate::proto::registry::{BloodType, ErrorReason, Extension, Person};

/// These fields of a record.
pub(super) fn traits(person: &Person, prefix: &str) -> Checked {
    let p = person;
    let code = |value: &str| value.is_empty() || is_two_digits(value);
    let ethnicity = p.ethnicity.parse().is_ok_and(|number: u32| ETHNICITIES.contains(&number));
    if !code(&p.ethnicity) || !(p.ethnicity.is_empty() || ethnicity) {
        return refuse(ErrorReason::FieldInvalid, &at(prefix, "ethnicity"), "a code from 01 to 55, or empty");
    }
    if !p.ethnicity_name.is_empty() {
        let field = || at(prefix, "ethnicity_name");
        at_most_chars(&p.ethnicity_name, NAME_PART_CHARS, field)?;
        as_reason(text::check_name(&p.ethnicity_name), ErrorReason::NameCharset, field)?;
    }
    if !code(&p.religion) {
        return refuse(ErrorReason::FieldInvalid, &at(prefix, "religion"), "two digits, or empty");
    }
    known::<BloodType>(p.blood_type, || at(prefix, "blood_type"))?;
    let phone = "8 to 15 digits after an optional plus";
    contacts(&p.phone_numbers, is_phone, phone, &at(prefix, "phone_numbers"))?;
    let email = "at most 100 characters of printable ASCII with one @ between them";
    contacts(&p.email_addresses, is_email, email, &at(prefix, "email_addresses"))?;
    extensions(&p.extensions, &at(prefix, "extensions"))
}

fn is_two_digits(code: &str) -> bool {
    code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_digit())
}

fn contacts(items: &[String], valid: fn(&str) -> bool, expected: &str, field: &str) -> Checked {
    at_most_items(items.len(), CONTACTS, field)?;
    if let Some(i) = items.iter().position(|item| !valid(item)) {
        return refuse(ErrorReason::FieldInvalid, &format!("{field}[{i}]"), expected);
    }
    distinct(items, field)
}

fn is_phone(number: &str) -> bool {
    let digits = number.strip_prefix('+').unwrap_or(number);
    PHONE_DIGITS.contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_email(address: &str) -> bool {
    let parts = address.split_once('@');
    let one = parts.is_some_and(|(who, host)| !who.is_empty() && !host.is_empty() && !host.contains('@'));
    one && address.len() <= EMAIL_CHARS && address.bytes().all(|byte| byte.is_ascii_graphic())
}

fn extensions(extensions: &[Extension], field: &str) -> Checked {
    at_most_items(extensions.len(), EXTENSIONS, field)?;
    for (i, extension) in extensions.iter().enumerate() {
        let item = format!("{field}[{i}]");
        let name = &extension.name;
        let letters = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if name.is_empty() || name.len() > EXTENSION_NAME_CHARS || !name.bytes().all(letters) {
            let detail = "1 to 40 characters a to z, 0 to 9 and _";
            return refuse(ErrorReason::FieldInvalid, &at(&item, "name"), detail);
        }
        if extensions[..i].iter().any(|other| other.name == *name) {
            return refuse(ErrorReason::FieldInvalid, &at(&item, "name"), "stands in the list twice");
        }
        match &extension.value {
            None => return refuse(ErrorReason::FieldInvalid, &item, "text, a number, a date or a flag"),
            Some(Value::Text(text)) => free_text(text, EXTENSION_TEXT_CHARS, || at(&item, "text"))?,
            Some(Value::Date(date)) => optional_date(Some(date), || at(&item, "date"))?,
            Some(Value::Number(_) | Value::Flag(_)) => {}
        }
    }
    Ok(())
}
