//! ClusterAdmin: each method hands over to the node. Not counted against the requests in flight: an operator must get
//! through when services do not.

use std::future::Future;
use std::sync::Arc;

use tokio::time::{Instant, timeout_at};
use tonic::{Request, Response, Status};

use super::{Shared, deadline, status};
use crate::proto::cluster::cluster_admin_server::ClusterAdmin;
use crate::proto::cluster::{
    AddNodeRequest, AddNodeResponse, DigestRequest, DigestResponse, InitRequest, InitResponse,
    PromoteRequest, PromoteResponse, RemoveNodeRequest, RemoveNodeResponse, RotateReceiptKeyRequest,
    RotateReceiptKeyResponse, StatusRequest, StatusResponse, TransferLeadershipRequest,
    TransferLeadershipResponse, TriggerSnapshotRequest, TriggerSnapshotResponse,
};
use crate::proto::peer::admin_request::Op;
use crate::proto::peer::{AdminRequest, AdminResponse};
use crate::raft::{Error, hex};

/// The service.
pub(super) struct Admin {
    shared: Arc<Shared>,
}

impl Admin {
    /// The service of this node.
    pub fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    fn deadline<T>(&self, request: &Request<T>) -> Result<Instant, Status> {
        deadline::of(request.metadata(), &self.shared.limits)
    }

    /// Has the leader do it.
    async fn lead(&self, op: Op, deadline: Instant) -> Result<AdminResponse, Status> {
        let request = AdminRequest { op: Some(op) };
        let response = within(deadline, self.shared.node.admin(request, deadline)).await?;
        if response.refused.is_empty() {
            Ok(response)
        } else {
            Err(status::failed(Error::ClusterState(response.refused)))
        }
    }
}

#[tonic::async_trait]
impl ClusterAdmin for Admin {
    async fn init(&self, request: Request<InitRequest>) -> Result<Response<InitResponse>, Status> {
        let deadline = self.deadline(&request)?;
        let addresses = request.into_inner().peer_addresses;
        for (position, address) in addresses.iter().enumerate() {
            check_address(address, &format!("peer_addresses[{position}]"))?;
        }
        let (cluster_id, members) = within(deadline, self.shared.node.init(addresses)).await?;
        Ok(Response::new(InitResponse { cluster_id, members }))
    }

    async fn add_node(&self, request: Request<AddNodeRequest>) -> Result<Response<AddNodeResponse>, Status> {
        let deadline = self.deadline(&request)?;
        let request = request.into_inner();
        check_address(&request.peer_address, "peer_address")?;
        let response = self.lead(Op::Add(request), deadline).await?;
        Ok(Response::new(AddNodeResponse { member: response.added }))
    }

    async fn promote(&self, request: Request<PromoteRequest>) -> Result<Response<PromoteResponse>, Status> {
        let deadline = self.deadline(&request)?;
        let request = request.into_inner();
        check_node_id(request.node_id)?;
        self.lead(Op::Promote(request), deadline).await?;
        Ok(Response::new(PromoteResponse {}))
    }

    async fn remove_node(
        &self,
        request: Request<RemoveNodeRequest>,
    ) -> Result<Response<RemoveNodeResponse>, Status> {
        let deadline = self.deadline(&request)?;
        let request = request.into_inner();
        check_node_id(request.node_id)?;
        self.lead(Op::Remove(request), deadline).await?;
        Ok(Response::new(RemoveNodeResponse {}))
    }

    async fn transfer_leadership(
        &self,
        request: Request<TransferLeadershipRequest>,
    ) -> Result<Response<TransferLeadershipResponse>, Status> {
        let deadline = self.deadline(&request)?;
        let response = self.lead(Op::Transfer(request.into_inner()), deadline).await?;
        Ok(Response::new(TransferLeadershipResponse { leader_id: response.leader_id }))
    }

    async fn status(&self, request: Request<StatusRequest>) -> Result<Response<StatusResponse>, Status> {
        let deadline = self.deadline(&request)?;
        let node = &self.shared.node;
        let nodes = if request.into_inner().local_only {
            vec![node.status()]
        } else {
            within(deadline, async { Ok(node.cluster_status().await) }).await?
        };
        Ok(Response::new(StatusResponse { cluster_id: node.about().cluster_id, nodes }))
    }

    async fn trigger_snapshot(
        &self,
        request: Request<TriggerSnapshotRequest>,
    ) -> Result<Response<TriggerSnapshotResponse>, Status> {
        let deadline = self.deadline(&request)?;
        let snapshot_index = within(deadline, self.shared.node.trigger_snapshot(deadline)).await?;
        Ok(Response::new(TriggerSnapshotResponse { snapshot_index }))
    }

    async fn digest(&self, request: Request<DigestRequest>) -> Result<Response<DigestResponse>, Status> {
        let deadline = self.deadline(&request)?;
        let at_least = request.into_inner().at_least_revision;
        let digest = within(deadline, self.shared.node.digest(at_least, deadline)).await?;
        Ok(Response::new(DigestResponse {
            revision: digest.revision,
            persons: digest.persons,
            sha256: hex(&digest.sha256),
        }))
    }

    async fn rotate_receipt_key(
        &self,
        request: Request<RotateReceiptKeyRequest>,
    ) -> Result<Response<RotateReceiptKeyResponse>, Status> {
        let deadline = self.deadline(&request)?;
        let node = &self.shared.node;
        let (kid, since_ms) = within(deadline, node.rotate_receipt_key(deadline)).await?;
        Ok(Response::new(RotateReceiptKeyResponse { node_id: node.member().node_id, kid, since_ms }))
    }
}

/// Waits for the node no longer than the deadline.
async fn within<T>(deadline: Instant, work: impl Future<Output = Result<T, Error>>) -> Result<T, Status> {
    match timeout_at(deadline, work).await {
        Ok(done) => done.map_err(status::failed),
        Err(_) => Err(status::failed(Error::Deadline(
            "the operation may still be under way: look at the cluster's status before repeating it"
                .to_owned(),
        ))),
    }
}

fn check_address(address: &str, field: &str) -> Result<(), Status> {
    let complete = address
        .rsplit_once(':')
        .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port != 0));
    if complete { Ok(()) } else { Err(status::invalid(field, "must be of the form host:port")) }
}

fn check_node_id(id: u64) -> Result<(), Status> {
    if id == 0 { Err(status::invalid("node_id", "must be at least 1")) } else { Ok(()) }
}
