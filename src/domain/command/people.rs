//! The records that one write changes, from the keys that name them to the rows that are written.
//!
//! ```text
//! key -> find -> draft: the row before, the record after
//!                  |  each operation edits the drafts it needs
//!                  v
//! finish: drafts that changed -> form of the record (validate::person)
//!                             -> what the register holds (checks.rs)
//!                             -> effects: PutPerson and the difference of the numbers (aliases.rs)
//! ```
//!
//! Whom a request names must be in use. Relatives whose links follow along need not be: a divorce, a death or a merge
//! also ends links in a record that was taken out of use, so that a link always stands in both records.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::write::{Applied, Stamp};
use super::{Alias, Effect, Stop, View, aliases, checks, next};
use crate::domain::error::rejection;
use crate::domain::validate;
use crate::proto::registry::person_key::Key;
use crate::proto::registry::{
    ErrorReason, PartialDate, Person, PersonKey, PersonStatus, Provenance, Rejection, Written,
};
use crate::proto::store::PersonRow;

/// The records that a write looks at closely or changes, by uid.
pub(super) struct People<'a, V: View> {
    /// The register before the write.
    pub(super) view: &'a V,
    /// What the write puts on its versions.
    pub(super) stamp: &'a Stamp<'a>,
    /// Goes to the provenance of each record that changes.
    pub(super) source: Option<&'a Provenance>,
    /// True while people are found who live where the writer may not look.
    pub(super) from_anywhere: bool,
    /// The number that the write made, for its answer.
    pub(super) new_personal_id: String,
    drafts: BTreeMap<u64, Draft>,
    /// The first one drafted: the person that the answer names.
    first: u64,
}

/// One record under change.
pub(super) struct Draft {
    /// The path that its fields have in a rejection.
    pub(super) path: String,
    /// The row that it takes the place of.
    pub(super) row: Option<Arc<PersonRow>>,
    /// The record as it is to be.
    pub(super) after: Person,
}

impl Draft {
    /// The record as it was.
    pub(super) fn before(&self) -> Option<&Person> {
        self.row.as_ref().and_then(|row| row.person.as_ref())
    }
}

impl<'a, V: View> People<'a, V> {
    /// Nobody yet.
    pub(super) fn new(view: &'a V, stamp: &'a Stamp<'a>) -> Self {
        let new_personal_id = String::new();
        Self {
            view,
            stamp,
            source: None,
            from_anywhere: false,
            new_personal_id,
            drafts: BTreeMap::new(),
            first: 0,
        }
    }

    /// Drafts a new person and gives the uid.
    pub(super) fn add(&mut self, mut person: Person, path: &str) -> u64 {
        let uid = next(self.stamp.counters.next_person_uid);
        (person.uid, person.record_revision) = (uid, 0);
        self.insert(uid, Draft { path: path.to_owned(), row: None, after: person });
        uid
    }

    /// Drafts whom the key at `field` names, in use or not, and gives the uid. `path` is the record's in a rejection.
    pub(super) fn find(
        &mut self,
        key: Option<&PersonKey>,
        field: &str,
        path: &str,
    ) -> Result<u64, Stop<V::Error>> {
        let mut row = find_row(self.view, key, field)?;
        // A merge leads from an earlier record to a later one that is in use, so this ends.
        while let Some(into) = row.person.as_ref().map(|person| person.merged_into).filter(|&uid| uid != 0) {
            row = person_row(self.view, into, field)?;
        }
        self.may_touch(&row, field)?;
        self.draft(row, field, path)
    }

    /// Whether the writer may name this person; relatives and holders whom a write leads to it need not.
    fn may_touch(&self, row: &PersonRow, field: &str) -> Result<(), Rejection> {
        match &row.person {
            Some(person) if !self.from_anywhere => self.stamp.origin.licence.may_touch(person, field),
            _ => Ok(()),
        }
    }

    /// As [`Self::find`], and refuses a record that is out of use.
    pub(super) fn name(
        &mut self,
        key: Option<&PersonKey>,
        field: &str,
        path: &str,
    ) -> Result<u64, Stop<V::Error>> {
        let uid = self.find(key, field, path)?;
        in_use(self.get(uid), field)?;
        Ok(uid)
    }

    /// Drafts whom the key at `field` names, and does not follow a merge.
    pub(super) fn find_unmerged(
        &mut self,
        key: Option<&PersonKey>,
        field: &str,
    ) -> Result<u64, Stop<V::Error>> {
        let row = find_row(self.view, key, field)?;
        self.may_touch(&row, field)?;
        self.draft(row, field, field)
    }

    /// Drafts a relative or holder, in use or not, whose uid the register knows. `field` is where the request leads
    /// to them, and `path` the record's in a rejection.
    pub(super) fn take(&mut self, uid: u64, field: &str, path: &str) -> Result<&mut Person, Stop<V::Error>> {
        if !self.drafts.contains_key(&uid) {
            let row = person_row(self.view, uid, field)?;
            self.draft(row, field, path)?;
        }
        Ok(self.edit(uid))
    }

    /// A drafted record as it stands.
    pub(super) fn get(&self, uid: u64) -> &Person {
        &self.drafts[&uid].after
    }

    /// A record that was drafted, as it was.
    pub(super) fn row(&self, uid: u64) -> Option<Arc<PersonRow>> {
        self.drafts[&uid].row.clone()
    }

    /// A drafted record, to be changed.
    pub(super) fn edit(&mut self, uid: u64) -> &mut Person {
        &mut self.drafts.get_mut(&uid).expect("an operation edits whom it drafted").after
    }

