//! Audit: what the trail holds, and proofs of it. Each call is an access itself.
//!
//! | file | methods |
//! |---|---|
//! | `history` | AccessHistory, Query |
//! | `export` | Export |
//! | this one | GetCheckpoint, ProveInclusion, ProveConsistency |

mod export;
mod history;

use std::sync::Arc;

use futures::stream::BoxStream;
use tonic::{Request, Response, Status};

use super::lookup::Lookup;
use super::{Shared, status};
use crate::audit::{AuditError, Segments, merkle, record};
use crate::domain::error::rejection;
use crate::machine;
use crate::proto::registry::audit_server::Audit;
use crate::proto::registry::{
    AccessHistoryRequest, AccessHistoryResponse, Checkpoint, ErrorReason, ExportAccessesRequest,
    ExportAccessesResponse, GetCheckpointRequest, GetCheckpointResponse, ProveConsistencyRequest,
    ProveConsistencyResponse, ProveInclusionRequest, ProveInclusionResponse, QueryAccessesRequest,
    QueryAccessesResponse,
};

/// The service.
pub(super) struct Trails {
    shared: Arc<Shared>,
}

impl Trails {
    /// The service of this node.
    pub fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }
}

#[tonic::async_trait]
impl Audit for Trails {
    async fn access_history(
        &self,
        request: Request<AccessHistoryRequest>,
    ) -> Result<Response<AccessHistoryResponse>, Status> {
        let serve = |call: Arc<Lookup>, asked| async move { history::of_person(&call, asked).await };
        self.shared.lookup("Audit/AccessHistory", request, serve).await
    }

    async fn query(
        &self,
        request: Request<QueryAccessesRequest>,
    ) -> Result<Response<QueryAccessesResponse>, Status> {
        let serve = |call: Arc<Lookup>, asked| async move { history::query(&call, asked).await };
        self.shared.lookup("Audit/Query", request, serve).await
    }

    type ExportStream = BoxStream<'static, Result<ExportAccessesResponse, Status>>;

    async fn export(
        &self,
        request: Request<ExportAccessesRequest>,
    ) -> Result<Response<Self::ExportStream>, Status> {
        let serve = |call: Arc<Lookup>, asked| async move { export::parts(&call, asked).await };
        self.shared.lookup("Audit/Export", request, serve).await
    }

    async fn get_checkpoint(
        &self,
        request: Request<GetCheckpointRequest>,
    ) -> Result<Response<GetCheckpointResponse>, Status> {
        let serve = |call: Arc<Lookup>, asked| async move { checkpoint(&call, asked).await };
        self.shared.lookup("Audit/GetCheckpoint", request, serve).await
    }

    async fn prove_inclusion(
        &self,
        request: Request<ProveInclusionRequest>,
    ) -> Result<Response<ProveInclusionResponse>, Status> {
        let serve = |call: Arc<Lookup>, asked| async move { inclusion(&call, asked).await };
        self.shared.lookup("Audit/ProveInclusion", request, serve).await
    }

    async fn prove_consistency(
        &self,
        request: Request<ProveConsistencyRequest>,
    ) -> Result<Response<ProveConsistencyResponse>, Status> {
        let serve = |call: Arc<Lookup>, asked| async move { consistency(&call, asked).await };
        self.shared.lookup("Audit/ProveConsistency", request, serve).await
    }
}

fn unknown(field: &str, detail: &str) -> Status {
    status::rejected(&rejection(ErrorReason::AccessUnknown, field, detail))
}

/// The node whose log a request means.
fn meant(call: &Lookup, node_id: u64) -> Result<u64, Status> {
    let own = call.audit()?.owner().node_id;
    Ok(if node_id == 0 { own } else { node_id })
}

async fn checkpoint(call: &Lookup, request: GetCheckpointRequest) -> Result<GetCheckpointResponse, Status> {
    call.identify_reader(request.context.as_ref())?;
    let node_id = meant(call, request.node_id)?;
    let checkpoint = newest(call, node_id).await?;
    Ok(GetCheckpointResponse { checkpoint: Some(checkpoint) })
}

async fn newest(call: &Lookup, node_id: u64) -> Result<Checkpoint, Status> {
    let newest = call.audit_checkpoint(node_id).await?;
    newest
        .ok_or_else(|| unknown("node_id", "this node's log has no checkpoint yet, or there is no such node"))
}

/// A log, and the newest checkpoint that can be proven from as much of it as is here.
async fn provable(call: &Lookup, node_id: u64) -> Result<(Arc<Segments>, Checkpoint), Status> {
    let audit = call.audit()?.clone();
    let segments = looked_up(move || audit.segments_of(node_id)).await?;
    let segments = segments.ok_or_else(|| unknown("node_id", "this node does not hold that node's log"))?;
    let checkpoint = newest(call, node_id).await?;
    if checkpoint.size > segments.size() {
        return Err(unknown(
            "node_id",
            "this node has not fetched all of that log yet: ask again, or that node",
        ));
    }
    Ok((segments, checkpoint))
}

async fn inclusion(call: &Lookup, request: ProveInclusionRequest) -> Result<ProveInclusionResponse, Status> {
    call.identify_reader(request.context.as_ref())?;
    let node_id = meant(call, request.node_id)?;
    let (segments, checkpoint) = provable(call, node_id).await?;
    let (position, size) = (request.position, checkpoint.size);
    if position >= size || position < segments.first() {
        return Err(unknown("position", "there is no such record, or it is kept no longer"));
    }
    let looked = looked_up(move || {
        let path = merkle::inclusion(position, size, |level, index| segments.tree.subtree(level, index))?;
        let record = segments.read(position, 0)?.into_iter().next().map(|(_, record)| record);
        Ok((record.unwrap_or_default(), path))
    });
    let (found, path) = looked.await?;
    let record = record::decode(&found, node_id, position)
        .map_err(|detail| status::broken(&format!("audit record {position} of node {node_id}: {detail}")))?;
    for person in &record.persons {
        call.trail().saw(person.uid, person.merged_from);
    }
    Ok(ProveInclusionResponse {
        record: found.into(),
        path: path.into_iter().map(|hash| hash.to_vec().into()).collect(),
        checkpoint: Some(checkpoint),
    })
}

async fn consistency(
    call: &Lookup,
    request: ProveConsistencyRequest,
) -> Result<ProveConsistencyResponse, Status> {
    call.identify_reader(request.context.as_ref())?;
    let node_id = meant(call, request.node_id)?;
    let (segments, checkpoint) = provable(call, node_id).await?;
    let (earlier, size) = (request.earlier_size, checkpoint.size);
    if earlier == 0 {
        return Err(status::invalid("earlier_size", "from 1"));
    }
    if earlier > size {
        return Err(unknown("earlier_size", "no checkpoint is as large"));
    }
    let path = looked_up(move || {
        Ok(merkle::consistency(earlier, size, |level, index| segments.tree.subtree(level, index))?)
    });
    let path = path.await?.into_iter().map(|hash| hash.to_vec().into()).collect();
    Ok(ProveConsistencyResponse { path, checkpoint: Some(checkpoint) })
}

/// Reads of a log, on a thread where waiting for the disk holds up nobody.
async fn looked_up<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, AuditError> + Send + 'static,
) -> Result<T, Status> {
    let done = machine::blocking(work).await.map_err(|_| status::broken("the thread of a look-up died"))?;
    done.map_err(|error| {
        tracing::error!(%error, "a read of the audit log failed");
        status::unrecorded()
    })
}
