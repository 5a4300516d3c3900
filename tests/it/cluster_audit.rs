//! The audit trail of a cluster: complete whichever node answered and whoever was killed, and nobody edits it unnoticed.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dancu::config::Role;
use dancu::proto::registry::{
    AccessHistoryRequest, AccessRecord, Attribute, BatchReadPersonsRequest, Claim, LogCoverage,
    ReadPersonRequest, Subject, VerifyRequest, claim,
};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tonic::Code;

use crate::harness::people::{NAMES, citizen};
use crate::harness::{Cluster, PATIENCE, api, command, eventually};

/// Answers before the node that gave them is killed.
const ANSWERS: u64 = 10_000;

/// Asking at once.
const CALLERS: u64 = 64;

/// All accesses to a person, as node `i` tells them, and how far each log was looked through.
async fn history(cluster: &Cluster, i: usize, uid: u64) -> (Vec<AccessRecord>, Vec<LogCoverage>) {
    let mut trail = api::audit(&cluster.fleet.nodes[i].client_address());
    let mut request =
        AccessHistoryRequest { key: Some(api::by_uid(uid)), limit: 500, ..AccessHistoryRequest::default() };
    let mut all = Vec::new();
    loop {
        let answer = trail.access_history(request.clone()).await.unwrap().into_inner();
        all.extend(answer.accesses);
        request.page = answer.next_page;
        if request.page.is_empty() {
            return (all, answer.coverage);
        }
    }
}

/// How often each request id is in these accesses.
fn counted(accesses: &[AccessRecord]) -> BTreeMap<String, u32> {
    let mut counts = BTreeMap::new();
    for context in accesses.iter().filter_map(|access| access.context.as_ref()) {
        *counts.entry(context.request_id.clone()).or_default() += 1;
    }
    counts
}

fn verify(request_id: &str, uid: u64) -> VerifyRequest {
    let claim = Claim {
        attribute: Attribute::GivenName.into(),
        value: Some(claim::Value::Text(NAMES[2].to_owned())),
        ..Claim::default()
    };
    let subject = Some(Subject { key: Some(api::by_uid(uid)), claims: vec![claim] });
    VerifyRequest {
        context: api::context(request_id),
        subject,
        options: Some(api::stale(60_000)),
        receipt: false,
    }
}

async fn add_person(cluster: &Cluster, n: u32) -> u64 {
    let mut registry = api::registry(&cluster.fleet.nodes[0].client_address());
    let written = registry.create_person(api::create(&format!("add-{n}"), citizen(n))).await.unwrap();
    written.into_inner().written.unwrap().person_uid
}

#[tokio::test(flavor = "multi_thread")]
async fn cluster_audit_tells_every_access_wherever_it_was() {
    let cluster = Cluster::start(3, 1).await;
    let (uid, other) = (add_person(&cluster, 1).await, add_person(&cluster, 2).await);
    for (i, node) in cluster.fleet.nodes.iter().enumerate() {
        let read = |name: &str, options| ReadPersonRequest {
            context: api::context(&format!("{name}-{i}")),
            key: Some(api::by_uid(uid)),
            options,
        };
        let mut registry = api::registry(&node.client_address());
        registry.read_person(read("fresh", None)).await.unwrap();
        registry.read_person(read("stale", Some(api::stale(60_000)))).await.unwrap();
        let keys = vec![api::by_uid(other), api::by_uid(uid)];
        let context = api::context(&format!("batch-{i}"));
        registry.batch_read_persons(BatchReadPersonsRequest { context, keys, options: None }).await.unwrap();
        let mut verification = api::verification(&node.client_address());
        verification.verify(verify(&format!("verify-{i}"), uid)).await.unwrap();
    }

    // Each central node tells all of them, at once.
    for i in 0..3 {
        let (accesses, coverage) = history(&cluster, i, uid).await;
        let counts = counted(&accesses);
        for kind in ["fresh", "stale", "batch", "verify"] {
            for node in 0..4 {
                assert_eq!(counts.get(&format!("{kind}-{node}")), Some(&1), "{kind} at {node}, told by {i}");
            }
        }
        assert!(coverage.len() == 4 && coverage.iter().all(|of| of.held == of.known && of.asked_at_ms > 0));
        assert!(accesses.iter().all(|access| access.persons.len() == 1 && access.persons[0].uid == uid));
    }
    let mut province = api::audit(&cluster.fleet.nodes[3].client_address());
    let request = AccessHistoryRequest { key: Some(api::by_uid(uid)), ..AccessHistoryRequest::default() };
    let refused = province.access_history(request).await.unwrap_err();
    assert!(refused.message().contains("central-1"), "{refused}");
    assert_eq!(api::refusal::<()>(Err(refused)).0, Code::FailedPrecondition);

    exported_and_edited(&cluster).await;
    assert!(cluster.metric(0, "audit_carried_position{node=\"4\"}") >= 4.0);
    for i in 0..4 {
        assert!(cluster.metric(i, "audit_position") >= 4.0 && cluster.metric(i, "audit_closed") == 0.0);
    }
    cluster.assert_not_logged(&NAMES);
    cluster.assert_no_errors();
}

