//! One life event: what surrounds the records, and the rules between its fields. Paths begin at the event's own kind,
//! as in `birth.mother` or `move.movers[1].person`.

use super::write::{new_personal_id, new_record, required_date};
use super::{Checked, address, as_reason, key, one_to, period, provenance, refuse, related_person};
use crate::domain::date;
use crate::proto::registry::event::Event as Kind;
use crate::proto::registry::{
    Adoption, Birth, Correction, Death, Divorce, ErrorReason, Event, Gender, HouseholdRole, Marriage, Move,
    PersonKey, RelatedPerson, RelationKind, ResidenceKind,
};

/// People who move at once.
pub const MOVERS: usize = 32;

/// An event without the record of a child in it.
pub(super) fn event(event: &Event) -> Checked {
    match &event.event {
        None => refuse(ErrorReason::FieldInvalid, "event", "name the event"),
        Some(Kind::Birth(b)) => birth(b),
        Some(Kind::Death(d)) => death(d),
        Some(Kind::Marriage(m)) => marriage(m),
        Some(Kind::Divorce(d)) => divorce(d),
        Some(Kind::Move(m)) => moves(m),
        Some(Kind::Correction(c)) => correction(c),
        Some(Kind::Adoption(a)) => adoption(a),
    }?;
    event.source.as_ref().map_or(Ok(()), |source| provenance(source, "source"))
}

fn birth(birth: &Birth) -> Checked {
    let child = new_record(birth.child.as_ref(), "birth.child")?;
    if let Some(new) = &birth.new_personal_id {
        new_personal_id(new, "birth.new_personal_id")?;
        if !child.personal_id.is_empty() {
            let detail = "the child brings a personal id: it is given or made, not both";
            return refuse(ErrorReason::FieldInvalid, "birth.new_personal_id", detail);
        }
    }
    let parents = [
        (&birth.mother, RelationKind::Mother, "birth.mother"),
        (&birth.father, RelationKind::Father, "birth.father"),
    ];
    for (parent, kind, field) in parents {
        optional_key(parent.as_ref(), field)?;
        let stated = child.relations.iter().position(|relation| relation.kind() == kind);
        if let (Some(_), Some(i)) = (parent, stated) {
            let field = format!("birth.child.relations[{i}]");
            return refuse(ErrorReason::FieldInvalid, &field, "a parent who is linked is not stated as well");
        }
    }
    Ok(())
}

fn death(death: &Death) -> Checked {
    key(death.person.as_ref(), "death.person")?;
    required_date(death.on.as_ref(), "death.on")
}

fn marriage(marriage: &Marriage) -> Checked {
    key(marriage.one.as_ref(), "marriage.one")?;
    required_date(marriage.on.as_ref(), "marriage.on")?;
    match (&marriage.other, &marriage.unregistered) {
        (Some(_), None) => key(marriage.other.as_ref(), "marriage.other"),
        (None, Some(stated)) if stated.name.is_empty() => {
            refuse(ErrorReason::FieldInvalid, "marriage.unregistered.name", "required")
        }
        (None, Some(stated)) => {
            let kind = RelationKind::Spouse.into();
            let stated = RelatedPerson { kind, person_uid: 0, ..stated.clone() };
            related_person(&stated, "marriage.unregistered")
        }
        _ => refuse(ErrorReason::FieldInvalid, "marriage.other", "either other or unregistered"),
    }
}

fn divorce(divorce: &Divorce) -> Checked {
    key(divorce.one.as_ref(), "divorce.one")?;
    optional_key(divorce.other.as_ref(), "divorce.other")?;
    required_date(divorce.on.as_ref(), "divorce.on")
}

fn moves(change: &Move) -> Checked {
    let invalid = |field: &str, detail: &str| refuse(ErrorReason::FieldInvalid, field, detail);
    one_to(change.movers.len(), MOVERS, "move.movers")?;
    for (i, mover) in change.movers.iter().enumerate() {
        key(mover.person.as_ref(), &format!("move.movers[{i}].person"))?;
        let Ok(role) = HouseholdRole::try_from(mover.household_role) else {
            return invalid(&format!("move.movers[{i}].household_role"), "not a known role");
        };
        if change.residence_file_no.is_empty() != (role == HouseholdRole::Unspecified) {
            let detail = "required with a residence_file_no, and left open without";
            return invalid(&format!("move.movers[{i}].household_role"), detail);
        }
    }
    let Some(to) = &change.to else { return invalid("move.to", "required") };
    address(to, "move.to")?;
    if change.kind() == ResidenceKind::Unspecified {
        return invalid("move.kind", "PERMANENT, TEMPORARY or CURRENT");
    }
    if change.kind() != ResidenceKind::Permanent && !change.residence_file_no.is_empty() {
        return invalid("move.residence_file_no", "only with PERMANENT");
    }
    if change.kind() != ResidenceKind::Temporary && (change.since.is_some() || change.until.is_some()) {
        return invalid("move.since", "since and until go with TEMPORARY");
    }
    period(change.since.as_ref(), change.until.as_ref(), "move")
}

fn correction(correction: &Correction) -> Checked {
    let c = correction;
    key(c.person.as_ref(), "correction.person")?;
    if c.birth_name.is_none() && c.gender == 0 && c.birth_date.is_none() {
        return refuse(
            ErrorReason::FieldInvalid,
            "correction",
            "name, gender or birth date: correct at least one",
        );
    }
    if Gender::try_from(c.gender).is_err() {
        return refuse(ErrorReason::FieldInvalid, "correction.gender", "MALE, FEMALE or UNKNOWN");
    }
    if let Some(born) = &c.birth_date {
        as_reason(date::check(born), ErrorReason::DateInvalid, || "correction.birth_date".to_owned())?;
    }
    match &c.new_personal_id {
        Some(_) if !c.personal_id.is_empty() => {
            refuse(ErrorReason::FieldInvalid, "correction.new_personal_id", "made or given, not both")
        }
        Some(new) => new_personal_id(new, "correction.new_personal_id"),
        None => Ok(()),
    }
}

fn adoption(adoption: &Adoption) -> Checked {
    key(adoption.child.as_ref(), "adoption.child")?;
    optional_key(adoption.mother.as_ref(), "adoption.mother")?;
    optional_key(adoption.father.as_ref(), "adoption.father")?;
    if adoption.mother.is_none() && adoption.father.is_none() {
        return refuse(ErrorReason::FieldInvalid, "adoption.mother", "name a mother, a father or both");
    }
    Ok(())
}

fn optional_key(value: Option<&PersonKey>, field: &str) -> Checked {
    value.map_or(Ok(()), |value| key(Some(value), field))
}
