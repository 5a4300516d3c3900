//! The sample configurations of `cluster/`, rendered from the docs of the structs in `config`.
//!
//! `policy.toml` is `src/config/policy.toml` as it stands. `reference.toml` explains every key; the files of the nodes hold only what differs from the defaults, so that
//! what matters about a node is seen at once. A test compares the files on disk with what is rendered here;
//! `UPDATE_SAMPLES=1 cargo nextest run --release -E 'test(samples)'` rewrites them.

use std::path::Path;

use toml::{Table, Value};

use super::{
    AuditConfig, EncryptionConfig, Fields, HistoryConfig, LimitsConfig, LogConfig, NodeConfig, RaftConfig,
    Role, StorageConfig,
};

/// Central nodes of the sample cluster, each in its own data centre.
pub const CENTRAL_NODES: u32 = 3;

/// The provinces since 1 July 2025: code and name, as part of a host name.
pub const PROVINCES: [&str; 34] = [
    "01-ha-noi",
    "04-cao-bang",
    "08-tuyen-quang",
    "11-dien-bien",
    "12-lai-chau",
    "14-son-la",
    "15-lao-cai",
    "19-thai-nguyen",
    "20-lang-son",
    "22-quang-ninh",
    "24-bac-ninh",
    "25-phu-tho",
    "31-hai-phong",
    "33-hung-yen",
    "37-ninh-binh",
    "38-thanh-hoa",
    "40-nghe-an",
    "42-ha-tinh",
    "44-quang-tri",
    "46-hue",
    "48-da-nang",
    "51-quang-ngai",
    "52-gia-lai",
    "56-khanh-hoa",
    "66-dak-lak",
    "68-lam-dong",
    "75-dong-nai",
    "79-ho-chi-minh",
    "80-tay-ninh",
    "82-dong-thap",
    "86-vinh-long",
    "91-an-giang",
    "92-can-tho",
    "96-ca-mau",
];

const DOMAIN: &str = "dancu.example";
const INTRO: &str = "\
# Every key of a dancu node's configuration, with its meaning, unit and default.
# Keys that are commented out show their default. Generated from src/config/mod.rs.
";

/// The files of `cluster/`: name and text, the reference first, then the central, then the provincial nodes.
pub fn samples() -> Vec<(String, String)> {
    let reference = ("reference.toml".to_string(), format!("{INTRO}\n{}", render(&reference_node(), true)));
    let central = (1..=CENTRAL_NODES).map(|number| node(format!("central-{number}"), Role::Central));
    let provincial = PROVINCES.iter().map(|province| node(format!("province-{province}"), Role::Provincial));
    let nodes = central.chain(provincial).map(|config| {
        let about = match config.role {
            Role::Central => "a central node: votes, may lead",
            Role::Provincial => "a provincial node: a full replica that never votes",
        };
        let text =
            format!("# {}, {about}. All keys: reference.toml.\n\n{}", config.name, render(&config, false));
        (format!("{}.toml", config.name), text)
    });
    let policy = ("policy.toml".to_string(), include_str!("policy.toml").to_string());
    [reference, policy].into_iter().chain(nodes).collect()
}

