//! Licences, consents and budgets hold at whichever node is asked, from the answer to their change on, and outlive restarts
//! and snapshots.

use std::time::Duration;

use dancu::client::{Client, ClientError, ClientOptions};
use dancu::config::Role;
use dancu::proto::registry::{
    AccessPolicy, AccessRecord, Address, Agency, Attribute, ConsentRecord, CreatePerson, ErrorReason,
    ExplainRequest, LegalBasis, MatchStrength, Operation, PatchPerson, Person, PersonField, PersonKey,
    QueryAccessesRequest, ReadOptions, RequestContext, Subject, SuspendAgencyRequest, UnitEdition,
    VerifyPermission,
};

use crate::cluster_licences::{certificate, claim, client, policy, verifies};
use crate::harness::people::{citizen, personal_id};
use crate::harness::{AGENCY, Cluster, PATIENCE, api, eventually, options};

/// The reason of a refusal; UNSPECIFIED when there was none.
fn refused<T>(answer: Result<T, ClientError>) -> ErrorReason {
    answer.err().map_or(ErrorReason::Unspecified, |error| error.reason())
}

async fn create(cluster: &Cluster, person: Person) -> u64 {
    let registrar = cluster.only(0);
    let create = CreatePerson { person: Some(person), accept_existing: false };
    registrar.create(registrar.context(), create).await.unwrap().written.unwrap().person_uid
}

async fn bank(cluster: &Cluster, agency: Agency) {
    let operator = cluster.only(0);
    let verify = verifies(&[
        (Attribute::FullName, MatchStrength::Canonical),
        (Attribute::PersonalId, MatchStrength::Canonical),
    ]);
    let kyc = AccessPolicy { verify, read: vec![PersonField::BirthName.into()], ..policy("kyc", "kyc") };
    operator.put_policy(kyc).await.unwrap();
    let agency = Agency { agency_id: "BANK".into(), policies: vec!["kyc".into()], ..agency };
    operator.put_agency(agency).await.unwrap();
}

async fn says(client: &Client, uid: u64, name: &str) -> Result<bool, ClientError> {
    let subject = Subject { key: Some(api::by_uid(uid)), claims: vec![claim(Attribute::FullName, name)] };
    client.verify(subject, ReadOptions::default()).await.map(|answer| answer.all_match)
}

const NAME: &str = "Nguyễn Quỳnh Thúy";

#[tokio::test(flavor = "multi_thread")]
async fn cluster_policy_guesses_count_wherever_they_are_made() {
    let cluster = Cluster::start(3, 1).await;
    let (uid, other) = (create(&cluster, citizen(1)).await, create(&cluster, citizen(2)).await);
    bank(&cluster, Agency { guesses_per_person: 4, ..Agency::default() }).await;
    let banks: Vec<Client> = (0..4).map(|node| client(&cluster, node, "BANK", "kyc")).collect();
    for (node, bank) in banks.iter().enumerate() {
        assert!(says(bank, uid, NAME).await.unwrap(), "what is right costs nothing");
        assert!(!says(bank, uid, &format!("Nguyễn Văn {}", ["An", "Ba", "Tư", "Sáu"][node])).await.unwrap());
        assert!(!says(bank, uid, "Nguyễn Văn An").await.unwrap(), "what is known costs nothing");
    }
    // The fifth, wherever it is made; and then right ones too, at every node at once: they would tell.
    assert_eq!(refused(says(&banks[3], uid, "Nguyễn Văn Bảy").await), ErrorReason::GuessBudget);
    for bank in &banks {
        assert_eq!(refused(says(bank, uid, NAME).await), ErrorReason::GuessBudget);
        let subject = Subject { key: Some(api::by_uid(uid)), claims: vec![claim(Attribute::FullName, NAME)] };
        let other = Subject { key: Some(api::by_uid(other)), ..subject.clone() };
        let batch = bank.batch_verify(vec![subject, other], ReadOptions::default()).await.unwrap();
        let missing = batch.results[0].missing.as_ref().unwrap();
        assert_eq!((missing.reason(), missing.field.as_str()), (ErrorReason::GuessBudget, "subjects[0]"));
        assert!(batch.results[0].verdicts.is_empty() && batch.results[1].all_match, "others are not touched");
    }
    let registrar = cluster.only(2);
    assert!(says(&registrar, uid, NAME).await.unwrap(), "another agency is not touched");
    // In one batch, and spread over a batch and single calls, the same count.
    let wrong = |name: &str| Subject {
        key: Some(api::by_uid(other)),
        claims: vec![claim(Attribute::FullName, name)],
    };
    let batch = ["a a", "b b", "c c", "d d", "e e"].map(wrong).to_vec();
    let answer = banks[1].batch_verify(batch, ReadOptions::default()).await.unwrap();
    assert!(
        answer.results.iter().all(|result| result.missing.is_some()),
        "five guesses at once are one too many"
    );
    assert_eq!(refused(says(&banks[0], other, NAME).await), ErrorReason::GuessBudget);
    let refusals = query(&cluster, "BANK").await;
    let spent = refusals.iter().filter(|record| record.reason() == ErrorReason::GuessBudget).count();
    assert!(spent >= 5, "each refusal is in the trail, not {spent}");
}

