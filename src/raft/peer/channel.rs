//! Connections to peers: lazy, separate for each purpose, closed when the other side goes silent.

use std::sync::Arc;
use std::time::Duration;

use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};

use crate::machine;
use crate::proto::cluster::Member;
use crate::proto::peer::peer_client::PeerClient;
use crate::raft::peer::auth::Claim;
use crate::storage::data_dir::Identity;
use crate::tls::Tls;

/// A client of one peer.
pub type Client = PeerClient<InterceptedService<Channel, Claim>>;

/// Largest message between peers: a replication request is about 1 MiB, a single entry may be larger.
pub const MAX_MESSAGE_BYTES: usize = 64 << 20;

/// How long a TCP connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// A silent connection is asked for a sign of life this often, and closed when none comes within the same time
/// again: a paused or cut-off peer must not hold a stream for the many minutes TCP would.
const KEEP_ALIVE: Duration = Duration::from_secs(2);

/// Room for entries in flight on one append stream before HTTP/2 holds the sender back.
const WINDOW_BYTES: u32 = 4 << 20;

/// What a node shows to its peers.
#[derive(Clone)]
pub struct Me {
    /// Who it is.
    pub identity: Identity,
    /// Its certificate; nothing when peers speak in the clear.
    pub tls: Option<Arc<Tls>>,
}

/// Whom a client is for.
#[derive(Clone, Copy)]
pub struct To<'a> {
    /// The node's id; 0 while it has none.
    pub id: u64,
    /// The name that its certificate must show; any of the cluster's while it is not known.
    pub name: Option<&'a str>,
    /// host:port.
    pub address: &'a str,
}

impl<'a> To<'a> {
    /// A node of which only the address is known.
    pub fn stranger(address: &'a str) -> Self {
        Self { id: 0, name: None, address }
    }

    /// A member.
    pub fn member(id: u64, member: &'a Member) -> Self {
        Self { id, name: Some(&member.name), address: &member.peer_address }
    }
}

/// Makes a client of a node. Nothing is connected before the first call; a lost connection is made again by the next one.
///
/// # Errors
/// When the address is not one.
pub fn client(me: &Me, to: To<'_>) -> Result<Client, tonic::transport::Error> {
    let address = to.address;
    let endpoint = Endpoint::from_shared(format!("http://{address}"))?
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(2 * WINDOW_BYTES);
    let channel = match &me.tls {
        Some(tls) => tls.connect_to_peer(&endpoint, to.name),
        None => machine::connect_lazy(&endpoint),
    };
    let claimed = InterceptedService::new(channel, Claim::new(&me.identity, to.id));
    Ok(PeerClient::new(claimed)
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES))
}