/// The configuration as TOML: with `documented` every key, its comment above it, defaults commented out; without,
/// only what differs from the defaults.
pub fn render(config: &NodeConfig, documented: bool) -> String {
    let values = table(config);
    let sections: [(&str, Fields, Table); 7] = [
        ("raft", RaftConfig::FIELDS, table(&RaftConfig::default())),
        ("storage", StorageConfig::FIELDS, table(&StorageConfig::default())),
        ("encryption", EncryptionConfig::FIELDS, table(&EncryptionConfig::default())),
        ("history", HistoryConfig::FIELDS, table(&HistoryConfig::default())),
        ("audit", AuditConfig::FIELDS, table(&AuditConfig::default())),
        ("limits", LimitsConfig::FIELDS, table(&LimitsConfig::default())),
        ("log", LogConfig::FIELDS, table(&LogConfig::default())),
    ];
    let mut text = String::new();
    for (key, doc) in NodeConfig::FIELDS {
        if sections.iter().any(|(section, ..)| section == key) {
            continue;
        }
        comment(&mut text, documented, doc);
        match values.get(*key) {
            Some(value) => text += &format!("{key} = {value}\n"),
            None if documented => text += &format!("# {key} = \"host:port\"\n"),
            None => {}
        }
    }
    for (section, fields, defaults) in sections {
        let given = values.get(section).and_then(Value::as_table).expect("sections are always serialised");
        let about =
            NodeConfig::FIELDS.iter().find(|(key, _)| *key == section).map_or(&[][..], |(_, doc)| doc);
        let body = render_section(fields, given, &defaults, documented);
        if !body.is_empty() {
            text.push('\n');
            comment(&mut text, documented, about);
            text += &format!("[{section}]\n{body}");
        }
    }
    text
}

fn render_section(fields: Fields, given: &Table, defaults: &Table, documented: bool) -> String {
    let mut text = String::new();
    for (key, doc) in fields {
        let value = given.get(*key);
        let default = value == defaults.get(*key);
        comment(&mut text, documented, doc);
        match value {
            Some(value) if !default => text += &format!("{key} = {value}\n"),
            Some(value) if documented => text += &format!("# {key} = {value}\n"),
            None if documented => text += &format!("# {key} = \"...\"\n"),
            _ => {}
        }
    }
    text
}

/// The doc of a key or table, with an empty line before it unless a table or the file begins here.
fn comment(text: &mut String, documented: bool, lines: &[&str]) {
    if documented {
        if !text.is_empty() && !text.ends_with("\n\n") {
            text.push('\n');
        }
        lines.iter().for_each(|line| *text += &format!("#{}\n", line.trim_end()));
    }
}

fn table(settings: &impl serde::Serialize) -> Table {
    Table::try_from(settings).expect("settings are plain structs of numbers and text")
}

/// A node of the sample cluster, whose data centres are far apart.
fn node(name: String, role: Role) -> NodeConfig {
    let raft = RaftConfig {
        heartbeat_interval_ms: 300,
        election_timeout_min_ms: 2000,
        election_timeout_max_ms: 4000,
        ..RaftConfig::default()
    };
    let any = |port| std::net::SocketAddr::from(([0, 0, 0, 0], port));
    NodeConfig {
        client_listen: any(7001),
        client_advertise: Some(format!("{name}.{DOMAIN}:7001")),
        peer_listen: any(7002),
        peer_advertise: Some(format!("{name}.{DOMAIN}:7002")),
        client_tls: Some("/etc/dancu/clients".into()),
        peer_tls: Some("/etc/dancu/peers".into()),
        plaintext: false,
        encryption: EncryptionConfig {
            key_file: Some("/etc/dancu/master.key".into()),
            ..EncryptionConfig::default()
        },
        http_listen: Some(([127, 0, 0, 1], 7003).into()),
        raft,
        ..NodeConfig::loopback(&name, role, Path::new("/var/lib/dancu"))
    }
}

fn reference_node() -> NodeConfig {
    let loopback = |port| std::net::SocketAddr::from(([127, 0, 0, 1], port));
    NodeConfig {
        client_listen: loopback(7001),
        peer_listen: loopback(7002),
        client_tls: Some("/etc/dancu/clients".into()),
        peer_tls: Some("/etc/dancu/peers".into()),
        plaintext: false,
        encryption: EncryptionConfig {
            key_file: Some("/etc/dancu/master.key".into()),
            ..EncryptionConfig::default()
        },
        http_listen: Some(loopback(7003)),
        ..NodeConfig::loopback("central-1", Role::Central, Path::new("/var/lib/dancu"))
    }
}
