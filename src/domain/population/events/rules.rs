//! The rules of the register once more, in few words: a write and a world in, the people that change out, or nothing
//! when the write must be refused. Nothing here asks `domain::command` or `domain::validate`.

use std::collections::BTreeMap;

use super::drafts::Drafts;
use super::world::{Account, Id, Known, Paper, World};
use crate::domain::date::surely_before;
use crate::domain::identifier;
use crate::proto::registry::change_credential::Change;
use crate::proto::registry::event::Event as Life;
use crate::proto::registry::person_key::Key;
use crate::proto::registry::write::Write as Kind;
use crate::proto::registry::{
    Adoption, Birth, ChangeCredential, ChangeEid, Correction, CredentialStatus, CredentialType, Death,
    Divorce, EidLevel, EidState, Event, Gender, HouseholdRole, MaritalStatus, Marriage, MergePersons, Move,
    PartialDate, PersonKey, PersonStatus, PhysicalStatusKind, ResidenceKind, Write,
};

/// No leader's clock has come to this year.
pub(super) const FUTURE: u32 = 2300;

/// Whom a write names first, and those whom it changes as they are afterwards.
pub(super) fn decide(world: &World, write: &Write) -> Option<(u64, BTreeMap<u64, Known>)> {
    let mut drafts = Drafts::new(world);
    let d = &mut drafts;
    match write.write.as_ref()? {
        Kind::Create(c) => d.add(c.person.as_ref()?).map(|_| ()),
        Kind::Event(Event { event: Some(event), .. }) => match event {
            Life::Birth(b) => birth(d, b),
            Life::Death(e) => death(d, e),
            Life::Marriage(m) => marriage(d, m),
            Life::Divorce(e) => divorce(d, e),
            Life::Move(m) => moves(d, m),
            Life::Correction(c) => correction(d, c),
            Life::Adoption(a) => adoption(d, a),
        },
        Kind::SetStatus(s) => {
            let uid = d.find(s.key.as_ref())?;
            d.edit(uid).inactive = s.status() == PersonStatus::Inactive;
            Some(())
        }
        Kind::Merge(m) => merge(d, m),
        Kind::AssignPersonalId(a) => {
            let uid = d.name(a.key.as_ref())?;
            (a.replace || d.get(uid).id.is_none()).then_some(())?;
            d.new_id(uid, None)
        }
        Kind::CancelPersonalId(c) => {
            let uid = d.name(Some(&PersonKey { key: Some(Key::PersonalId(c.personal_id.clone())) }))?;
            let known = d.edit(uid);
            let id = known.id.take().filter(|id| id.number.as_ref() == Some(&c.personal_id))?;
            known.cancelled.push(id);
            Some(())
        }
        Kind::Credential(c) => credential(d, c),
        Kind::Eid(e) => account(d, e),
        _ => None,
    }?;
    drafts.finish()
}

/// A day that a leader's clock has passed.
pub(super) fn past(day: &PartialDate) -> Option<()> {
    (day.year < FUTURE).then_some(())
}

fn birth(d: &mut Drafts<'_>, birth: &Birth) -> Option<()> {
    let child = d.add(birth.child.as_ref()?)?;
    let born = d.get(child).born;
    if birth.mother.is_some() {
        let mother = parent(d, child, birth.mother.as_ref(), Gender::Female)?;
        let died = d.get(mother).gone.filter(|_| d.get(mother).is_dead());
        died.is_none_or(|(_, on)| !surely_before(&on, &born)).then_some(())?;
    }
    if birth.father.is_some() {
        let father = parent(d, child, birth.father.as_ref(), Gender::Male)?;
        let died = d.get(father).gone.filter(|_| d.get(father).is_dead());
        let within = |on: PartialDate| !surely_before(&PartialDate { year: on.year + 1, ..on }, &born);
        died.is_none_or(|(_, on)| within(on)).then_some(())?;
    }
    if birth.new_personal_id.is_some() { d.new_id(child, None) } else { Some(()) }
}

/// Links a child and a parent, in the place of another if there was one.
fn parent(d: &mut Drafts<'_>, child: u64, key: Option<&PersonKey>, gender: Gender) -> Option<u64> {
    let uid = d.name(key)?;
    let place = |known: &mut Known| -> Option<u64> {
        let place = if gender == Gender::Female { &mut known.mother } else { &mut known.father };
        place.replace(uid)
    };
    if let Some(before) = place(d.edit(child)).filter(|&before| before != uid) {
        d.edit(before).children.remove(&child);
    }
    d.edit(uid).children.insert(child);
    Some(uid)
}

