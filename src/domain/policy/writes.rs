//! What a write needs.

use super::Licence;
use crate::domain::error::rejection;
use crate::proto::registry::event::Event as Life;
use crate::proto::registry::write::Write as Kind;
use crate::proto::registry::{ErrorReason, Operation, PersonField, Rejection, Write};

/// The operation that a write is; `None` for one that says nothing.
pub fn needs_of(write: &Write) -> Option<Operation> {
    Some(match write.write.as_ref()? {
        Kind::Create(_) => Operation::Create,
        Kind::Update(_) => Operation::Update,
        Kind::Patch(_) => Operation::Patch,
        Kind::SetStatus(_) => Operation::SetStatus,
        Kind::Merge(_) => Operation::Merge,
        Kind::AssignPersonalId(_) | Kind::CancelPersonalId(_) => Operation::PersonalId,
        Kind::Credential(_) => Operation::Credential,
        Kind::Eid(_) => Operation::Eid,
        Kind::Event(event) => match event.event.as_ref()? {
            Life::Birth(_) => Operation::Birth,
            Life::Death(_) => Operation::Death,
            Life::Marriage(_) | Life::Divorce(_) => Operation::Marriage,
            Life::Move(_) => Operation::Move,
            Life::Correction(_) => Operation::Correction,
            Life::Adoption(_) => Operation::Adoption,
        },
    })
}

impl Licence {
    /// Whether a write may be done, as far as that depends on nobody's record. `at` is where it stands in a batch.
    ///
    /// # Errors
    /// `OPERATION_NOT_PERMITTED`, `ATTRIBUTE_NOT_PERMITTED`. A write that says nothing is nobody's to refuse here.
    pub fn may_do(&self, write: &Write, at: &str) -> Result<(), Rejection> {
        let Some(operation) = needs_of(write) else { return Ok(()) };
        self.may(operation, at)?;
        if let Some(Kind::Patch(patch)) = &write.write {
            for path in patch.update_mask.iter().flat_map(|mask| &mask.paths) {
                // Paths that name no field are refused as what they are, where the write is validated.
                let field = PersonField::from_str_name(&format!("PERSON_FIELD_{}", path.to_uppercase()));
                if let Some(field) = field {
                    self.may_write(&[field], &joined(at, "patch.update_mask"))?;
                }
            }
        }
        Ok(())
    }

    /// Whether a write may touch the record of somebody who lives there.
    ///
    /// # Errors
    /// `PERSON_NOT_FOUND`: who may not know of somebody does not learn that they are there.
    pub fn may_touch(&self, person: &crate::proto::registry::Person, at: &str) -> Result<(), Rejection> {
        self.of_person(person.uid, at)?;
        if self.covers(person) {
            return Ok(());
        }
        Err(rejection(ErrorReason::PersonNotFound, at, "no such person"))
    }
}

fn joined(at: &str, field: &str) -> String {
    if at.is_empty() { field.to_owned() } else { format!("{at}.{field}") }
}
