//! The people whom a write changes, and what must hold of them whatever changed them.

use std::collections::BTreeMap;

use super::rules::past;
use super::world::{Id, Known, World};
use crate::domain::date::surely_before;
use crate::proto::registry::person_key::Key;
use crate::proto::registry::{Gender, HouseholdRole, Person, PersonKey};

/// People under change.
pub(super) struct Drafts<'w> {
    pub(super) world: &'w World,
    first: u64,
    after: BTreeMap<u64, Known>,
}

impl<'w> Drafts<'w> {
    /// Nobody yet.
    pub(super) fn new(world: &'w World) -> Self {
        Self { world, first: 0, after: BTreeMap::new() }
    }

    /// Somebody as they will be.
    pub(super) fn get(&self, uid: u64) -> &Known {
        self.after.get(&uid).unwrap_or_else(|| &self.world.people[&uid])
    }

    /// Somebody to be changed.
    pub(super) fn edit(&mut self, uid: u64) -> &mut Known {
        if self.first == 0 {
            self.first = uid;
        }
        self.after.entry(uid).or_insert_with(|| self.world.people[&uid].clone())
    }

    /// Whom a key names, merges followed.
    pub(super) fn find(&mut self, key: Option<&PersonKey>) -> Option<u64> {
        let uid = match key?.key.as_ref()? {
            Key::PersonUid(uid) => *uid,
            Key::PersonalId(number) => *self.world.ids.get(number)?,
            _ => return None,
        };
        let uid = self.world.stays(uid);
        self.world.people.get(&uid)?;
        self.edit(uid);
        Some(uid)
    }

    /// The same, in use.
    pub(super) fn name(&mut self, key: Option<&PersonKey>) -> Option<u64> {
        let uid = self.find(key)?;
        self.get(uid).in_use().then_some(uid)
    }

    /// Neither dead nor missing.
    pub(super) fn alive(&self, uid: u64) -> Option<()> {
        self.get(uid).gone.is_none().then_some(())
    }

    /// Somebody new.
    pub(super) fn add(&mut self, person: &Person) -> Option<u64> {
        let (gender, born) = (person.gender(), person.birth_date?);
        past(&born)?;
        let mut known = Known {
            name: person.birth_name.clone()?,
            gender,
            born,
            old_ids: person.old_id_numbers.iter().cloned().collect(),
            permanent: person.permanent_residence.as_ref().map(|a| a.detail.clone()).unwrap_or_default(),
            ..Known::default()
        };
        if !person.personal_id.is_empty() {
            // Nobody has it and nobody had it.
            (!self.world.ids.contains_key(&person.personal_id)).then_some(())?;
            known.id = Some(Id { number: Some(person.personal_id.clone()), year: born.year, gender });
        }
        let uid = self.world.people() + 1;
        self.first = uid;
        self.after.insert(uid, known);
        Some(uid)
    }

    /// The active id goes to the cancelled ones, and another takes its place.
    pub(super) fn new_id(&mut self, uid: u64, number: Option<String>) -> Option<()> {
        if number.as_ref().is_some_and(|number| self.world.ids.contains_key(number)) {
            return None;
        }
        let known = self.edit(uid);
        let id = Id { number, year: known.born.year, gender: known.gender };
        known.cancelled.extend(known.id.replace(id));
        Some(())
    }

    /// What must hold of everybody who changed.
    pub(super) fn finish(self) -> Option<(u64, BTreeMap<u64, Known>)> {
        let Self { world, first, mut after } = self;
        after.retain(|uid, known| world.people.get(uid) != Some(known));
        let get = |uid: u64| after.get(&uid).unwrap_or_else(|| &world.people[&uid]);
        for known in after.values() {
            let lists = [(known.relatives(), 64), (known.cancelled.len(), 8), (known.old_ids.len(), 8)];
            let more = [(known.temporary.len(), 8), (known.credentials.len(), 32)];
            let bounded = lists.iter().chain(&more).all(|(length, most)| length <= most);
            let lived = known.gone.is_none_or(|(_, since)| !surely_before(&since, &known.born));
            let older = |parent: u64, gender| {
                let parent = get(parent);
                surely_before(&parent.born, &known.born) && parent.gender == gender
            };
            let parents = known.mother.is_none_or(|uid| older(uid, Gender::Female))
                && known.father.is_none_or(|uid| older(uid, Gender::Male));
            let agrees = |id: &Id| id.year == known.born.year && id.gender == known.gender;
            (bounded && lived && parents && known.id.as_ref().is_none_or(agrees)).then_some(())?;
        }
        // A parent who changed must still be one to each child.
        for (uid, known) in &after {
            for child in known.children.iter().map(|&child| get(child)) {
                let gender = if child.mother == Some(*uid) { Gender::Female } else { Gender::Male };
                (known.gender == gender && surely_before(&known.born, &child.born)).then_some(())?;
            }
        }
        for (uid, known) in &after {
            let before = world.people.get(uid).map(|before| (&before.file, before.role));
            if !known.file.is_empty() && before != Some((&known.file, known.role)) {
                household(world, &after, &known.file)?;
            }
        }
        Some((first, after))
    }
}

/// At most 64 people, at most one of them the head.
fn household(world: &World, after: &BTreeMap<u64, Known>, file: &str) -> Option<()> {
    let held = world.households.get(file).into_iter().flatten().filter(|uid| !after.contains_key(uid));
    let held = held.map(|uid| &world.people[uid]);
    let members: Vec<&Known> = held.chain(after.values().filter(|known| known.file == file)).collect();
    let heads = members.iter().filter(|known| known.role == HouseholdRole::Head).count();
    (members.len() <= 64 && heads <= 1).then_some(())
}
