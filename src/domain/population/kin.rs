//! Parents, spouse, children and those who act for another, as papers state them: names and numbers, never links,
//! which events alone make.

use super::household::Household;
use super::numbers::SplitMix64;
use super::{Part, Place, Population, names};
use crate::domain::matching;
use crate::proto::registry::{Gender, Person, RelatedPerson, RelationKind};

impl Population {
    /// Nine in ten know their mother and four in five their father; those who live with husband or wife name them. One
    /// in twenty of those over forty names a child, one in a hundred minors somebody else who acts for them, and one in
    /// two hundred of age somebody for whom they act.
    pub(super) fn add_kin(&self, place: &Place, household: Option<&Household>, person: &mut Person) {
        let mut random = self.random(place.index, Part::Kin);
        let family = person.birth_name.as_ref().map_or("", |name| &name.family);
        if random.percent(80) {
            // A child has its father's family name.
            let mut name = names::choose(&mut random, Gender::Male);
            family.clone_into(&mut name.family);
            let father = parent(&mut random, place, Gender::Male, &matching::full_name(&name));
            let nationality = self.father_from(place.index).unwrap_or_default().to_owned();
            person.relations.push(RelatedPerson { nationality, ..father });
        }
        if random.percent(90) {
            let name = names::choose(&mut random, Gender::Female);
            person.relations.push(parent(&mut random, place, Gender::Female, &matching::full_name(&name)));
        }
        if let Some(spouse) = household.and_then(|household| household.spouse_of(place)) {
            person.relations.push(RelatedPerson {
                kind: RelationKind::Spouse.into(),
                name: matching::full_name(&self.name(&spouse)),
                personal_id: self.personal_id(spouse.group, spouse.offset),
                ..RelatedPerson::default()
            });
        }
        let of_age = place.age() >= 18;
        let others = [
            (RelationKind::Child, place.age() > 40 && random.percent(5)),
            (RelationKind::LegalRepresentative, !of_age && random.percent(1)),
            (RelationKind::Represented, of_age && random.below(200) == 0),
        ];
        for (kind, _) in others.into_iter().filter(|(_, stated)| *stated) {
            let gender = [Gender::Male, Gender::Female][random.index(2)];
            let name = matching::full_name(&names::choose(&mut random, gender));
            person.relations.push(RelatedPerson { kind: kind.into(), name, ..RelatedPerson::default() });
        }
    }
}

/// A parent of this name, 18 to 45 years older. One in three has a personal id on paper, one in five a CMND number.
fn parent(random: &mut SplitMix64, child: &Place, gender: Gender, name: &str) -> RelatedPerson {
    let year = child.group.year - 17 - random.one_to(28);
    let female = gender == Gender::Female;
    let mut related = RelatedPerson {
        kind: if female { RelationKind::Mother } else { RelationKind::Father }.into(),
        name: name.to_owned(),
        ..RelatedPerson::default()
    };
    match random.below(15) {
        // No personal id has a century before 1900.
        0..5 if year >= 1900 => {
            let (place, digits) = (child.province(), random.below(1_000_000));
            let century = (year - 1900) / 100 * 2 + u32::from(female);
            related.personal_id = format!("{place}{century}{:02}{digits:06}", year % 100);
        }
        5..8 => related.old_id_number = format!("{:09}", random.below(1_000_000_000)),
        _ => {}
    }
    related
}
