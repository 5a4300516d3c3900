//! The history is compacted: by whoever leads, and at every node alike.

use std::time::Duration;

use dancu::config::NodeConfig;
use dancu::proto::registry::{Consistency, PatchPerson, Person};
use tonic::Code;

use crate::harness::people::{citizen, residence};
use crate::harness::{Cluster, PATIENCE, api, eventually};

/// Versions stay for the shortest time that a node takes: that of its longest request.
fn short_history(config: &mut NodeConfig) {
    config.limits.default_deadline_ms = 2_000;
    config.limits.max_deadline_ms = 2_000;
    config.history.retention_ms = 2_000;
}

/// Moves a person and returns the revision of that.
async fn move_to(cluster: &Cluster, via: usize, uid: u64, detail: &str) -> u64 {
    let client = cluster.client(via);
    let patch = PatchPerson {
        key: Some(api::by_uid(uid)),
        person: Some(Person { permanent_residence: Some(residence(detail)), ..Person::default() }),
        update_mask: Some(prost_types::FieldMask { paths: vec!["permanent_residence".to_owned()] }),
        expected_record_revision: 0,
    };
    client.patch(client.context(), patch).await.unwrap().written.unwrap().record_revision
}

/// Waits until every node that runs has nothing older than `revision`.
async fn begins_at(cluster: &Cluster, revision: u64) {
    for (i, node) in cluster.fleet.nodes.iter().enumerate().filter(|(_, node)| node.started()) {
        let what = format!("the history of {} to begin at revision {revision}", node.name());
        eventually(&what, PATIENCE, async || {
            (cluster.metric(i, "history_first_revision") == revision as f64).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cluster_history_is_compacted_alike_whoever_leads() {
    let mut cluster = Cluster::start_with(3, 1, short_history).await;
    let client = cluster.client(0);
    let create = api::create("unused", citizen(1)).create.unwrap();
    let created = client.create(client.context(), create).await.unwrap().written.unwrap();
    let uid = created.person_uid;
    let mut last = 0;
    for n in 0..8 {
        last = move_to(&cluster, n % 4, uid, &format!("move {n}")).await;
    }
    begins_at(&cluster, last).await;

    let leader = cluster.leader().await;
    cluster.node(leader).kill().unwrap();
    let other = (leader + 1) % 3;
    last = move_to(&cluster, other, uid, "move under another leader").await;
    begins_at(&cluster, last).await;
    cluster.restart(leader).await;
    begins_at(&cluster, last).await;

    let limit = Duration::from_secs(2);
    for node in &cluster.fleet.nodes {
        let options = api::at(Consistency::AsOf, created.record_revision);
        let request = api::within(limit, api::read(api::by_uid(uid), options));
        let refused = api::registry(&node.client_address()).read_person(request).await;
        let status = refused.as_ref().expect_err("this version was compacted");
        assert_eq!(api::refusal_number(status, "first_revision"), Some(last), "{}", node.name());
        let (code, reason, _) = api::refusal(refused);
        assert_eq!((code, reason.as_str()), (Code::OutOfRange, "REVISION_COMPACTED"), "{}", node.name());
        let options = api::at(Consistency::AsOf, last);
        let request = api::within(limit, api::read(api::by_uid(uid), options));
        let answer = api::registry(&node.client_address()).read_person(request).await.unwrap().into_inner();
        let home = answer.person.unwrap().permanent_residence.unwrap();
        assert_eq!(home.detail, "move under another leader", "{}", node.name());
    }
    let home = residence("move under another leader");
    let moved = Person { permanent_residence: Some(home), ..citizen(1) };
    cluster.holds_exactly(&[(api::by_uid(uid), moved)]).await;
    cluster.assert_no_errors();
}
