//! The paths of an update mask, and what each copies from the patch to the record.
//!
//! A path replaces its field whole: lists are replaced, not extended, and a message that the patch leaves out is
//! removed from the record. A name may also be patched by its parts.

use crate::proto::registry::{Person, PersonName};

type Copy = fn(to: &mut Person, from: &Person);

/// Every path with its effect: the fields of `Person` but those that the registry keeps or that have operations of
/// their own, and the parts of a name. Relations are a path for what papers say; their links stay as they are.
const PATHS: &[(&str, Copy)] = &[
    ("birth_name", |to, from| to.birth_name.clone_from(&from.birth_name)),
    ("birth_name.family", |to, from| part(to).family = read_part(from).family),
    ("birth_name.middle", |to, from| part(to).middle = read_part(from).middle),
    ("birth_name.given", |to, from| part(to).given = read_part(from).given),
    ("other_names", |to, from| to.other_names.clone_from(&from.other_names)),
    ("personal_id", |to, from| to.personal_id.clone_from(&from.personal_id)),
    ("cancelled_personal_ids", |to, from| to.cancelled_personal_ids.clone_from(&from.cancelled_personal_ids)),
    ("birth_date", |to, from| to.birth_date = from.birth_date),
    ("gender", |to, from| to.gender = from.gender),
    ("birth_place", |to, from| to.birth_place.clone_from(&from.birth_place)),
    ("birth_registration_place", |to, from| {
        to.birth_registration_place.clone_from(&from.birth_registration_place);
    }),
    ("place_of_origin", |to, from| to.place_of_origin.clone_from(&from.place_of_origin)),
    ("old_id_numbers", |to, from| to.old_id_numbers.clone_from(&from.old_id_numbers)),
    ("permanent_residence", |to, from| to.permanent_residence.clone_from(&from.permanent_residence)),
    ("current_residence", |to, from| to.current_residence.clone_from(&from.current_residence)),
    ("nationalities", |to, from| to.nationalities.clone_from(&from.nationalities)),
    ("physical_status", |to, from| to.physical_status = from.physical_status),
    ("ethnicity", |to, from| to.ethnicity.clone_from(&from.ethnicity)),
    ("ethnicity_name", |to, from| to.ethnicity_name.clone_from(&from.ethnicity_name)),
    ("religion", |to, from| to.religion.clone_from(&from.religion)),
    ("blood_type", |to, from| to.blood_type = from.blood_type),
    ("relations", |to, from| to.relations.clone_from(&from.relations)),
    ("temporary_residences", |to, from| to.temporary_residences.clone_from(&from.temporary_residences)),
    ("absence", |to, from| to.absence = from.absence),
    ("residence_file_no", |to, from| to.residence_file_no.clone_from(&from.residence_file_no)),
    ("household_role", |to, from| to.household_role = from.household_role),
    ("marital_status", |to, from| to.marital_status = from.marital_status),
    ("phone_numbers", |to, from| to.phone_numbers.clone_from(&from.phone_numbers)),
    ("email_addresses", |to, from| to.email_addresses.clone_from(&from.email_addresses)),
    ("extensions", |to, from| to.extensions.clone_from(&from.extensions)),
    ("provenance", |to, from| to.provenance.clone_from(&from.provenance)),
];

/// Whether callers may write this path.
pub(in crate::domain) fn is_path(path: &str) -> bool {
    PATHS.iter().any(|(known, _)| *known == path)
}

/// Copies what the paths name. Paths that are not known are passed over: `validate::mask` has refused them.
pub(super) fn apply(to: &mut Person, from: &Person, paths: &[String]) {
    for path in paths {
        if let Some((_, copy)) = PATHS.iter().find(|(known, _)| known == path) {
            copy(to, from);
        }
    }
}

fn part(person: &mut Person) -> &mut PersonName {
    person.birth_name.get_or_insert_default()
}

fn read_part(person: &Person) -> PersonName {
    person.birth_name.clone().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;
    use crate::proto::{self, registry::PersonField};

    /// Fields of `Person` that are written by the registry or by operations of their own.
    const KEPT: [&str; 6] =
        ["uid", "record_revision", "credentials", "eid_account", "person_status", "merged_into"];

    /// Names and numbers of the fields of `Person`, as the .proto file has them.
    fn fields() -> Vec<(String, i32)> {
        let set = prost_types::FileDescriptorSet::decode(proto::DESCRIPTORS).expect("compiled by build.rs");
        let files = set.file.iter().filter(|file| file.package() == "dancu.registry.v1");
        let messages = files.flat_map(|file| &file.message_type);
        let person = messages.filter(|message| message.name() == "Person").flat_map(|message| &message.field);
        person.map(|field| (field.name().to_owned(), field.number())).collect()
    }

    #[test]
    fn every_field_of_a_person_but_those_kept_is_a_path() {
        let names = fields().into_iter().map(|(name, _)| name);
        let fields: Vec<String> = names.filter(|name| !KEPT.contains(&name.as_str())).collect();
        let whole: Vec<_> = PATHS.iter().map(|(path, _)| *path).filter(|path| !path.contains('.')).collect();
        assert_eq!(whole, fields);
    }

    #[test]
    fn person_fields_are_named_and_numbered_as_the_fields_of_a_person() {
        // What the registry says of the record itself has no source.
        let no_value = ["uid", "record_revision", "provenance", "person_status", "merged_into"];
        let fields = fields();
        for (name, number) in &fields {
            let named = PersonField::from_str_name(&format!("PERSON_FIELD_{}", name.to_uppercase()));
            let expected = (!no_value.contains(&name.as_str())).then_some(*number);
            assert_eq!(named.map(i32::from), expected, "{name}");
        }
        let numbered = (1..100).filter(|&number| PersonField::try_from(number).is_ok()).count();
        assert_eq!(numbered, fields.len() - no_value.len());
    }

    #[test]
    fn a_path_copies_its_field_and_no_other() {
        let (plain, full) = (Person::default(), crate::domain::fixtures::missing_person());
        for (path, _) in PATHS {
            let mut there = plain.clone();
            apply(&mut there, &full, &[(*path).to_owned()]);
            assert_ne!(there, plain, "{path} copies nothing");
            // Patched back by the same path, nothing else may differ.
            apply(&mut there, &plain, &[(*path).to_owned()]);
            if path.starts_with("birth_name.") {
                assert_eq!(there.birth_name.take(), Some(PersonName::default()), "{path}");
            }
            assert_eq!(there, plain, "{path}");
        }
    }

    #[test]
    fn unknown_paths() {
        for path in [
            "uid",
            "credentials",
            "eid_account",
            "",
            "birth_date.year",
            "birth_name.",
            "Gender",
            "birth_name.other",
        ] {
            assert!(!is_path(path), "{path}");
        }
    }
}
