//! Receipts of a cluster of real nodes: signed by one, checked with the keys that another shows, valid when the key was replaced.

use std::path::{Path, PathBuf};

use dancu::proto::registry::verify_stream_response::Result as Part;
use dancu::proto::registry::{
    Attribute, Claim, ErrorReason, ReceiptVerdict, Subject, VerifyReceiptRequest, VerifyRequest,
    VerifyStreamRequest, claim,
};
use dancu::receipt::{Checked, KeySet, check};
use futures::stream;
use serde_json::Value;

use crate::harness::people::{NAMES, citizen, personal_id};
use crate::harness::{AGENCY, Cluster, PATIENCE, api, command, eventually, http_get};

fn request(receipt: bool) -> VerifyRequest {
    let claim = Claim {
        attribute: Attribute::GivenName.into(),
        value: Some(claim::Value::Text(NAMES[2].to_owned())),
        ..Claim::default()
    };
    let subject = Some(Subject { key: Some(api::by_id(&personal_id(1))), claims: vec![claim] });
    VerifyRequest { context: api::context("a-receipt"), subject, options: None, receipt }
}

async fn add_person(cluster: &Cluster) {
    let mut registry = api::registry(&cluster.fleet.nodes[0].client_address());
    registry.create_person(api::create("add", citizen(1))).await.unwrap();
}

/// The keys as node `i` shows them.
fn keys(cluster: &Cluster, i: usize) -> String {
    http_get(cluster.fleet.nodes[i].config().http_listen.unwrap(), "/.well-known/jwks.json")
}

/// The keys of `count`, once node `i` shows as many.
async fn keys_of(cluster: &Cluster, i: usize, count: usize) -> KeySet {
    eventually("the keys", PATIENCE, async || {
        let set = KeySet::parse(keys(cluster, i).as_bytes()).unwrap();
        (set.keys.len() >= count).then_some(set)
    })
    .await
}

/// A receipt of node `i`, written by the command, once the cluster has agreed on the node's key.
async fn receipt(cluster: &Cluster, i: usize, file: &Path) -> String {
    let address = cluster.fleet.nodes[i].client_address();
    let (id, name) = (personal_id(1), file.to_str().unwrap());
    eventually("a receipt", PATIENCE, async || {
        let given = ["--id", &id, "--given", NAMES[2], "--born", "1991"];
        let (code, out, err) =
            command::run(["verify", "-e", &address, "--receipt", name].into_iter().chain(given));
        assert!(code == 1 || err.contains("signs no receipts"), "{out}{err}");
        (code == 1).then(|| std::fs::read_to_string(file).unwrap())
    })
    .await
}

/// What `dancu receipt verify` says, offline.
fn verified(file: &Path, keys: &Path, code: i32) -> Value {
    let mut command = command::dancu(["--json", "receipt", "verify"]);
    command::json(command.arg(file).arg("--keys").arg(keys), code)
}

