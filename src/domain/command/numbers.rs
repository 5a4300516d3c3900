//! Personal ids that the registry makes, and their end.
//!
//! ```text
//! SHA-256( entropy of the command | position of the write | try ) -> 000001..=999999 -> free? -> the number
//! ```
//!
//! Every node that decides the command tries the same numbers in the same order and takes the first that nobody has
//! or had. Where a place, gender and year are nearly used up, a search from the last try on finds what is left nearby.

use sha2::{Digest, Sha256};

use super::people::People;
use super::{Stop, View, aliases};
use crate::domain::error::rejection;
use crate::domain::identifier;
use crate::proto::registry::event::Event as Life;
use crate::proto::registry::write::Write as Kind;
use crate::proto::registry::{
    AssignPersonalId, CancelPersonalId, ErrorReason, Gender, NewPersonalId, PersonKey, Rejection, Write,
    person_key::Key,
};
use crate::proto::store::{Command, command::Op};

/// Bytes of entropy of a command that makes numbers.
pub const ENTROPY_BYTES: usize = 16;
/// Random tries.
const TRIES: u32 = 32;
/// Numbers looked at in a row after that.
const SEARCH: u32 = 10_000;
/// How many numbers a place, gender and year have: the last six digits are never all zero.
const NUMBERS: u32 = 999_999;

/// Whether a command makes a number, so that the leader must give it entropy.
pub fn needs_entropy(command: &Command) -> bool {
    let makes = |write: &Write| match &write.write {
        Some(Kind::AssignPersonalId(_)) => true,
        Some(Kind::Event(event)) => match &event.event {
            Some(Life::Birth(birth)) => birth.new_personal_id.is_some(),
            Some(Life::Correction(correction)) => correction.new_personal_id.is_some(),
            _ => false,
        },
        _ => false,
    };
    match &command.op {
        Some(Op::Write(write)) => makes(write),
        Some(Op::WriteSet(set)) => set.writes.iter().any(makes),
        _ => false,
    }
}

/// Gives a personal id that the registry makes.
pub(super) fn assign<V: View>(
    people: &mut People<'_, V>,
    assign: &AssignPersonalId,
) -> Result<(), Stop<V::Error>> {
    let uid = people.name(assign.key.as_ref(), "key", "person")?;
    if !people.get(uid).personal_id.is_empty() && !assign.replace {
        let detail = "the person has a personal id: replace it, or leave it";
        return Stop::rejected(ErrorReason::EventConflict, "replace", detail);
    }
    let new = assign.new_personal_id.clone().unwrap_or_default();
    give(people, uid, &new, "new_personal_id")
}

/// Cancels an active personal id.
pub(super) fn cancel<V: View>(
    people: &mut People<'_, V>,
    cancel: &CancelPersonalId,
) -> Result<(), Stop<V::Error>> {
    let number = &cancel.personal_id;
    let row = people.view.personal_id(number).map_err(Stop::View)?;
    let key = PersonKey { key: Some(Key::PersonalId(number.clone())) };
    let uid = people.name(Some(&key), "personal_id", "person")?;
    if row.is_some_and(|row| row.cancelled) {
        return Stop::rejected(ErrorReason::IdCancelled, "personal_id", "was cancelled before");
    }
    let person = people.edit(uid);
    let before = person.clone();
    person.personal_id.clear();
    Ok(aliases::keep_past(&before, person)?)
}

/// Makes a number for a drafted person, whose active one becomes a cancelled one.
pub(super) fn give<V: View>(
    people: &mut People<'_, V>,
    uid: u64,
    new: &NewPersonalId,
    field: &str,
) -> Result<(), Stop<V::Error>> {
    let person = people.get(uid);
    if !matches!(person.gender(), Gender::Male | Gender::Female) {
        let detail = "a personal id says MALE or FEMALE: the gender must be known";
        return Stop::rejected(ErrorReason::EventConflict, field, detail);
    }
    let year = person.birth_date.map_or(0, |born| born.year);
    let start = identifier::start(&new.place_code, person.gender(), year)
        .map_err(|detail| rejection(ErrorReason::EventConflict, field, detail))?;
    let origin = people.stamp.origin;
    let number = free(
        people.view,
        &start,
        Randomness { entropy: origin.entropy, position: people.stamp.position },
        field,
    )?;
    let person = people.edit(uid);
    let before = person.clone();
    person.personal_id.clone_from(&number);
    people.new_personal_id = number;
    Ok(aliases::keep_past(&before, people.edit(uid))?)
}

/// What the tries of one write come from.
#[derive(Clone, Copy)]
struct Randomness<'a> {
    entropy: &'a [u8],
    position: usize,
}

