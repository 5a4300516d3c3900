//! Life events on a cluster: each ends as a map of people foresees, though the leader is killed on the way; in the end
//! every node holds what the map holds, and all hold the same, byte for byte.

use dancu::client::Client;
use dancu::domain::population::events::{Events, Foreseen};
use dancu::proto::registry::person_key::Key;
use dancu::proto::registry::write_outcome::Outcome;
use dancu::proto::registry::{Atomicity, PersonKey, ReadOptions, person_result};

use crate::harness::{Cluster, seed};

const BATCHES: usize = 200;
const BATCH: usize = 500;

#[tokio::test(flavor = "multi_thread")]
async fn cluster_events_100_000_end_as_foreseen_and_leave_all_nodes_the_same() {
    let mut cluster = Cluster::start(3, 2).await;
    let client = cluster.client(4);
    let mut events = Events::new(seed("cluster_events"));
    let (mut applied, mut refused, mut revision) = (0, 0, 0);
    for batch in 0..BATCHES {
        if batch % 80 == 79 {
            let leader = cluster.leader().await;
            cluster.node(leader).kill().unwrap();
            cluster.restart(leader).await;
        }
        let foreseen: Vec<Foreseen> = events.by_ref().take(BATCH).collect();
        let writes = foreseen.iter().map(|event| event.write.clone()).collect();
        let answer = client.commit_batch(client.context(), writes, Atomicity::Each).await.unwrap();
        revision = answer.meta.unwrap().revision;
        assert_eq!(answer.outcomes.len(), BATCH);
        for (n, (event, found)) in foreseen.iter().zip(answer.outcomes).enumerate() {
            match (found.outcome.expect("each write has an outcome"), &event.outcome) {
                (Outcome::Written(written), Some(expected)) => {
                    let found = (written.person_uid, &written.others, written.changed);
                    assert_eq!(found, (expected.person_uid, &expected.others, expected.changed));
                    applied += 1;
                }
                (Outcome::Rejected(_), None) => refused += 1,
                (found, expected) => {
                    panic!("event {n} of batch {batch}: foreseen {expected:?}, found {found:?}")
                }
            }
        }
    }
    println!("{applied} events applied, {refused} refused");
    assert!(applied > BATCHES * BATCH / 2, "most events are possible");
    assert!(refused > 0, "some events are not");

    let mut hashes = Vec::new();
    for i in 0..5 {
        let node = cluster.only(i);
        let people = compare(&node, &events).await;
        let digest = node.digest(revision).await.unwrap();
        println!(
            "{}: {people} people as foreseen, revision {}, state {}",
            cluster.node(i).name(),
            digest.revision,
            &digest.sha256[..16]
        );
        hashes.push(digest.sha256);
    }
    assert!(hashes.windows(2).all(|pair| pair[0] == pair[1]));
    cluster.assert_no_errors();
}

/// Reads everybody at a node and compares them with what is foreseen.
async fn compare(node: &Client, events: &Events) -> u64 {
    let people = events.world().people();
    let uids: Vec<u64> = (1..=people).collect();
    for part in uids.chunks(1000) {
        let keys = part.iter().map(|&uid| PersonKey { key: Some(Key::PersonUid(uid)) }).collect();
        for result in node.batch_read(keys, ReadOptions::default()).await.unwrap().results {
            match result.result {
                Some(person_result::Result::Person(person)) => {
                    events.world().compare(&person).expect("as foreseen");
                }
                other => panic!("somebody is missing: {other:?}"),
            }
        }
    }
    people
}
