//! One write: a person added, a record replaced, or some fields of one.

use std::collections::BTreeSet;

use super::{Counters, Effect, Stop, View, aliases, next, patch};
use crate::domain::error::rejection;
use crate::domain::validate;
use crate::proto::registry::person_key::Key;
use crate::proto::registry::write::Write as Kind;
use crate::proto::registry::{
    CreatePerson, ErrorReason, PatchPerson, Person, PersonKey, PhysicalStatusKind, Rejection, RequestContext,
    UpdatePerson, Write, Written,
};
use crate::proto::store::PersonRow;

/// What one write comes to.
pub(super) struct Applied {
    /// The answer.
    pub(super) written: Written,
    /// True when it added a person.
    pub(super) created: bool,
    /// The rows; none when nothing changed.
    pub(super) effects: Vec<Effect>,
}

/// What a write puts on the version that it makes.
pub(super) struct Stamp<'a> {
    /// The revision that a change gets.
    pub(super) revision: u64,
    /// Who wrote it.
    pub(super) context: &'a RequestContext,
    /// The time, and the uid of a person that is added.
    pub(super) counters: Counters,
    /// People that may not be named again: those of the same all-or-nothing batch so far.
    pub(super) named: Option<&'a BTreeSet<u64>>,
}

impl Stamp<'_> {
    fn once(&self, uid: u64, field: &str) -> Result<(), Rejection> {
        if self.named.is_some_and(|named| named.contains(&uid)) {
            let detail = "an all-or-nothing batch may name a person once";
            return Err(rejection(ErrorReason::FieldInvalid, field, detail));
        }
        Ok(())
    }
}

/// Decides one write. `Stop::Rejected` is its rejection.
pub(super) fn decide<V: View>(view: &V, stamp: &Stamp<'_>, write: &Write) -> Result<Applied, Stop<V::Error>> {
    validate::write(write)?;
    match &write.write {
        Some(Kind::Create(c)) => create(view, stamp, c),
        Some(Kind::Update(u)) => update(view, stamp, u),
        Some(Kind::Patch(p)) => patch(view, stamp, p),
        None => Stop::rejected(ErrorReason::FieldInvalid, "write", "create, update or patch"),
    }
}

fn create<V: View>(view: &V, stamp: &Stamp<'_>, create: &CreatePerson) -> Result<Applied, Stop<V::Error>> {
    let mut person = create.person.clone().unwrap_or_default();
    state_status(None, &mut person)?;
    if create.accept_existing
        && let Some(existing) = same_person(view, &person)?
    {
        stamp.once(existing.uid, "person.personal_id")?;
        return Ok(unchanged(&existing));
    }
    person.uid = next(stamp.counters.next_person_uid);
    change(view, stamp, None, person)
}

fn update<V: View>(view: &V, stamp: &Stamp<'_>, update: &UpdatePerson) -> Result<Applied, Stop<V::Error>> {
    let (row, before) = find(view, update.key.as_ref())?;
    stamp.once(before.uid, "key")?;
    expect_revision(&before, update.expected_record_revision)?;
    let after = update.person.clone().unwrap_or_default();
    replace(view, stamp, row, before, after)
}

fn patch<V: View>(view: &V, stamp: &Stamp<'_>, patch: &PatchPerson) -> Result<Applied, Stop<V::Error>> {
    let (row, before) = find(view, patch.key.as_ref())?;
    stamp.once(before.uid, "key")?;
    expect_revision(&before, patch.expected_record_revision)?;
    let mut after = before.clone();
    let paths = patch.update_mask.as_ref().map_or(&[][..], |mask| &mask.paths);
    patch::apply(&mut after, &patch.person.clone().unwrap_or_default(), paths);
    replace(view, stamp, row, before, after)
}

/// Puts `after` in the place of `before`, when it is another.
fn replace<V: View>(
    view: &V,
    stamp: &Stamp<'_>,
    row: PersonRow,
    before: Person,
    mut after: Person,
) -> Result<Applied, Stop<V::Error>> {
    after.uid = before.uid;
    after.record_revision = before.record_revision;
    state_status(Some(&before), &mut after)?;
    aliases::keep_past(&before, &mut after)?;
    validate::person(&after, "person")?;
    if after == before {
        return Ok(unchanged(&before));
    }
    change(view, stamp, Some((row, before)), after)
}

