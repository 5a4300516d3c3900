//! The files of `dancu policy apply`, and the words in them: those of protobuf in lower case, without their prefix.

use std::path::Path;

use serde::Deserialize;

use crate::cli::Failure;
use crate::cli::failure::file_failure;
use crate::domain::policy::SENSITIVE;
use crate::proto::registry::{
    AccessPolicy, Agency, Attribute, LegalBasis, MatchStrength, Operation, PersonField, Procedure,
    VerifyPermission,
};

/// What stands for all that there is.
const ALL: &str = "*";

/// A file. Lists may hold "*" for all; of sensitive fields only in a policy that is `sensitive`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    #[serde(default)]
    procedure: Vec<FileProcedure>,
    #[serde(default)]
    policy: Vec<FilePolicy>,
    #[serde(default)]
    agency: Vec<FileAgency>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileProcedure {
    code: String,
    purpose: String,
    law: String,
    fields: Vec<String>,
    #[serde(default)]
    withdrawn: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FilePolicy {
    name: String,
    law: String,
    purposes: Vec<String>,
    legal_bases: Vec<String>,
    #[serde(default)]
    procedures: Vec<String>,
    #[serde(default)]
    read: Vec<String>,
    #[serde(default)]
    verify: Vec<String>,
    #[serde(default)]
    write: Vec<String>,
    #[serde(default)]
    operations: Vec<String>,
    #[serde(default)]
    sensitive: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileAgency {
    id: String,
    #[serde(default)]
    name: String,
    policies: Vec<String>,
    #[serde(default)]
    provinces: Vec<String>,
    #[serde(default)]
    calls_per_day: u64,
    #[serde(default)]
    guesses_per_person: u32,
}

/// What a file says, as it is put.
type Parts = (Vec<Procedure>, Vec<AccessPolicy>, Vec<Agency>);

impl File {
    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read, or says what there is not.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let text = std::fs::read_to_string(path).map_err(|e| file_failure("read", path, &e))?;
        Self::of(&text).map_err(|problem| Failure::Input(format!("{}: {problem}", path.display())))
    }

    fn of(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }

    /// What is to be put.
    ///
    /// # Errors
    /// For a word that names nothing.
    pub fn parts(self) -> Result<Parts, Failure> {
        let procedures = self.procedure.into_iter().map(|p| {
            Ok(Procedure {
                fields: fields(&p.fields, &format!("procedure {}: fields", p.code), true)?,
                procedure_code: p.code,
                purpose: p.purpose,
                law: p.law,
                withdrawn: p.withdrawn,
            })
        });
        let policies = self.policy.into_iter().map(|p| {
            let at = |list: &str| format!("policy {}: {list}", p.name);
            Ok(AccessPolicy {
                legal_bases: bases(&p.legal_bases, &at("legal_bases"))?,
                read: fields(&p.read, &at("read"), p.sensitive)?,
                verify: permissions(&p.verify, &at("verify"), p.sensitive)?,
                write: fields(&p.write, &at("write"), p.sensitive)?,
                operations: operations(&p.operations, &at("operations"))?,
                name: p.name,
                law: p.law,
                purposes: p.purposes,
                procedures: p.procedures,
                sensitive: p.sensitive,
            })
        });
        let agencies = self.agency.into_iter().map(|a| Agency {
            agency_id: a.id,
            name: a.name,
            policies: a.policies,
            provinces: a.provinces,
            calls_per_day: a.calls_per_day,
            guesses_per_person: a.guesses_per_person,
            ..Agency::default()
        });
        Ok((
            procedures.collect::<Result<_, Failure>>()?,
            policies.collect::<Result<_, Failure>>()?,
            agencies.collect(),
        ))
    }
}

/// A policy that permits everything for every purpose: for clusters that one develops against, and for those who keep the
/// register itself.
pub fn everything(name: &str, law: &str) -> AccessPolicy {
    let all = [ALL.to_owned()];
    let known = "every word of the list of all is known";
    AccessPolicy {
        name: name.to_owned(),
        law: law.to_owned(),
        purposes: all.to_vec(),
        legal_bases: bases(&all, "").expect(known),
        read: fields(&all, "", true).expect(known),
        verify: permissions(&all, "", true).expect(known),
        write: fields(&all, "", true).expect(known),
        operations: operations(&all, "").expect(known),
        procedures: Vec::new(),
        sensitive: true,
    }
}

/// The words of a list as numbers; `*` for all `known` ones.
fn numbers(
    words: &[String],
    at: &str,
    named: impl Fn(&str) -> Option<i32>,
    all: impl Fn() -> Vec<i32>,
) -> Result<Vec<i32>, Failure> {
    if words == [ALL] {
        return Ok(all());
    }
    let number = |word: &String| {
        named(&word.to_uppercase())
            .filter(|_| !word.contains(|c: char| c.is_ascii_uppercase()))
            .ok_or_else(|| Failure::Input(format!("{at}: there is no \"{word}\"")))
    };
    words.iter().map(number).collect()
}

/// Fields by their names; `*` for all, without the sensitive ones unless those are wanted too.
pub fn fields(words: &[String], at: &str, sensitive: bool) -> Result<Vec<i32>, Failure> {
    let named = |word: &str| PersonField::from_str_name(&format!("PERSON_FIELD_{word}")).map(Into::into);
    let all = || {
        let known = (1..100).filter_map(|number| PersonField::try_from(number).ok());
        known.filter(|field| sensitive || !SENSITIVE.contains(field)).map(Into::into).collect()
    };
    numbers(words, at, named, all)
}

/// Operations by their names; `*` for all.
pub fn operations(words: &[String], at: &str) -> Result<Vec<i32>, Failure> {
    let named = |word: &str| Operation::from_str_name(&format!("OPERATION_{word}")).map(Into::into);
    numbers(words, at, named, || (1..100).filter(|number| Operation::try_from(*number).is_ok()).collect())
}

fn bases(words: &[String], at: &str) -> Result<Vec<i32>, Failure> {
    let named = |word: &str| match word {
        "UNSTATED" => Some(LegalBasis::Unspecified.into()),
        _ => LegalBasis::from_str_name(&format!("LEGAL_BASIS_{word}")).map(Into::into),
    };
    numbers(words, at, named, || (0..100).filter(|number| LegalBasis::try_from(*number).is_ok()).collect())
}

/// Attributes by their names, with the weakest likeness that may be asked for behind "=".
pub fn permissions(words: &[String], at: &str, sensitive: bool) -> Result<Vec<VerifyPermission>, Failure> {
    let is_sensitive = |attribute: &i32| {
        let attribute = Attribute::try_from(*attribute).unwrap_or_default();
        matches!(attribute, Attribute::Ethnicity | Attribute::Religion | Attribute::BloodType)
    };
    let all = || {
        let known = (1..64).filter(|number| Attribute::try_from(*number).is_ok());
        known.filter(|attribute| sensitive || !is_sensitive(attribute)).collect()
    };
    let named = |word: &str| Attribute::from_str_name(&format!("ATTRIBUTE_{word}")).map(Into::into);
    let mut permissions = Vec::new();
    for word in words {
        let (attribute, weakest) = match word.split_once('=') {
            None => (word.clone(), MatchStrength::Canonical.into()),
            Some((attribute, strength)) => {
                let named = |word: &str| {
                    MatchStrength::from_str_name(&format!("MATCH_STRENGTH_{word}")).map(Into::into)
                };
                let weakest = numbers(&[strength.to_owned()], at, named, Vec::new)?;
                (attribute.to_owned(), weakest.first().copied().unwrap_or_default())
            }
        };
        let attributes = numbers(&[attribute], at, named, all)?;
        permissions.extend(attributes.into_iter().map(|attribute| VerifyPermission { attribute, weakest }));
    }
    Ok(permissions)
}

/// A permission as it is written.
pub fn permission_word(permission: &VerifyPermission) -> String {
    let attribute = short(permission.attribute().as_str_name(), "ATTRIBUTE_");
    match permission.weakest() {
        MatchStrength::Variant | MatchStrength::Folded => {
            format!("{attribute}={}", short(permission.weakest().as_str_name(), "MATCH_STRENGTH_"))
        }
        _ => attribute,
    }
}

/// A name of protobuf as it is written in a file.
pub fn short(name: &str, prefix: &str) -> String {
    name.trim_start_matches(prefix).to_lowercase()
}

/// The same of several.
pub fn shorts<T>(values: impl Iterator<Item = T>, word: impl Fn(T) -> String) -> Vec<String> {
    values.map(word).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::policy::check;

    #[test]
    fn everything_is_a_valid_policy() {
        assert_eq!(check::policy(&everything("everything", "for development")), Ok(()));
    }

    #[test]
    fn the_sample_can_be_put() {
        let sample = File::of(include_str!("../../../cluster/policy.toml")).expect("it is well formed");
        let (procedures, policies, agencies) = sample.parts().expect("each word is known");
        assert!(!procedures.is_empty() && !policies.is_empty() && !agencies.is_empty());
        for procedure in &procedures {
            assert_eq!(check::procedure(procedure), Ok(()));
        }
        let all = policies.iter().fold(crate::domain::policy::Policies::default(), |all, policy| {
            assert_eq!(check::policy(policy), Ok(()));
            let row = Some(crate::proto::store::policy_row::Row::Policy(policy.clone()));
            all.with(&crate::proto::store::PolicyRow { row })
        });
        for agency in &agencies {
            assert_eq!(check::agency(agency, &all), Ok(()));
        }
    }

    #[test]
    fn words_that_name_nothing_are_refused() {
        let words = |text: &str| [text.to_owned()];
        assert!(fields(&words("birth_name"), "", false).is_ok());
        assert!(fields(&words("Birth_name"), "", false).is_err());
        assert!(fields(&words("name"), "", false).is_err());
        assert!(operations(&words("find"), "").is_ok() && operations(&words("FIND"), "").is_err());
        let folded = permissions(&words("given_name=folded"), "", false).map_err(|error| error.to_string());
        assert_eq!(folded.map(|all| permission_word(&all[0])), Ok("given_name=folded".to_owned()));
        assert!(permissions(&words("given_name=weak"), "", false).is_err());
    }
}