/// The log of the province, node 4, as a central node holds it: exported, proven, checked, edited.
async fn exported_and_edited(cluster: &Cluster) {
    let (central, province) =
        (cluster.fleet.nodes[0].client_address(), cluster.fleet.nodes[3].client_address());
    let covered = || command::run(["audit", "checkpoint", "-e", &province]).0 == 0;
    assert!(covered(), "the province signs what it holds when it is asked");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("audit.ndjson");
    let name = file.to_str().unwrap();
    let export = ["audit", "export", "-e", &central, "--node", "4", "--output", name];
    eventually("the copy reaches the checkpoint", PATIENCE, async || {
        (command::run(export).0 == 0).then_some(())
    })
    .await;
    let (code, out, err) = command::run(["audit", "verify", name]);
    assert!(code == 0 && out.contains("signed checkpoints"), "{out}{err}");
    let text = std::fs::read_to_string(&file).unwrap();
    NAMES.iter().for_each(|name| assert!(!text.contains(name), "{name} is in the trail"));

    let (code, out, err) = command::run(["audit", "prove", "-e", &central, "4/2"]);
    assert!(code == 0 && out.contains("is in the log"), "{out}{err}");
    let (code, ..) = command::run(["audit", "prove", "-e", &central, "4/999999"]);
    assert_eq!(code, 2);

    // One byte of record 2.
    let place = text.find("\"position\":2,").unwrap();
    let mut edited = text.into_bytes();
    edited[place + 40] ^= 1;
    std::fs::write(&file, edited).unwrap();
    let found = command::json(&mut command::dancu(["--json", "audit", "verify", name]), 1);
    assert_eq!(found["first_bad"], 2, "{found}");
}

/// Asks until the node is gone; returns the ids of the requests that were answered.
async fn ask(address: String, caller: u64, uid: u64, answered: Arc<AtomicU64>) -> Vec<String> {
    let mut verification = api::verification(&address);
    let mut ids = Vec::new();
    loop {
        let id = format!("{caller}-{}", ids.len());
        if verification.verify(verify(&id, uid)).await.is_err() {
            return ids;
        }
        ids.push(id);
        answered.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cluster_audit_has_each_answer_of_a_killed_node_once() {
    let mut cluster = Cluster::start(3, 1).await;
    let uid = add_person(&cluster, 1).await;
    let province = cluster.named("province-1");
    assert_eq!(cluster.node(province).config().role, Role::Provincial);
    let (answered, begun) = (Arc::new(AtomicU64::new(0)), Instant::now());
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let address = cluster.node(province).client_address();
        callers.spawn(ask(address, caller, uid, answered.clone()));
    }
    let reached = async |count: u64| {
        eventually("answers", PATIENCE, async || (answered.load(Ordering::Relaxed) >= count).then_some(()))
            .await;
    };
    // A node that fetches the records is killed while it does, and comes back.
    reached(ANSWERS / 2).await;
    cluster.node(0).kill().unwrap();
    cluster.node(0).start().unwrap();
    reached(ANSWERS).await;
    cluster.node(province).kill().unwrap();
    let took = begun.elapsed();
    let mut ids = Vec::new();
    while let Some(caller) = callers.join_next().await {
        ids.extend(caller.unwrap());
    }
    println!("{} answers in {took:.1?}, then the node was killed", ids.len());
    assert!(ids.len() as u64 >= ANSWERS);

    let folder = cluster.node(province).config().data_dir.join("audit/4");
    verified(&folder, ids.len() as u64);
    cluster.node(0).wait_serving(PATIENCE).unwrap();
    cluster.ready(0).await;
    cluster.restart(province).await;
    for i in [0, 1] {
        let all_here = |of: &LogCoverage| of.node_id != 4 || (of.held == of.known && of.asked_at_ms > 0);
        let told = eventually("all of the log", PATIENCE, async || {
            let (accesses, coverage) = history(&cluster, i, uid).await;
            coverage.iter().all(all_here).then_some(accesses)
        });
        let counts = counted(&told.await);
        for id in &ids {
            assert_eq!(counts.get(id), Some(&1), "the answer to {id}, told by node {i}");
        }
        assert!(counts.values().all(|count| *count == 1), "a record is told twice by node {i}");
    }
    cluster.assert_no_errors();
}

/// The log in the folder of a node that does not run is whole and has at least so many records.
fn verified(folder: &Path, records: u64) {
    let mut verify = command::dancu(["--json", "audit", "verify"]);
    let found = command::json(verify.arg(folder), 0);
    assert!(found["report"]["size"].as_u64().unwrap() >= records, "{found}");
}