/// A new version of a record: its row, and the rows of the numbers that lead to it.
fn change<V: View>(
    view: &V,
    stamp: &Stamp<'_>,
    before: Option<(PersonRow, Person)>,
    mut after: Person,
) -> Result<Applied, Stop<V::Error>> {
    after.record_revision = stamp.revision;
    let (previous, before) = before.unzip();
    let aliases = aliases::effects(view, before.as_ref(), &after)?;
    let written = Written { person_uid: after.uid, record_revision: stamp.revision, changed: true };
    let row = PersonRow {
        person: Some(after),
        written_at_ms: stamp.counters.time_ms,
        written_by: Some(stamp.context.clone()),
    };
    let created = previous.is_none();
    let mut effects = vec![Effect::PutPerson { row, previous }];
    effects.extend(aliases);
    Ok(Applied { written, created, effects })
}

fn unchanged(person: &Person) -> Applied {
    let written = Written { person_uid: person.uid, record_revision: person.record_revision, changed: false };
    Applied { written, created: false, effects: Vec::new() }
}

/// The person who has this personal id as the active one and is otherwise the same.
fn same_person<V: View>(view: &V, person: &Person) -> Result<Option<Person>, Stop<V::Error>> {
    let alias = view.personal_id(&person.personal_id).map_err(Stop::View)?;
    let Some(alias) = alias.filter(|alias| !alias.cancelled) else { return Ok(None) };
    let row = view.person(alias.person_uid).map_err(Stop::View)?;
    Ok(row.and_then(|row| row.person).filter(|existing| {
        let Person { uid, record_revision, .. } = *existing;
        *existing == Person { uid, record_revision, ..person.clone() }
    }))
}

/// States the physical status that a request leaves open. Whoever is not said to be dead or missing is alive, but an
/// omission never brings anybody back: a record that says DECEASED or MISSING is told ALIVE in words, or not at all.
fn state_status(before: Option<&Person>, after: &mut Person) -> Result<(), Rejection> {
    use PhysicalStatusKind::{Alive, Unspecified};
    let status = after.physical_status.get_or_insert_default();
    if status.kind != Unspecified as i32 {
        return Ok(());
    }
    let alive = before.and_then(|p| p.physical_status).is_none_or(|status| status.kind() == Alive);
    if !alive {
        let detail = "the record says DECEASED or MISSING: state the status that it shall have";
        return Err(rejection(ErrorReason::FieldInvalid, "person.physical_status.kind", detail));
    }
    status.set_kind(Alive);
    Ok(())
}

fn expect_revision(person: &Person, expected: u64) -> Result<(), Rejection> {
    if expected == 0 || expected == person.record_revision {
        return Ok(());
    }
    let detail = "the record has changed since: read it again, and decide again";
    Err(Rejection {
        current_record_revision: person.record_revision,
        ..rejection(ErrorReason::RevisionConflict, "expected_record_revision", detail)
    })
}

/// The person that a key names, with the row it stands in.
fn find<V: View>(view: &V, key: Option<&PersonKey>) -> Result<(PersonRow, Person), Stop<V::Error>> {
    let uid = match key.and_then(|key| key.key.as_ref()) {
        None => None,
        Some(Key::PersonUid(uid)) => Some(*uid),
        Some(Key::PersonalId(number)) => {
            view.personal_id(number).map_err(Stop::View)?.map(|row| row.person_uid)
        }
        Some(Key::OldIdNumber(number)) => match *view.old_id_holders(number).map_err(Stop::View)? {
            [] => None,
            [uid] => Some(uid),
            _ => {
                let detail = "several people hold this CMND number: use another key";
                return Stop::rejected(ErrorReason::AmbiguousKey, "key.old_id_number", detail);
            }
        },
    };
    let row = match uid {
        Some(uid) => view.person(uid).map_err(Stop::View)?,
        None => None,
    };
    let found = row.and_then(|row| row.person.clone().map(|person| (row, person)));
    found.map_or_else(|| Stop::rejected(ErrorReason::PersonNotFound, "key", "no such person"), Ok)
}