    /// Any record as it will be: a draft, or what the register holds.
    pub(super) fn record(&self, uid: u64) -> Result<Option<Person>, Stop<V::Error>> {
        match self.drafts.get(&uid) {
            Some(draft) => Ok(Some(draft.after.clone())),
            None => Ok(self.view.person(uid).map_err(Stop::View)?.and_then(|row| row.person.clone())),
        }
    }

    /// The drafts that are left: those that change, while a write is finished.
    pub(super) fn drafts(&self) -> &BTreeMap<u64, Draft> {
        &self.drafts
    }

    /// Refuses a day in the future.
    pub(super) fn not_in_future(&self, day: Option<&PartialDate>, field: &str) -> Result<(), Rejection> {
        let checked = validate::born_by(day, self.stamp.counters.time_ms);
        checked.map_err(|rejection| Rejection { field: field.to_owned(), ..rejection })
    }

    fn draft(&mut self, row: Arc<PersonRow>, field: &str, path: &str) -> Result<u64, Stop<V::Error>> {
        let after = row.person.clone().unwrap_or_default();
        let uid = after.uid;
        self.stamp.once(uid, field)?;
        self.insert(uid, Draft { path: path.to_owned(), row: Some(row), after });
        Ok(uid)
    }

    fn insert(&mut self, uid: u64, draft: Draft) {
        if self.drafts.is_empty() {
            self.first = uid;
        }
        // Named again, a person is drafted already, perhaps with changes.
        self.drafts.entry(uid).or_insert(draft);
    }

    /// Checks what changed and turns it into effects.
    pub(super) fn finish(mut self) -> Result<Applied, Stop<V::Error>> {
        let drafted: BTreeSet<u64> = self.drafts.keys().copied().collect();
        let kept = self.get(self.first).record_revision;
        self.drafts.retain(|_, draft| draft.before() != Some(&draft.after));
        for draft in self.drafts.values_mut() {
            if let Some(source) = self.source
                && !draft.after.provenance.contains(source)
            {
                // The oldest makes way: the history has it, and no bound of ours stops a death.
                if draft.after.provenance.len() >= validate::PROVENANCES {
                    draft.after.provenance.remove(0);
                }
                draft.after.provenance.push(source.clone());
            }
            validate::person_after(draft.before(), &draft.after, &draft.path)?;
        }
        checks::all(&self)?;
        let (changed, revision) = (!self.drafts.is_empty(), self.stamp.revision);
        let record_revision = if self.drafts.contains_key(&self.first) { revision } else { kept };
        let mut effects = Vec::new();
        let mut numbers = Vec::new();
        for draft in self.drafts.values() {
            numbers.extend(aliases::effects(&self, draft)?);
        }
        let others = self.drafts.keys().copied().filter(|&uid| uid != self.first).collect();
        let created = self.drafts.values().any(|draft| draft.row.is_none());
        for Draft { row: previous, mut after, .. } in self.drafts.into_values() {
            after.record_revision = revision;
            let row = PersonRow {
                person: Some(after),
                written_at_ms: self.stamp.counters.time_ms,
                written_by: Some(self.stamp.origin.context.clone()),
            };
            effects.push(Effect::PutPerson { row: row.into(), previous });
        }
        effects.extend(numbers);
        let written = Written {
            person_uid: self.first,
            record_revision,
            changed,
            new_personal_id: self.new_personal_id,
            others,
        };
        Ok(Applied { written, created, effects, drafted })
    }
}

/// Refuses a record that is out of use.
pub(super) fn in_use(person: &Person, field: &str) -> Result<(), Rejection> {
    match person.person_status() {
        PersonStatus::Active | PersonStatus::Unspecified => Ok(()),
        PersonStatus::Inactive => {
            let detail = "the record is out of use: set it ACTIVE first";
            Err(rejection(ErrorReason::PersonInactive, field, detail))
        }
        PersonStatus::Merged => {
            let detail = "the record was merged into another: name that one";
            Err(rejection(ErrorReason::PersonInactive, field, detail))
        }
    }
}

/// The row that a key names.
fn find_row<V: View>(
    view: &V,
    key: Option<&PersonKey>,
    field: &str,
) -> Result<Arc<PersonRow>, Stop<V::Error>> {
    let uid = match key.and_then(|key| key.key.as_ref()) {
        None => None,
        Some(Key::PersonUid(uid)) => Some(*uid),
        Some(Key::PersonalId(number)) => {
            view.personal_id(number).map_err(Stop::View)?.map(|row| row.person_uid)
        }
        Some(Key::OldIdNumber(number)) => {
            match *view.holders(&Alias::OldId(number.clone()), 2).map_err(Stop::View)? {
                [] => None,
                [uid] => Some(uid),
                _ => {
                    let detail = "several people hold this CMND number: use another key";
                    let field = format!("{field}.old_id_number");
                    return Stop::rejected(ErrorReason::AmbiguousKey, &field, detail);
                }
            }
        }
        Some(Key::Credential(key)) => {
            let alias = Alias::Credential { kind: key.r#type, number: key.number.clone() };
            view.holders(&alias, 1).map_err(Stop::View)?.first().copied()
        }
    };
    match uid {
        Some(uid) => person_row(view, uid, field),
        None => Stop::rejected(ErrorReason::PersonNotFound, field, "no such person"),
    }
}

fn person_row<V: View>(view: &V, uid: u64, field: &str) -> Result<Arc<PersonRow>, Stop<V::Error>> {
    let row = view.person(uid).map_err(Stop::View)?.filter(|row| row.person.is_some());
    row.map_or_else(|| Stop::rejected(ErrorReason::PersonNotFound, field, "no such person"), Ok)
}
