//! People as the events leave them, and how a record of the register is compared with them.

use std::collections::{BTreeMap, BTreeSet};

use super::Outcome;
use crate::domain::date;
use crate::proto::registry::{
    Credential, CredentialStatus, EidLevel, EidState, Gender, HouseholdRole, MaritalStatus, PartialDate,
    Person, PersonName, PersonStatus, PhysicalStatusKind, RelationKind, Write,
};

/// What is known of one person.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Known {
    pub(super) name: PersonName,
    pub(super) gender: Gender,
    pub(super) born: PartialDate,
    /// Dead or missing, and since when.
    pub(super) gone: Option<(PhysicalStatusKind, PartialDate)>,
    pub(super) inactive: bool,
    pub(super) merged_into: Option<u64>,
    /// The active personal id.
    pub(super) id: Option<Id>,
    pub(super) cancelled: Vec<Id>,
    pub(super) old_ids: BTreeSet<String>,
    pub(super) mother: Option<u64>,
    pub(super) father: Option<u64>,
    pub(super) spouse: Option<u64>,
    pub(super) children: BTreeSet<u64>,
    pub(super) marital: MaritalStatus,
    pub(super) file: String,
    pub(super) role: HouseholdRole,
    pub(super) permanent: String,
    pub(super) current: String,
    pub(super) temporary: BTreeSet<String>,
    pub(super) credentials: BTreeMap<String, Paper>,
    pub(super) account: Option<Account>,
}

/// A personal id: what it says, and its digits unless the registry made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Id {
    pub(super) number: Option<String>,
    pub(super) year: u32,
    pub(super) gender: Gender,
}

/// A credential.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Paper {
    pub(super) kind: i32,
    pub(super) status: CredentialStatus,
    pub(super) since: Option<PartialDate>,
}

/// An electronic identity account.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Account {
    pub(super) level: EidLevel,
    pub(super) locked: Option<String>,
}

impl Known {
    pub(super) fn is_dead(&self) -> bool {
        matches!(self.gone, Some((PhysicalStatusKind::Deceased, _)))
    }

    pub(super) fn in_use(&self) -> bool {
        !self.inactive && self.merged_into.is_none()
    }

    pub(super) fn relatives(&self) -> usize {
        self.children.len() + [self.mother, self.father, self.spouse].iter().flatten().count()
    }

    /// Whether somebody is younger than so many years on a day.
    pub(super) fn younger(&self, years: u32, on: &PartialDate) -> bool {
        date::surely_before(on, &PartialDate { year: self.born.year + years, ..self.born })
    }
}

/// Everybody.
#[derive(Clone, Default)]
pub struct World {
    pub(super) people: BTreeMap<u64, Known>,
    /// To whom each personal id was given first.
    pub(super) ids: BTreeMap<String, u64>,
    /// To whom each credential was issued first.
    pub(super) papers: BTreeMap<String, u64>,
    /// Who lives in each household.
    pub(super) households: BTreeMap<String, BTreeSet<u64>>,
}

impl World {
    /// How many people there are: their uids are 1 to this.
    pub fn people(&self) -> u64 {
        self.people.len() as u64
    }

    /// A person.
    pub fn person(&self, uid: u64) -> Option<&Known> {
        self.people.get(&uid)
    }

    /// Applies a write, if it stands.
    pub(super) fn apply(&mut self, write: &Write) -> Option<Outcome> {
        let (person_uid, after) = super::rules::decide(self, write)?;
        let others: Vec<u64> = after.keys().copied().filter(|&uid| uid != person_uid).collect();
        let changed = !after.is_empty();
        for (uid, known) in after {
            self.put(uid, known);
        }
        Some(Outcome { person_uid, others, changed })
    }

    fn put(&mut self, uid: u64, known: Known) {
        for id in known.id.iter().chain(&known.cancelled) {
            if let Some(number) = &id.number {
                self.ids.entry(number.clone()).or_insert(uid);
            }
        }
        for number in known.credentials.keys() {
            self.papers.entry(number.clone()).or_insert(uid);
        }
        let before = self.people.get(&uid).map(|before| before.file.clone()).unwrap_or_default();
        if before != known.file {
            if let Some(members) = self.households.get_mut(&before) {
                members.remove(&uid);
            }
            if !known.file.is_empty() {
                self.households.entry(known.file.clone()).or_default().insert(uid);
            }
        }
        self.people.insert(uid, known);
    }

