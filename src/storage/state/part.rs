//! Reading a part of a record: a verification of name, birth date and gender needs three fields of more than thirty, and
//! making the others takes longer than finding the row.

use bytes::{Buf, BufMut};
use prost::encoding::{DecodeContext, WireType, message, skip_field};
use prost::{DecodeError, Message};

use super::tables::Row as _;
use crate::domain::fields::Fields;
use crate::proto::registry::Person;
use crate::proto::store::PersonRow;
use crate::storage::codec;
use crate::storage::error::StorageError;

/// Number of `PersonRow.person`.
const PERSON: u32 = 1;
/// Number of `PersonRow.written_at_ms`.
const WRITTEN_AT_MS: u32 = 2;

/// A row of the person table with these fields of its record alone, and without who wrote it unless they are all.
///
/// # Errors
/// `Format` and `Corrupt`, as [`codec::decode`].
pub(super) fn decode(value: &[u8], fields: Fields) -> Result<PersonRow, StorageError> {
    if fields == Fields::ALL {
        return PersonRow::from_value(value);
    }
    let part = Part { fields, of: PersonRow::default() };
    codec::decode_onto(PersonRow::TABLE.name(), value, part).map(|part| part.of)
}

/// A message of which some fields are read and the others are passed over.
#[derive(Debug)]
struct Part<M> {
    fields: Fields,
    of: M,
}

impl Message for Part<PersonRow> {
    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buf: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<(), DecodeError> {
        match tag {
            PERSON => {
                let mut part = Part { fields: self.fields, of: self.of.person.take().unwrap_or_default() };
                message::merge(wire_type, &mut part, buf, ctx)?;
                self.of.person = Some(part.of);
                Ok(())
            }
            WRITTEN_AT_MS => self.of.merge_field(tag, wire_type, buf, ctx),
            _ => skip_field(wire_type, tag, buf, ctx),
        }
    }

    fn encode_raw(&self, buf: &mut impl BufMut) {
        self.of.encode_raw(buf);
    }

    fn encoded_len(&self) -> usize {
        self.of.encoded_len()
    }

    fn clear(&mut self) {
        self.of.clear();
    }
}

impl Message for Part<Person> {
    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buf: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<(), DecodeError> {
        if self.fields.contain(tag) {
            self.of.merge_field(tag, wire_type, buf, ctx)
        } else {
            skip_field(wire_type, tag, buf, ctx)
        }
    }

    fn encode_raw(&self, buf: &mut impl BufMut) {
        self.of.encode_raw(buf);
    }

    fn encoded_len(&self) -> usize {
        self.of.encoded_len()
    }

    fn clear(&mut self) {
        self.of.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fixtures::{context, full_person};
    use crate::proto::registry::PersonField;

    fn row() -> PersonRow {
        let person = Person { uid: 7, record_revision: 9, merged_into: 3, ..full_person() };
        PersonRow { person: Some(person), written_at_ms: 5, written_by: Some(context()) }
    }

    #[test]
    fn a_part_has_the_fields_asked_for_and_no_other() {
        let (row, fields) = (row(), Fields::IDENTITY.with(PersonField::BirthName));
        let whole = row.person.clone().unwrap();
        let expected = Person {
            uid: 7,
            record_revision: 9,
            birth_name: whole.birth_name,
            personal_id: whole.personal_id,
            cancelled_personal_ids: whole.cancelled_personal_ids,
            person_status: whole.person_status,
            merged_into: 3,
            ..Person::default()
        };
        let part = decode(&row.to_value(), fields).unwrap();
        assert_eq!(part, PersonRow { person: Some(expected), written_at_ms: 5, written_by: None });
        assert_eq!(decode(&row.to_value(), Fields::ALL).unwrap(), row);
    }

    #[test]
    fn damage_is_found_in_what_is_passed_over_too() {
        let value = row().to_value();
        assert!(decode(&value[..value.len() - 1], Fields::IDENTITY).is_err());
        assert!(decode(&[], Fields::IDENTITY).is_err());
        let newer = [&[codec::FORMAT + 1], &value[1..]].concat();
        assert!(matches!(decode(&newer, Fields::IDENTITY), Err(StorageError::Format { .. })));
    }
}
