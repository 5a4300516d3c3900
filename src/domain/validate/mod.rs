//! Every bound that a comment in `proto/dancu/registry/v1` states, and the rules between fields of one message.
//!
//! Each check takes a message and returns a [`Rejection`] with the dotted path of the field at fault, as in
//! `person.birth_date` or `person.old_id_numbers[1]`. Paths begin at the write (`CreatePerson`, `UpdatePerson`,
//! `PatchPerson`) or at the request, so that the service, which checks early, and [`super::command::decide`], which
//! checks again, name a field alike.
//!
//! * `request.rs`: contexts, keys, read options, counts.
//! * `person/`: a record and its parts.
//! * `write.rs`: one write, or a batch of them.
//! * `event.rs`: one life event.
//! * `query.rs`: requests that only ask.
//!
//! What needs the rows of the register is not here: whether an identifier is taken, or a revision is current.

mod event;
mod person;
mod query;
mod request;
#[cfg(test)]
mod tests;
mod write;

pub use person::{address, born_by, credential, credential_key, period, person, provenance, related_person};
pub(in crate::domain) use person::{is_alpha2, person_after};
pub use query::{day, find, find_limit, holder_claims, household_role, old_id, personal_id};
pub use request::{
    context_for_import, context_for_read, context_for_write, history_limit, key, keys, node_name,
    read_options, subject, subjects,
};
pub(in crate::domain) use write::frame;
pub use write::{import_chunk, mask, write, writes};

use std::ops::RangeInclusive;

use super::error::rejection;
use super::text;
use crate::proto::registry::{ErrorReason, Rejection};

/// Characters of each part of a birth name.
pub const NAME_PART_CHARS: usize = 100;
/// Characters of another name.
pub const NAME_CHARS: usize = 300;
/// Characters of a claimed text, and of a name that is looked for: the three parts and the spaces between them.
pub const CLAIM_CHARS: usize = 302;
/// Other names, cancelled personal ids and CMND numbers of one person, of each at most this many.
pub const LIST_ITEMS: usize = 8;
/// Nationalities of one person.
pub const NATIONALITIES: usize = 4;
/// Characters of an address's detail.
pub const DETAIL_CHARS: usize = 200;
/// Related people of one person.
pub const RELATIONS: usize = 64;
/// Characters of a residence file's number.
pub const RESIDENCE_FILE_CHARS: usize = 20;
/// Codes of ethnicities; 55 is a foreigner.
pub const ETHNICITIES: RangeInclusive<u32> = 1..=55;
/// Telephone numbers, and electronic mail addresses, of one person.
pub const CONTACTS: usize = 4;
/// Digits of a telephone number.
pub const PHONE_DIGITS: RangeInclusive<usize> = 8..=15;
/// Characters of an electronic mail address.
pub const EMAIL_CHARS: usize = 100;
/// Other information about one person.
pub const EXTENSIONS: usize = 16;
/// Characters of an extension's name.
pub const EXTENSION_NAME_CHARS: usize = 40;
/// Characters of an extension's text.
pub const EXTENSION_TEXT_CHARS: usize = 200;
/// Credentials of one person.
pub const CREDENTIALS: usize = 32;
/// Characters of a credential's number.
pub const CREDENTIAL_NUMBER_CHARS: usize = 40;
/// Characters of a credential's class.
pub const CREDENTIAL_CLASS_CHARS: usize = 20;
/// Characters of who issued a credential, of where, and of why an account is locked.
pub const PLACE_CHARS: usize = 200;
/// Characters of a source system's version of a credential.
pub const SOURCE_REVISION_CHARS: usize = 40;
/// Characters of an agency, and of a source system.
pub const AGENCY_CHARS: usize = 35;
/// Characters of the paper that proves a value.
pub const DOCUMENT_CHARS: usize = 60;
/// Provenance entries of one record.
pub const PROVENANCES: usize = 16;
/// Fields that one provenance entry vouches for.
pub const PROVENANCE_FIELDS: usize = 32;
/// Bytes of a record, as protobuf. The bounds of its fields together would allow five times as much, and a small write
/// to a large record is a large row on every node.
pub const RECORD_BYTES: usize = 32 << 10;
/// Bytes of the rows that the writes of one batch may come to, those that they take the place of included.
pub const BATCH_ROW_BYTES: usize = 8 << 20;
/// Characters of a request id.
pub const REQUEST_ID_CHARS: usize = 40;
/// Characters of an import's request id, to which the chunk's number is added.
pub const IMPORT_ID_CHARS: usize = 28;
/// Writes of a batch, people of a chunk, keys or subjects of a request.
pub const BATCH_ITEMS: usize = 1_000;
/// Bytes of the writes of a batch, or of the people of a chunk, as protobuf and without the framing between them.
pub const BATCH_BYTES: usize = 1 << 20;
/// Claims about one subject.
pub const CLAIMS: usize = 32;
/// Versions that one page of history may hold.
pub const HISTORY_LIMIT: usize = 1_000;
/// Versions in a page of history when the request names no number.
pub const HISTORY_DEFAULT: usize = 100;
/// The highest age a bounded-stale read may accept: one day, in milliseconds.
pub const MAX_STALENESS_MS: u64 = 86_400_000;
/// Characters of a node's name.
pub const NODE_NAME_CHARS: usize = 64;

type Checked = Result<(), Rejection>;

fn refuse(reason: ErrorReason, field: &str, detail: impl Into<String>) -> Checked {
    Err(rejection(reason, field, detail))
}

/// The path of `name` inside `prefix`, which may be empty.
fn at(prefix: &str, name: &str) -> String {
    // Put together without `format!`: most of these paths are made for records that turn out to be good.
    if prefix.is_empty() { name.to_owned() } else { [prefix, ".", name].concat() }
}

/// Puts the path of a part in front of the fields that its own check named. Paths are made for rejections alone: most
/// records are good.
fn within(checked: Checked, path: impl FnOnce() -> String) -> Checked {
    checked.map_err(|rejection| {
        let path = path();
        let field = if rejection.field.is_empty() { path } else { at(&path, &rejection.field) };
        Rejection { field, ..rejection }
    })
}

/// Gives the outcome of a low-level check its reason and field.
fn as_reason(
    checked: Result<(), &'static str>,
    reason: ErrorReason,
    field: impl FnOnce() -> String,
) -> Checked {
    checked.map_err(|detail| rejection(reason, field(), detail))
}

fn at_most_chars(text: &str, max: usize, field: impl FnOnce() -> String) -> Checked {
    if text::longer_than(text, max) {
        return Err(rejection(ErrorReason::TooLarge, field(), format!("at most {max} characters")));
    }
    Ok(())
}

fn at_most_items(count: usize, max: usize, field: &str) -> Checked {
    if count > max {
        return refuse(ErrorReason::TooLarge, field, format!("at most {max} items"));
    }
    Ok(())
}

/// Lists that stand for a whole request are 1 to `max` long.
fn one_to(count: usize, max: usize, field: &str) -> Checked {
    if count == 0 {
        return refuse(ErrorReason::FieldInvalid, field, format!("1 to {max} items"));
    }
    at_most_items(count, max, field)
}
