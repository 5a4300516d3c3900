//! Every method about people, for agencies with every kind of licence: walked by the descriptors, so that a method nobody
//! thought of is found here; and what a licence lets through of answers: single items of batches, verdicts, numbers.

use std::collections::BTreeSet;

use bytes::Bytes;
use dancu::client::{Certificates, Client, ClientOptions};
use dancu::proto::registry::claim::Value;
use dancu::proto::registry::event::Event as Life;
use dancu::proto::registry::write::Write as Kind;
use dancu::proto::registry::{
    AccessPolicy, Agency, AssignPersonalId, Attribute, AttributeVerdict, BatchReadPersonsRequest,
    BatchVerifyRequest, CancelPersonalId, CancelUinRequest, CheckConsentRequest, Claim, CommitBatchRequest,
    CommitEventRequest, ConsentRecord, CreatePerson, CreatePersonRequest, Credential, CredentialKey,
    CredentialStatusRequest, CredentialType, Death, EidLevel, Event, FindPersonsRequest, GenerateUinRequest,
    GrantConsentRequest, ImportRequest, IssueCredentialRequest, LegalBasis, ListConsentsRequest,
    LockEidRequest, MatchStrength, MergePersons, MergePersonsRequest, NewPersonalId, Operation, PartialDate,
    PatchPerson, PatchPersonRequest, Person, PersonField, PersonStatus, ReadAttributeSetRequest,
    ReadCredentialsRequest, ReadEidRequest, ReadHouseholdRequest, ReadOptions, ReadPersonAttributesRequest,
    ReadPersonHistoryRequest, ReadPersonRequest, RequestContext, ResolveIdentifierRequest,
    SetEidLevelRequest, SetPersonStatus, SetPersonStatusRequest, Subject, SuspendAgencyRequest,
    UnlockEidRequest, UpdateCredentialRequest, UpdatePerson, UpdatePersonRequest, Verdict,
    VerifyCredentialRequest, VerifyHouseholdRequest, VerifyIdentifierLinkRequest, VerifyPermission,
    VerifyRequest, VerifyStreamRequest, WithdrawConsentRequest, Write,
};
use dancu::tls::authority::Authority;
use dancu::tls::{Circle, Holder};
use prost::Message;
use tonic::transport::Channel;

use crate::cluster_roles::{Method, call, expected, methods, reason};
use crate::harness::people::{NAMES, citizen, personal_id};
use crate::harness::{AGENCY, Cluster, api, http_get, options};

/// The methods of agencies that are about nobody, which every agency may call.
const OF_NOBODY: [&str; 8] = [
    "Verification/VerifyReceipt",
    "AdminUnits/GetUnit",
    "AdminUnits/ConvertUnit",
    "UinManagement/CheckUinStructure",
    "DataAccess/ListAttributeSets",
    "Policy/Explain",
    "Health/Check",
    "ServerReflection/ServerReflectionInfo",
];

const TODAY: PartialDate = PartialDate { year: 2026, month: 6, day: 15 };

/// The certificate of an agency.
pub fn certificate(cluster: &Cluster, agency: &str) -> Certificates {
    let clients = Authority::open(cluster.certified.root(), Circle::Clients).unwrap();
    let folder = clients.ensure(&Holder::agency(agency), &[], 10).unwrap();
    Certificates { agency: Some(Certificates::load(&folder).unwrap()), ..Certificates::default() }
}

/// A client of one node, in the name of an agency, for a purpose that a law names.
pub fn client(cluster: &Cluster, node: usize, agency: &str, purpose: &str) -> Client {
    let options = ClientOptions {
        certificates: certificate(cluster, agency),
        agency_id: agency.to_owned(),
        purpose: purpose.to_owned(),
        legal_basis: LegalBasis::Law,
        ..options()
    };
    Client::connect(vec![cluster.fleet.nodes[node].client_address()], options).unwrap()
}

/// A policy for one purpose that a law names.
pub fn policy(name: &str, purpose: &str) -> AccessPolicy {
    AccessPolicy {
        name: name.to_owned(),
        law: "a law".to_owned(),
        purposes: vec![purpose.to_owned()],
        legal_bases: vec![LegalBasis::Law.into()],
        ..AccessPolicy::default()
    }
}

