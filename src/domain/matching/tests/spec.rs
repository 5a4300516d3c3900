//! The specification of matching: the scripts in `spec/` of the folder above, with what is compared above `---` and what
//! comes of it below. `UPDATE_GOLDENFILES=1` writes what the code says now into them; look at the difference before you
//! keep it.
//!
//! | command | means |
//! |---|---|
//! | `agree ONE OTHER` | how strongly two texts agree, both ways round |
//! | `record ATTRIBUTE=VALUE ..` | a person of whom nothing else is known; in force until the next one |
//! | `claim ATTRIBUTE=VALUE .. [require=STRENGTH]` | claims made together about that person |
//!
//! Values are written `1990-05-17`, `1990` (dates), `01@v63, Số 12` (addresses; `FR, Lyon` abroad), `18 on 2008-05-17`
//! (ages), or as the word of an enum. `locked=yes` locks the account of a record. In what comes out, a letter that hides
//! or looks like another is escaped.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;

use goldenscript::ArgumentConsumer;

use crate::domain::matching::{PROFILE, strength, verify};
use crate::domain::text;
use crate::proto::registry::claim::Value;
use crate::proto::registry::{
    Address, AgeClaim, Attribute, AttributeVerdict, BloodType, Claim, EidAccountState, EidLevel, EidState,
    Gender, HouseholdRole, MaritalStatus, MatchStrength, PartialDate, Person, PhysicalStatus,
    PhysicalStatusKind, TemporaryResidence, UnitEdition,
};

/// Where the scripts are, from the root of the project.
const FOLDER: &str = "src/domain/matching/spec";

/// Cases that there are at least: comparisons of two texts, and claims.
const CASES: usize = 150;

type Outcome<T> = Result<T, Box<dyn Error>>;

#[test]
fn matching_is_as_specified() {
    let entries = fs::read_dir(FOLDER).expect("the folder of the scripts can be read");
    let mut scripts: Vec<_> = entries.map(|entry| entry.expect("an entry of the folder").path()).collect();
    scripts.retain(|path| path.extension().is_none());
    scripts.sort();
    let mut cases = 0;
    for script in scripts {
        let mut runner = Runner::default();
        goldenscript::run(&mut runner, &script)
            .unwrap_or_else(|error| panic!("{}: {error}", script.display()));
        println!("{}: {} cases", script.display(), runner.cases);
        cases += runner.cases;
    }
    println!("{cases} cases of {PROFILE}");
    assert!(cases >= CASES, "only {cases} cases");
}

/// The record that claims are made of, and how many cases there were.
#[derive(Default)]
struct Runner {
    person: Person,
    cases: usize,
}

impl goldenscript::Runner for Runner {
    type Command = goldenscript::Command;

    fn run(&mut self, command: &goldenscript::Command, _: &goldenscript::Context) -> Outcome<String> {
        let mut args = command.consume_args();
        let output = match command.name.as_str() {
            "agree" => self.agree(args.next_pos().ok_or("one text")?, args.next_pos().ok_or("two texts")?)?,
            "record" => self.record(&mut args)?,
            "claim" => self.claim(&mut args)?,
            other => return Err(format!("there is no command {other}").into()),
        };
        args.reject_next()?;
        Ok(output)
    }
}

impl Runner {
    fn agree(&mut self, one: &str, other: &str) -> Outcome<String> {
        let found = strength(one, other);
        if found != strength(other, one) {
            return Err("the other way round it is another strength".into());
        }
        self.cases += 1;
        Ok(line(&format!("{} ~ {}", shown(one), shown(other)), class(found)))
    }

    fn record(&mut self, args: &mut ArgumentConsumer) -> Outcome<String> {
        self.person = Person::default();
        let locked = args.take_key("locked").is_some();
        while let Some((attribute, text)) = args.next_key() {
            let attribute = named(attribute)?;
            set(&mut self.person, attribute, value(attribute, text)?)?;
        }
        if let Some(account) = self.person.eid_account.as_mut().filter(|_| locked) {
            account.set_state(EidState::Locked);
        }
        Ok(String::new())
    }

