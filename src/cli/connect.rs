//! The options that lead to a cluster and say how fresh an answer must be, shared by the commands that ask it.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum as _};

use super::{Failure, json};
use crate::client::{Certificates, Client, ClientError, ClientOptions};
use crate::proto::registry::person_key::Key;
use crate::proto::registry::{Consistency, CredentialKey, PersonKey, ReadOptions};

/// Whom to ask, and for whom.
#[derive(Args, Clone)]
pub struct Connect {
    /// Client addresses (host:port) of one or more nodes, separated by commas; the next one is asked when one fails
    #[arg(
        long,
        short = 'e',
        env = "DANCU_ENDPOINTS",
        value_delimiter = ',',
        default_value = "127.0.0.1:7001"
    )]
    endpoints: Vec<String>,
    /// Seconds until a call is given up, retries included
    #[arg(long, default_value_t = 10.0, value_parser = seconds)]
    timeout: f64,
    /// The agency that asks. The one of its certificate, when absent
    #[arg(long, env = "DANCU_AGENCY")]
    agency: Option<String>,
    /// The officer on whose behalf it asks
    #[arg(long, env = "DANCU_OFFICER", default_value = "")]
    officer: String,
    /// What the answer is for, as the agency's policies name it
    #[arg(long, env = "DANCU_PURPOSE", default_value = "")]
    purpose: String,
    /// The legal basis of the call
    #[arg(long, env = "DANCU_BASIS", value_name = "BASIS")]
    basis: Option<json::LegalBasis>,
    /// The administrative procedure that the call is part of
    #[arg(long, env = "DANCU_PROCEDURE", value_name = "CODE", default_value = "")]
    in_procedure: String,
    /// The consent that the call relies on, with the basis "consent"
    #[arg(long, value_name = "ID", default_value = "")]
    consent: String,
    #[command(flatten)]
    shown: Shown,
}

/// What is shown to the nodes.
#[derive(Args, Clone)]
pub struct Shown {
    /// Folder of the certificate to show: an agency's; an operator's or auditor's for the commands that are theirs
    #[arg(long, env = "DANCU_TLS", value_name = "FOLDER")]
    tls: Option<PathBuf>,
    /// Folder of an operator's certificate, shown instead by commands about the cluster
    #[arg(long, env = "DANCU_OPERATOR_TLS", value_name = "FOLDER")]
    operator_tls: Option<PathBuf>,
    /// Folder of an auditor's certificate, shown instead by commands about the audit trail
    #[arg(long, env = "DANCU_AUDITOR_TLS", value_name = "FOLDER")]
    auditor_tls: Option<PathBuf>,
}

impl Shown {
    /// The certificates.
    ///
    /// # Errors
    /// When a file of theirs cannot be used.
    pub fn certificates(&self) -> Result<Certificates, Failure> {
        let load = |folder: &Option<PathBuf>| {
            let loaded = folder.as_deref().map(Certificates::load).transpose();
            loaded.map_err(|error| Failure::Input(error.to_string()))
        };
        Ok(Certificates {
            agency: load(&self.tls)?,
            operator: load(&self.operator_tls)?,
            auditor: load(&self.auditor_tls)?,
        })
    }
}

/// The agency of a tool that has neither a certificate nor a name.
const NAMELESS: &str = "dancu-cli";

fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| "expected a number of seconds".to_owned())?;
    if (0.001..=86_400.0).contains(&seconds) {
        Ok(seconds)
    } else {
        Err("expected 0.001 to 86400".to_owned())
    }
}

impl Connect {
    /// The time a call may take.
    pub fn timeout(&self) -> Duration {
        Duration::from_secs_f64(self.timeout)
    }

    /// A client of these nodes. Connects at the first call.
    ///
    /// # Errors
    /// When an endpoint is not `host:port`, or a certificate cannot be used.
    pub fn client(&self) -> Result<Client, Failure> {
        Ok(Client::connect(self.endpoints.clone(), self.options()?)?)
    }