/// Leave to verify these attributes.
pub fn verifies(attributes: &[(Attribute, MatchStrength)]) -> Vec<VerifyPermission> {
    let permission = |(attribute, weakest): &(Attribute, MatchStrength)| VerifyPermission {
        attribute: (*attribute).into(),
        weakest: (*weakest).into(),
    };
    attributes.iter().map(permission).collect()
}

/// A claim on a text.
pub fn claim(attribute: Attribute, text: &str) -> Claim {
    Claim { attribute: attribute.into(), value: Some(Value::Text(text.to_owned())), ..Claim::default() }
}

/// A valid message for each method about people, about the person of this uid.
#[rustfmt::skip]
fn messages(uid: u64, context: &RequestContext) -> Vec<(&'static str, Bytes)> {
    let context = || Some(context.clone());
    let key = || Some(api::by_uid(uid));
    let options = || None;
    let claims = || vec![claim(Attribute::FullName, "Nguyễn Quỳnh Thúy")];
    let subject = || Subject { key: key(), claims: claims() };
    let card = || Some(CredentialKey { r#type: CredentialType::Passport.into(), number: "P1".to_owned() });
    let credential = || Some(Credential { r#type: CredentialType::Passport.into(), number: "P1".to_owned(), issued_on: Some(TODAY), ..Credential::default() });
    let assign = |replace| Some(AssignPersonalId { key: key(), new_personal_id: Some(NewPersonalId { place_code: "001".to_owned() }), replace });
    let create = || CreatePerson { person: Some(citizen(900)), accept_existing: true };
    let verify = || VerifyRequest { context: context(), subject: Some(subject()), ..VerifyRequest::default() };
    let status = || CredentialStatusRequest { context: context(), credential: card(), since: Some(TODAY) };
    let mask = || Some(prost_types::FieldMask { paths: vec!["phone_numbers".to_owned()] });
    let patch = || PatchPerson { key: key(), person: Some(Person { phone_numbers: vec!["0901234567".to_owned()], ..Person::default() }), update_mask: mask(), ..PatchPerson::default() };
    let death = || Event { event: Some(Life::Death(Death { person: key(), on: Some(TODAY), missing: true })), ..Event::default() };
    let eid = || ReadEidRequest { context: context(), key: key(), options: options() };
    let consent = || ConsentRecord { consent_id: "c-900".to_owned(), agency_id: "G77".to_owned(), fields: vec![PersonField::BirthName.into()], purposes: vec!["credit".to_owned()], from_ms: 1, until_ms: 2_000_000_000_000, ..ConsentRecord::default() };
    let consent = || ConsentRecord { until_ms: 300_000_000_000, ..consent() };
    let with_procedure = || Some(RequestContext { procedure_code: "1.000656".to_owned(), ..context().unwrap() });
    let batch = || CommitBatchRequest { context: context(), writes: vec![Write { write: Some(Kind::Patch(patch())) }], atomicity: 1 };
    vec![
        ("PopulationRegistry/CreatePerson", CreatePersonRequest { context: context(), create: Some(create()) }.encode_to_vec().into()),
        ("PopulationRegistry/UpdatePerson", UpdatePersonRequest { context: context(), update: Some(UpdatePerson { key: key(), person: Some(citizen(1)), expected_record_revision: 0 }) }.encode_to_vec().into()),
        ("PopulationRegistry/PatchPerson", PatchPersonRequest { context: context(), patch: Some(patch()) }.encode_to_vec().into()),
        ("PopulationRegistry/CommitBatch", batch().encode_to_vec().into()),
        ("PopulationRegistry/CommitEvent", CommitEventRequest { context: context(), event: Some(death()) }.encode_to_vec().into()),
        ("PopulationRegistry/Import", ImportRequest { context: context(), chunk: 1, persons: vec![citizen(901)] }.encode_to_vec().into()),
        ("PopulationRegistry/SetPersonStatus", SetPersonStatusRequest { context: context(), set: Some(SetPersonStatus { key: key(), status: PersonStatus::Active.into() }) }.encode_to_vec().into()),
        ("PopulationRegistry/MergePersons", MergePersonsRequest { context: context(), merge: Some(MergePersons { survivor: key(), duplicate: Some(api::by_uid(uid + 1)) }) }.encode_to_vec().into()),
        ("PopulationRegistry/ReadPerson", ReadPersonRequest { context: context(), key: key(), options: options() }.encode_to_vec().into()),
        ("PopulationRegistry/BatchReadPersons", BatchReadPersonsRequest { context: context(), keys: vec![api::by_uid(uid)], options: options() }.encode_to_vec().into()),
        ("PopulationRegistry/ReadPersonHistory", ReadPersonHistoryRequest { context: context(), key: key(), ..ReadPersonHistoryRequest::default() }.encode_to_vec().into()),
        ("PopulationRegistry/FindPersons", FindPersonsRequest { context: context(), name: "Nguyễn Quỳnh Thúy".to_owned(), ..FindPersonsRequest::default() }.encode_to_vec().into()),
        ("DataAccess/ReadPersonAttributes", ReadPersonAttributesRequest { context: context(), key: key(), fields: vec![PersonField::BirthName.into()], options: options() }.encode_to_vec().into()),
        ("DataAccess/ReadAttributeSet", ReadAttributeSetRequest { context: with_procedure(), key: key(), options: options() }.encode_to_vec().into()),
        ("DataAccess/ReadHousehold", ReadHouseholdRequest { context: context(), key: key(), options: options() }.encode_to_vec().into()),
        ("Verification/Verify", verify().encode_to_vec().into()),
        ("Verification/BatchVerify", BatchVerifyRequest { context: context(), subjects: vec![subject()], options: options() }.encode_to_vec().into()),
        ("Verification/VerifyStream", VerifyStreamRequest { sequence: 1, request: Some(verify()) }.encode_to_vec().into()),
        ("Verification/VerifyIdentifierLink", VerifyIdentifierLinkRequest { context: context(), old_id_number: "271450001".to_owned(), personal_id: personal_id(1), options: options() }.encode_to_vec().into()),
        ("Verification/ResolveIdentifier", ResolveIdentifierRequest { context: context(), personal_id: personal_id(1), options: options() }.encode_to_vec().into()),
        ("Verification/VerifyCredential", VerifyCredentialRequest { context: context(), credential: card(), on: Some(TODAY), ..VerifyCredentialRequest::default() }.encode_to_vec().into()),
        ("Verification/VerifyHousehold", VerifyHouseholdRequest { context: context(), person: key(), other: Some(api::by_uid(uid + 1)), ..VerifyHouseholdRequest::default() }.encode_to_vec().into()),
        ("UinManagement/GenerateUin", GenerateUinRequest { context: context(), assign: assign(false) }.encode_to_vec().into()),
        ("UinManagement/ReissueUin", GenerateUinRequest { context: context(), assign: assign(true) }.encode_to_vec().into()),
        ("UinManagement/CancelUin", CancelUinRequest { context: context(), cancel: Some(CancelPersonalId { personal_id: personal_id(3) }) }.encode_to_vec().into()),
        ("Credentials/IssueCredential", IssueCredentialRequest { context: context(), key: key(), credential: credential() }.encode_to_vec().into()),
        ("Credentials/UpdateCredential", UpdateCredentialRequest { context: context(), credential: credential() }.encode_to_vec().into()),
        ("Credentials/SuspendCredential", status().encode_to_vec().into()),
        ("Credentials/UnsuspendCredential", status().encode_to_vec().into()),
        ("Credentials/RevokeCredential", status().encode_to_vec().into()),
        ("Credentials/ReadCredentials", ReadCredentialsRequest { context: context(), key: key(), options: options() }.encode_to_vec().into()),
        ("EidAccount/SetEidLevel", SetEidLevelRequest { context: context(), key: key(), level: EidLevel::EidLevel1.into(), on: Some(TODAY) }.encode_to_vec().into()),
        ("EidAccount/LockEid", LockEidRequest { context: context(), key: key(), reason: "lost".to_owned() }.encode_to_vec().into()),
        ("EidAccount/UnlockEid", UnlockEidRequest { context: context(), key: key() }.encode_to_vec().into()),
        ("EidAccount/ReadEid", eid().encode_to_vec().into()),
        ("EidAccount/UseEid", eid().encode_to_vec().into()),
        ("Consent/Grant", GrantConsentRequest { context: context(), key: key(), consent: Some(consent()) }.encode_to_vec().into()),
        ("Consent/Withdraw", WithdrawConsentRequest { context: context(), consent_id: "c-900".to_owned() }.encode_to_vec().into()),
        ("Consent/Check", CheckConsentRequest { context: context(), consent_id: "c-900".to_owned() }.encode_to_vec().into()),
        ("Consent/List", ListConsentsRequest { context: context(), key: key() }.encode_to_vec().into()),
    ]
}

/// A kind of licence: the agency that has it, and the purpose that its calls state.
struct Licence {
    name: &'static str,
    agency: &'static str,
    purpose: &'static str,
}

const KINDS: [Licence; 5] = [
    Licence { name: "everything", agency: AGENCY, purpose: "" },
    Licence { name: "none", agency: "G00", purpose: "kyc" },
    Licence { name: "suspended", agency: "G98", purpose: "kyc" },
    Licence { name: "other purpose", agency: "BANK", purpose: "marketing" },
    Licence { name: "verify a name", agency: "BANK", purpose: "kyc" },
];

/// What a method may end with under a kind of licence; none: with anything but a refusal for lack of a licence.
fn may_end_with(kind: &Licence, method: &str) -> &'static [&'static str] {
    match kind.name {
        "everything" => &[],
        "none" => &["AGENCY_UNKNOWN"],
        "suspended" => &["AGENCY_SUSPENDED"],
        "other purpose" => &["PURPOSE_NOT_LICENSED"],
        _ if matches!(
            method,
            "Verification/Verify" | "Verification/BatchVerify" | "Verification/VerifyStream"
        ) =>
        {
            &[]
        }
        // Those of an agency of its own may be asked for; there is none.
        _ if matches!(method, "Consent/Check" | "Consent/Withdraw") => &["CONSENT_UNKNOWN"],
        _ => &["ATTRIBUTE_NOT_PERMITTED", "OPERATION_NOT_PERMITTED"],
    }
}

const LACK_OF_LICENCE: [&str; 6] = [
    "AGENCY_UNKNOWN",
    "AGENCY_SUSPENDED",
    "PURPOSE_NOT_LICENSED",
    "ATTRIBUTE_NOT_PERMITTED",
    "OPERATION_NOT_PERMITTED",
    "CONSENT_MISSING",
];

async fn people(cluster: &Cluster, count: u32) -> u64 {
    let registrar = cluster.only(0);
    let mut uids = Vec::new();
    for n in 1..=count {
        let create = CreatePerson { person: Some(citizen(n)), accept_existing: false };
        let written = registrar.create(registrar.context(), create).await.unwrap().written.unwrap();
        uids.push(written.person_uid);
    }
    uids[0]
}

#[tokio::test(flavor = "multi_thread")]
async fn cluster_licences_nothing_passes_without_one() {
    let cluster = Cluster::start(1, 0).await;
    let uid = people(&cluster, 3).await;
    let operator = cluster.only(0);
    let kyc = AccessPolicy {
        verify: verifies(&[(Attribute::FullName, MatchStrength::Canonical)]),
        ..policy("kyc", "kyc")
    };
    operator.put_policy(kyc).await.unwrap();
    for agency_id in ["BANK", "G98"] {
        let agency =
            Agency { agency_id: agency_id.into(), policies: vec!["kyc".into()], ..Agency::default() };
        operator.put_agency(agency).await.unwrap();
    }
    let suspend = SuspendAgencyRequest { agency_id: "G98".into(), suspended: true, because: "a test".into() };
    operator.suspend_agency(suspend).await.unwrap();

    let all = methods();
    let of_people: BTreeSet<&str> = all
        .iter()
        .map(|method| method.name.as_str())
        .filter(|name| expected(name)[0] && !OF_NOBODY.contains(name))
        .collect();
    let asked: BTreeSet<&str> =
        messages(uid, &RequestContext::default()).into_iter().map(|(name, _)| name).collect();
    assert_eq!(asked, of_people, "each method about people has a message in this test, and no other one");

    let channels: Vec<Channel> = KINDS.iter().map(|kind| channel(&cluster, kind.agency)).collect();
    print!("{:36}", "method");
    KINDS.iter().for_each(|kind| print!(" {:>24}", kind.name));
    println!();
    let mut wrong = Vec::new();
    for name in &asked {
        print!("{name:36}");
        // Last the one that may do everything: it changes what the others would find.
        let mut ended = Vec::new();
        for (kind, channel) in KINDS.iter().zip(&channels).rev() {
            let context = RequestContext {
                request_id: dancu::client::request_id(),
                agency_id: kind.agency.to_owned(),
                purpose: kind.purpose.to_owned(),
                legal_basis: LegalBasis::Law.into(),
                ..RequestContext::default()
            };
            let context = short(context);
            let (_, message) = messages(uid, &context).into_iter().find(|(of, _)| of == name).unwrap();
            let method: &Method = all.iter().find(|method| method.name == *name).unwrap();
            let reason = reason(channel, method, message).await;
            let allowed = may_end_with(kind, name);
            let as_expected = match allowed {
                [] => !LACK_OF_LICENCE.contains(&reason.as_str()),
                allowed => allowed.contains(&reason.as_str()),
            };
            if !as_expected {
                wrong.push(format!("{name} with {}: {reason:?}", kind.name));
            }
            let lacks = LACK_OF_LICENCE.contains(&reason.as_str()) || reason == "CONSENT_UNKNOWN";
            ended.push(if lacks { reason.to_lowercase() } else { "passes".to_owned() });
        }
        ended.iter().rev().for_each(|reason| print!(" {reason:>24}"));
        println!();
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// An import's id leaves room for the number of its chunk.
fn short(context: RequestContext) -> RequestContext {
    RequestContext { request_id: context.request_id[..20].to_owned(), ..context }
}

/// What was said about somebody stays between the register and who may know: no log, no metric, no status and no error holds a
/// name, a number or an address, whatever is asked and whoever asks.
#[tokio::test(flavor = "multi_thread")]
async fn cluster_licences_nothing_personal_is_said_on_the_way() {
    let cluster = Cluster::start_with(3, 0, |settings| settings.log.level = "trace".to_owned()).await;
    let uid = people(&cluster, 3).await;
    let all = methods();
    let (mut said, mut refusals) = (Vec::new(), 0);
    for (node, agency) in [(0, AGENCY), (1, "G00"), (2, AGENCY)] {
        let address = cluster.fleet.nodes[node].client_address();
        let channel =
            dancu::client::channel(&address, certificate(&cluster, agency).agency.as_ref()).unwrap();
        // The third time each call is about somebody who is not there.
        let uid = if node == 2 { uid + 900 } else { uid };
        let context = |n: usize| {
            let request_id = format!("r{node}-{n}");
            RequestContext { request_id, agency_id: agency.to_owned(), ..RequestContext::default() }
        };
        for n in 0..messages(uid, &context(0)).len() {
            let (name, message) = messages(uid, &context(n)).swap_remove(n);
            let method = all.iter().find(|method| method.name == name).unwrap();
            // Whole, and cut in the middle: what cannot be read is told about too.
            for message in [message.slice(..message.len() * 2 / 3), message] {
                if let Err(status) = call(&channel, method, message).await {
                    refusals += 1;
                    said.push((name.to_owned(), format!("{status:?}").into_bytes()));
                    said.push((name.to_owned(), status.details().to_vec()));
                }
            }
        }
    }
    assert!(refusals > 100, "{refusals} refusals");
    for node in &cluster.fleet.nodes {
        let http = node.config().http_listen.unwrap();
        for path in ["/metrics", "/status", "/readyz"] {
            said.push((path.to_owned(), http_get(http, path).into_bytes()));
        }
        said.push(("log".to_owned(), std::fs::read(node.log_file()).unwrap()));
        let mut folders = vec![node.config().data_dir.join("audit")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    said.push((path.display().to_string(), std::fs::read(path).unwrap()));
                }
            }
        }
    }
    let numbers = [1, 2, 3, 900, 901].map(personal_id);
    let personal: Vec<&str> = NAMES
        .iter()
        .copied()
        .chain(numbers.iter().map(String::as_str))
        .chain(["house 1", "0901234567"])
        .collect();
    for (place, bytes) in &said {
        for text in &personal {
            let found = bytes.windows(text.len()).any(|window| window == text.as_bytes());
            assert!(!found, "{place} holds {text:?}: {}", String::from_utf8_lossy(bytes));
        }
    }
    let bytes: usize = said.iter().map(|(_, bytes)| bytes.len()).sum();
    println!(
        "{refusals} refusals and {bytes} bytes of logs, metrics, statuses and trails say nothing of anybody"
    );
}

fn channel(cluster: &Cluster, agency: &str) -> Channel {
    let address = cluster.fleet.nodes[0].client_address();
    dancu::client::channel(&address, certificate(cluster, agency).agency.as_ref()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn cluster_licences_show_no_more_than_they_say() {
    let cluster = Cluster::start(1, 0).await;
    let uid = people(&cluster, 2).await;
    let operator = cluster.only(0);
    let narrow = AccessPolicy {
        verify: verifies(&[
            (Attribute::FamilyName, MatchStrength::Canonical),
            (Attribute::GivenName, MatchStrength::Folded),
        ]),
        read: vec![PersonField::BirthName.into()],
        operations: vec![Operation::Patch.into()],
        write: vec![PersonField::PhoneNumbers.into()],
        ..policy("narrow", "kyc")
    };
    operator.put_policy(narrow).await.unwrap();
    let agency = Agency { agency_id: "BANK".into(), policies: vec!["narrow".into()], ..Agency::default() };
    operator.put_agency(agency).await.unwrap();
    // The first number of the person is cancelled: whoever asks with it would learn the new one.
    operator.reissue_uin(operator.context(), api::by_uid(uid), "001".into()).await.unwrap();

    let bank = client(&cluster, 0, "BANK", "kyc");
    let weak = |attribute, text: &str| Claim {
        required_strength: MatchStrength::Folded.into(),
        ..claim(attribute, text)
    };
    let claims = vec![
        claim(Attribute::FamilyName, "Nguyễn"),
        weak(Attribute::GivenName, "Thuy"),
        weak(Attribute::FamilyName, "Nguyen"),
        claim(Attribute::MiddleName, "Quỳnh"),
        claim(Attribute::PersonalId, &personal_id(1)),
    ];
    let subject = Subject { key: Some(api::by_id(&personal_id(1))), claims };
    let answer = bank.verify(subject.clone(), ReadOptions::default()).await.unwrap();
    let verdicts: Vec<Verdict> = answer.verdicts.iter().map(AttributeVerdict::verdict).collect();
    use Verdict::{InvalidInput, Match, NotPermitted};
    assert_eq!(verdicts, [Match, Match, InvalidInput, NotPermitted, NotPermitted]);
    let resolution = answer.resolution.unwrap();
    assert!(resolution.cancelled && resolution.superseded_by.is_empty(), "the new number is not told");
    let batch = bank.batch_verify(vec![subject.clone()], ReadOptions::default()).await.unwrap();
    let of_batch: Vec<Verdict> = batch.results[0].verdicts.iter().map(AttributeVerdict::verdict).collect();
    assert_eq!(of_batch, verdicts);
    assert!(batch.results[0].resolution.as_ref().unwrap().superseded_by.is_empty());
    let read =
        bank.read_attributes(api::by_uid(uid), &[PersonField::BirthName], ReadOptions::default()).await;
    let read = read.unwrap().person.unwrap();
    assert!(read.birth_name.is_some() && read.personal_id.is_empty());
    // The same asked by who keeps the register.
    let all = operator.verify(subject, ReadOptions::default()).await.unwrap();
    assert!(!all.resolution.unwrap().superseded_by.is_empty());
}