fn saved(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

/// The record that a receipt names is proven, and says what the receipt says.
async fn record_is_there(cluster: &Cluster, checked: &Checked) {
    let audit = checked.content.audit;
    let address = cluster.fleet.nodes[0].client_address();
    let place = format!("{}/{}", audit.node_id, audit.position);
    let found = eventually("the record", PATIENCE, async || {
        // Its own node signs a checkpoint that covers it when it is asked.
        let own = usize::try_from(audit.node_id).unwrap() - 1;
        command::run(["audit", "checkpoint", "-e", &cluster.fleet.nodes[own].client_address()]);
        let output = command::dancu(["--json", "audit", "prove", "-e", &address, &place]).output().unwrap();
        output.status.success().then(|| serde_json::from_slice::<Value>(&output.stdout).unwrap())
    })
    .await;
    let access = &found["access"];
    assert_eq!(access["method"], "Verification/Verify", "{found}");
    assert_eq!(access["revision"], checked.content.revision, "{found}");
}

#[tokio::test(flavor = "multi_thread")]
async fn cluster_receipt_is_checked_with_the_keys_of_another_node_for_ever() {
    let mut cluster = Cluster::start(3, 0).await;
    add_person(&cluster).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("receipt");
    let old = receipt(&cluster, 1, &file).await;

    // Another node's keys.
    let set = keys_of(&cluster, 2, 3).await;
    let key_file = saved(folder.path(), "jwks.json", &keys(&cluster, 2));
    let checked = check(&old, &set).unwrap();
    assert_eq!((checked.content.node_id, checked.content.agency.as_str()), (2, AGENCY));
    assert_eq!(checked.opened.len(), 5);
    assert_eq!(checked.opened[0].value["personal_id"], personal_id(1));
    record_is_there(&cluster, &checked).await;
    let said = verified(&file, &key_file, 0);
    assert_eq!(said["content"]["verdicts"][0]["verdict"], "match", "{said}");
    assert_eq!(said["content"]["verdicts"][1]["verdict"], "no_match", "{said}");
    let url = format!("http://{}", cluster.fleet.nodes[0].config().http_listen.unwrap());
    assert_eq!(command::run(["receipt", "verify", file.to_str().unwrap(), "--keys", &url]).0, 0);

    // One letter of what it says.
    let place = old.find('.').unwrap() + 40;
    let mut edited = old.clone().into_bytes();
    edited[place] = if edited[place] == b'A' { b'B' } else { b'A' };
    let edited = saved(folder.path(), "edited", &String::from_utf8(edited).unwrap());
    let refused = verified(&edited, &key_file, 1);
    assert_eq!((&refused["valid"], &refused["verdict"]), (&false.into(), &"wrong_signature".into()));

    // A new key: old receipts stay valid, also after a restart; new ones need the new set.
    let (code, out, err) =
        command::run(["cluster", "rotate-receipt-key", "-e", &cluster.fleet.nodes[1].client_address()]);
    assert!(code == 0 && out.contains("node 2 signs receipts with the key"), "{out}{err}");
    let (code, ..) = {
        let agency = cluster.certified.issuer.agency_folder.to_str().unwrap().to_owned();
        let address = cluster.fleet.nodes[1].client_address();
        command::run(["cluster", "rotate-receipt-key", "-e", &address, "--operator-tls", &agency])
    };
    assert_ne!(code, 0, "an agency replaces a node's key");
    cluster.node(1).stop(PATIENCE).unwrap();
    cluster.restart(1).await;
    let new_file = folder.path().join("new");
    let new = receipt(&cluster, 1, &new_file).await;
    let newer_set = keys_of(&cluster, 0, 4).await;
    assert_eq!(newer_set.keys.len(), 4, "a restart makes no new key");
    assert_ne!(check(&new, &newer_set).unwrap().kid, checked.kid);
    assert_eq!(check(&old, &newer_set).unwrap(), checked);
    assert_eq!(verified(&new_file, &key_file, 1)["verdict"], "unknown_key");
    asked_of_a_node(&cluster, &old).await;

    cluster.assert_not_logged(&NAMES);
    cluster.assert_not_logged(&[&personal_id(1)]);
    cluster.assert_no_errors();
}

/// VerifyReceipt and the stream, by an agency.
async fn asked_of_a_node(cluster: &Cluster, genuine: &str) {
    let mut verification = api::verification(&cluster.fleet.nodes[2].client_address());
    let mut ask = async |receipt: &str| {
        let receipt = receipt.trim().to_owned();
        verification.verify_receipt(VerifyReceiptRequest { receipt }).await.unwrap().into_inner()
    };
    let answer = ask(genuine).await;
    assert_eq!((answer.verdict(), answer.opened), (ReceiptVerdict::Valid, 5), "{}", answer.detail);
    assert_eq!(answer.attested.unwrap().node_id, 2);
    assert_eq!(ask(&genuine[..100]).await.verdict(), ReceiptVerdict::Malformed);
    assert_eq!(ask(&genuine.replacen('e', "f", 1)).await.verdict(), ReceiptVerdict::Malformed);
    assert_eq!(ask("").await.verdict(), ReceiptVerdict::Malformed);

    let part = |sequence, receipt| VerifyStreamRequest { sequence, request: Some(request(receipt)) };
    let mut answers =
        verification.verify_stream(stream::iter([part(1, true), part(2, false)])).await.unwrap().into_inner();
    let mut places = Vec::new();
    while let Some(answer) = answers.message().await.unwrap() {
        let Some(Part::Response(response)) = answer.result else { panic!("{answer:?}") };
        places.push(response.receipt.map(|receipt| {
            check(&receipt.jws, &KeySet::parse(keys(cluster, 2).as_bytes()).unwrap()).unwrap().content.audit
        }));
    }
    assert!(matches!(places[..], [Some(place), None] if place.node_id == 3), "{places:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn cluster_receipt_needs_a_record() {
    let cluster = Cluster::start_with(1, 0, |settings| settings.audit.enabled = false).await;
    add_person(&cluster).await;
    let mut verification = api::verification(&cluster.fleet.nodes[0].client_address());
    let answer = verification.verify(request(false)).await.unwrap().into_inner();
    assert!(answer.receipt.is_none());
    let refused = api::refusal(verification.verify(request(true)).await);
    let reason = ErrorReason::ReceiptUnavailable;
    assert_eq!(refused.1, reason.as_str_name().trim_start_matches("ERROR_REASON_"));
    assert!(keys(&cluster, 0).contains("\"keys\":[]"));
}