impl Randomness<'_> {
    /// Six digits, from 1.
    fn digits(self, attempt: u32) -> u32 {
        let mut hash = Sha256::new();
        hash.update(self.entropy);
        hash.update((self.position as u64).to_be_bytes());
        hash.update(attempt.to_be_bytes());
        let hash: [u8; 32] = hash.finalize().into();
        let number = hash[..8].iter().fold(0u64, |number, byte| number << 8 | u64::from(*byte));
        1 + u32::try_from(number % u64::from(NUMBERS)).expect("below 999,999")
    }
}

/// The first number that nobody has or had.
fn free<V: View>(
    view: &V,
    start: &str,
    random: Randomness<'_>,
    field: &str,
) -> Result<String, Stop<V::Error>> {
    if random.entropy.len() != ENTROPY_BYTES {
        return Err(no_entropy().into());
    }
    let last = random.digits(TRIES);
    let tries = (0..TRIES).map(|attempt| random.digits(attempt));
    let search = (0..SEARCH).map(|step| (last - 1 + step) % NUMBERS + 1);
    for digits in tries.chain(search) {
        let number = format!("{start}{digits:06}");
        if view.personal_id(&number).map_err(Stop::View)?.is_none() {
            return Ok(number);
        }
    }
    let detail = "no number was found free for this place, gender and year of birth: name another place";
    Stop::rejected(ErrorReason::IdSpaceExhausted, field, detail)
}

fn no_entropy() -> Rejection {
    rejection(ErrorReason::FieldInvalid, "entropy", format!("{ENTROPY_BYTES} random bytes from the leader"))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::super::model::Register;
    use super::super::tests::{create, refused};
    use super::super::{Alias, Counters, decide};
    use super::*;
    use crate::domain::fixtures::{context, plain_person};
    use crate::proto::registry::Gender;
    use crate::proto::store::reply::Reply;
    use std::sync::Arc;

    use crate::domain::policy::{Policies, PolicyKey};
    use crate::proto::store::{AuditLogRow, NodeRow, PersonRow, PersonalIdRow, PolicyRow, ReceiptKeysRow};

    /// A register in which somebody has every number.
    struct Full(Register);

    impl View for Full {
        type Error = Infallible;

        fn person(&self, uid: u64) -> Result<Option<Arc<PersonRow>>, Infallible> {
            self.0.person(uid)
        }

        fn personal_id(&self, _number: &str) -> Result<Option<PersonalIdRow>, Infallible> {
            Ok(Some(PersonalIdRow { person_uid: 99, ..PersonalIdRow::default() }))
        }

        fn holders(&self, alias: &Alias, limit: usize) -> Result<Vec<u64>, Infallible> {
            self.0.holders(alias, limit)
        }

        fn node(&self, id: u64) -> Result<Option<NodeRow>, Infallible> {
            self.0.node(id)
        }

        fn audit_log(&self, node_id: u64) -> Result<Option<AuditLogRow>, Infallible> {
            self.0.audit_log(node_id)
        }

        fn policy_row(&self, key: &PolicyKey) -> Result<Option<PolicyRow>, Infallible> {
            self.0.policy_row(key)
        }

        fn policies(&self) -> Arc<Policies> {
            self.0.policies()
        }

        fn receipt_keys(&self, node_id: u64) -> Result<Option<ReceiptKeysRow>, Infallible> {
            self.0.receipt_keys(node_id)
        }

        fn live_node_named(&self, name: &str) -> Result<Option<u64>, Infallible> {
            self.0.live_node_named(name)
        }
    }

    #[test]
    fn where_every_number_is_taken_none_is_given() {
        let mut register = Register::default();
        let mut person = plain_person("Lan", "");
        person.set_gender(Gender::Female);
        register.write(create(person));
        let assign = AssignPersonalId {
            key: Some(PersonKey { key: Some(Key::PersonUid(1)) }),
            new_personal_id: Some(NewPersonalId { place_code: "001".to_owned() }),
            replace: false,
        };
        let op = Op::Write(Write { write: Some(Kind::AssignPersonalId(assign)) });
        let command = Command {
            context: Some(context()),
            op: Some(op),
            entropy: vec![7; ENTROPY_BYTES].into(),
            licensed: false,
        };
        let Ok(decision) = decide(&Full(register), Counters::default(), &command);
        let Some(Reply::Write(outcome)) = decision.reply.reply else { panic!("not a write's reply") };
        assert_eq!(refused(&outcome), (ErrorReason::IdSpaceExhausted, "new_personal_id"));
        assert!(decision.effects.is_empty());
    }
}
