//! Marriages and divorces (law 52/2014/QH13).

use super::links::{link, linked, relation, remove};
use super::people::People;
use super::{Stop, View, checks};
use crate::domain::date;
use crate::domain::error::rejection;
use crate::proto::registry::{
    Divorce, ErrorReason, Gender, MaritalStatus, Marriage, PartialDate, Person, Rejection, RelatedPerson,
    RelationKind,
};

/// The age from which a man may marry (article 8).
const MAN: u32 = 20;
/// The age from which a woman may marry. Who is recorded as neither is held to the lower age.
const WOMAN: u32 = 18;

/// Records a marriage of two people, of whom the second need not be registered. One that stands already changes
/// nothing.
pub(super) fn marriage<V: View>(
    people: &mut People<'_, V>,
    marriage: &Marriage,
) -> Result<(), Stop<V::Error>> {
    people.not_in_future(marriage.on.as_ref(), "marriage.on")?;
    let on = marriage.on.unwrap_or_default();
    let one = people.name(marriage.one.as_ref(), "marriage.one", "marriage.one")?;
    if let Some(stated) = &marriage.unregistered {
        let stated = RelatedPerson { kind: RelationKind::Spouse.into(), person_uid: 0, ..stated.clone() };
        let person = people.edit(one);
        if relation(person, RelationKind::Spouse) != Some(&stated) {
            may_marry(person, &on, "marriage.one")?;
            person.relations.push(stated);
            person.set_marital_status(MaritalStatus::Married);
        }
        return Ok(());
    }
    let other = people.name(marriage.other.as_ref(), "marriage.other", "marriage.other")?;
    if one == other {
        return Stop::rejected(ErrorReason::FieldInvalid, "marriage.other", "name another person");
    }
    if linked(people.get(one), RelationKind::Spouse) == Some(other) {
        return Ok(());
    }
    may_marry(people.get(one), &on, "marriage.one")?;
    may_marry(people.get(other), &on, "marriage.other")?;
    let genders = [people.get(one).gender(), people.get(other).gender()];
    if matches!(genders, [Gender::Male, Gender::Male] | [Gender::Female, Gender::Female]) {
        let detail = "a man and a woman marry (law 52/2014/QH13 article 8)";
        return Stop::rejected(ErrorReason::EventConflict, "marriage.other", detail);
    }
    for (uid, spouse) in [(one, other), (other, one)] {
        let person = people.edit(uid);
        link(person, RelationKind::Spouse, spouse);
        person.set_marital_status(MaritalStatus::Married);
    }
    Ok(())
}

/// Records a divorce. Of two registered people both are named; a spouse who is not registered need not be.
pub(super) fn divorce<V: View>(people: &mut People<'_, V>, divorce: &Divorce) -> Result<(), Stop<V::Error>> {
    people.not_in_future(divorce.on.as_ref(), "divorce.on")?;
    let one = people.name(divorce.one.as_ref(), "divorce.one", "divorce.one")?;
    let spouse = relation(people.get(one), RelationKind::Spouse).map(|spouse| spouse.person_uid);
    let Some(spouse) = spouse else {
        return Stop::rejected(ErrorReason::EventConflict, "divorce.one", "is not married");
    };
    let other = match &divorce.other {
        // A spouse whose record was taken out of use is still a spouse.
        Some(key) => people.find(Some(key), "divorce.other", "divorce.other")?,
        None => 0,
    };
    if other != spouse {
        let detail = "must be the spouse of the first; left out when that one is not registered";
        return Stop::rejected(ErrorReason::EventConflict, "divorce.other", detail);
    }
    end(people, one, "divorce.other")
}

/// Ends the marriage of a drafted person, if there is one, in both records.
pub(super) fn end<V: View>(people: &mut People<'_, V>, uid: u64, field: &str) -> Result<(), Stop<V::Error>> {
    let Some(spouse) = relation(people.get(uid), RelationKind::Spouse).map(|spouse| spouse.person_uid) else {
        return Ok(());
    };
    leave(people.edit(uid));
    if spouse != 0 {
        leave(people.take(spouse, field, field)?);
    }
    Ok(())
}

fn leave(person: &mut Person) {
    remove(person, RelationKind::Spouse);
    person.set_marital_status(MaritalStatus::DivorcedOrWidowed);
}

/// Alive, not married, and not too young for certain.
fn may_marry(person: &Person, on: &PartialDate, field: &str) -> Result<(), Rejection> {
    checks::alive(person, field)?;
    let conflict = |detail: &str| Err(rejection(ErrorReason::EventConflict, field, detail));
    if relation(person, RelationKind::Spouse).is_some() {
        return conflict("has a spouse");
    }
    let age = if person.gender() == Gender::Male { MAN } else { WOMAN };
    if younger(person, age, on) {
        return conflict("a man marries from 20, a woman from 18 (law 52/2014/QH13 article 8)");
    }
    Ok(())
}

/// Whether somebody is, for certain, younger than so many years on a day.
pub(super) fn younger(person: &Person, years: u32, on: &PartialDate) -> bool {
    let birthday = person.birth_date.map(|born| PartialDate { year: born.year + years, ..born });
    birthday.is_some_and(|birthday| date::surely_before(on, &birthday))
}
