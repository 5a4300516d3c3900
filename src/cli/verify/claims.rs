//! What may be claimed on the command line: an option for each attribute.

use crate::cli::json;
use crate::proto::registry::claim::Value;
use crate::proto::registry::{Address, AgeClaim, Attribute, Claim, MatchStrength, UnitEdition};

/// What is claimed; at least one thing.
#[derive(clap::Args)]
#[command(next_help_heading = "Claims, at least one")]
#[group(required = true, multiple = true)]
pub(super) struct Claims {
    /// Whole name: family, middle, given
    #[arg(long)]
    name: Option<String>,
    /// Family name
    #[arg(long)]
    family: Option<String>,
    /// Middle name; "" for none
    #[arg(long)]
    middle: Option<String>,
    /// Given name
    #[arg(long)]
    given: Option<String>,
    /// Another name
    #[arg(long)]
    other_name: Option<String>,
    /// Date of birth: 1990-05-17, 1990-05 or 1990
    #[arg(long)]
    born: Option<json::Date>,
    /// So many years old, or older, on the day of --on
    #[arg(long, value_name = "YEARS", requires = "on")]
    age_at_least: Option<u32>,
    /// The day of --age-at-least, like 2026-01-31
    #[arg(long, value_name = "DATE", requires = "age_at_least")]
    on: Option<json::Date>,
    /// Gender
    #[arg(long)]
    gender: Option<json::Gender>,
    /// Active personal id, 12 digits
    #[arg(long, value_name = "NUMBER")]
    personal_id: Option<String>,
    /// One of the CMND numbers, 9 digits
    #[arg(long, value_name = "NUMBER")]
    old_id_number: Option<String>,
    /// Nationality, two letters
    #[arg(long)]
    nationality: Option<String>,
    /// Ethnicity, its code or its name
    #[arg(long)]
    ethnicity: Option<String>,
    /// Religion, its code
    #[arg(long, value_name = "CODE")]
    religion: Option<String>,
    /// Blood type
    #[arg(long)]
    blood_type: Option<json::BloodType>,
    /// Marital status
    #[arg(long)]
    marital_status: Option<json::MaritalStatus>,
    /// Whether the person is alive
    #[arg(long)]
    status: Option<json::PhysicalStatusKind>,
    /// Where the person was born: UNIT@EDITION[, DETAIL], as 01@v34 or "00001@v63, Số 12"; or a country, as FR
    #[arg(long, value_name = "PLACE", value_parser = place)]
    birth_place: Option<Address>,
    /// Where the birth was registered, in the same form
    #[arg(long, value_name = "PLACE", value_parser = place)]
    birth_registration: Option<Address>,
    /// Place of origin, in the same form
    #[arg(long, value_name = "PLACE", value_parser = place)]
    origin: Option<Address>,
    /// Permanent residence, in the same form; a larger unit will do
    #[arg(long, value_name = "PLACE", value_parser = place)]
    residence: Option<Address>,
    /// Current residence, in the same form
    #[arg(long, value_name = "PLACE", value_parser = place)]
    current_residence: Option<Address>,
    /// A temporary residence, in the same form
    #[arg(long, value_name = "PLACE", value_parser = place)]
    temporary_residence: Option<Address>,
    /// Number of the residence file: the household
    #[arg(long, value_name = "NUMBER")]
    residence_file: Option<String>,
    /// What the person is to the head of the household
    #[arg(long, value_name = "ROLE")]
    household_role: Option<json::HouseholdRole>,
    /// An electronic identity account of this level or higher that is not locked
    #[arg(long, value_name = "LEVEL")]
    eid_level: Option<json::EidLevel>,
}

impl Claims {
    /// The claims as the API takes them, each with the strength that it needs.
    pub fn list(self, required: MatchStrength) -> Vec<Claim> {
        use Attribute as A;
        let text = |attribute, text: Option<String>| Some((attribute, Value::Text(text?)));
        let place = |attribute, place: Option<Address>| Some((attribute, Value::Address(place?)));
        let on = self.on.map(Into::into);
        let claims = [
            text(A::FullName, self.name),
            text(A::FamilyName, self.family),
            text(A::MiddleName, self.middle),
            text(A::GivenName, self.given),
            text(A::OtherName, self.other_name),
            self.born.map(|date| (A::BirthDate, Value::Date(date.into()))),
            self.age_at_least.map(|at_least| (A::Age, Value::Age(AgeClaim { at_least, on }))),
            self.gender.map(|gender| (A::Gender, Value::Gender(gender.to_proto()))),
            text(A::PersonalId, self.personal_id),
            text(A::OldIdNumber, self.old_id_number),
            text(A::Nationality, self.nationality),
            text(A::Ethnicity, self.ethnicity),
            text(A::Religion, self.religion),
            self.blood_type.map(|kind| (A::BloodType, Value::BloodType(kind.to_proto()))),
            self.marital_status.map(|status| (A::MaritalStatus, Value::MaritalStatus(status.to_proto()))),
            self.status.map(|kind| (A::PhysicalStatus, Value::PhysicalStatus(kind.to_proto()))),
            place(A::BirthPlace, self.birth_place),
            place(A::BirthRegistrationPlace, self.birth_registration),
            place(A::PlaceOfOrigin, self.origin),
            place(A::PermanentResidence, self.residence),
            place(A::CurrentResidence, self.current_residence),
            place(A::TemporaryResidence, self.temporary_residence),
            text(A::ResidenceFileNo, self.residence_file),
            self.household_role.map(|role| (A::HouseholdRole, Value::HouseholdRole(role.to_proto()))),
            self.eid_level.map(|level| (A::EidLevel, Value::EidLevel(level.to_proto()))),
        ];
        let claim = |(attribute, value): (Attribute, _)| Claim {
            attribute: attribute.into(),
            value: Some(value),
            required_strength: required.into(),
        };
        claims.into_iter().flatten().map(claim).collect()
    }
}