/// A node that is cut off cannot count; it lets nobody guess more often for that.
#[tokio::test(flavor = "multi_thread")]
async fn cluster_policy_a_province_that_is_cut_off_is_no_oracle() {
    let mut cluster = Cluster::start(3, 1).await;
    let uid = create(&cluster, citizen(1)).await;
    bank(&cluster, Agency { guesses_per_person: 3, ..Agency::default() }).await;
    let bank = client(&cluster, 3, "BANK", "kyc");
    assert!(says(&bank, uid, NAME).await.unwrap(), "the province has it all");
    for central in 0..3 {
        cluster.node(central).kill().unwrap();
    }
    let options = ClientOptions { deadline: Duration::from_secs(2), ..bank.options().clone() };
    let bank = Client::connect(bank.endpoints(), options).unwrap();
    let stale = async |name: &str| {
        let subject = Subject { key: Some(api::by_uid(uid)), claims: vec![claim(Attribute::FullName, name)] };
        bank.verify(subject, api::stale(86_400_000)).await.map(|answer| answer.all_match)
    };
    assert!(stale(NAME).await.unwrap(), "what is right is answered, with its age");
    for name in ["a a", "b b", "c c", "d d"] {
        let refused = refused(stale(name).await);
        assert!(matches!(refused, ErrorReason::NoQuorum | ErrorReason::Deadline), "{refused:?}");
    }
    assert_eq!(refused(stale(NAME).await), ErrorReason::GuessBudget, "a fourth guess was made known");
    // With the centre back, what was noted is counted with the next one: nothing is forgiven.
    for central in 0..3 {
        cluster.node(central).start().unwrap();
    }
    for node in 0..4 {
        cluster.ready(node).await;
    }
    assert_eq!(refused(stale(NAME).await), ErrorReason::GuessBudget);
}

async fn query(cluster: &Cluster, agency: &str) -> Vec<AccessRecord> {
    let request =
        QueryAccessesRequest { agency_id: agency.to_owned(), limit: 500, ..QueryAccessesRequest::default() };
    cluster.only(0).query_accesses(request).await.unwrap().accesses
}

#[tokio::test(flavor = "multi_thread")]
async fn cluster_policy_a_day_has_so_many_calls_wherever_they_are_made() {
    let cluster = Cluster::start(3, 1).await;
    let uid = create(&cluster, citizen(1)).await;
    bank(&cluster, Agency { calls_per_day: 40, ..Agency::default() }).await;
    let banks: Vec<Client> = (0..4).map(|node| client(&cluster, node, "BANK", "kyc")).collect();
    let mut passed = 0;
    for turn in 0..60 {
        match says(&banks[turn % 4], uid, NAME).await {
            Ok(_) => passed += 1,
            Err(error) => assert_eq!(error.reason(), ErrorReason::Quota),
        }
    }
    // A block is at least one call, and 1 % of the quota: at most three nodes keep one that they do not use.
    assert!((37..=40).contains(&passed), "{passed} of 40");
    let subjects =
        vec![Subject { key: Some(api::by_uid(uid)), claims: vec![claim(Attribute::FullName, NAME)] }; 50];
    assert_eq!(refused(banks[0].batch_verify(subjects, ReadOptions::default()).await), ErrorReason::Quota);
    // An operator gives it more.
    bank(&cluster, Agency { calls_per_day: 4000, ..Agency::default() }).await;
    eventually("the node to have applied the new quota", PATIENCE, async || {
        says(&banks[3], uid, NAME).await.ok()
    })
    .await;
}

