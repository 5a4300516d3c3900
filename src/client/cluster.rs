//! Calls for operators, over connections with an operator's certificate.
//!
//! Changes of members carry no request id, so they are sent once: when the answer is lost the error says so
//! ([`ClientError::is_unknown`]) and [`Client::status`] shows what came of it.

use tonic::transport::Channel;

use super::retry::Kind;
use super::{Client, ClientError};
use crate::proto::cluster::cluster_admin_client::ClusterAdminClient;
use crate::proto::cluster::{
    AddNodeRequest, DigestRequest, DigestResponse, InitRequest, InitResponse, Member, PromoteRequest,
    RemoveNodeRequest, RotateReceiptKeyRequest, RotateReceiptKeyResponse, StatusRequest, StatusResponse,
    TransferLeadershipRequest, TriggerSnapshotRequest,
};

/// Makes the future of one attempt.
macro_rules! send {
    ($method:ident) => {
        |channel: Channel, request| async move { ClusterAdminClient::new(channel).$method(request).await }
    };
}

impl Client {
    /// Forms a cluster of waiting nodes, given by their peer addresses.
    ///
    /// # Errors
    /// `CLUSTER_STATE` when one of them is no longer waiting; an unknown outcome when the answer was lost.
    pub async fn init(&self, peer_addresses: Vec<String>) -> Result<InitResponse, ClientError> {
        self.operate(Kind::Once, InitRequest { peer_addresses }, send!(init)).await
    }

    /// Brings a waiting node into the cluster as a learner.
    ///
    /// # Errors
    /// `CLUSTER_STATE` when it is not waiting or its name is taken; an unknown outcome when the answer was lost.
    pub async fn add_node(&self, peer_address: String) -> Result<Member, ClientError> {
        let answer = self.operate(Kind::Once, AddNodeRequest { peer_address }, send!(add_node)).await?;
        Ok(answer.member.unwrap_or_default())
    }

    /// Makes a central learner a voter.
    ///
    /// # Errors
    /// `CLUSTER_STATE` when it is provincial or too far behind; an unknown outcome when the answer was lost.
    pub async fn promote(&self, node_id: u64) -> Result<(), ClientError> {
        self.operate(Kind::Once, PromoteRequest { node_id }, send!(promote)).await.map(drop)
    }

    /// Takes a node out of the cluster for good.
    ///
    /// # Errors
    /// `CLUSTER_STATE` when the rest would have no majority; an unknown outcome when the answer was lost.
    pub async fn remove_node(&self, node_id: u64) -> Result<(), ClientError> {
        self.operate(Kind::Once, RemoveNodeRequest { node_id }, send!(remove_node)).await.map(drop)
    }

    /// Hands leadership to a voter, 0 for any; returns the new leader.
    ///
    /// # Errors
    /// `CLUSTER_STATE` when that voter is too far behind; an unknown outcome when the answer was lost.
    pub async fn transfer_leadership(&self, node_id: u64) -> Result<u64, ClientError> {
        let request = TransferLeadershipRequest { node_id };
        Ok(self.operate(Kind::Once, request, send!(transfer_leadership)).await?.leader_id)
    }

    /// The state of the node asked, and of all others unless `local_only`.
    ///
    /// # Errors
    /// Only when no endpoint answers within the deadline.
    pub async fn status(&self, local_only: bool) -> Result<StatusResponse, ClientError> {
        self.operate(Kind::Read, StatusRequest { local_only }, send!(status)).await
    }

    /// Builds a snapshot on the node asked; returns the index of the last entry in it.
    ///
    /// # Errors
    /// `NODE_FAULT` when its disk failed; an unknown outcome when the answer was lost.
    pub async fn trigger_snapshot(&self) -> Result<u64, ClientError> {
        Ok(self.operate(Kind::Once, TriggerSnapshotRequest {}, send!(trigger_snapshot)).await?.snapshot_index)
    }

    /// The digest of all that the node asked holds, once it has applied `at_least_revision`. Reads the whole state:
    /// give the client a long deadline.
    ///
    /// # Errors
    /// `DEADLINE` when the node does not reach the revision in time.
    pub async fn digest(&self, at_least_revision: u64) -> Result<DigestResponse, ClientError> {
        self.operate(Kind::LongRead, DigestRequest { at_least_revision }, send!(digest)).await
    }

    /// Has the node asked sign receipts with a new key.
    ///
    /// # Errors
    /// `CLUSTER_STATE` when it signs none; an unknown outcome when the answer was lost.
    pub async fn rotate_receipt_key(&self) -> Result<RotateReceiptKeyResponse, ClientError> {
        self.operate(Kind::Once, RotateReceiptKeyRequest {}, send!(rotate_receipt_key)).await
    }

    /// Learns the client addresses of all members from any node, so that calls go on when the nodes given at first
    /// are gone. Returns how many were new.
    ///
    /// # Errors
    /// Those of [`Client::status`].
    pub async fn discover(&self) -> Result<usize, ClientError> {
        let mut found = 0;
        for node in self.status(false).await?.nodes {
            let address = node.member.unwrap_or_default().client_address;
            if !address.is_empty() && self.endpoints.add(&address)? {
                found += 1;
            }
        }
        Ok(found)
    }
}