/// An address: a unit with its edition, or a country, and what stands below it after a comma.
fn place(text: &str) -> Result<Address, String> {
    let (place, detail) = text.split_once(',').unwrap_or((text, ""));
    let detail = detail.trim().to_owned();
    let (unit_code, unit_edition, country) = match place.trim().split_once('@') {
        Some((code, "v63")) => (code, UnitEdition::V63, ""),
        Some((code, "v34")) => (code, UnitEdition::V34, ""),
        None if place.trim().len() == 2 && !place.contains(|c: char| c.is_ascii_digit()) => {
            ("", UnitEdition::Unspecified, place.trim())
        }
        _ => return Err("expected UNIT@v63 or UNIT@v34, or the two letters of a country".to_owned()),
    };
    Ok(Address {
        unit_code: unit_code.to_owned(),
        unit_edition: unit_edition.into(),
        detail,
        country: country.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        claims: Claims,
    }

    fn parsed(line: &[&str]) -> Result<Vec<Claim>, clap::Error> {
        let line = Line::try_parse_from([&["verify"], line].concat())?;
        Ok(line.claims.list(MatchStrength::Exact))
    }

    #[test]
    fn every_attribute_can_be_claimed() {
        #[rustfmt::skip]
        let claims = parsed(&[
            "--name=Trần Lan", "--family=Trần", "--middle=", "--given=Lan", "--other-name=Na", "--born=1990",
            "--age-at-least=18", "--on=2008-05-17", "--gender=female", "--personal-id=001190000001",
            "--old-id-number=271450001", "--nationality=VN", "--ethnicity=Kinh", "--religion=00", "--blood-type=ab",
            "--marital-status=never_married", "--status=alive", "--birth-place=01@v63", "--birth-registration=01@v63",
            "--origin=01@v34", "--residence=00001@v63, Số 12", "--current-residence=FR, Lyon",
            "--temporary-residence=48@v34", "--residence-file=HS001", "--household-role=head", "--eid-level=2",
        ]);
        let claims = claims.expect("the options exist");
        for number in 1..=25 {
            let made = claims.iter().filter(|claim| claim.attribute == number).count();
            assert_eq!(made, 1, "{:?}", Attribute::try_from(number));
        }
        assert_eq!(claims.len(), 25);
        assert!(claims.iter().all(|claim| claim.required_strength() == MatchStrength::Exact));
    }

    #[test]
    fn what_is_no_claim_is_refused() {
        #[rustfmt::skip]
        let lines: [&[&str]; 9] = [
            &[], &["--on=2008-05-17"], &["--age-at-least=18"], &["--age-at-least=x", "--on=2008-05-17"],
            &["--born=17.5.1990"], &["--gender=f"], &["--residence=01"], &["--residence=01@v35"], &["--eid-level=3"],
        ];
        for line in lines {
            assert!(parsed(line).is_err(), "{line:?}");
        }
    }

    #[test]
    fn places() {
        let parts = |text| place(text).map(|a| (a.unit_code, a.unit_edition, a.country, a.detail));
        let of = |code: &str, edition: UnitEdition, country: &str, detail: &str| {
            Ok((code.to_owned(), i32::from(edition), country.to_owned(), detail.to_owned()))
        };
        assert_eq!(parts("01@v34"), of("01", UnitEdition::V34, "", ""));
        assert_eq!(parts("00001@v63, Số 12, ngõ 4"), of("00001", UnitEdition::V63, "", "Số 12, ngõ 4"));
        assert_eq!(parts("FR"), of("", UnitEdition::Unspecified, "FR", ""));
        assert_eq!(parts("FR,Lyon"), of("", UnitEdition::Unspecified, "FR", "Lyon"));
        for wrong in ["", "01", "01@", "01@V34", "Hà Nội", "FRA", "@"] {
            assert!(parts(wrong).is_err(), "{wrong}");
        }
    }
}
