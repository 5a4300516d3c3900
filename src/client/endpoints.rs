//! The nodes a client may ask: one lazily connected channel each, and the one that answered last.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use tonic::transport::{Channel, Endpoint};

use super::{Certificates, ClientError};
use crate::machine;
use crate::tls::Tls;

/// The time a TCP connection may take to open.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// A connection that carries nothing is probed this often ...
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
/// ... and given up when the probe is not answered for this long, so that a dead link is found before a call is.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(3);

/// One node.
#[derive(Debug, Clone)]
pub(super) struct Target {
    /// `host:port`.
    pub address: String,
    /// Its connection for calls about people.
    pub channel: Channel,
    /// Its connection for calls about the cluster.
    pub operators: Channel,
    /// Its connection for calls about the audit trail.
    pub auditors: Channel,
    /// Its place in the list.
    index: usize,
}

/// All nodes, and which one to ask next.
#[derive(Debug)]
pub(super) struct Endpoints {
    targets: RwLock<Vec<Target>>,
    current: AtomicUsize,
    certificates: Certificates,
}

impl Endpoints {
    /// One target per address, in the given order.
    pub fn new(addresses: Vec<String>, certificates: Certificates) -> Result<Self, ClientError> {
        if addresses.is_empty() {
            return Err(ClientError::invalid(
                "endpoints",
                "give at least one address of a node, as host:port",
            ));
        }
        let endpoints = Self { targets: RwLock::default(), current: AtomicUsize::new(0), certificates };
        for address in addresses {
            endpoints.add(&address)?;
        }
        Ok(endpoints)
    }

    /// Adds a node unless it is known. True when it was new.
    pub fn add(&self, address: &str) -> Result<bool, ClientError> {
        let address = address.strip_prefix("http://").unwrap_or(address).trim_end_matches('/');
        let Certificates { agency, operator, auditor } = &self.certificates;
        let channel = self::channel(address, agency.as_ref().or(operator.as_ref()).or(auditor.as_ref()))?;
        let own = |certificate: &Option<Arc<Tls>>| match certificate {
            Some(tls) => self::channel(address, Some(tls)),
            None => Ok(channel.clone()),
        };
        let (operators, auditors) = (own(operator)?, own(auditor)?);
        let mut targets = self.targets.write().expect("nothing panics while it holds this lock");
        if targets.iter().any(|target| target.address == address) {
            return Ok(false);
        }
        let index = targets.len();
        targets.push(Target { address: address.to_owned(), channel, operators, auditors, index });
        Ok(true)
    }

    /// The node to ask now.
    pub fn current(&self) -> Target {
        let targets = self.targets.read().expect("nothing panics while it holds this lock");
        targets[self.current.load(Ordering::Relaxed) % targets.len()].clone()
    }

    /// `failed` did not answer: the next one is asked from now on, by all clones. Does nothing when another call has
    /// moved on already.
    pub fn leave(&self, failed: &Target) {
        let next = (failed.index + 1) % self.len();
        let _ = self.current.compare_exchange(failed.index, next, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// How many nodes are known; at least one.
    pub fn len(&self) -> usize {
        self.targets.read().expect("nothing panics while it holds this lock").len()
    }

    /// Their addresses, beginning with the current one.
    pub fn addresses(&self) -> Vec<String> {
        let targets = self.targets.read().expect("nothing panics while it holds this lock");
        let mut addresses: Vec<String> = targets.iter().map(|target| target.address.clone()).collect();
        addresses.rotate_left(self.current.load(Ordering::Relaxed) % targets.len());
        addresses
    }
}

/// A connection to a node at `host:port`, secure with `tls`, opened by the first call, with the settings that this client uses: for those who
/// need calls as the nodes answer them, without retries.
///
/// # Errors
/// `FIELD_INVALID` when the address is not `host:port`.
pub fn channel(address: &str, tls: Option<&Arc<Tls>>) -> Result<Channel, ClientError> {
    let malformed = |_| {
        ClientError::invalid("endpoints", &format!("\"{address}\" is not an address of the form host:port"))
    };
    let has_port = address
        .rsplit_once(':')
        .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port != 0));
    if !has_port {
        return Err(malformed(()));
    }
    let endpoint = Endpoint::from_shared(format!("http://{address}")).map_err(|_| malformed(()))?;
    let endpoint = endpoint
        .tcp_nodelay(true)
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(4 << 20);
    Ok(match tls {
        Some(tls) => tls.connect_to_host(&endpoint),
        None => machine::connect_lazy(&endpoint),
    })
}
