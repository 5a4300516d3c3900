//! Tests of `config`: what loads, what is refused and with which words, and that docs, defaults and samples agree.

use std::path::Path;

use super::sample::{render, samples};
use super::*;

const MINIMAL: &str = r#"
name = "central-1"
role = "central"
data_dir = "data"
client_listen = "127.0.0.1:7001"
peer_listen = "127.0.0.1:7002"
plaintext = true
"#;

fn load(text: &str) -> Result<NodeConfig, String> {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let path = folder.path().join("node.toml");
    std::fs::write(&path, text).expect("the test's file is written");
    NodeConfig::load(&path).map_err(|error| error.to_string())
}

fn refused(text: &str, words: &[&str]) {
    let error = load(text).expect_err("this configuration must be refused");
    for word in words {
        assert!(error.contains(word), "`{word}` is missing in: {error}");
    }
}

#[test]
fn config_minimal_file_takes_all_defaults() {
    let config = load(MINIMAL).expect("the minimal file is good");
    assert_eq!(config.raft, RaftConfig::default());
    assert_eq!(config.role, Role::Central);
    assert_eq!(config.peer_address("127.0.0.1:4000".parse().unwrap()), "127.0.0.1:4000");
}

#[test]
fn config_explicit_address_wins_over_the_bound_one() {
    let config = load(&format!("{MINIMAL}client_advertise = \"a.example:9\"\n")).unwrap();
    assert_eq!(config.client_address("127.0.0.1:4000".parse().unwrap()), "a.example:9");
}

#[test]
fn config_errors_name_file_line_and_key() {
    refused(
        &format!("{MINIMAL}[raft]\nheartbeat_ms = 5\n"),
        &["node.toml, line 9", "heartbeat_ms", "cluster/"],
    );
    refused(&format!("{MINIMAL}[raft]\nkeep_entries = \"x\"\n"), &["line 9", "keep_entries", "string"]);
    refused(&MINIMAL.replace("role", "#"), &["role", "missing"]);
    refused(&MINIMAL.replace("\"central\"", "\"centre\""), &["line 3", "centre", "provincial"]);
    refused(&MINIMAL.replace("127.0.0.1:7001", "7001"), &["line 5", "client_listen"]);
    refused("name =", &["line 1"]);
    let absent = NodeConfig::load(Path::new("nowhere/node.toml")).unwrap_err().to_string();
    assert!(absent.contains("nowhere/node.toml") && absent.contains("--config"), "{absent}");
}

#[test]
fn config_values_that_cannot_work_are_refused() {
    let with = |more: &str| format!("{MINIMAL}{more}\n");
    refused(&with("[raft]\nelection_timeout_min_ms = 200"), &["raft.election_timeout_min_ms", "300"]);
    refused(&with("[raft]\nelection_timeout_max_ms = 600"), &["raft.election_timeout_max_ms"]);
    refused(&with("[raft]\nmax_entries_in_flight = 0"), &["raft.max_entries_in_flight", "1 to 64"]);
    refused(&with("[limits]\ndefault_deadline_ms = 90000"), &["limits.default_deadline_ms"]);
    refused(&with("[limits]\nmax_message_bytes = 1"), &["limits.max_message_bytes"]);
    refused(&with("[storage]\nmemtable_mb = 0"), &["storage.memtable_mb"]);
    refused(&with("[history]\nretention_ms = 59999"), &["history.retention_ms", "60000", "0 to keep"]);
    refused(&with("[audit]\nsegment_mb = 0"), &["audit.segment_mb", "1 to 4096"]);
    refused(&with("[audit]\ncheckpoint_interval_ms = 1"), &["audit.checkpoint_interval_ms"]);
    refused(&with("[encryption]\nkey_file = \"a\"\nkey_env = \"B\""), &["encryption.key_env", "one of them"]);
    refused(&with("[encryption]\nprevious_key_file = \"a\""), &["encryption.previous_key_file"]);
    refused(&with("[encryption]\ndata_key_days = 0"), &["encryption.data_key_days"]);
    refused(&with("[log]\nlevel = \"loud\""), &["log.level"]);
    refused(&with("http_listen = \"127.0.0.1:7001\""), &["http_listen", "client_listen"]);
    refused(&with("peer_advertise = \"http://a:1\""), &["peer_advertise"]);
    refused(&with("peer_advertise = \"0.0.0.0:1\""), &["peer_advertise"]);
    refused(&with("peer_advertise = \"host\""), &["peer_advertise", "host:port"]);
    refused(&MINIMAL.replace("127.0.0.1:7002", "0.0.0.0:7002"), &["peer_advertise", "peer_listen"]);
    refused(&MINIMAL.replace("127.0.0.1:7001", "[::]:7001"), &["client_advertise"]);
    refused(&MINIMAL.replace("central-1", "Central 1"), &["name"]);
}

#[test]
fn config_docs_state_the_true_defaults() {
    let sections = [
        (RaftConfig::FIELDS, toml::Table::try_from(RaftConfig::default()).unwrap()),
        (StorageConfig::FIELDS, toml::Table::try_from(StorageConfig::default()).unwrap()),
        (HistoryConfig::FIELDS, toml::Table::try_from(HistoryConfig::default()).unwrap()),
        (LimitsConfig::FIELDS, toml::Table::try_from(LimitsConfig::default()).unwrap()),
        (LogConfig::FIELDS, toml::Table::try_from(LogConfig::default()).unwrap()),
    ];
    for (fields, defaults) in sections {
        assert_eq!(fields.len(), defaults.len());
        for (key, doc) in fields {
            let expected = format!("Default: {}.", defaults[*key]);
            assert!(doc.join("").ends_with(&expected), "the doc of {key} must end with `{expected}`");
        }
    }
}

#[test]
fn config_reference_names_every_key_and_all_samples_load() {
    let samples = samples();
    assert_eq!(samples.len(), 2 + 3 + 34);
    // That of who may ask what is no configuration: src/cli/policy/file.rs reads it.
    for (name, text) in samples.iter().filter(|(name, _)| name != "policy.toml") {
        let config = load(text).unwrap_or_else(|error| panic!("cluster/{name}: {error}"));
        assert!(name == "reference.toml" || *name == format!("{}.toml", config.name));
        assert_eq!(load(&render(&config, true)).unwrap(), config, "{name} changes when it is rendered again");
        assert_eq!(
            load(&render(&config, false)).unwrap(),
            config,
            "{name} changes when it is rendered again"
        );
    }
    // With every comment sign before a key removed, each key must still be one the structs know.
    let keys = samples[0].1.lines().filter(|line| line.contains(" = ")).count();
    let sections = [
        RaftConfig::FIELDS,
        StorageConfig::FIELDS,
        HistoryConfig::FIELDS,
        AuditConfig::FIELDS,
        EncryptionConfig::FIELDS,
        LimitsConfig::FIELDS,
        LogConfig::FIELDS,
    ];
    let expected =
        NodeConfig::FIELDS.len() - sections.len() + sections.iter().map(|fields| fields.len()).sum::<usize>();
    assert_eq!(keys, expected);
}

#[test]
fn config_nobody_serves_in_the_clear_by_forgetting_a_key() {
    let secure = MINIMAL.replace("plaintext = true", "");
    refused(&secure, &["client_tls", "dancu certs issue node", "plaintext = true"]);
    refused(&format!("{secure}client_tls = \"a\"\n"), &["peer_tls", "plaintext = true"]);
    let config = load(&format!("{secure}client_tls = \"a\"\npeer_tls = \"b\"\n")).unwrap();
    assert!(!config.plaintext);
}