    /// Follows merges to the record that stays.
    pub(super) fn stays(&self, mut uid: u64) -> u64 {
        while let Some(into) = self.people.get(&uid).and_then(|known| known.merged_into) {
            uid = into;
        }
        uid
    }

    /// Compares a record with what is known of the person. The error names the field that differs, and not its value.
    ///
    /// # Errors
    /// When they differ.
    pub fn compare(&self, record: &Person) -> Result<(), String> {
        let Some(known) = self.people.get(&record.uid) else { return Err("nobody has this uid".to_owned()) };
        let relation = |kind: RelationKind| -> BTreeSet<u64> {
            record.relations.iter().filter(|r| r.kind() == kind).map(|r| r.person_uid).collect()
        };
        let one = |uid: Option<u64>| uid.into_iter().collect::<BTreeSet<u64>>();
        let status = record.physical_status.unwrap_or_default();
        let gone = match status.kind() {
            PhysicalStatusKind::Alive => None,
            kind => Some((kind, status.since.unwrap_or_default())),
        };
        let number = known.id.as_ref().and_then(|id| id.number.as_deref());
        let ids = match (&known.id, number) {
            (None, _) => record.personal_id.is_empty(),
            (Some(_), None) => record.personal_id.starts_with(super::choose::MADE_PLACE),
            (Some(_), Some(number)) => record.personal_id == number,
        };
        let cancelled = known.cancelled.iter().filter_map(|id| id.number.as_ref());
        let detail = |address: &Option<crate::proto::registry::Address>| {
            address.as_ref().map(|address| address.detail.clone()).unwrap_or_default()
        };
        let temporary =
            record.temporary_residences.iter().map(|residence| detail(&residence.address)).collect();
        #[rustfmt::skip]
        let equal = [
            ("birth_name", record.birth_name.as_ref() == Some(&known.name)),
            ("gender", record.gender() == known.gender),
            ("birth_date", record.birth_date == Some(known.born)),
            ("physical_status", gone == known.gone),
            ("person_status", (record.person_status() == PersonStatus::Inactive) == known.inactive),
            ("merged_into", record.merged_into == known.merged_into.unwrap_or(0)),
            ("personal_id", ids),
            ("cancelled_personal_ids", record.cancelled_personal_ids.len() == known.cancelled.len()
                && cancelled.into_iter().all(|number| record.cancelled_personal_ids.contains(number))),
            ("old_id_numbers", record.old_id_numbers.iter().cloned().collect::<BTreeSet<_>>() == known.old_ids),
            ("mother", relation(RelationKind::Mother) == one(known.mother)),
            ("father", relation(RelationKind::Father) == one(known.father)),
            ("spouse", relation(RelationKind::Spouse) == one(known.spouse)),
            ("children", relation(RelationKind::Child) == known.children),
            ("relations", record.relations.len() == known.relatives()),
            ("marital_status", record.marital_status() == known.marital),
            ("residence_file_no", record.residence_file_no == known.file),
            ("household_role", record.household_role() == known.role),
            ("permanent_residence", detail(&record.permanent_residence) == known.permanent),
            ("current_residence", detail(&record.current_residence) == known.current),
            ("temporary_residences", temporary_equals(temporary, &known.temporary)),
            ("credentials", papers(&record.credentials) == known.credentials),
            ("eid_account", account(record) == known.account),
        ];
        match equal.into_iter().find(|(_, equal)| !equal) {
            Some((field, _)) => Err(format!("{field} of person {} differs", record.uid)),
            None => Ok(()),
        }
    }
}

fn temporary_equals(held: Vec<String>, known: &BTreeSet<String>) -> bool {
    held.len() == known.len() && held.iter().all(|detail| known.contains(detail))
}

fn papers(credentials: &[Credential]) -> BTreeMap<String, Paper> {
    let paper = |c: &Credential| Paper { kind: c.r#type, status: c.status(), since: c.status_since };
    credentials.iter().map(|c| (c.number.clone(), paper(c))).collect()
}

fn account(record: &Person) -> Option<Account> {
    record.eid_account.as_ref().map(|account| Account {
        level: account.level(),
        locked: (account.state() == EidState::Locked).then(|| account.lock_reason.clone()),
    })
}
