//! Real node processes of this very program on loopback: what `dancu demo` shows and what the integration tests stand on.
//!
//! ```text
//! folder/NAME.toml   configuration         folder/NAME.log   all that the process wrote, over its restarts
//! folder/NAME/       data folder               folder/NAME.key   master key
//! ```
//!
//! Each node has a loopback address of its own (127.64.0.0/10), and its ports are chosen by the system on that address.
//! So a node that is killed finds its ports free when it comes back: nobody else binds or connects from that address.
//! Processes are ended through their own handles only, and all of them when the fleet is dropped. A fleet that is given
//! [`Host`]s, network namespaces for example, runs its nodes there.
//!
//! `load` writes to a fleet and remembers what was acknowledged; `readback` looks for it at a node.

mod issuer;
pub mod load;
mod process;
pub mod readback;

use std::collections::VecDeque;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

pub use self::issuer::{Issuer, IssuerError};
pub use self::process::Process;
use crate::client::Certificates;
use crate::config::{NodeConfig, Role};
use crate::storage::sealing::MasterKey;

/// Node processes that share a folder. They belong to a cluster once somebody forms one of them.
pub struct Fleet {
    binary: PathBuf,
    folder: PathBuf,
    /// The settings of nodes started from now on; name, role, folder and ports are each node's own.
    pub settings: NodeConfig,
    /// Where the next nodes run, the first one first; on loopback when there is none left.
    pub hosts: VecDeque<Host>,
    /// The processes, in the order in which they were added.
    pub nodes: Vec<Process>,
    /// Whether the nodes that are started from now on seal what they write to disk, each with a key of its own.
    pub encrypted: bool,
    /// What is shown to the nodes: nothing while they serve in the clear.
    pub certificates: Certificates,
    /// Gives each node its certificates, once there is one.
    issuer: Option<Arc<Issuer>>,
}

/// A place for one node.
#[derive(Clone, Debug)]
pub struct Host {
    /// Its address, which nobody else uses.
    pub address: IpAddr,
    /// The node's data folder.
    pub data_dir: PathBuf,
    /// The command that runs the command that follows it there, such as `nsenter --net=FILE`.
    pub enter: Vec<String>,
}

/// Ports of a node that has its host for itself: for clients, for peers, for HTTP.
const HOST_PORTS: [u16; 3] = [7301, 7302, 7303];

impl Fleet {
    /// A fleet without nodes. `binary` is the program to run, `folder` where configurations, logs and data go.
    pub fn new(binary: &Path, folder: &Path) -> Self {
        let mut settings = NodeConfig::loopback("unnamed", Role::Central, folder);
        settings.storage.block_cache_mb = 32;
        Self {
            binary: binary.to_path_buf(),
            folder: folder.to_path_buf(),
            settings,
            hosts: VecDeque::new(),
            nodes: Vec::new(),
            encrypted: true,
            certificates: Certificates::default(),
            issuer: None,
        }
    }

    /// Nodes that are started from now on speak mutual TLS to each other and to clients, with certificates of this issuer.
    pub fn secure(&mut self, issuer: Arc<Issuer>) {
        self.settings.plaintext = false;
        self.certificates = issuer.certificates.clone();
        self.issuer = Some(issuer);
    }

    /// Starts a new node, which waits for a cluster, and returns its position. Does not wait until it serves.
    ///
    /// # Errors
    /// When no port is free, the folder cannot be written or the program cannot be started.
    pub fn spawn(&mut self, name: &str, role: Role) -> io::Result<usize> {
        let host = self.hosts.pop_front();
        let config = self.config(name, role, host.as_ref())?;
        let enter = host.map(|host| host.enter).unwrap_or_default();
        let mut process = Process::new(&self.binary, &self.folder, config, enter)?;
        process.start()?;
        self.nodes.push(process);
        Ok(self.nodes.len() - 1)
    }

    fn config(&self, name: &str, role: Role, host: Option<&Host>) -> io::Result<NodeConfig> {
        let [client_listen, peer_listen, http] = match host {
            Some(host) => HOST_PORTS.map(|port| SocketAddr::new(host.address, port)),
            None => free_ports(own_address())?,
        };
        let issue = |issuer: &Arc<Issuer>| issuer.node(name, client_listen.ip());
        let folders = self.issuer.as_ref().map(issue).transpose().map_err(io::Error::other)?;
        let (client_tls, peer_tls) = folders.unzip();
        let mut encryption = self.settings.encryption.clone();
        if self.encrypted && encryption.key_file.is_none() {
            encryption.key_file = Some(master_key(&self.folder.join(format!("{name}.key")))?);
        }
        Ok(NodeConfig {
            client_tls,
            peer_tls,
            encryption,
            name: name.to_owned(),
            role,
            data_dir: host.map_or_else(|| self.folder.join(name), |host| host.data_dir.clone()),
            client_listen,
            peer_listen,
            http_listen: Some(http),
            ..self.settings.clone()
        })
    }

    /// Where clients reach all nodes, as `host:port`.
    pub fn client_addresses(&self) -> Vec<String> {
        self.nodes.iter().map(Process::client_address).collect()
    }

    /// Peer addresses of the central nodes, as `dancu cluster init` takes them.
    pub fn central_peers(&self) -> Vec<String> {
        let central = self.nodes.iter().filter(|node| node.config().role == Role::Central);
        central.map(|node| node.config().peer_listen.to_string()).collect()
    }
}

/// The file of a node's master key, made if it is not there.
///
/// # Errors
/// When it cannot be written.
pub fn master_key(path: &Path) -> io::Result<PathBuf> {
    if !path.exists() {
        let mut options = OpenOptions::new();
        let key = MasterKey::generate().map_err(io::Error::other)?;
        options.write(true).create_new(true).mode(0o600).open(path)?.write_all(key.as_bytes())?;
    }
    Ok(path.to_path_buf())
}

/// A loopback address that no other node of this machine has: by the process that asks, and by a count in it.
fn own_address() -> IpAddr {
    static COUNT: AtomicU8 = AtomicU8::new(0);
    let process = std::process::id().to_be_bytes();
    let node = COUNT.fetch_add(1, Ordering::Relaxed) % 254 + 1;
    IpAddr::V4(Ipv4Addr::new(127, 64 + process[2] % 64, process[3], node))
}

/// Three ports that are free on `address`: the system chooses them, all at once, so that they differ.
fn free_ports(address: IpAddr) -> io::Result<[SocketAddr; 3]> {
    let bind = || TcpListener::bind((address, 0));
    let (a, b, c) = (bind()?, bind()?, bind()?);
    Ok([a.local_addr()?, b.local_addr()?, c.local_addr()?])
}
