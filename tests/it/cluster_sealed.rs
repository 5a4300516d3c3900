//! Encryption at rest, with real nodes: what they write to disk tells nothing of people in its values; nodes with other
//! keys, and with none, take part; a key that is missing is asked for, and one that is replaced is taken.

use std::path::{Path, PathBuf};

use dancu::cli::fleet::master_key;
use dancu::config::{EncryptionConfig, NodeConfig, Role};
use dancu::proto::registry::{Address, Person, PersonName, UpdatePerson, UpdatePersonRequest};

use crate::harness::people::{citizen, residence};
use crate::harness::{Cluster, PATIENCE, api, eventually};

/// What must not be found: in no value, of the log, the tables, or a snapshot.
const SECRETS: [&str; 4] = ["Quỳnh-Sương", "ngõ 77 phố Cầu Gỗ", "+84987650123", "số 9 Hàng Quạt"];

fn short_log(config: &mut NodeConfig) {
    config.raft.snapshot_every_entries = 50;
    config.raft.keep_entries = 10;
}

fn somebody(detail: &str) -> Person {
    let name = PersonName { given: SECRETS[0].to_owned(), ..citizen(1).birth_name.unwrap() };
    Person {
        birth_name: Some(name),
        permanent_residence: Some(Address { detail: detail.to_owned(), ..residence("") }),
        phone_numbers: vec![SECRETS[2].to_owned()],
        ..citizen(1)
    }
}

/// All files below a folder.
fn files(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, into) } else { into.push(path) }
    }
}

/// Where a text stands in the files of a data folder.
fn found(data: &Path, text: &str) -> Vec<PathBuf> {
    let mut all = Vec::new();
    files(data, &mut all);
    assert!(all.len() > 10, "{} is no data folder", data.display());
    let holds =
        |file: &PathBuf| std::fs::read(file).unwrap().windows(text.len()).any(|part| part == text.as_bytes());
    all.into_iter().filter(holds).collect()
}

/// Changes the encryption in a node's configuration, which it reads at its next start.
fn configure(cluster: &mut Cluster, i: usize, change: impl FnOnce(&mut EncryptionConfig)) {
    let file = cluster.node(i).config_file().to_owned();
    let mut config = NodeConfig::load(&file).unwrap();
    change(&mut config.encryption);
    std::fs::write(&file, toml::to_string(&config).unwrap()).unwrap();
}

/// Starts a node that must not come up, and returns what it said.
fn refused(cluster: &mut Cluster, i: usize) -> String {
    cluster.node(i).start().unwrap();
    let said = cluster.node(i).wait_serving(PATIENCE).unwrap_err().to_string();
    // It has ended by itself: this takes its handle away.
    cluster.node(i).kill().unwrap();
    said
}

async fn holds(cluster: &Cluster, i: usize) {
    let read = api::read(api::by_id(&citizen(1).personal_id), api::mode(Default::default()));
    let answer = api::registry(&cluster.fleet.nodes[i].client_address()).read_person(read).await.unwrap();
    let person = answer.into_inner().person.unwrap();
    assert_eq!(person.permanent_residence, somebody(SECRETS[3]).permanent_residence);
    assert_eq!(person.birth_name, somebody("").birth_name);
}

/// Writes somebody, corrects their address, and lets the log be purged behind snapshots.
async fn filled() -> Cluster {
    let cluster = Cluster::start_with(3, 0, short_log).await;
    let mut registry = api::registry(&cluster.fleet.nodes[0].client_address());
    registry.create_person(api::create("created", somebody(SECRETS[1]))).await.unwrap();
    let update = UpdatePerson {
        key: Some(api::by_id(&citizen(1).personal_id)),
        person: Some(somebody(SECRETS[3])),
        ..UpdatePerson::default()
    };
    let request = UpdatePersonRequest { context: api::context("moved"), update: Some(update) };
    registry.update_person(request).await.unwrap();
    let load = cluster.load(2);
    eventually("the log's beginning to be purged", PATIENCE, async || {
        let leader = cluster.leader().await;
        (cluster.status(leader).await.purged_index > 20).then_some(())
    })
    .await;
    load.stop().await.unwrap();
    cluster
}

#[tokio::test(flavor = "multi_thread")]
async fn cluster_sealed_files_tell_nothing() {
    let mut cluster = filled().await;
    let province = cluster.add("province-1", Role::Provincial).await;
    cluster.fleet.encrypted = false;
    let clear = cluster.add("province-2", Role::Provincial).await;
    for i in [province, clear] {
        assert!(cluster.metric(i, "snapshots_installed_total") >= 1.0, "it should have needed a snapshot");
    }
    // In the log of the node in the clear, and sealed in that of the others.
    let last = Person { permanent_residence: Some(residence(SECRETS[1])), ..citizen(2) };
    let mut registry = api::registry(&cluster.node(0).client_address());
    registry.create_person(api::create("last", last)).await.unwrap();
    for i in 0..5 {
        cluster.ready(i).await;
        holds(&cluster, i).await;
    }
    for i in 0..5 {
        cluster.node(i).kill().unwrap();
    }
    for i in 0..5 {
        let data = cluster.node(i).config().data_dir.clone();
        if i == clear {
            assert!(!found(&data, SECRETS[1]).is_empty(), "the search does not find what is in the clear");
        } else {
            for secret in SECRETS {
                assert_eq!(found(&data, secret), Vec::<PathBuf>::new(), "{secret:?} is on disk in the clear");
            }
        }
    }
    for i in 0..5 {
        cluster.node(i).start().unwrap();
    }
    for i in 0..5 {
        cluster.node(i).wait_serving(PATIENCE).unwrap();
        cluster.ready(i).await;
        holds(&cluster, i).await;
    }
    // It gets a key at last: the keys that came with the snapshot are wrapped, and it goes on.
    cluster.node(clear).kill().unwrap();
    let key = master_key(&cluster.certified.root().join("late.key")).unwrap();
    configure(&mut cluster, clear, |encryption| encryption.key_file = Some(key));
    cluster.restart(clear).await;
    holds(&cluster, clear).await;
    cluster.assert_no_errors();
}

#[tokio::test(flavor = "multi_thread")]
async fn cluster_sealed_master_key_is_asked_for_and_replaced() {
    let mut cluster = filled().await;
    let i = 1;
    let old = cluster.node(i).config().encryption.key_file.clone().unwrap();
    let new = master_key(&cluster.certified.root().join("new.key")).unwrap();
    cluster.node(i).kill().unwrap();

    configure(&mut cluster, i, |encryption| encryption.key_file = None);
    let said = refused(&mut cluster, i);
    assert!(said.contains("the configuration names none") && said.contains("nothing is lost"), "{said}");
    configure(&mut cluster, i, |encryption| encryption.key_file = Some(new.clone()));
    let said = refused(&mut cluster, i);
    assert!(said.contains("another key than the one given"), "{said}");

    configure(&mut cluster, i, |encryption| encryption.previous_key_file = Some(old.clone()));
    cluster.restart(i).await;
    holds(&cluster, i).await;
    cluster.node(i).kill().unwrap();
    configure(&mut cluster, i, |encryption| encryption.previous_key_file = None);
    cluster.restart(i).await;
    holds(&cluster, i).await;
    cluster.node(i).kill().unwrap();
    configure(&mut cluster, i, |encryption| encryption.key_file = Some(old));
    let said = refused(&mut cluster, i);
    assert!(said.contains("another key than the one given"), "{said}");
    configure(&mut cluster, i, |encryption| encryption.key_file = Some(new));
    cluster.restart(i).await;
    holds(&cluster, i).await;
}