    /// How such a client asks, and for whom.
    ///
    /// # Errors
    /// When a certificate cannot be used.
    pub fn options(&self) -> Result<ClientOptions, Failure> {
        let certificates = self.shown.certificates()?;
        let agency = self.agency.as_deref().or(certificates.agency_id()).unwrap_or(NAMELESS);
        Ok(ClientOptions {
            deadline: self.timeout(),
            agency_id: agency.to_owned(),
            certificates: certificates.clone(),
            officer_id: self.officer.clone(),
            purpose: self.purpose.clone(),
            legal_basis: self
                .basis
                .map(json::LegalBasis::to_proto)
                .unwrap_or_default()
                .try_into()
                .unwrap_or_default(),
            consent_id: self.consent.clone(),
            procedure_code: self.in_procedure.clone(),
            ..ClientOptions::default()
        })
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        use tonic::Code;
        let text = match error.field() {
            "" => error.to_string(),
            field if error.message().contains(field) => error.to_string(),
            field => format!("{field}: {error}"),
        };
        match error.code() {
            Code::InvalidArgument | Code::Unimplemented | Code::Unauthenticated | Code::PermissionDenied => {
                Self::Input(text)
            }
            Code::NotFound
            | Code::AlreadyExists
            | Code::FailedPrecondition
            | Code::Aborted
            | Code::OutOfRange => Self::Negative(text),
            Code::Unavailable | Code::DeadlineExceeded | Code::ResourceExhausted | Code::Cancelled => {
                Self::Unavailable(text)
            }
            _ => Self::Fault(text),
        }
    }
}

/// How fresh an answer must be, and in which edition it gives addresses.
#[derive(Args, Clone)]
pub struct Freshness {
    /// linearizable, at-least=REVISION, stale=MILLISECONDS, as-of=REVISION or as-of=TIME (like 2026-01-31T10:00:00Z)
    #[arg(long, default_value = "linearizable", value_parser = read_options)]
    consistency: ReadOptions,
    /// Give the addresses of records in this edition of administrative units, where it has exactly one unit for them
    #[arg(long, value_name = "EDITION")]
    unit_edition: Option<json::UnitEdition>,
}

impl Freshness {
    /// The read mode as the API takes it.
    pub fn options(&self) -> ReadOptions {
        let unit_edition = self.unit_edition.map_or(0, json::UnitEdition::to_proto);
        ReadOptions { unit_edition, ..self.consistency }
    }
}

fn read_options(text: &str) -> Result<ReadOptions, String> {
    let (mode, value) = text.split_once('=').map_or((text, None), |(mode, value)| (mode, Some(value)));
    let number = || value.and_then(|v| v.parse::<u64>().ok()).ok_or_else(|| format!("{mode} needs =NUMBER"));
    let options =
        |consistency: Consistency| ReadOptions { consistency: consistency.into(), ..Default::default() };
    Ok(match (mode, value) {
        ("linearizable", None) => options(Consistency::Linearizable),
        ("at-least", _) => ReadOptions { revision: number()?, ..options(Consistency::AtLeast) },
        ("stale", _) => ReadOptions { max_staleness_ms: number()?, ..options(Consistency::BoundedStale) },
        ("as-of", Some(value)) if value.contains('T') => {
            ReadOptions { as_of_ms: instant(value)?, ..options(Consistency::AsOf) }
        }
        ("as-of", _) => ReadOptions { revision: number()?, ..options(Consistency::AsOf) },
        _ => return Err("expected linearizable, at-least=N, stale=MS, as-of=N or as-of=TIME".to_owned()),
    })
}

/// An instant, in milliseconds since 1970.
pub fn instant(text: &str) -> Result<u64, String> {
    let time: jiff::Timestamp =
        text.parse().map_err(|_| "expected a time like 2026-01-31T10:00:00Z".to_owned())?;
    u64::try_from(time.as_millisecond()).map_err(|_| "expected a time after 1970".to_owned())
}

/// Which person, in exactly one way.
#[derive(Args, Clone)]
#[group(required = true, multiple = false)]
pub struct Whom {
    /// Personal id, 12 digits
    #[arg(long)]
    id: Option<String>,
    /// CMND number, 9 digits
    #[arg(long)]
    old_id: Option<String>,
    /// The registry's internal id
    #[arg(long)]
    uid: Option<u64>,
    /// A paper or card, as TYPE=NUMBER: driving_licence=790123456789
    #[arg(long, value_parser = credential_key)]
    credential: Option<CredentialKey>,
}