    fn claim(&mut self, args: &mut ArgumentConsumer) -> Outcome<String> {
        let required = args.take_key("require");
        let required_strength =
            required.map_or(Ok(0), |text| constant("MATCH_STRENGTH_", text, MatchStrength::from_str_name))?;
        let (mut texts, mut claims) = (Vec::new(), Vec::new());
        while let Some((name, text)) = args.next_key() {
            let attribute = named(name)?;
            let value = Some(value(attribute, text)?);
            let at_least = required.map_or(String::new(), |strength| format!(", required {strength}"));
            texts.push(format!("{name} {}{at_least}", shown(text)));
            claims.push(Claim { attribute: attribute.into(), value, required_strength });
        }
        self.cases += claims.len();
        let verdicts = verify(&self.person, &claims);
        Ok(texts.iter().zip(&verdicts).map(|(text, verdict)| line(text, &told(verdict))).collect())
    }
}

fn line(case: &str, outcome: &str) -> String {
    let space = " ".repeat(56usize.saturating_sub(case.chars().count()));
    format!("{case}{space} {outcome}\n")
}

fn class(strength: MatchStrength) -> &'static str {
    match strength {
        MatchStrength::Unspecified => "NONE",
        other => other.as_str_name().trim_start_matches("MATCH_STRENGTH_"),
    }
}

fn told(verdict: &AttributeVerdict) -> String {
    let mut told = verdict.verdict().as_str_name().trim_start_matches("VERDICT_").to_owned();
    if verdict.strength != 0 {
        write!(told, " {}", class(verdict.strength())).expect("a String takes all");
    }
    if verdict.precision != 0 {
        let precision =
            verdict.precision().as_str_name().trim_start_matches("DATE_PRECISION_").to_lowercase();
        write!(told, ", to the {precision}").expect("a String takes all");
    }
    if !verdict.note.is_empty() {
        write!(told, ": {}", verdict.note).expect("a String takes all");
    }
    told
}

/// The text in quotes, with an escape for each letter that a reader could not tell or would not see.
fn shown(text: &str) -> String {
    let plain = |c: char| c.is_ascii_graphic() || text::check_name_characters(&format!("a{c}")).is_ok();
    let letters = text.chars().map(|c| if plain(c) { c.to_string() } else { c.escape_default().to_string() });
    format!("\"{}\"", letters.collect::<String>())
}

fn named(attribute: &str) -> Outcome<Attribute> {
    let name = format!("ATTRIBUTE_{}", attribute.to_uppercase());
    Attribute::from_str_name(&name).ok_or_else(|| format!("there is no attribute {attribute}").into())
}

/// The number of an enum's value by its word, or by itself when it has none.
fn constant<E: Into<i32>>(prefix: &str, word: &str, named: fn(&str) -> Option<E>) -> Outcome<i32> {
    let known = named(&format!("{prefix}{}", word.to_uppercase()));
    Ok(known.map_or_else(|| word.parse(), |value| Ok(value.into()))?)
}

fn value(attribute: Attribute, text: &str) -> Outcome<Value> {
    use Attribute as A;
    Ok(match attribute {
        A::BirthDate => Value::Date(date(text)?),
        A::Age => {
            let (years, on) = text.split_once(" on ").map_or((text, None), |(years, on)| (years, Some(on)));
            Value::Age(AgeClaim { at_least: years.parse()?, on: on.map(date).transpose()? })
        }
        A::Gender => Value::Gender(constant("GENDER_", text, Gender::from_str_name)?),
        A::PhysicalStatus => {
            Value::PhysicalStatus(constant("PHYSICAL_STATUS_KIND_", text, PhysicalStatusKind::from_str_name)?)
        }
        A::BloodType => Value::BloodType(constant("BLOOD_TYPE_", text, BloodType::from_str_name)?),
        A::MaritalStatus => {
            Value::MaritalStatus(constant("MARITAL_STATUS_", text, MaritalStatus::from_str_name)?)
        }
        A::HouseholdRole => {
            Value::HouseholdRole(constant("HOUSEHOLD_ROLE_", text, HouseholdRole::from_str_name)?)
        }
        A::EidLevel => Value::EidLevel(constant("EID_LEVEL_", text, EidLevel::from_str_name)?),
        A::BirthPlace
        | A::BirthRegistrationPlace
        | A::PlaceOfOrigin
        | A::PermanentResidence
        | A::CurrentResidence
        | A::TemporaryResidence => Value::Address(address(text)),
        _ => Value::Text(text.to_owned()),
    })
}

