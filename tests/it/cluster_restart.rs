//! All nodes are killed at once, under load: what was acknowledged is there afterwards, and a request that is repeated
//! gets its first reply. All nodes are restarted one after the other, as for a new version: no service notices.

use std::time::Duration;

use dancu::cli::fleet::load::Ack;
use dancu::client::{Client, ClientError, ClientOptions};
use dancu::proto::registry::{Attribute, Claim, CreatePerson, ReadOptions, Subject, claim};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::harness::people::{NAMES, citizen, personal_id};
use crate::harness::{self, Cluster, PATIENCE, api, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn cluster_restart_all_nodes_killed_at_once() {
    let mut cluster = Cluster::start(3, 1).await;
    let mut first_replies = Vec::new();
    for n in 0..50 {
        let mut registry = api::registry(&cluster.node(n as usize % 4).client_address());
        let request = api::create(&format!("before-{n}"), citizen(n));
        first_replies.push(registry.create_person(request).await.unwrap().into_inner());
    }

    let load = cluster.load(4);
    for round in 1..=3 {
        assert!(load.advance(100, PATIENCE).await, "writes stopped before restart {round}");
        for node in &mut cluster.fleet.nodes {
            node.kill().unwrap();
        }
        let killed = Instant::now();
        for node in &mut cluster.fleet.nodes {
            node.start().unwrap();
        }
        for i in 0..4 {
            cluster.node(i).wait_serving(PATIENCE).unwrap();
            cluster.ready(i).await;
        }
        let ready = killed.elapsed();
        let gap = load.next_after(killed, PATIENCE).await.expect("writes go on after the restart");
        println!(
            "restart {round}: all nodes ready after {ready:.1?}, next acknowledged write after {gap:.1?}"
        );
    }

    for (n, first) in (0..).zip(&first_replies) {
        let mut registry = api::registry(&cluster.node((n as usize + 1) % 4).client_address());
        let again = registry.create_person(api::create(&format!("before-{n}"), citizen(n))).await.unwrap();
        let again = again.into_inner();
        assert_eq!(again.written, first.written, "the repeated request got another reply");
        assert_eq!(again.meta.unwrap().revision, first.meta.as_ref().unwrap().revision);
    }

    let acks = load.stop().await.unwrap();
    let people = (0..50).map(|n| (api::by_id(&citizen(n).personal_id), citizen(n)));
    let expected: Vec<_> = acks.iter().map(Ack::expected).chain(people).collect();
    cluster.holds_exactly(&expected).await;
    cluster.assert_no_errors();
}

/// A client as a service has one, at work until it is told to stop: it adds people and verifies each at once. Returns how
/// many calls it made and the longest one.
async fn service(
    client: Client,
    number: u32,
    stop: CancellationToken,
) -> Result<(u32, Duration), ClientError> {
    let (mut calls, mut longest) = (0, Duration::ZERO);
    for n in (number * 100_000..).take_while(|_| !stop.is_cancelled()) {
        let begun = Instant::now();
        let create = CreatePerson { person: Some(citizen(n)), accept_existing: false };
        client.create(client.context(), create).await?;
        let between = Instant::now();
        let claim = Claim {
            attribute: Attribute::GivenName.into(),
            value: Some(claim::Value::Text(NAMES[2].to_owned())),
            ..Claim::default()
        };
        let subject = Subject { key: Some(api::by_id(&personal_id(n))), claims: vec![claim] };
        let answer = client.verify(subject, ReadOptions::default()).await?;
        assert!(answer.all_match, "a verification did not see the write before it");
        longest = longest.max(between - begun).max(between.elapsed());
        calls += 2;
    }
    Ok((calls, longest))
}

#[tokio::test(flavor = "multi_thread")]
async fn cluster_restart_one_node_after_the_other_fails_no_call() {
    let mut cluster = Cluster::start(3, 2).await;
    let stop = CancellationToken::new();
    let mut services = JoinSet::new();
    for number in 0..6 {
        let mut addresses = cluster.fleet.client_addresses();
        addresses.rotate_left(number as usize % 5);
        let options = ClientOptions { deadline: Duration::from_secs(10), ..harness::options() };
        services.spawn(service(Client::connect(addresses, options).unwrap(), number, stop.clone()));
    }
    for i in 0..5 {
        let before = cluster.metric((i + 1) % 5, "applied_index");
        eventually("writes go on", PATIENCE, async || {
            (cluster.metric((i + 1) % 5, "applied_index") > before + 20.0).then_some(())
        })
        .await;
        let status = cluster.node(i).stop(PATIENCE).unwrap();
        assert!(status.success(), "node {i} ended with {status}");
        cluster.restart(i).await;
    }
    stop.cancel();
    let (mut calls, mut longest) = (0, Duration::ZERO);
    while let Some(ended) = services.join_next().await {
        let (made, its_longest) = ended.unwrap().expect("no call fails");
        (calls, longest) = (calls + made, longest.max(its_longest));
    }
    println!(
        "five nodes restarted one after the other: {calls} calls, none failed, the longest took {longest:.1?}"
    );
    assert!(calls > 200, "{calls} calls are too few to tell");
    cluster.assert_no_errors();
}
