//! Values that do not fit each other or cannot work. Stands beside `config`; called by `NodeConfig::load`.

use std::net::SocketAddr;

use tracing_subscriber::filter::{LevelFilter, Targets};

use super::error::Problem;
use super::{
    AuditConfig, EncryptionConfig, HistoryConfig, LimitsConfig, LogConfig, NodeConfig, RaftConfig,
    StorageConfig,
};

impl NodeConfig {
    /// Checks what types alone cannot.
    ///
    /// # Errors
    /// The first [`Problem`] found, with the key and what to do.
    pub fn validate(&self) -> Result<(), Problem> {
        check_name(&self.name)?;
        if self.data_dir.as_os_str().is_empty() {
            return Err(Problem::new("data_dir", "is empty: name the folder for the node's data"));
        }
        check_advertise(
            "client_advertise",
            self.client_advertise.as_deref(),
            "client_listen",
            self.client_listen,
        )?;
        check_advertise("peer_advertise", self.peer_advertise.as_deref(), "peer_listen", self.peer_listen)?;
        check_ports(self)?;
        check_tls(self)?;
        self.raft.validate()?;
        self.storage.validate()?;
        self.encryption.validate()?;
        self.history.validate(&self.limits)?;
        self.audit.validate()?;
        self.limits.validate(&self.raft)?;
        self.log.filter().map(drop)
    }
}

impl LogConfig {
    /// The level as a filter.
    ///
    /// # Errors
    /// A [`Problem`] when it is not understood.
    pub fn filter(&self) -> Result<Targets, Problem> {
        let wrong = "is not understood: use \"info\" or, with modules, \"info,dancu::raft=debug\"";
        if let Ok(level) = self.level.parse::<LevelFilter>() {
            // The consensus library tells its whole state at each election: from it, what matters is a warning.
            let libraries = level.min(LevelFilter::WARN);
            return Ok(Targets::new().with_default(libraries).with_target("dancu", level));
        }
        let filter: Targets = self.level.parse().map_err(|_| Problem::new("log.level", wrong))?;
        // A mistyped level is read as the name of a module and leaves no default.
        match filter.default_level() {
            Some(_) => Ok(filter),
            None => Err(Problem::new("log.level", wrong)),
        }
    }
}

impl RaftConfig {
    fn validate(&self) -> Result<(), Problem> {
        let within = |key: &str, value: u64, least: u64, most: u64| at_range("raft", key, value, least, most);
        within("heartbeat_interval_ms", self.heartbeat_interval_ms, 10, 60_000)?;
        if self.election_timeout_min_ms < 3 * self.heartbeat_interval_ms {
            return Err(Problem::new(
                "raft.election_timeout_min_ms",
                format!(
                    "is {}, less than three heartbeats: one lost heartbeat would depose the leader; set {} or more",
                    self.election_timeout_min_ms,
                    3 * self.heartbeat_interval_ms
                ),
            ));
        }
        if self.election_timeout_max_ms <= self.election_timeout_min_ms {
            return Err(Problem::new(
                "raft.election_timeout_max_ms",
                format!(
                    "is {}, not more than raft.election_timeout_min_ms: all would ask at once; set {}",
                    self.election_timeout_max_ms,
                    2 * self.election_timeout_min_ms
                ),
            ));
        }
        within("election_timeout_max_ms", self.election_timeout_max_ms, 1, 600_000)?;
        within("snapshot_every_entries", self.snapshot_every_entries, 1, 1 << 40)?;
        within("max_entries_in_flight", self.max_entries_in_flight as u64, 1, 64)?;
        within("max_commands_per_entry", self.max_commands_per_entry as u64, 1, 4096)?;
        within("max_entry_bytes", self.max_entry_bytes as u64, 1 << 10, 16 << 20)?;
        within("request_window_ms", self.request_window_ms, 60_000, 7 * 86_400_000)?;
        within("write_queue_commands", self.write_queue_commands as u64, 1, 1 << 20)?;
        within("write_queue_bytes", self.write_queue_bytes as u64, self.max_entry_bytes as u64, 1 << 40)?;
        within("write_queue_ms", self.write_queue_ms, 1, 3_600_000)
    }
}

impl StorageConfig {
    fn validate(&self) -> Result<(), Problem> {
        let within = |key: &str, value: usize, most: u64| at_range("storage", key, value as u64, 1, most);
        within("block_cache_mb", self.block_cache_mb, 1 << 20)?;
        within("memtable_mb", self.memtable_mb, 1 << 10)?;
        within("log_cache_mb", self.log_cache_mb, 1 << 16)
    }
}

impl EncryptionConfig {
    fn validate(&self) -> Result<(), Problem> {
        if self.key_file.is_some() && self.key_env.is_some() {
            return Err(Problem::new(
                "encryption.key_env",
                "is given beside encryption.key_file: name one of them",
            ));
        }
        if self.previous_key_file.is_some() && self.key_file.is_none() && self.key_env.is_none() {
            let what = "is given without a key of today: name that as encryption.key_file";
            return Err(Problem::new("encryption.previous_key_file", what));
        }
        at_range("encryption", "data_key_days", self.data_key_days, 1, 36_500)
    }
}