fn date(text: &str) -> Outcome<PartialDate> {
    let mut parts = text.split('-').map(str::parse);
    let mut next = || parts.next().unwrap_or(Ok(0));
    Ok(PartialDate { year: next()?, month: next()?, day: next()? })
}

fn address(text: &str) -> Address {
    let (place, detail) = text.split_once(", ").unwrap_or((text, ""));
    let (code, edition) = place.split_once('@').unwrap_or((place, ""));
    let abroad = place.chars().any(char::is_alphabetic) && edition.is_empty();
    let edition = match edition {
        "v63" => UnitEdition::V63,
        "v34" => UnitEdition::V34,
        _ => UnitEdition::Unspecified,
    };
    let (unit_code, country) = if abroad { ("", code) } else { (code, "") };
    Address {
        unit_code: unit_code.to_owned(),
        unit_edition: edition.into(),
        detail: detail.to_owned(),
        country: country.to_owned(),
    }
}

/// Sets what an attribute is read from.
fn set(person: &mut Person, attribute: Attribute, value: Value) -> Outcome<()> {
    use Attribute as A;
    match (attribute, value) {
        (A::FamilyName, Value::Text(text)) => person.birth_name.get_or_insert_default().family = text,
        (A::MiddleName, Value::Text(text)) => person.birth_name.get_or_insert_default().middle = text,
        (A::GivenName, Value::Text(text)) => person.birth_name.get_or_insert_default().given = text,
        (A::OtherName, Value::Text(text)) => person.other_names.push(text),
        (A::PersonalId, Value::Text(text)) => person.personal_id = text,
        (A::OldIdNumber, Value::Text(text)) => person.old_id_numbers.push(text),
        (A::Nationality, Value::Text(text)) => person.nationalities.push(text),
        (A::Ethnicity, Value::Text(text)) if text.parse::<u32>().is_ok() => person.ethnicity = text,
        (A::Ethnicity, Value::Text(text)) => person.ethnicity_name = text,
        (A::Religion, Value::Text(text)) => person.religion = text,
        (A::ResidenceFileNo, Value::Text(text)) => person.residence_file_no = text,
        (A::BirthDate, Value::Date(date)) => person.birth_date = Some(date),
        (A::Gender, Value::Gender(code)) => person.gender = code,
        (A::BloodType, Value::BloodType(code)) => person.blood_type = code,
        (A::MaritalStatus, Value::MaritalStatus(code)) => person.marital_status = code,
        (A::HouseholdRole, Value::HouseholdRole(code)) => person.household_role = code,
        (A::PhysicalStatus, Value::PhysicalStatus(kind)) => {
            person.physical_status = Some(PhysicalStatus { kind, since: None });
        }
        (A::EidLevel, Value::EidLevel(level)) => {
            let state = EidState::Unlocked.into();
            person.eid_account = Some(EidAccountState { level, state, lock_reason: String::new() });
        }
        (A::BirthPlace, Value::Address(address)) => person.birth_place = Some(address),
        (A::PlaceOfOrigin, Value::Address(address)) => person.place_of_origin = Some(address),
        (A::BirthRegistrationPlace, Value::Address(address)) => {
            person.birth_registration_place = Some(address);
        }
        (A::CurrentResidence, Value::Address(address)) => person.current_residence = Some(address),
        (A::PermanentResidence, Value::Address(address)) => person.permanent_residence = Some(address),
        (A::TemporaryResidence, Value::Address(address)) => {
            let address = Some(address);
            person.temporary_residences.push(TemporaryResidence { address, since: None, until: None });
        }
        _ => return Err("the script cannot set this".into()),
    }
    Ok(())
}
