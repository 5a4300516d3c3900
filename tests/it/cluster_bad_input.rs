//! Bad input and trouble: each refusal has its code, its reason and the field at fault, and changes nothing.

use std::time::{Duration, Instant};

use dancu::proto::registry::{
    Address, CommitBatchRequest, PartialDate, PatchPerson, PatchPersonRequest, Person, ReadOptions,
    UnitEdition, Write, write,
};
use tonic::Code;

use crate::harness::people::{NAMES, citizen, personal_id};
use crate::harness::{Cluster, api};

/// A person at fault: the reason and the field that the refusal must name.
fn bad_people() -> Vec<(&'static str, &'static str, Person)> {
    let with = |change: &dyn Fn(&mut Person)| {
        let mut person = citizen(1);
        change(&mut person);
        person
    };
    let name = |p: &mut Person, given: &str| p.birth_name.as_mut().unwrap().given = given.to_owned();
    let date = |year, month, day| Some(PartialDate { year, month, day });
    let unit = |code: &str| Address {
        unit_code: code.to_owned(),
        unit_edition: UnitEdition::V34.into(),
        ..Address::default()
    };
    vec![
        ("ID_STRUCTURE_INVALID", "person.personal_id", with(&|p| p.personal_id = "00119000000".to_owned())),
        ("ID_STRUCTURE_INVALID", "person.personal_id", with(&|p| p.personal_id = "001190A00001".to_owned())),
        ("ID_STRUCTURE_INVALID", "person.personal_id", with(&|p| p.personal_id = "001090000001".to_owned())),
        (
            "ID_STRUCTURE_INVALID",
            "person.old_id_numbers[0]",
            with(&|p| p.old_id_numbers = vec!["12".to_owned()]),
        ),
        ("DATE_INVALID", "person.birth_date", with(&|p| p.birth_date = date(1990, 2, 30))),
        ("DATE_INVALID", "person.birth_date", with(&|p| p.birth_date = date(1990, 0, 17))),
        ("FIELD_INVALID", "person.gender", with(&|p| p.gender = 77)),
        ("FIELD_INVALID", "person.birth_name", with(&|p| p.birth_name = None)),
        (
            "FIELD_INVALID",
            "person.birth_place.unit_edition",
            with(&|p| {
                p.birth_place = Some(Address { unit_edition: 9, ..unit("01") });
            }),
        ),
        ("TOO_LARGE", "person.birth_name.given", with(&|p| name(p, &"ú".repeat(101)))),
        ("TOO_LARGE", "person.other_names", with(&|p| p.other_names = vec!["An".to_owned(); 9])),
        // The same name in the other Unicode form.
        ("NAME_CHARSET", "person.birth_name.given", with(&|p| name(p, "Thu\u{301}y"))),
        ("NAME_CHARSET", "person.birth_name.given", with(&|p| name(p, "Th\u{7}y"))),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn cluster_bad_input_is_refused_with_reason_and_field() {
    // With every detail in the log, to see that no citizen's data is among them.
    let cluster = Cluster::start_with(3, 1, |config| config.log.level = "trace".to_owned()).await;
    let address = cluster.fleet.nodes[cluster.named("province-1")].client_address();
    let mut registry = api::registry(&address);
    for (n, (reason, field, person)) in bad_people().into_iter().enumerate() {
        let refused = api::refusal(registry.create_person(api::create(&format!("bad-{n}"), person)).await);
        let expected = (Code::InvalidArgument, reason.to_owned(), field.to_owned());
        assert_eq!(refused, expected, "case {n}");
    }

    let first = registry.create_person(api::create("first", citizen(1))).await.unwrap().into_inner();
    let written = first.written.unwrap();
    let uid = written.person_uid;
    let refused = api::refusal(registry.create_person(api::create("second", citizen(1))).await);
    assert_eq!((refused.0, refused.1.as_str()), (Code::AlreadyExists, "IDENTIFIER_TAKEN"));
    let refused = api::refusal(registry.create_person(api::create("first", citizen(2))).await);
    assert_eq!((refused.0, refused.1.as_str()), (Code::InvalidArgument, "REQUEST_ID_REUSED"));
    let refused = api::refusal(registry.create_person(api::create("", citizen(3))).await);
    assert_eq!((refused.0, refused.2.as_str()), (Code::InvalidArgument, "context.request_id"));

    let patch = |request_id: &str, path: &str, expected_record_revision| {
        let patch = PatchPerson {
            key: Some(api::by_uid(uid)),
            person: Some(citizen(1)),
            update_mask: Some(prost_types::FieldMask { paths: vec![path.to_owned()] }),
            expected_record_revision,
        };
        PatchPersonRequest { context: api::context(request_id), patch: Some(patch) }
    };
    for path in ["shoe_size", "uid", "birth_name.nick", ""] {
        let refused = api::refusal(registry.patch_person(patch(&format!("mask-{path}"), path, 0)).await);
        assert_eq!(
            (refused.0, refused.1.as_str()),
            (Code::InvalidArgument, "FIELD_MASK_INVALID"),
            "{path:?}"
        );
    }
    let stale = registry.patch_person(patch("stale", "gender", 999)).await.unwrap_err();
    assert_eq!(api::refusal_number(&stale, "current_record_revision"), Some(written.record_revision));
    let refused = api::refusal(Err::<(), _>(stale));
    assert_eq!((refused.0, refused.1.as_str()), (Code::Aborted, "REVISION_CONFLICT"));

    let missing = api::read(api::by_id(&personal_id(77)), ReadOptions::default());
    let refused = api::refusal(registry.read_person(missing).await);
    assert_eq!((refused.0, refused.1.as_str()), (Code::NotFound, "PERSON_NOT_FOUND"));

    // Nothing of all this changed anything, and no name stands in any log.
    let held = cluster.holds_exactly(&[(api::by_uid(uid), citizen(1))]).await;
    assert_eq!(held.revision, first.meta.unwrap().revision);
    cluster.assert_no_errors();
    cluster.assert_not_logged(&[&NAMES[..], &[personal_id(1).as_str(), "house 1"]].concat());
}

#[tokio::test(flavor = "multi_thread")]
async fn cluster_bad_input_too_large_a_message_is_refused() {
    let cluster = Cluster::start(1, 0).await;
    let mut registry = api::registry(&cluster.fleet.nodes[0].client_address());
    // Above limits.max_message_bytes, and above what a batch may hold.
    for (detail, count) in [(6 << 20, 1), (190, 1001)] {
        let mut person = citizen(1);
        person.other_names = vec!["x".repeat(detail)];
        let create = api::create("unused", person).create.unwrap();
        let write = Write { write: Some(write::Write::Create(create)) };
        let request = CommitBatchRequest {
            context: api::context("large"),
            writes: vec![write; count],
            ..Default::default()
        };
        let refused = api::refusal(registry.commit_batch(request).await);
        assert_eq!((refused.0, refused.1.as_str()), (Code::InvalidArgument, "TOO_LARGE"));
    }
    cluster.assert_no_errors();
}

#[tokio::test(flavor = "multi_thread")]
async fn cluster_bad_input_without_a_majority_is_unavailable_in_time() {
    let mut cluster = Cluster::start(3, 0).await;
    let mut registry = api::registry(&cluster.node(0).client_address());
    registry.create_person(api::create("before", citizen(1))).await.unwrap();
    cluster.node(1).kill().unwrap();
    cluster.node(2).kill().unwrap();
    for (n, limit) in [(2, 700), (3, 2000)] {
        let limit = Duration::from_millis(limit);
        let begun = Instant::now();
        let write = api::within(limit, api::create(&format!("alone-{n}"), citizen(n)));
        let refused = api::refusal(registry.create_person(write).await);
        assert_eq!((refused.0, refused.1.as_str()), (Code::Unavailable, "NO_QUORUM"));
        let read = api::within(limit, api::read(api::by_uid(1), ReadOptions::default()));
        let refused = api::refusal(registry.read_person(read).await);
        assert_eq!((refused.0, refused.1.as_str()), (Code::Unavailable, "NO_QUORUM"));
        let took = begun.elapsed();
        println!("without a majority: a write and a read refused after {took:.1?} of 2 x {limit:.1?}");
        assert!(took < limit * 2 + Duration::from_millis(500));
    }
    cluster.restart(1).await;
    // The writes above may or may not have been applied; repeating them says which, and applies them at most once.
    for n in [2, 3] {
        registry.create_person(api::create(&format!("alone-{n}"), citizen(n))).await.unwrap();
    }
    let expected: Vec<_> = (1..=3).map(|n| (api::by_id(&personal_id(n)), citizen(n))).collect();
    cluster.holds_exactly(&expected).await;
    cluster.assert_no_errors();
}

#[tokio::test(flavor = "multi_thread")]
async fn cluster_bad_input_more_than_a_node_takes_is_refused_at_once() {
    let mut cluster = Cluster::start_with(3, 0, |config| config.limits.max_requests_in_flight = 8).await;
    // Without a majority a linearizable read waits for its whole deadline: eight of them fill the node.
    cluster.node(1).kill().unwrap();
    cluster.node(2).kill().unwrap();
    let mut asked = tokio::task::JoinSet::new();
    for _ in 0..40 {
        let mut registry = api::registry(&cluster.node(0).client_address());
        asked.spawn(async move {
            let begun = Instant::now();
            let read = api::read(api::by_uid(1), ReadOptions::default());
            let answer = registry.read_person(api::within(Duration::from_secs(2), read)).await;
            (api::refusal(answer), begun.elapsed())
        });
    }
    let mut refused = Vec::new();
    while let Some(ended) = asked.join_next().await {
        let ((code, reason, _), took) = ended.unwrap();
        match code {
            Code::ResourceExhausted => refused.push((reason, took)),
            _ => assert_eq!((code, reason.as_str()), (Code::Unavailable, "NO_QUORUM")),
        }
    }
    let slowest = refused.iter().map(|(_, took)| *took).max().unwrap();
    println!("40 reads at a node that takes 8: {} refused, the slowest after {slowest:.1?}", refused.len());
    // A reader that comes late may find a place that another's deadline has freed.
    assert!((24..=32).contains(&refused.len()), "{} refused", refused.len());
    assert!(refused.iter().all(|(reason, took)| reason == "OVERLOADED" && *took < Duration::from_secs(1)));
    cluster.assert_no_errors();
}
