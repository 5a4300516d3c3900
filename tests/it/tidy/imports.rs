//! The direction of imports: who may use whom, see src/lib.rs.

use super::source::Source;

/// Leaves, which all may use.
const LEAVES: [&str; 10] =
    ["config", "defect", "failpoint", "machine", "metrics", "pace", "proto", "simulated", "telemetry", "tls"];

/// What each folder may use besides itself and the leaves. A folder not named here is a mistake.
const MAY_USE: [(&str, &[&str]); 22] = [
    ("lib", &[]),
    ("fuzz", &["cli", "service", "raft", "receipt", "storage", "domain"]),
    ("main", &["cli"]),
    ("cli", &["service", "http", "client", "raft", "receipt", "audit", "storage", "domain"]),
    ("service", &["raft", "receipt", "audit", "domain"]),
    ("http", &["raft"]),
    ("client", &["domain"]),
    ("raft", &["receipt", "audit", "storage", "domain"]),
    ("receipt", &["audit", "storage", "domain"]),
    ("audit", &["storage", "domain"]),
    ("storage", &["domain"]),
    ("domain", &[]),
    ("config", &[]),
    ("defect", &[]),
    ("machine", &[]),
    ("simulated", &[]),
    ("failpoint", &[]),
    ("telemetry", &[]),
    ("metrics", &[]),
    ("pace", &[]),
    ("tls", &[]),
    ("proto", &[]),
];

/// Crates that one folder alone may name, so that they can be replaced there.
const OWNED: [(&str, &str); 5] = [
    ("openraft", "raft"),
    ("rocksdb", "storage"),
    ("rcgen", "tls"),
    ("tokio_rustls", "tls"),
    ("x509_parser", "tls"),
];

/// Words the domain must not contain: it has no clock, no random source, no disk and no network.
const IMPURE: [&str; 14] = [
    "tokio",
    "tonic",
    "rocksdb",
    "openraft",
    "axum",
    "tracing",
    "uuid",
    "jiff",
    "Instant",
    "SystemTime",
    "fs",
    "net",
    "env",
    "thread",
];

/// Uses of other folders of the crate that the table does not allow.
pub fn direction(source: &Source) -> Vec<String> {
    let top = source.top();
    let Some((_, allowed)) = MAY_USE.iter().find(|(folder, _)| *folder == top) else {
        return vec![format!(
            "{}: src/{top} has no line in tests/it/tidy/imports.rs: say what it may use",
            source.path
        )];
    };
    let root = if top == "main" { "dancu" } else { "crate" };
    let mut complaints: Vec<String> = uses(&source.code, root)
        .into_iter()
        .filter(|used| used != top && !allowed.contains(&used.as_str()) && !LEAVES.contains(&used.as_str()))
        // Macros and types at the root of the crate are not folders.
        .filter(|used| MAY_USE.iter().any(|(folder, _)| folder == used))
        .map(|used| format!("{}: {top} must not use {used}", source.path))
        .collect();
    complaints.dedup();
    complaints
}

/// Crates named outside the folder that owns them.
pub fn owned_crates(source: &Source) -> Vec<String> {
    let foreign = OWNED.iter().filter(|(name, owner)| source.top() != *owner && has_word(&source.code, name));
    foreign.map(|(name, owner)| format!("{}: only src/{owner} may name {name}", source.path)).collect()
}

/// What makes the domain depend on more than its arguments.
pub fn pure(source: &Source) -> Vec<String> {
    let found = IMPURE.iter().filter(|word| has_word(source.code_outside_tests(), word));
    found.map(|word| format!("{}: the domain is pure and must not name {word}", source.path)).collect()
}

/// The names that follow `root::`, with those inside `root::{a::b, c}`.
fn uses(code: &str, root: &str) -> Vec<String> {
    let start = format!("{root}::");
    let mut names = Vec::new();
    for (place, _) in code.match_indices(&start) {
        let inside_word = code[..place].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$');
        let rest = code[place + start.len()..].trim_start();
        match rest.strip_prefix('{') {
            _ if inside_word => {}
            None => names.extend(first_word(rest)),
            Some(group) => names.extend(group_heads(group)),
        }
    }
    names
}

/// The first word of each item of a group whose opening brace is behind us.
fn group_heads(group: &str) -> Vec<String> {
    let mut depth = 1;
    let mut heads = Vec::new();
    let mut item = String::new();
    for character in group.chars() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 || (depth == 1 && character == ',') {
            heads.extend(first_word(item.trim()));
            item.clear();
        } else {
            item.push(character);
        }
        if depth == 0 {
            break;
        }
    }
    heads
}

fn first_word(text: &str) -> Option<String> {
    let word: String = text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    (!word.is_empty()).then_some(word)
}

fn has_word(code: &str, word: &str) -> bool {
    code.split(|c: char| !c.is_alphanumeric() && c != '_').any(|found| found == word)
}

#[test]
fn a_use_against_the_direction_is_found() {
    let bad = |path: &str, code: &str| direction(&Source::new(path, code)).len();
    assert_eq!(bad("src/domain/mod.rs", "use crate::storage::Log;"), 1);
    assert_eq!(bad("src/storage/log.rs", "fn a() { crate::raft::Node::new() }"), 1);
    assert_eq!(bad("src/storage/log.rs", "use crate::{proto::store, raft::{Node, service}, service};"), 2);
    assert_eq!(bad("src/client/mod.rs", "use crate::raft::Error;"), 1);
    assert_eq!(bad("src/main.rs", "use dancu::raft::Node;"), 1);
    assert_eq!(bad("src/helpers/mod.rs", ""), 1);
    assert_eq!(
        bad("src/raft/mod.rs", "use crate::{proto::store, storage}; // crate::service\nuse crate::raft::b;"),
        0
    );
}

#[test]
fn a_crate_outside_its_folder_is_found() {
    let bad = |path: &str, code: &str| owned_crates(&Source::new(path, code)).len();
    assert_eq!(bad("src/service/mod.rs", "use openraft::Raft;"), 1);
    assert_eq!(bad("src/raft/mod.rs", "use openraft::Raft; let e: rocksdb::Error;"), 1);
    assert_eq!(bad("src/service/mod.rs", "// openraft\nlet openraft_like = \"rocksdb\";"), 0);
}

#[test]
fn a_clock_in_the_domain_is_found() {
    let bad = |code: &str| pure(&Source::new("src/domain/a.rs", code)).len();
    assert_eq!(bad("use std::time::Instant;"), 1);
    assert_eq!(bad("std::fs::read(path)"), 1);
    assert_eq!(bad("use std::time::Duration; fn net_of() {}\n#[cfg(test)]\nmod tests { use std::env; }"), 0);
}
