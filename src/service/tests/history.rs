//! What a server tells of the past: versions that are no longer kept, and records that were merged.

use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::live::{Server, context, eventually, id, key, person, refused};
use crate::config::{HistoryConfig, LimitsConfig};
use crate::proto::registry::person_key::Key;
use crate::proto::registry::{
    Consistency, KeyResolution, MergePersons, MergePersonsRequest, PatchPerson, PatchPersonRequest, Person,
    PersonName, PersonVersion, ReadOptions, ReadPersonHistoryRequest, ReadPersonRequest,
};

async fn rename(server: &Server, request_id: &str, uid: u64, given: &str) -> u64 {
    let name = PersonName { given: given.to_owned(), ..PersonName::default() };
    let patch = PatchPerson {
        key: Some(key(Key::PersonUid(uid))),
        person: Some(Person { birth_name: Some(name), ..Person::default() }),
        update_mask: Some(prost_types::FieldMask { paths: vec!["birth_name.given".to_owned()] }),
        expected_record_revision: 0,
    };
    let request = PatchPersonRequest { context: Some(context(request_id)), patch: Some(patch) };
    server.registry().patch_person(request).await.unwrap().into_inner().written.unwrap().record_revision
}

async fn versions(server: &Server, whose: Key, options: ReadOptions) -> Result<Vec<PersonVersion>, Status> {
    let request =
        ReadPersonHistoryRequest { key: Some(key(whose)), options: Some(options), ..Default::default() };
    Ok(server.registry().read_person_history(request).await?.into_inner().versions)
}

fn as_of(revision: u64, as_of_ms: u64) -> ReadOptions {
    ReadOptions { consistency: Consistency::AsOf.into(), revision, as_of_ms, ..ReadOptions::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_older_than_the_retention_is_refused_with_where_the_history_begins() {
    let history = HistoryConfig { retention_ms: 1 };
    let server = Server::ready_with(LimitsConfig::default(), history).await;
    let (uid, first) = server.create("r1", person(1)).await.unwrap();
    let second = rename(&server, "r2", uid, "Thủy").await;
    // The leader finds by itself that the first version is too old.
    eventually(|| async { server.read(id(1), as_of(first, 0)).await.is_err() }).await;

    let now = versions(&server, Key::PersonUid(uid), ReadOptions::default()).await.unwrap();
    assert_eq!(now.len(), 1, "the older version is gone");
    let written_at_ms = now[0].written_at_ms;
    for options in [as_of(first, 0), as_of(0, written_at_ms - 1)] {
        let refusal = server.read(id(1), options).await.unwrap_err();
        let metadata = refusal.get_details_error_info().unwrap().metadata;
        assert_eq!(metadata["first_revision"], second.to_string());
        assert_eq!(metadata["first_revision_at_ms"], written_at_ms.to_string());
        refused(Err::<(), _>(refusal), "REVISION_COMPACTED", "", Code::OutOfRange);
        let refusal = versions(&server, id(1), options).await;
        refused(refusal, "REVISION_COMPACTED", "", Code::OutOfRange);
    }
    for options in [as_of(second, 0), as_of(0, written_at_ms), ReadOptions::default()] {
        assert_eq!(server.read(id(1), options).await.unwrap().birth_name.unwrap().given, "Thủy");
    }
    let first_kept = format!("dancu_history_first_revision {second}");
    let shown = || server.node.metrics().encode();
    eventually(|| async { shown().lines().any(|line| line == first_kept) }).await;
    assert!(shown().lines().any(|line| line == "dancu_history_compacted_versions_total 1"));
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_of_a_merged_record_leads_on_and_its_uid_keeps_its_history() {
    let server = Server::ready_with(LimitsConfig::default(), HistoryConfig::default()).await;
    let (survivor, _) = server.create("r1", person(1)).await.unwrap();
    let (duplicate, before) = server.create("r2", person(2)).await.unwrap();
    let merge = MergePersons { survivor: Some(key(id(1))), duplicate: Some(key(id(2))) };
    let request = MergePersonsRequest { context: Some(context("r3")), merge: Some(merge) };
    server.registry().merge_persons(request).await.unwrap();

    let read = async |whose: Key, options: ReadOptions| {
        let request = ReadPersonRequest { context: None, key: Some(key(whose)), options: Some(options) };
        let answer = server.registry().read_person(request).await.unwrap().into_inner();
        (answer.person.unwrap().uid, answer.resolution.unwrap())
    };
    let merged_from = duplicate;
    let (uid, resolution) = read(Key::PersonUid(duplicate), ReadOptions::default()).await;
    assert_eq!((uid, resolution), (survivor, KeyResolution { merged_from, ..KeyResolution::default() }));
    let (uid, resolution) = read(id(2), ReadOptions::default()).await;
    let superseded_by = person(1).personal_id;
    assert_eq!((uid, resolution), (survivor, KeyResolution { cancelled: true, superseded_by, merged_from }));
    let unmerged = (duplicate, KeyResolution::default());
    assert_eq!(read(id(2), as_of(before, 0)).await, unmerged);

    let people = async |whose: Key| {
        let versions = versions(&server, whose, ReadOptions::default()).await.unwrap();
        versions.into_iter().map(|version| version.person.unwrap()).collect::<Vec<_>>()
    };
    let own = people(Key::PersonUid(duplicate)).await;
    assert_eq!(
        own.iter().map(|p| (p.uid, p.merged_into)).collect::<Vec<_>>(),
        [(duplicate, survivor), (duplicate, 0)]
    );
    assert!(people(id(2)).await.iter().all(|person| person.uid == survivor));
    server.shutdown().await;
}