fn consent(uid_fields: &[PersonField]) -> ConsentRecord {
    ConsentRecord {
        consent_id: "c-1".into(),
        agency_id: "BANK".into(),
        fields: uid_fields.iter().map(|field| (*field).into()).collect(),
        purposes: vec!["credit".into()],
        from_ms: 1_700_000_000_000,
        until_ms: 1_700_000_000_000 + 3650 * 86_400_000,
        ..ConsentRecord::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cluster_policy_a_consent_ends_everywhere_at_once() {
    let cluster = Cluster::start(3, 1).await;
    let (uid, other) = (create(&cluster, citizen(1)).await, create(&cluster, citizen(2)).await);
    bank(&cluster, Agency::default()).await;
    let operator = cluster.only(0);
    let credit = AccessPolicy {
        legal_bases: vec![LegalBasis::Consent.into()],
        read: vec![PersonField::BirthName.into(), PersonField::BirthDate.into()],
        ..policy("credit", "credit")
    };
    operator.put_policy(credit).await.unwrap();
    let agency = Agency { agency_id: "BANK".into(), policies: vec!["credit".into()], ..Agency::default() };
    operator.put_agency(agency).await.unwrap();

    let registrar = cluster.only(1);
    let granted = consent(&[PersonField::BirthName]);
    let grant =
        registrar.grant_consent(registrar.context(), api::by_id(&personal_id(1)), granted).await.unwrap();
    assert!(grant.in_force && grant.consent.unwrap().person_uid == uid);
    let relying = |node: usize| {
        let options = ClientOptions {
            certificates: certificate(&cluster, "BANK"),
            agency_id: "BANK".into(),
            purpose: "credit".into(),
            legal_basis: LegalBasis::Consent,
            consent_id: "c-1".into(),
            ..options()
        };
        Client::connect(vec![cluster.fleet.nodes[node].client_address()], options).unwrap()
    };
    let read = async |node: usize, uid: u64, field: PersonField, options: ReadOptions| {
        refused(relying(node).read_attributes(api::by_uid(uid), &[field], options).await)
    };
    use PersonField::{BirthDate, BirthName};
    for node in [3, 0] {
        assert_eq!(read(node, uid, BirthName, ReadOptions::default()).await, ErrorReason::Unspecified);
        assert_eq!(
            read(node, uid, BirthDate, ReadOptions::default()).await,
            ErrorReason::AttributeNotPermitted
        );
        assert_eq!(read(node, other, BirthName, ReadOptions::default()).await, ErrorReason::ConsentMissing);
    }
    assert_eq!(registrar.list_consents(api::by_uid(uid)).await.unwrap().len(), 1);
    let withdrawn = registrar.withdraw_consent(registrar.context(), "c-1".into()).await.unwrap();
    assert!(!withdrawn.in_force);
    for node in [3, 0, 1, 2] {
        for options in [ReadOptions::default(), api::stale(60_000)] {
            assert_eq!(read(node, uid, BirthName, options).await, ErrorReason::ConsentMissing, "node {node}");
        }
    }
    let checked = registrar.check_consent("c-1".into()).await.unwrap();
    assert!(!checked.in_force);
    assert_eq!(refused(registrar.check_consent("c-2".into()).await), ErrorReason::ConsentUnknown);
}

#[tokio::test(flavor = "multi_thread")]
async fn cluster_policy_a_province_knows_its_own_people() {
    let cluster = Cluster::start(1, 0).await;
    let here = create(&cluster, citizen(1)).await;
    let residence =
        Address { unit_code: "79".into(), unit_edition: UnitEdition::V34.into(), ..Address::default() };
    let elsewhere = create(&cluster, Person { permanent_residence: Some(residence), ..citizen(2) }).await;
    let operator = cluster.only(0);
    let police = AccessPolicy {
        read: PersonFields::all(),
        sensitive: true,
        write: vec![PersonField::PhoneNumbers.into()],
        operations: [Operation::Find, Operation::Patch, Operation::History].map(Into::into).to_vec(),
        verify: verifies(&[(Attribute::FullName, MatchStrength::Canonical)]),
        ..policy("police", "residence")
    };
    operator.put_policy(police).await.unwrap();
    let agency = Agency {
        agency_id: "G01.01".into(),
        policies: vec!["police".into()],
        provinces: vec!["01".into()],
        ..Agency::default()
    };
    operator.put_agency(agency).await.unwrap();
    let police = client(&cluster, 0, "G01.01", "residence");
    let read = async |key: PersonKey| refused(police.read(key, ReadOptions::default()).await);
    assert_eq!(read(api::by_uid(here)).await, ErrorReason::Unspecified);
    // Of who lives elsewhere nothing is told: the answer is that for nobody, word for word.
    let of_elsewhere = police.read(api::by_uid(elsewhere), ReadOptions::default()).await.unwrap_err();
    let of_nobody = police.read(api::by_uid(999), ReadOptions::default()).await.unwrap_err();
    assert_eq!(of_elsewhere.reason(), ErrorReason::PersonNotFound);
    assert_eq!(of_elsewhere.to_string(), of_nobody.to_string());
    assert_eq!(refused(says(&police, elsewhere, NAME).await), ErrorReason::PersonNotFound);
    // Nor by the time that it takes.
    let (mut elsewhere_us, mut nobody_us) = (Vec::new(), Vec::new());
    for _ in 0..300 {
        for (uid, took) in [(elsewhere, &mut elsewhere_us), (999, &mut nobody_us)] {
            let begun = std::time::Instant::now();
            assert!(police.read(api::by_uid(uid), ReadOptions::default()).await.is_err());
            took.push(begun.elapsed().as_micros());
        }
    }
    elsewhere_us.sort_unstable();
    nobody_us.sort_unstable();
    let medians = [elsewhere_us[150], nobody_us[150]];
    println!(
        "who lives elsewhere is not found in {} us, who is nobody in {} us (medians)",
        medians[0], medians[1]
    );
    assert!(medians[0] < medians[1] * 3 / 2 && medians[1] < medians[0] * 3 / 2);
    assert_eq!(
        refused(police.history(api::by_uid(elsewhere), ReadOptions::default(), 10, 0).await),
        ErrorReason::PersonNotFound
    );
    let find = dancu::proto::registry::FindPersonsRequest { name: NAME.into(), ..Default::default() };
    let found = eventually("the name in the index", PATIENCE, async || {
        let found = police.find(find.clone()).await.unwrap().persons;
        (!found.is_empty()).then_some(found)
    })
    .await;
    let found: Vec<u64> =
        found.into_iter().filter_map(|found| found.person).map(|person| person.uid).collect();
    assert_eq!(found, [here]);
    let patch = |uid| PatchPerson {
        key: Some(api::by_uid(uid)),
        person: Some(Person { phone_numbers: vec!["0901234567".into()], ..Person::default() }),
        update_mask: Some(prost_types::FieldMask { paths: vec!["phone_numbers".into()] }),
        ..PatchPerson::default()
    };
    assert_eq!(refused(police.patch(police.context(), patch(elsewhere)).await), ErrorReason::PersonNotFound);
    police.patch(police.context(), patch(here)).await.unwrap();
}

/// All fields of a person.
struct PersonFields;

impl PersonFields {
    fn all() -> Vec<i32> {
        (1..100).filter(|number| PersonField::try_from(*number).is_ok()).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cluster_policy_outlives_restarts_and_reaches_new_nodes() {
    let mut cluster = Cluster::start_with(1, 0, |settings| settings.raft.snapshot_every_entries = 20).await;
    let uid = create(&cluster, citizen(1)).await;
    bank(&cluster, Agency::default()).await;
    cluster.node(0).kill().unwrap();
    cluster.restart(0).await;
    assert!(says(&client(&cluster, 0, "BANK", "kyc"), uid, NAME).await.unwrap());
    let operator = cluster.only(0);
    let suspend =
        |suspended| SuspendAgencyRequest { agency_id: "BANK".into(), suspended, because: "a test".into() };
    operator.suspend_agency(suspend(true)).await.unwrap();
    // So much that a new node gets a snapshot.
    for n in 2..60 {
        create(&cluster, citizen(n)).await;
    }
    operator.trigger_snapshot().await.unwrap();
    let new = cluster.add("province-1", Role::Provincial).await;
    let bank = client(&cluster, new, "BANK", "kyc");
    assert_eq!(refused(says(&bank, uid, NAME).await), ErrorReason::AgencySuspended);
    operator.suspend_agency(suspend(false)).await.unwrap();
    assert!(says(&bank, uid, NAME).await.unwrap(), "a linearizable call sees the change at once");
    let all = operator.read_policies().await.unwrap();
    let names: Vec<&str> = all.agencies.iter().map(|agency| agency.agency_id.as_str()).collect();
    assert_eq!(names, ["BANK", AGENCY]);
}

#[tokio::test(flavor = "multi_thread")]
async fn cluster_policy_explains_itself_and_records_what_it_refuses() {
    let cluster = Cluster::start(1, 0).await;
    let uid = create(&cluster, citizen(1)).await;
    bank(&cluster, Agency::default()).await;
    let ask = |purpose: &str, agency: &str| ExplainRequest {
        context: Some(RequestContext {
            agency_id: agency.into(),
            purpose: purpose.into(),
            legal_basis: LegalBasis::Law.into(),
            ..RequestContext::default()
        }),
        verify: vec![VerifyPermission { attribute: Attribute::FullName.into(), weakest: 0 }],
        ..ExplainRequest::default()
    };
    let bank = client(&cluster, 0, "BANK", "marketing");
    assert!(bank.explain(ask("kyc", "")).await.unwrap().permitted);
    let told = bank.explain(ask("marketing", "BANK")).await.unwrap();
    assert_eq!((told.permitted, told.reason()), (false, ErrorReason::PurposeNotLicensed));
    assert!(told.steps.iter().any(|step| step.what == "policy kyc" && !step.passes), "{:?}", told.steps);
    assert_eq!(refused(bank.explain(ask("kyc", "G01")).await), ErrorReason::AgencyMismatch);
    let operator = cluster.only(0);
    assert!(operator.explain_of(ask("kyc", "BANK")).await.unwrap().permitted);
    assert_eq!(operator.explain_of(ask("kyc", "G01")).await.unwrap().reason(), ErrorReason::AgencyUnknown);

    // The call that was explained is refused for that reason; so is a write; both are in the trail.
    assert_eq!(refused(says(&bank, uid, NAME).await), told.reason());
    let create = CreatePerson { person: Some(citizen(2)), accept_existing: false };
    assert_eq!(refused(bank.create(bank.context(), create).await), told.reason());
    let recorded = eventually("both refusals in the trail", Duration::from_secs(20), async || {
        let holder = "agency BANK";
        let all =
            cluster.only(0).query_accesses(QueryAccessesRequest { limit: 500, ..Default::default() }).await;
        let all = all.unwrap().accesses.into_iter();
        let mut methods: Vec<String> = all
            .filter(|record| record.caller == holder && record.reason() == told.reason())
            .map(|record| record.method)
            .collect();
        methods.sort();
        (methods.len() >= 2).then_some(methods)
    })
    .await;
    assert_eq!(recorded, ["PopulationRegistry/CreatePerson", "Verification/Verify"]);

    // So are a request id that was used for something else, and a receipt that nobody signed.
    let context = operator.context();
    let create = |n| CreatePerson { person: Some(citizen(n)), accept_existing: false };
    operator.create(context.clone(), create(3)).await.unwrap();
    assert_eq!(refused(operator.create(context, create(4)).await), ErrorReason::RequestIdReused);
    bank.verify_receipt("e30.e30.AA".to_owned()).await.unwrap();
    let all = QueryAccessesRequest { limit: 500, ..Default::default() };
    let all = cluster.only(0).query_accesses(all).await.unwrap().accesses;
    assert!(all.iter().any(|record| record.reason() == ErrorReason::RequestIdReused));
    let judged = |record: &&AccessRecord| record.method == "Verification/VerifyReceipt";
    assert_eq!(
        all.iter().find(judged).map(|record| record.result.as_str()),
        Some("RECEIPT_VERDICT_MALFORMED")
    );
}
