//! A linearizable read at a provincial node is never older than any write acknowledged before it began, ten thousand
//! times, while the leader is handed over and killed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dancu::client::Client;
use dancu::proto::registry::{CreatePerson, PatchPerson, Person, PersonKey, ReadOptions};
use tokio::task::JoinSet;

use crate::harness::people::{citizen, residence};
use crate::harness::{Cluster, PATIENCE, api, eventually};

const READS: u64 = 10_000;
const READERS: u64 = 8;
const CHANGES_OF_LEADER: u64 = 10;

/// What writer and readers share about the one person that is written and read.
struct Shared {
    key: PersonKey,
    /// Number of the last change that was acknowledged.
    change: AtomicU64,
    /// Revision that it made.
    revision: AtomicU64,
    /// Reads checked.
    reads: AtomicU64,
    /// Reads refused because there was no leader: never an old answer instead.
    refused: AtomicU64,
}

fn patch(key: &PersonKey, change: u64) -> PatchPerson {
    let person = Person { permanent_residence: Some(residence(&change.to_string())), ..Person::default() };
    PatchPerson {
        key: Some(key.clone()),
        person: Some(person),
        update_mask: Some(prost_types::FieldMask { paths: vec!["permanent_residence".to_owned()] }),
        expected_record_revision: 0,
    }
}

async fn write(shared: Arc<Shared>, client: Client) {
    for change in 1.. {
        if shared.reads.load(Ordering::Relaxed) >= READS {
            return;
        }
        let context = client.context();
        let answer =
            client.patch(context, patch(&shared.key, change)).await.expect("retried until it is done");
        // The revision first: a reader takes the change first, so that it never asks for more than was acknowledged.
        shared.revision.store(answer.written.unwrap().record_revision, Ordering::SeqCst);
        shared.change.store(change, Ordering::SeqCst);
    }
}

async fn read(shared: Arc<Shared>, address: String) {
    let mut registry = api::registry(&address);
    while shared.reads.load(Ordering::Relaxed) < READS {
        let change = shared.change.load(Ordering::SeqCst);
        let revision = shared.revision.load(Ordering::SeqCst);
        let request = api::read(shared.key.clone(), ReadOptions::default());
        match registry.read_person(api::within(Duration::from_secs(5), request)).await {
            Ok(answer) => {
                let answer = answer.into_inner();
                let meta = answer.meta.unwrap();
                let person = answer.person.unwrap();
                let seen: u64 = person.permanent_residence.unwrap().detail.parse().unwrap_or(0);
                assert!(
                    seen >= change,
                    "change {change} was acknowledged, and a later read saw change {seen}"
                );
                assert!(
                    meta.revision >= revision,
                    "revision {revision} was acknowledged, read at {}",
                    meta.revision
                );
                assert_eq!(meta.staleness_bound_ms, 0);
                shared.reads.fetch_add(1, Ordering::Relaxed);
            }
            Err(status) => {
                let (code, reason, _) = api::refusal(Err::<(), _>(status));
                assert_eq!(code, tonic::Code::Unavailable, "{reason}");
                shared.refused.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cluster_linearizable_reads_at_a_province_while_leaders_change() {
    let mut cluster = Cluster::start(3, 1).await;
    let client = cluster.client(0);
    let create = CreatePerson { person: Some(citizen(1)), accept_existing: false };
    let uid = client.create(client.context(), create).await.unwrap().written.unwrap().person_uid;
    let shared = Arc::new(Shared {
        key: api::by_uid(uid),
        change: AtomicU64::new(0),
        revision: AtomicU64::new(0),
        reads: AtomicU64::new(0),
        refused: AtomicU64::new(0),
    });
    let province = cluster.named("province-1");
    let first_term = cluster.status(province).await.term;
    let mut tasks = JoinSet::new();
    tasks.spawn(write(shared.clone(), cluster.client(0)));
    for _ in 0..READERS {
        tasks.spawn(read(shared.clone(), cluster.node(province).client_address()));
    }

    for change in 1..=CHANGES_OF_LEADER {
        let due = change * READS / (CHANGES_OF_LEADER + 1);
        eventually("reads to go on", PATIENCE, async || {
            (shared.reads.load(Ordering::Relaxed) >= due).then_some(())
        })
        .await;
        let leader = cluster.leader().await;
        if change % 2 == 0 {
            cluster.node(leader).kill().unwrap();
            cluster.restart(leader).await;
        } else {
            // May be refused while a node still catches up after the kill before.
            let _ = cluster.only(leader).transfer_leadership(0).await;
        }
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    let terms = cluster.status(province).await.term - first_term;
    // Each kill makes a term at least; a hand-over may be refused.
    assert!(terms >= CHANGES_OF_LEADER / 2, "the leader changed {terms} times only: this run shows nothing");
    println!(
        "{} linearizable reads at a province, none older than an acknowledged write; {} changes written; \
         {} new terms; {} reads refused meanwhile",
        shared.reads.load(Ordering::Relaxed),
        shared.change.load(Ordering::Relaxed),
        terms,
        shared.refused.load(Ordering::Relaxed),
    );
    cluster.assert_no_errors();
}
