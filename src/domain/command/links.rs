//! Links: relations that the registry keeps, each of which stands in the records of both people.

use crate::proto::registry::{Person, RelatedPerson, RelationKind};

/// Whether a relation is a link, and not what a paper stated.
pub(super) fn is_link(relation: &RelatedPerson) -> bool {
    relation.person_uid != 0
}

/// What stands in the other record.
pub(super) fn backward(kind: RelationKind) -> &'static [RelationKind] {
    use RelationKind::{Child, Father, LegalRepresentative, Mother, Represented, Spouse, Unspecified};
    match kind {
        Father | Mother => &[Child],
        Child => &[Father, Mother],
        Spouse => &[Spouse],
        LegalRepresentative => &[Represented],
        Represented => &[LegalRepresentative],
        Unspecified => &[],
    }
}

/// The relation of a kind of which a record has at most one, stated or linked.
pub(super) fn relation(person: &Person, kind: RelationKind) -> Option<&RelatedPerson> {
    person.relations.iter().find(|relation| relation.kind() == kind)
}

/// The uid that a record's link of this kind leads to.
pub(super) fn linked(person: &Person, kind: RelationKind) -> Option<u64> {
    relation(person, kind).map(|relation| relation.person_uid).filter(|&uid| uid != 0)
}

/// Whether a record has this link.
pub(super) fn has_link(person: &Person, kind: RelationKind, uid: u64) -> bool {
    person.relations.iter().any(|relation| relation.kind() == kind && relation.person_uid == uid)
}

/// Adds a link, unless it is there.
pub(super) fn link(person: &mut Person, kind: RelationKind, uid: u64) {
    if !has_link(person, kind, uid) {
        let link = RelatedPerson { kind: kind.into(), person_uid: uid, ..RelatedPerson::default() };
        person.relations.push(link);
    }
}

/// Removes a link.
pub(super) fn unlink(person: &mut Person, kind: RelationKind, uid: u64) {
    person.relations.retain(|relation| relation.kind() != kind || relation.person_uid != uid);
}

/// Removes every relation of a kind, stated or linked.
pub(super) fn remove(person: &mut Person, kind: RelationKind) {
    person.relations.retain(|relation| relation.kind() != kind);
}