impl AuditConfig {
    fn validate(&self) -> Result<(), Problem> {
        let within =
            |key: &str, value: u64, least: u64, most: u64| at_range("audit", key, value, least, most);
        within("segment_mb", self.segment_mb, 1, 4096)?;
        within("retention_days", self.retention_days, 0, 36_500)?;
        within("checkpoint_interval_ms", self.checkpoint_interval_ms, 100, 3_600_000)
    }
}

impl HistoryConfig {
    fn validate(&self, limits: &LimitsConfig) -> Result<(), Problem> {
        if self.retention_ms == 0 || self.retention_ms >= limits.max_deadline_ms {
            return Ok(());
        }
        Err(Problem::new(
            "history.retention_ms",
            format!(
                "is {}, less than limits.max_deadline_ms: a read could lose the versions it looks for; set {} or \
                 more, or 0 to keep everything",
                self.retention_ms, limits.max_deadline_ms
            ),
        ))
    }
}

impl LimitsConfig {
    fn validate(&self, raft: &RaftConfig) -> Result<(), Problem> {
        let within =
            |key: &str, value: u64, least: u64, most: u64| at_range("limits", key, value, least, most);
        within("max_message_bytes", self.max_message_bytes as u64, 64 << 10, 64 << 20)?;
        if self.max_message_bytes > raft.write_queue_bytes {
            return Err(Problem::new(
                "limits.max_message_bytes",
                "is more than raft.write_queue_bytes: a write of that size could never be taken; lower it",
            ));
        }
        within("max_connections", self.max_connections as u64, 1, 1 << 20)?;
        within("max_unread_ms", self.max_unread_ms, 100, 3_600_000)?;
        within("max_requests_in_flight", self.max_requests_in_flight as u64, 1, 1 << 20)?;
        within("max_requests_of_an_agency", self.max_requests_of_an_agency as u64, 1, 1 << 20)?;
        within("max_lag_ms", self.max_lag_ms, 1, 3_600_000)?;
        within("default_deadline_ms", self.default_deadline_ms, 1, self.max_deadline_ms)?;
        within("max_deadline_ms", self.max_deadline_ms, 1, 3_600_000)
    }
}

fn at_range(table: &str, key: &str, value: u64, least: u64, most: u64) -> Result<(), Problem> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(Problem::new(&format!("{table}.{key}"), format!("is {value}: set it to {least} to {most}")))
}

/// Whether a node may have this name.
pub fn is_node_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = name.as_bytes();
    (1..=63).contains(&bytes.len())
        && bytes.iter().all(|byte| plain(*byte) || matches!(byte, b'-' | b'.'))
        && plain(bytes[0])
        && plain(bytes[bytes.len() - 1])
}

fn check_name(name: &str) -> Result<(), Problem> {
    if is_node_name(name) {
        return Ok(());
    }
    Err(Problem::new("name", "must be 1 to 63 of a-z, 0-9, '-' and '.', first and last a letter or digit"))
}

/// An address that others are told must lead to this machine, not to "any".
fn check_advertise(
    key: &str,
    advertise: Option<&str>,
    listen_key: &str,
    listen: SocketAddr,
) -> Result<(), Problem> {
    let Some(address) = advertise else {
        if listen.ip().is_unspecified() {
            let what = format!(
                "is missing: {listen_key} is {listen}, which others cannot connect to; set the host:port they reach"
            );
            return Err(Problem::new(key, what));
        }
        return Ok(());
    };
    let (host, port) = address.rsplit_once(':').unwrap_or((address, ""));
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let wildcard = bare.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_unspecified());
    let good_host = !host.is_empty() && !host.contains(['/', ' ', '@']) && !wildcard;
    if good_host && port.parse::<u16>().is_ok_and(|port| port != 0) {
        return Ok(());
    }
    Err(Problem::new(key, format!("is {address:?}: give the host:port that others reach, without a scheme")))
}

/// Nobody serves a register in the clear by forgetting a key.
fn check_tls(config: &NodeConfig) -> Result<(), Problem> {
    let folders = [("client_tls", &config.client_tls), ("peer_tls", &config.peer_tls)];
    match folders.into_iter().find(|(_, folder)| folder.is_none()) {
        Some((key, _)) if !config.plaintext => Err(Problem::new(
            key,
            "is missing: name the folder that `dancu certs issue node` made; or, for tests on one machine, set plaintext = true",
        )),
        _ => Ok(()),
    }
}

/// Two listeners of one node on the same port would fail at the start, with a message less clear than this.
fn check_ports(config: &NodeConfig) -> Result<(), Problem> {
    let mut seen: Vec<(&str, SocketAddr)> = Vec::new();
    let http = config.http_listen.map(|address| ("http_listen", address));
    let listeners = [("client_listen", config.client_listen), ("peer_listen", config.peer_listen)];
    for (key, address) in listeners.into_iter().chain(http) {
        let taken = seen.iter().find(|(_, other)| address.port() != 0 && *other == address);
        if let Some((other, _)) = taken {
            return Err(Problem::new(key, format!("is {address}, as {other} is: give each its own port")));
        }
        seen.push((key, address));
    }
    Ok(())
}