fn death(d: &mut Drafts<'_>, death: &Death) -> Option<()> {
    let on = death.on?;
    past(&on)?;
    let uid = d.name(death.person.as_ref())?;
    let kind = if death.missing { PhysicalStatusKind::Missing } else { PhysicalStatusKind::Deceased };
    if d.get(uid).gone == Some((kind, on)) {
        return Some(());
    }
    (!d.get(uid).is_dead()).then_some(())?;
    let known = d.edit(uid);
    known.gone = Some((kind, on));
    if !death.missing {
        (known.file, known.role) = (String::new(), HouseholdRole::Unspecified);
        if let Some(account) = &mut known.account {
            account.locked = Some("deceased".to_owned());
        }
        part(d, uid);
    }
    Some(())
}

/// Ends a marriage, if there is one.
fn part(d: &mut Drafts<'_>, uid: u64) {
    if let Some(spouse) = d.get(uid).spouse {
        for uid in [uid, spouse] {
            let known = d.edit(uid);
            (known.spouse, known.marital) = (None, MaritalStatus::DivorcedOrWidowed);
        }
    }
}

fn marriage(d: &mut Drafts<'_>, marriage: &Marriage) -> Option<()> {
    let on = marriage.on?;
    past(&on)?;
    let (one, other) = (d.name(marriage.one.as_ref())?, d.name(marriage.other.as_ref())?);
    if one != other && d.get(one).spouse == Some(other) {
        return Some(());
    }
    (d.get(one).gender != d.get(other).gender).then_some(())?;
    for (uid, spouse) in [(one, other), (other, one)] {
        d.alive(uid)?;
        let known = d.edit(uid);
        let age = if known.gender == Gender::Male { 20 } else { 18 };
        (known.spouse.is_none() && !known.younger(age, &on)).then_some(())?;
        (known.spouse, known.marital) = (Some(spouse), MaritalStatus::Married);
    }
    Some(())
}

fn divorce(d: &mut Drafts<'_>, divorce: &Divorce) -> Option<()> {
    past(&divorce.on?)?;
    let (one, other) = (d.name(divorce.one.as_ref())?, d.find(divorce.other.as_ref())?);
    (d.get(one).spouse == Some(other)).then(|| part(d, one))
}

fn moves(d: &mut Drafts<'_>, change: &Move) -> Option<()> {
    let detail = &change.to.as_ref()?.detail;
    let mut named = Vec::new();
    for mover in &change.movers {
        let uid = d.name(mover.person.as_ref())?;
        (!named.contains(&uid) && !d.get(uid).is_dead()).then_some(())?;
        named.push(uid);
        let known = d.edit(uid);
        match change.kind() {
            ResidenceKind::Permanent => {
                known.permanent.clone_from(detail);
                known.file.clone_from(&change.residence_file_no);
                known.role = mover.household_role();
            }
            ResidenceKind::Temporary => {
                known.temporary.insert(detail.clone());
            }
            _ => known.current.clone_from(detail),
        }
    }
    Some(())
}

fn correction(d: &mut Drafts<'_>, correction: &Correction) -> Option<()> {
    let c = correction;
    let uid = d.name(c.person.as_ref())?;
    let known = d.edit(uid);
    known.name = c.birth_name.clone().unwrap_or_else(|| known.name.clone());
    known.born = c.birth_date.unwrap_or(known.born);
    past(&known.born)?;
    if c.gender() != Gender::Unspecified {
        known.gender = c.gender();
    }
    let contradicts = |id: &Id| id.year != known.born.year || id.gender != known.gender;
    let due = known.id.as_ref().is_some_and(contradicts);
    let given = Some(c.personal_id.clone()).filter(|number| !number.is_empty());
    (due == (given.is_some() || c.new_personal_id.is_some())).then_some(())?;
    // A number that is given says the century, gender and year of the corrected record, or is refused.
    let agrees = |number: &String| identifier::check_structure(number, &known.born, known.gender).is_ok();
    given.as_ref().filter(|_| c.new_personal_id.is_none()).is_none_or(agrees).then_some(())?;
    if due { d.new_id(uid, given) } else { Some(()) }
}

fn adoption(d: &mut Drafts<'_>, adoption: &Adoption) -> Option<()> {
    let child = d.name(adoption.child.as_ref())?;
    d.alive(child)?;
    for (key, gender) in [(&adoption.mother, Gender::Female), (&adoption.father, Gender::Male)] {
        if key.is_some() {
            let uid = d.name(key.as_ref())?;
            d.alive(uid)?;
            parent(d, child, key.as_ref(), gender)?;
        }
    }
    if let Some(name) = &adoption.birth_name {
        d.edit(child).name = name.clone();
    }
    Some(())
}