impl Whom {
    /// The key as the API takes it.
    pub fn key(&self) -> PersonKey {
        let id = self.id.clone().map(Key::PersonalId);
        let old = || self.old_id.clone().map(Key::OldIdNumber);
        let uid = || self.uid.map(Key::PersonUid);
        let credential = || self.credential.clone().map(Key::Credential);
        PersonKey { key: id.or_else(old).or_else(uid).or_else(credential) }
    }
}

/// One of several people in a command: as in [`Whom`], in one word.
pub fn person_key(text: &str) -> Result<PersonKey, String> {
    let digits = |count| text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    let key = match text.split_once('=') {
        Some(("uid", uid)) => Key::PersonUid(uid.parse().map_err(|_| "expected uid=NUMBER".to_owned())?),
        Some(("id", number)) => Key::PersonalId(number.to_owned()),
        Some(("old-id", number)) => Key::OldIdNumber(number.to_owned()),
        Some(_) => Key::Credential(credential_key(text)?),
        None if digits(12) => Key::PersonalId(text.to_owned()),
        None if digits(9) => Key::OldIdNumber(text.to_owned()),
        None => return Err("expected a personal id, a CMND number, uid=NUMBER or TYPE=NUMBER".to_owned()),
    };
    Ok(PersonKey { key: Some(key) })
}

/// A paper or card as TYPE=NUMBER.
pub fn credential_key(text: &str) -> Result<CredentialKey, String> {
    let parts = text.split_once('=').and_then(|(kind, number)| {
        Some(CredentialKey {
            r#type: json::CredentialType::from_str(kind, false).ok()?.to_proto(),
            number: number.to_owned(),
        })
    });
    parts.ok_or_else(|| {
        let kinds: Vec<_> = json::CredentialType::value_variants()
            .iter()
            .filter_map(clap::ValueEnum::to_possible_value)
            .collect();
        let kinds: Vec<_> = kinds.iter().map(clap::builder::PossibleValue::get_name).collect();
        format!("expected TYPE=NUMBER; the types are {}", kinds.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn read_modes_are_understood() {
        let modes = [
            ("linearizable", Consistency::Linearizable, (0, 0, 0)),
            ("at-least=7", Consistency::AtLeast, (7, 0, 0)),
            ("stale=500", Consistency::BoundedStale, (0, 500, 0)),
            ("as-of=9", Consistency::AsOf, (9, 0, 0)),
            ("as-of=1970-01-01T00:00:02Z", Consistency::AsOf, (0, 0, 2000)),
        ];
        for (text, mode, numbers) in modes {
            let options = read_options(text).unwrap();
            assert_eq!(options.consistency, mode as i32, "{text}");
            assert_eq!((options.revision, options.max_staleness_ms, options.as_of_ms), numbers, "{text}");
        }
        for bad in ["", "stale", "stale=", "stale=-1", "linearizable=1", "as-of=yesterday", "eventual"] {
            assert!(read_options(bad).is_err(), "accepted {bad:?}");
        }
    }

    #[test]
    fn people_are_named_in_one_word() {
        let licence =
            CredentialKey { r#type: json::CredentialType::DrivingLicence.to_proto(), number: "79=1".into() };
        for (text, key) in [
            ("001190000001", Key::PersonalId("001190000001".into())),
            ("271450001", Key::OldIdNumber("271450001".into())),
            ("id=1", Key::PersonalId("1".into())),
            ("old-id=1", Key::OldIdNumber("1".into())),
            ("uid=7", Key::PersonUid(7)),
            ("driving_licence=79=1", Key::Credential(licence)),
        ] {
            assert_eq!(person_key(text), Ok(PersonKey { key: Some(key) }), "{text}");
        }
        for bad in ["", "7", "uid=x", "licence=1", "00119000000x", "٠٠١"] {
            assert!(person_key(bad).is_err(), "accepted {bad:?}");
        }
    }
}
