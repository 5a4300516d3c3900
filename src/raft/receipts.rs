//! The receipt key's part in the cluster: a node signs with no key that the cluster has not agreed on.
//!
//! ```text
//! started, or rotated -> a write like any other -> every node knows the key -> this one signs with it
//! ```
//!
//! A node that is cut off goes on signing with the key that was agreed on, also after a restart; a new one waits for a
//! majority, and so do receipts.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::Instant;

use crate::config::NodeConfig;
use crate::machine;
use crate::proto::registry::{ErrorReason, Rejection};
use crate::proto::store::{Command, NewReceiptKey, ReceiptKey, command::Op, reply};
use crate::raft::error::Error;
use crate::raft::replica::Replica;
use crate::receipt::Keyring;
use crate::storage::data_dir::Identity;

/// How long the cluster may take to agree on a key; after that it is tried again.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often a node looks whether its key is agreed on.
const LOOK: Duration = Duration::from_millis(500);

/// The node's key, made when it has none. Without one that can be used the node does all else.
pub async fn open(config: &NodeConfig, identity: &Identity) -> Option<Arc<Keyring>> {
    let (data, cluster_id, node_id) =
        (config.data_dir.clone(), identity.cluster_id.clone(), identity.node_id);
    let opened = machine::blocking(move || Keyring::open(&data, &cluster_id, node_id)).await;
    match opened {
        Ok(Ok(keyring)) => Some(Arc::new(keyring)),
        Ok(Err(error)) => {
            tracing::error!(
                %error,
                "this node signs no receipts. Move its key away and start it again: it makes another one, and receipts signed \
                 before stay valid"
            );
            None
        }
        Err(error) => {
            tracing::error!(%error, "this node signs no receipts");
            None
        }
    }
}

/// Starts the task that has the cluster agree on the key. It ends with the replica.
pub fn start(replica: &Arc<Replica>) {
    if replica.receipts.is_some() {
        tokio::spawn(propose(Arc::downgrade(replica)));
    }
}

async fn propose(replica: Weak<Replica>) {
    loop {
        let Some(replica) = replica.upgrade() else { return };
        let Some(keyring) = &replica.receipts else { return };
        if replica.in_service().is_ok() {
            let _one_at_a_time = replica.agreeing.lock().await;
            if let Err(error) = agree(&replica, keyring, Instant::now() + PATIENCE).await {
                tracing::debug!(%error, "the receipt key is not agreed on yet: it will be tried again");
            }
        }
        drop(replica);
        tokio::time::sleep(LOOK).await;
    }
}

/// Has the cluster agree on the key, unless it has. To be called with `Replica::agreeing` held.
async fn agree(replica: &Replica, keyring: &Arc<Keyring>, deadline: Instant) -> Result<(), Error> {
    let Some(key) = keyring.proposal() else { return Ok(()) };
    // Nobody else proposes keys for this node: what is its last one here is so everywhere, also while it is cut off.
    if last(replica)?.is_some_and(|last| last.public_key == key.public_key) {
        keyring.agreed(&key);
        return Ok(());
    }
    let Some(refused) = proposed(replica, keyring, &key, deadline).await? else { return Ok(()) };
    if refused.reason() != ErrorReason::ReceiptKeyRefused {
        return Err(Error::ClusterState(refused.detail));
    }
    // An old copy of the file, or a clock that was set back over a restart: the key that is in use now ends with the next.
    tracing::warn!(why = refused.detail, "this node's receipt key is not taken: making another");
    renew(replica, keyring).await?;
    let Some(key) = keyring.proposal() else { return Ok(()) };
    let refused = proposed(replica, keyring, &key, deadline).await?;
    refused.map_or(Ok(()), |rejection| Err(Error::ClusterState(rejection.detail)))
}

/// Proposes a key. `None` when the cluster took it.
async fn proposed(
    replica: &Replica,
    keyring: &Keyring,
    key: &NewReceiptKey,
    deadline: Instant,
) -> Result<Option<Rejection>, Error> {
    let op = Some(Op::ReceiptKey(key.clone()));
    let reply = replica.write(Command { op, ..Command::default() }, deadline).await?;
    match reply.reply {
        Some(reply::Reply::ReceiptKeyTaken(_)) => {
            keyring.agreed(key);
            Ok(None)
        }
        Some(reply::Reply::Rejected(rejection)) => Ok(Some(rejection)),
        _ => Err(Error::Fault("the state machine gave a reply of another kind".to_owned())),
    }
}

/// This node's last key, as far as it is known here.
fn last(replica: &Replica) -> Result<Option<ReceiptKey>, Error> {
    let rows = replica.state.receipt_keys().map_err(|error| Error::Fault(error.to_string()))?;
    let own = rows.into_iter().find(|(id, _)| *id == replica.identity.node_id);
    Ok(own.and_then(|(_, mut row)| row.keys.pop()))
}

async fn renew(replica: &Replica, keyring: &Arc<Keyring>) -> Result<(), Error> {
    let after_ms = last(replica)?.map_or(0, |last| last.since_ms);
    let keyring = keyring.clone();
    let renewed = machine::blocking(move || keyring.renew(after_ms)).await;
    renewed.map_err(|error| Error::Fault(error.to_string()))?.map_err(|error| Error::Fault(error.to_string()))
}

/// Makes a new key for this node and has the cluster agree on it. Returns its name and when it begins.
///
/// # Errors
/// [`Error::ClusterState`] where receipts are not signed; [`Error::NoQuorum`] when the cluster does not agree by `deadline`:
/// then this node signs none until it does.
pub async fn rotate(replica: &Replica, deadline: Instant) -> Result<(String, u64), Error> {
    let Some(keyring) = &replica.receipts else {
        let why = "this node signs no receipts, because it records no accesses";
        return Err(Error::ClusterState(why.to_owned()));
    };
    let _one_at_a_time = replica.agreeing.lock().await;
    renew(replica, keyring).await?;
    agree(replica, keyring, deadline).await?;
    let (kid, since_ms) = keyring.current();
    tracing::info!(kid, "signs receipts with a new key");
    Ok((kid, since_ms))
}
