//! Comparing claims with a record: claims in, verdicts out, and nothing of the record.
//!
//! ```text
//! this version does not know the attribute                               UNSUPPORTED
//! the claim is malformed, or of another kind than the attribute takes    INVALID_INPUT
//! the record holds nothing to compare with, or leaves it open            NOT_AVAILABLE
//! the same, or true of the record                                        MATCH
//! something else, or not true                                            NO_MATCH
//! ```
//!
//! The order is that of the table: a malformed claim is told so whatever the record holds. Where several things must
//! agree, one that does not decides, and what is open comes before what agrees. Where one of several things need
//! agree, it is the other way round.
//!
//! Texts agree in classes (`profile`), and a claim says which is enough: CANONICAL unless it asks for EXACT, or for a weaker
//! one where the caller's policies allow it. The class is told also when it is not enough. Notes say what was expected of a claim or why there is no yes or no; they never
//! repeat what the claim or the record says.
//!
//! | file | judges |
//! |---|---|
//! | `profile` | two texts: EXACT, CANONICAL, VARIANT, FOLDED |
//! | `names` | names, whole and in parts |
//! | `codes` | numbers and codes, and ethnicities by their names |
//! | `dates` | birth dates and ages |
//! | `places` | addresses |
//! | `facts` | what has a few values: gender, marital status and the like |
//! | `finding` | what all of these return |
//! | `spec/` | examples of all of it, claims and verdicts side by side |
//!
//! # Deliberately absent
//!
//! * Likeness by edit distance or sound: a verdict is one that can be explained to the person it is about.
//! * Other orders of a name: given, middle, family is another name.

mod codes;
mod dates;
mod ethnicity;
mod facts;
mod finding;
mod names;
mod places;
mod profile;
#[cfg(test)]
mod tests;

use crate::domain::fields::Fields;
use crate::proto::registry::{
    Attribute, AttributeVerdict, Claim, MatchStrength, Person, PersonField, Verdict,
};

pub use self::names::full_name;
pub use self::profile::{PROFILE, strength};

use self::finding::{Finding, Judged};

/// The verdicts on claims about one person, in the order of the claims. Claims are judged one by one, but for the parts
/// of a name: they are also compared joined, because systems divide one name in different places.
pub fn verify(person: &Person, claims: &[Claim]) -> Vec<AttributeVerdict> {
    verify_within(person, claims, &|_| MatchStrength::Canonical)
}

/// The same, where a claim on an attribute may ask for a likeness as weak as `weakest` says to be counted as a match.
pub fn verify_within(person: &Person, claims: &[Claim], weakest: Weakest<'_>) -> Vec<AttributeVerdict> {
    let mut findings: Vec<_> = claims.iter().map(|claim| judge(person, claim, weakest)).collect();
    names::join_parts(person, claims, &mut findings, weakest);
    claims.iter().zip(findings).map(|(claim, found)| found.verdict_on(claim.attribute)).collect()
}

/// The weakest likeness that a claim may ask for, by attribute: CANONICAL or a weaker one.
pub type Weakest<'a> = &'a dyn Fn(Attribute) -> MatchStrength;

/// The fields of a record that claims are about: [`verify`] looks at no other.
pub fn fields_of<'a>(claims: impl IntoIterator<Item = &'a Claim>) -> Fields {
    let held = claims.into_iter().flat_map(|claim| held_in(claim.attribute()));
    held.fold(Fields::IDENTITY, |all, field| all.with(*field))
}

/// Where a record holds an attribute.
pub(super) fn held_in(attribute: Attribute) -> &'static [PersonField] {
    use {Attribute as A, PersonField as F};
    match attribute {
        A::Unspecified => &[],
        A::FullName | A::FamilyName | A::MiddleName | A::GivenName => &[F::BirthName],
        A::OtherName => &[F::OtherNames],
        A::BirthDate | A::Age => &[F::BirthDate],
        A::PersonalId => &[F::PersonalId],
        A::OldIdNumber => &[F::OldIdNumbers],
        A::Nationality => &[F::Nationalities],
        A::Religion => &[F::Religion],
        A::ResidenceFileNo => &[F::ResidenceFileNo],
        A::Ethnicity => &[F::Ethnicity, F::EthnicityName],
        A::BirthPlace => &[F::BirthPlace],
        A::BirthRegistrationPlace => &[F::BirthRegistrationPlace],
        A::PlaceOfOrigin => &[F::PlaceOfOrigin],
        A::PermanentResidence => &[F::PermanentResidence],
        A::CurrentResidence => &[F::CurrentResidence],
        A::TemporaryResidence => &[F::TemporaryResidences],
        A::Gender => &[F::Gender],
        A::PhysicalStatus => &[F::PhysicalStatus],
        A::BloodType => &[F::BloodType],
        A::MaritalStatus => &[F::MaritalStatus],
        A::HouseholdRole => &[F::HouseholdRole],
        A::EidLevel => &[F::EidAccount],
    }
}

fn judge(person: &Person, claim: &Claim, weakest: Weakest<'_>) -> Finding {
    let Ok(attribute) = Attribute::try_from(claim.attribute) else {
        return Finding::of(Verdict::Unsupported);
    };
    finding::required(claim, weakest)
        .and_then(|least| judge_value(person, attribute, claim, least))
        .unwrap_or_else(Finding::invalid)
}

fn judge_value(person: &Person, attribute: Attribute, claim: &Claim, least: MatchStrength) -> Judged {
    use Attribute as A;
    let (p, value) = (person, claim.value.as_ref());
    let name = p.birth_name.as_ref();
    match attribute {
        A::Unspecified => Err("name the attribute".into()),
        A::FullName => names::full(name, value, least),
        A::FamilyName => names::part(name.map(|n| n.family.as_str()), value, least),
        A::MiddleName => names::middle(name.map(|n| n.middle.as_str()), value, least),
        A::GivenName => names::part(name.map(|n| n.given.as_str()), value, least),
        A::OtherName => names::other(&p.other_names, value, least),
        A::BirthDate => dates::birth_date(p.birth_date.as_ref(), value),
        A::Age => dates::age(p.birth_date.as_ref(), value),
        A::PersonalId => codes::personal_id(&p.personal_id, value),
        A::OldIdNumber => codes::old_id(&p.old_id_numbers, value),
        A::Nationality => codes::nationality(&p.nationalities, value),
        A::Religion => codes::religion(&p.religion, value),
        A::ResidenceFileNo => codes::residence_file(&p.residence_file_no, value),
        A::Ethnicity => codes::ethnicity(p, value, least),
        A::BirthPlace => places::address(p.birth_place.as_ref(), value, least),
        A::BirthRegistrationPlace => places::address(p.birth_registration_place.as_ref(), value, least),
        A::PlaceOfOrigin => places::address(p.place_of_origin.as_ref(), value, least),
        A::PermanentResidence => places::address(p.permanent_residence.as_ref(), value, least),
        A::CurrentResidence => places::address(p.current_residence.as_ref(), value, least),
        A::TemporaryResidence => {
            let held = p.temporary_residences.iter().filter_map(|residence| residence.address.as_ref());
            places::address(held, value, least)
        }
        A::Gender => facts::gender(p.gender(), value),
        A::PhysicalStatus => facts::physical_status(p, value),
        A::BloodType => facts::blood_type(p.blood_type(), value),
        A::MaritalStatus => facts::marital_status(p.marital_status(), value),
        A::HouseholdRole => facts::household_role(p.household_role(), value),
        A::EidLevel => facts::eid_level(p.eid_account.as_ref(), value),
    }
}
