//! The configuration of a node: one TOML file, read once at the start.
//!
//! ```text
//! file -> NodeConfig::load -> validate -> the node
//! struct docs -> sample.rs -> cluster/*.toml   (a test compares them)
//! ```
//!
//! The doc comment of a field is its only description: [`sample`] renders it into the sample files. Units stand last
//! in the names (`_ms`, `_bytes`; `_mb` counts MiB). An unknown key is an error, never ignored: a mistyped time-out that silently
//! falls back to its default is found only in the incident it was meant for.
//!
//! What is deliberately absent: the cluster's members and the node's id. They are replicated state, given to a node by
//! `dancu cluster init` or `dancu cluster add`, so that no file can contradict what the cluster has agreed on.

mod error;
pub mod sample;
#[cfg(test)]
mod tests;
mod validate;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use error::{ConfigError, Problem};
pub use validate::is_node_name;

/// The keys of a table in order, each with the lines of its doc comment.
pub type Fields = &'static [(&'static str, &'static [&'static str])];

/// Declares settings structs and keeps the docs of their fields, in order, as `FIELDS` for the samples.
macro_rules! documented {
    ($(
        $(#[doc = $about:literal])+
        $(#[$attribute:meta])*
        pub struct $name:ident {
            $($(#[doc = $doc:literal])+ $(#[serde($serde:meta)])? pub $field:ident: $type:ty,)+
        }
    )+) => {$(
        $(#[doc = $about])+
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        $(#[$attribute])*
        pub struct $name {
            $($(#[doc = $doc])+ $(#[serde($serde)])? pub $field: $type,)+
        }

        impl $name {
            /// Each key with the text of its doc comment, in the order of the struct.
            pub const FIELDS: Fields = &[$((stringify!($field), &[$($doc),+])),+];
        }
    )+};
}

documented! {
    /// Everything a node is told at its start.
    #[serde(deny_unknown_fields)]
    pub struct NodeConfig {
        /// The node's name: unique in the cluster, 1 to 63 of a-z, 0-9, '-' and '.', first and last a letter or digit.
        /// It stands in logs, metrics and answers. Required.
        pub name: String,
        /// What the node is for: "central" nodes vote and may lead, "provincial" nodes hold a full replica and never
        /// vote. Required.
        pub role: Role,
        /// The folder of the node's data; made at the first start, never shared by two nodes. Relative paths start at
        /// the working directory. Required.
        pub data_dir: PathBuf,
        /// IP address and port on which clients are served (gRPC). Port 0 takes any free port. Required.
        pub client_listen: SocketAddr,
        /// host:port at which clients reach `client_listen`. Default: the address listened on; required when that is
        /// a wildcard such as 0.0.0.0.
        #[serde(default)]
        pub client_advertise: Option<String>,
        /// IP address and port on which the other nodes are served. Port 0 takes any free port. Required.
        pub peer_listen: SocketAddr,
        /// host:port at which the other nodes reach `peer_listen`. Default: the address listened on; required when
        /// that is a wildcard such as 0.0.0.0.
        #[serde(default)]
        pub peer_advertise: Option<String>,
        /// Folder with authority.pem, holder.pem and holder.key, as `dancu certs issue node` makes it under "clients", and
        /// revoked.pem if certificates were revoked: clients and this node show each other by mutual TLS 1.3 who they are.
        /// Changed files are taken within seconds. Required, unless plaintext is true.
        #[serde(default)]
        pub client_tls: Option<PathBuf>,
        /// The same for the other nodes, as it is made under "peers". All nodes of a cluster must have it, or none. Required,
        /// unless plaintext is true.
        #[serde(default)]
        pub peer_tls: Option<PathBuf>,
        /// Serve without TLS where no folder is named: anybody may then ask for anything, in any agency's name. For tests on one
        /// machine. Default: false.
        #[serde(default)]
        pub plaintext: bool,
        /// IP address and port of /metrics, /healthz, /readyz and /status (HTTP). Port 0 takes any free port.
        /// Default: no HTTP.
        #[serde(default)]
        pub http_listen: Option<SocketAddr>,
        /// Consensus and the way of writes.
        #[serde(default)]
        pub raft: RaftConfig,
        /// Memory given to the stores.
        #[serde(default)]
        pub storage: StorageConfig,
        /// Encryption of what is on this node's disk. Without a key here, values are written in the clear.
        #[serde(default)]
        pub encryption: EncryptionConfig,
        /// How long earlier versions of records are kept.
        #[serde(default)]
        pub history: HistoryConfig,
        /// The record of every access.
        #[serde(default)]
        pub audit: AuditConfig,
        /// What one client may ask for.
        #[serde(default)]
        pub limits: LimitsConfig,
        /// What the node writes to standard error.
        #[serde(default)]
        pub log: LogConfig,
    }

    /// Consensus and the way of writes. All nodes of a cluster should have the same values.
    #[serde(default, deny_unknown_fields)]
    pub struct RaftConfig {
        /// How often a leader shows that it is there, and the longest that one append may take, in milliseconds. At
        /// least three times the slowest round trip between central nodes; 300 between distant data centres.
        /// Default: 100.
        pub heartbeat_interval_ms: u64,
        /// A follower that has not heard of a leader for a while asks for an election. The while is drawn anew each
        /// time; its least value, in milliseconds. At least three heartbeats; 2000 between distant data centres.
        /// Default: 600.
        pub election_timeout_min_ms: u64,
        /// The greatest value of the same, in milliseconds. 4000 between distant data centres. Default: 1200.
        pub election_timeout_max_ms: u64,
        /// A snapshot is made after this many log entries. Default: 100000.
        pub snapshot_every_entries: u64,
        /// Log entries kept behind a snapshot, so that a node that was away catches up from the log and not from a
        /// snapshot. Default: 50000.
        pub keep_entries: u64,
        /// Log entries a leader has on their way at once; what arrives meanwhile waits and shares the next entry.
        /// Default: 2.
        pub max_entries_in_flight: usize,
        /// Writes that may share one log entry. Default: 256.
        pub max_commands_per_entry: usize,
        /// Size at which a log entry takes no further write, in bytes. One larger write still goes alone.
        /// Default: 1048576.
        pub max_entry_bytes: usize,
        /// How long the reply of a write is kept, so that a retry with the same request id gets it again instead of
        /// writing twice, in milliseconds. Default: 3600000.
        pub request_window_ms: u64,
        /// Writes that may wait on this node before further ones are refused with RESOURCE_EXHAUSTED. Default: 4096.
        pub write_queue_commands: usize,
        /// The same, by size, in bytes. Default: 67108864.
        pub write_queue_bytes: usize,
        /// The same, by time: how long the next write would take at the pace of the last ones, in milliseconds.
        /// As many as 256 may always wait. Default: 100.
        pub write_queue_ms: u64,
    }

    /// Memory given to the stores.
    #[serde(default, deny_unknown_fields)]
    pub struct StorageConfig {
        /// Cache of blocks read from disk, in MiB. A quarter of the machine's memory is a good value for a node that
        /// has the machine to itself. Default: 256.
        pub block_cache_mb: usize,
        /// Writes to a table that are gathered in memory before they become a file, in MiB. Smaller takes less memory, and
        /// more time to merge the files. Default: 32.
        pub memtable_mb: usize,
        /// Newest log entries kept in memory for replication, in MiB. Default: 16.
        pub log_cache_mb: usize,
    }

    /// Encryption of what is on this node's disk. Without a key here, values are written in the clear.
    #[serde(default, deny_unknown_fields)]
    pub struct EncryptionConfig {
        /// File with this node's master key: 64 hexadecimal digits, as `openssl rand -hex 32` makes them, readable by its owner
        /// alone and not on the disk that it protects. It wraps the data keys, which seal values in the log, the tables and
        /// snapshots. A node whose master key is gone is emptied and added again. Default: none.
        pub key_file: Option<PathBuf>,
        /// The same in an environment variable of this name. Default: none.
        pub key_env: Option<String>,
        /// The master key before the present one, until the node was started with both: it wraps the data keys anew. Default:
        /// none.
        pub previous_key_file: Option<PathBuf>,
        /// Age at which a data key is replaced by a new one at the next start, in days. Old ones stay, for what they sealed.
        /// Default: 90.
        pub data_key_days: u64,
    }

    /// How long earlier versions of records are kept. All nodes of a cluster should have the same values.
    #[derive(Default)]
    #[serde(default, deny_unknown_fields)]
    pub struct HistoryConfig {
        /// How long a version stays after another one took its place, in milliseconds: the registry can be read as of
        /// any instant of that time. Then it is removed for good, reckoned by the leader's clock. 0 keeps everything
        /// for ever; 315576000000 are ten years. Not less than limits.max_deadline_ms, so that no read loses the
        /// versions it looks for. Default: 0.
        pub retention_ms: u64,
    }

    /// The record of every access: durable before the answer leaves.
    #[serde(default, deny_unknown_fields)]
    pub struct AuditConfig {
        /// Whether accesses are recorded. Without a record nobody learns who looked at whom: false is for measurements
        /// with made-up people alone. Default: true.
        pub enabled: bool,
        /// Size at which a file of the log is complete and the next one begins, in MiB. Default: 64.
        pub segment_mb: u64,
        /// How long records are kept, in days; whole files go, once every central node has fetched them. 0 keeps them
        /// for ever. Default: 0.
        pub retention_days: u64,
        /// How often a node that recorded something signs what its log holds and has that replicated, in milliseconds.
        /// Default: 10000.
        pub checkpoint_interval_ms: u64,
    }

    /// What one client may ask for.
    #[serde(default, deny_unknown_fields)]
    pub struct LimitsConfig {
        /// Largest request that is read, in bytes. Default: 4194304.
        pub max_message_bytes: usize,
        /// Connections of clients at once; a further one is closed as it comes. Each takes a file descriptor.
        /// Default: 4096.
        pub max_connections: usize,
        /// How long a client may leave an answer, or a part of a stream of answers, unread before its connection is ended, in
        /// milliseconds. Default: 30000.
        pub max_unread_ms: u64,
        /// Requests being served at once; further ones are refused with RESOURCE_EXHAUSTED. Default: 4096.
        pub max_requests_in_flight: usize,
        /// The same for the requests of one agency, so that none takes the whole node. Default: 2048.
        pub max_requests_of_an_agency: usize,
        /// How late requests may get to run, for want of a processor, before further ones are refused with
        /// RESOURCE_EXHAUSTED, in milliseconds. Default: 100.
        pub max_lag_ms: u64,
        /// Time given to a request that names no deadline, in milliseconds. Default: 5000.
        pub default_deadline_ms: u64,
        /// Longest deadline a request may name; a longer one is shortened to it, in milliseconds. Default: 60000.
        pub max_deadline_ms: u64,
    }

    /// What the node writes to standard error.
    #[serde(default, deny_unknown_fields)]
    pub struct LogConfig {
        /// "error", "warn", "info", "debug" or "trace": of dancu's own, with the warnings of its libraries; or by module, as in "info,dancu::raft=debug".
        /// Default: "info".
        pub level: String,
        /// "text" for people, "json" for machines: one object a line. Default: "text".
        pub format: LogFormat,
    }
}

/// What a node is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Votes, may lead: 3 or 5 of them, in different data centres.
    Central,
    /// Holds a full replica and serves reads from it; never votes.
    Provincial,
}

/// The form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One line of text for people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Default for RaftConfig {
    fn default() -> Self {
        Self {
            heartbeat_interval_ms: 100,
            election_timeout_min_ms: 600,
            election_timeout_max_ms: 1200,
            snapshot_every_entries: 100_000,
            keep_entries: 50_000,
            max_entries_in_flight: 2,
            max_commands_per_entry: 256,
            max_entry_bytes: 1 << 20,
            request_window_ms: 3_600_000,
            write_queue_commands: 4096,
            write_queue_bytes: 64 << 20,
            write_queue_ms: 100,
        }
    }
}

impl Default for StorageConfig {
    fn default() -> Self {
        Self { block_cache_mb: 256, memtable_mb: 32, log_cache_mb: 16 }
    }
}

impl Default for EncryptionConfig {
    fn default() -> Self {
        Self { key_file: None, key_env: None, previous_key_file: None, data_key_days: 90 }
    }
}

impl Default for AuditConfig {
    fn default() -> Self {
        Self { enabled: true, segment_mb: 64, retention_days: 0, checkpoint_interval_ms: 10_000 }
    }
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            max_message_bytes: 4 << 20,
            max_connections: 4096,
            max_unread_ms: 30_000,
            max_requests_in_flight: 4096,
            max_requests_of_an_agency: 2048,
            max_lag_ms: 100,
            default_deadline_ms: 5000,
            max_deadline_ms: 60_000,
        }
    }
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { level: "info".to_string(), format: LogFormat::Text }
    }
}

impl NodeConfig {
    /// A node with the default settings that listens in the clear on any free port of loopback and serves no HTTP: the start
    /// for tests and for `dancu dev`.
    pub fn loopback(name: &str, role: Role, data_dir: &Path) -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        Self {
            name: name.to_string(),
            role,
            data_dir: data_dir.to_path_buf(),
            client_listen: any,
            client_advertise: None,
            peer_listen: any,
            peer_advertise: None,
            client_tls: None,
            peer_tls: None,
            plaintext: true,
            http_listen: None,
            raft: RaftConfig::default(),
            storage: StorageConfig::default(),
            encryption: EncryptionConfig::default(),
            history: HistoryConfig::default(),
            audit: AuditConfig::default(),
            limits: LimitsConfig::default(),
            log: LogConfig::default(),
        }
    }

    /// Reads and validates a configuration file.
    ///
    /// # Errors
    /// One [`ConfigError`] that names the file, the line or key at fault, and what to do.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { file: path.to_path_buf(), source })?;
        Self::parse(path, &text)
    }

    /// Reads and validates the text of a configuration file; `path` is its name in errors.
    ///
    /// # Errors
    /// As [`NodeConfig::load`].
    pub(crate) fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let config: Self = toml::from_str(text).map_err(|error| ConfigError::parse(path, text, &error))?;
        config.validate().map_err(|problem| ConfigError::Invalid { file: path.to_path_buf(), problem })?;
        Ok(config)
    }

    /// host:port at which clients reach this node, given the address it really listens on (the port may have been 0).
    pub fn client_address(&self, bound: SocketAddr) -> String {
        self.client_advertise.clone().unwrap_or_else(|| bound.to_string())
    }

    /// host:port at which the other nodes reach this node, given the address it really listens on.
    pub fn peer_address(&self, bound: SocketAddr) -> String {
        self.peer_advertise.clone().unwrap_or_else(|| bound.to_string())
    }
}
