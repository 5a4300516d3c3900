//! Reading the JSON form: what is wrong is said by field, in the words of the API, and never with what was found there,
//! which may be somebody's data.

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::{Error, deserialize};

use super::Date;
use crate::domain::error::rejection;
use crate::proto::registry::{ErrorReason, Rejection};

/// Reads one JSON value.
///
/// # Errors
/// With the field as a dotted path, where it is known.
pub fn read<T: DeserializeOwned>(text: &[u8]) -> Result<T, Rejection> {
    // Following the path costs time, which only what is wrong is worth.
    if let Ok(value) = serde_json::from_slice(text) {
        return Ok(value);
    }
    let mut json = serde_json::Deserializer::from_slice(text);
    let value = deserialize(&mut json).map_err(|error| problem(&error))?;
    json.end().map_err(|error| rejection(ErrorReason::FieldInvalid, "", syntax(&error)))?;
    Ok(value)
}

/// Reads a value that was parsed or put together before.
///
/// # Errors
/// As [`read`].
pub fn read_value<T: DeserializeOwned>(value: &Value) -> Result<T, Rejection> {
    T::deserialize(value).or_else(|_| deserialize(value).map_err(|error| problem(&error)))
}

fn problem(error: &Error<serde_json::Error>) -> Rejection {
    let path = error.path().to_string();
    let path = path.trim_end_matches('?').trim_matches('.');
    let (reason, detail) = match error.inner() {
        error if !error.is_data() => (ErrorReason::FieldInvalid, syntax(error)),
        error => data(&message(error)),
    };
    rejection(reason, path, detail)
}

/// What is wrong with a value that is JSON.
fn data(message: &str) -> (ErrorReason, String) {
    let detail = if message == Date::EXPECTED {
        return (ErrorReason::DateInvalid, message.to_owned());
    } else if message.starts_with("unknown field") {
        "there is no such field".to_owned()
    } else if message.starts_with("duplicate field") {
        // Names a field of the form, never one of the input.
        message.to_owned()
    } else {
        // What was found comes first and what was expected last, so that the last of these words is not the input's.
        match message.rsplit_once("expected ") {
            Some((_, expected)) => format!("expected {expected}"),
            None => "not what this field takes".to_owned(),
        }
    };
    (ErrorReason::FieldInvalid, detail)
}

/// What is wrong with text that is no JSON; the parser tells it without the text.
fn syntax(error: &serde_json::Error) -> String {
    format!("not JSON: {}, line {}, column {}", message(error), error.line(), error.column())
}

/// The message without the position, which serde_json puts at its end.
fn message(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let position = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&position).unwrap_or(&text).to_owned()
}
