//! Keys of people and claims as JSON, for disclosures; enum values as words, for the receipt itself.

use serde_json::{Map, Value, json};

use crate::proto::registry::claim::Value as Claimed;
use crate::proto::registry::person_key::Key;
use crate::proto::registry::{
    Address, Attribute, AttributeVerdict, BloodType, Claim, Consistency, CredentialType, DatePrecision,
    EidLevel, Gender, HouseholdRole, MaritalStatus, MatchStrength, PartialDate, PersonKey,
    PhysicalStatusKind, UnitEdition, Verdict,
};

/// An enum value by its number: its proto name without the prefix, in lower case; the number when nobody knows it.
macro_rules! word {
    ($kind:ty, $number:expr) => {
        <$kind>::try_from($number)
            .map_or_else(|_| $number.to_string(), |value| short(value.as_str_name(), stringify!($kind)))
    };
}

/// "MATCH_STRENGTH_EXACT" of `MatchStrength` is "exact"; "unspecified" is nothing.
fn short(name: &str, kind: &str) -> String {
    let mut prefix = String::new();
    for (place, letter) in kind.char_indices() {
        if letter.is_uppercase() && place > 0 {
            prefix.push('_');
        }
        prefix.extend(letter.to_uppercase());
    }
    let word = name.strip_prefix(&prefix).and_then(|word| word.strip_prefix('_')).unwrap_or(name);
    if word == "UNSPECIFIED" { String::new() } else { word.to_lowercase() }
}

pub fn consistency(number: i32) -> String {
    word!(Consistency, number)
}

/// Attribute, verdict, strength and precision.
pub fn words(verdict: &AttributeVerdict) -> [String; 4] {
    [
        word!(Attribute, verdict.attribute),
        word!(Verdict, verdict.verdict),
        word!(MatchStrength, verdict.strength),
        word!(DatePrecision, verdict.precision),
    ]
}

/// The verdict that [`words`] was made of.
pub fn verdict(words: [&str; 4]) -> AttributeVerdict {
    let [attribute, verdict, strength, precision] = words;
    let named = |prefix: &str, word: &str| format!("{prefix}_{}", word.to_uppercase());
    AttributeVerdict {
        attribute: Attribute::from_str_name(&named("ATTRIBUTE", attribute)).unwrap_or_default().into(),
        verdict: Verdict::from_str_name(&named("VERDICT", verdict)).unwrap_or_default().into(),
        strength: MatchStrength::from_str_name(&named("MATCH_STRENGTH", strength)).unwrap_or_default().into(),
        precision: DatePrecision::from_str_name(&named("DATE_PRECISION", precision))
            .unwrap_or_default()
            .into(),
        note: String::new(),
    }
}

/// The consistency that [`consistency`] was made of.
pub fn consistency_of(word: &str) -> Consistency {
    Consistency::from_str_name(&format!("CONSISTENCY_{}", word.to_uppercase())).unwrap_or_default()
}

/// By which key somebody was asked for.
pub fn subject(key: Option<&PersonKey>) -> Value {
    match key.and_then(|key| key.key.as_ref()) {
        None => Value::Null,
        Some(Key::PersonUid(uid)) => json!({ "person_uid": uid }),
        Some(Key::PersonalId(number)) => json!({ "personal_id": number }),
        Some(Key::OldIdNumber(number)) => json!({ "old_id_number": number }),
        Some(Key::Credential(credential)) => json!({ "credential": {
            "type": word!(CredentialType, credential.r#type), "number": credential.number,
        }}),
    }
}

/// What was claimed.
pub fn claimed(claim: &Claim) -> Value {
    let (kind, value) = match &claim.value {
        None => ("nothing", Value::Null),
        Some(Claimed::Text(text)) => ("text", json!(text)),
        Some(Claimed::Date(day)) => ("date", date(day)),
        Some(Claimed::Gender(number)) => ("gender", json!(word!(Gender, *number))),
        Some(Claimed::Address(place)) => ("address", address(place)),
        Some(Claimed::PhysicalStatus(number)) => {
            ("physical_status", json!(word!(PhysicalStatusKind, *number)))
        }
        Some(Claimed::BloodType(number)) => ("blood_type", json!(word!(BloodType, *number))),
        Some(Claimed::MaritalStatus(number)) => ("marital_status", json!(word!(MaritalStatus, *number))),
        Some(Claimed::HouseholdRole(number)) => ("household_role", json!(word!(HouseholdRole, *number))),
        Some(Claimed::EidLevel(number)) => ("eid_level", json!(word!(EidLevel, *number))),
        Some(Claimed::Age(age)) => {
            ("age", json!({ "at_least": age.at_least, "on": age.on.as_ref().map(date) }))
        }
    };
    let mut all = Map::new();
    all.insert("attribute".to_owned(), json!(word!(Attribute, claim.attribute)));
    all.insert(kind.to_owned(), value);
    let required = word!(MatchStrength, claim.required_strength);
    if !required.is_empty() {
        all.insert("required_strength".to_owned(), json!(required));
    }
    Value::Object(all)
}

/// 1990-05-17, 1990-05 or 1990.
fn date(day: &PartialDate) -> Value {
    Value::from(match *day {
        PartialDate { year, month: 0, .. } => format!("{year:04}"),
        PartialDate { year, month, day: 0 } => format!("{year:04}-{month:02}"),
        PartialDate { year, month, day } => format!("{year:04}-{month:02}-{day:02}"),
    })
}

fn address(place: &Address) -> Value {
    json!({
        "unit_code": place.unit_code,
        "unit_edition": word!(UnitEdition, place.unit_edition),
        "detail": place.detail,
        "country": place.country,
    })
}