fn merge(d: &mut Drafts<'_>, merge: &MergePersons) -> Option<()> {
    let uid = |key: Option<&PersonKey>| match key?.key.as_ref()? {
        Key::PersonUid(uid) if d.world.people.contains_key(uid) => Some(*uid),
        _ => None,
    };
    let (stays, goes) = (uid(merge.survivor.as_ref())?, uid(merge.duplicate.as_ref())?);
    (stays != goes && d.edit(stays).in_use()).then_some(())?;
    if d.get(goes).merged_into == Some(stays) {
        return Some(());
    }
    d.get(goes).in_use().then_some(())?;
    let gone = d.get(goes).clone();
    let kin = [gone.mother, gone.father, gone.spouse];
    (!kin.contains(&Some(stays)) && !gone.children.contains(&stays)).then_some(())?;
    *d.edit(goes) = Known {
        merged_into: Some(stays),
        id: None,
        cancelled: Vec::new(),
        old_ids: Default::default(),
        mother: None,
        father: None,
        spouse: None,
        children: Default::default(),
        file: String::new(),
        role: HouseholdRole::Unspecified,
        credentials: Default::default(),
        account: None,
        ..gone.clone()
    };
    for relative in kin.into_iter().flatten().chain(gone.children.iter().copied()) {
        // Two links of a relative to both become one.
        let known = d.edit(relative);
        if known.children.remove(&goes) {
            known.children.insert(stays);
        }
        for link in [&mut known.mother, &mut known.father, &mut known.spouse] {
            if *link == Some(goes) {
                *link = Some(stays);
            }
        }
        (known.mother.is_none() || known.mother != known.father).then_some(())?;
    }
    let known = d.edit(stays);
    known.children.extend(&gone.children);
    for (held, new) in
        [(&mut known.mother, gone.mother), (&mut known.father, gone.father), (&mut known.spouse, gone.spouse)]
    {
        (held.is_none() || new.is_none() || *held == new).then_some(())?;
        *held = held.or(new);
    }
    if gone.spouse.is_some() {
        (!known.is_dead()).then_some(())?;
        known.marital = MaritalStatus::Married;
    }
    known.cancelled.extend(gone.id.into_iter().chain(gone.cancelled));
    known.old_ids.extend(gone.old_ids);
    known.credentials.extend(gone.credentials);
    Some(())
}

fn credential(d: &mut Drafts<'_>, change: &ChangeCredential) -> Option<()> {
    match change.change.as_ref()? {
        Change::Issue(c) => {
            let uid = d.name(change.key.as_ref())?;
            (!d.get(uid).is_dead() && !d.world.papers.contains_key(&c.number)).then_some(())?;
            let paper = Paper { kind: c.r#type, status: CredentialStatus::Valid, since: None };
            d.edit(uid).credentials.insert(c.number.clone(), paper);
            Some(())
        }
        Change::Status(status) => {
            past(&status.since?)?;
            let number = &status.credential.as_ref()?.number;
            let uid = d.world.stays(*d.world.papers.get(number)?);
            d.edit(uid).in_use().then_some(())?;
            let paper = d.edit(uid).credentials.get_mut(number)?;
            use CredentialStatus::{Revoked, Suspended, Valid};
            let (was, is) = (paper.status, status.status());
            let may = matches!((was, is), (Valid, Suspended | Revoked) | (Suspended, Valid | Revoked));
            (may || (was == is && paper.since == status.since)).then_some(())?;
            (paper.status, paper.since) = (is, status.since);
            Some(())
        }
        Change::Update(_) => None,
    }
}

fn account(d: &mut Drafts<'_>, change: &ChangeEid) -> Option<()> {
    if let Some(on) = &change.on {
        past(on)?;
    }
    let uid = d.name(change.key.as_ref())?;
    let (level, on) = (change.level(), change.on.unwrap_or_default());
    if level != EidLevel::Unspecified || change.state() == EidState::Unlocked {
        d.alive(uid)?;
    }
    let card = |paper: &Paper| paper.kind == CredentialType::IdentityCard as i32;
    let may = level != EidLevel::EidLevel2
        || (!d.get(uid).younger(6, &on) && d.get(uid).credentials.values().any(card));
    let known = d.edit(uid);
    if level != EidLevel::Unspecified && known.account.is_none() {
        known.account = Some(Account { level, locked: None });
    }
    let account = known.account.as_mut()?;
    match change.state() {
        EidState::Locked => account.locked = Some(change.lock_reason.clone()),
        EidState::Unlocked => account.locked = None,
        EidState::Unspecified => {}
    }
    if level != EidLevel::Unspecified {
        (may && account.locked.is_none()).then_some(())?;
        account.level = level;
    }
    Some(())
}
