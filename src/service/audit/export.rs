//! Export: a log as it is hashed, with the checkpoints between its records, up to the newest of them.

use std::collections::VecDeque;
use std::sync::Arc;

use futures::stream::{self, BoxStream, StreamExt};
use tonic::Status;

use super::super::lookup::Lookup;
use super::{looked_up, meant, provable};
use crate::audit::Segments;
use crate::audit::checkpoint::Kept;
use crate::proto::registry::export_accesses_response::Part;
use crate::proto::registry::{
    Checkpoint, ExportAccessesRequest, ExportAccessesResponse, ExportRecords, ExportStart,
};

/// Bytes of records in one message.
const CHUNK_BYTES: usize = 256 << 10;

/// The parts of a log, made as they are read.
pub async fn parts(
    call: &Lookup,
    request: ExportAccessesRequest,
) -> Result<BoxStream<'static, Result<ExportAccessesResponse, Status>>, Status> {
    call.identify_reader(request.context.as_ref())?;
    let node_id = meant(call, request.node_id)?;
    let (segments, newest) = provable(call, node_id).await?;
    let first = request.from.max(segments.first()).min(newest.size);
    let (folder, log) = (call.audit()?.folder_of(node_id), segments.clone());
    let read = looked_up(move || Ok((log.tree.frontier(first)?, Kept::beside(&folder).all()?))).await?;
    let (before, kept) = read;
    let start = ExportStart {
        cluster_id: newest.cluster_id.clone(),
        node_id,
        first,
        frontier: before.peaks().iter().map(|hash| hash.to_vec().into()).collect(),
        size: newest.size,
    };
    let mut checkpoints: VecDeque<_> =
        kept.into_iter().filter(|kept| (first + 1..newest.size).contains(&kept.size)).collect();
    checkpoints.push_back(newest);
    let state = State { segments, next: first, checkpoints };
    let rest = stream::try_unfold(state, State::part);
    let all = stream::iter([Ok(Part::Start(start))]).chain(rest);
    Ok(all.map(|part| part.map(|part| ExportAccessesResponse { part: Some(part) })).boxed())
}

struct State {
    segments: Arc<Segments>,
    next: u64,
    /// Those to come.
    checkpoints: VecDeque<Checkpoint>,
}

impl State {
    async fn part(mut self) -> Result<Option<(Part, Self)>, Status> {
        let Some(checkpoint) = self.checkpoints.front() else { return Ok(None) };
        let end = checkpoint.size;
        if self.next >= end {
            let part = self.checkpoints.pop_front().map(Part::Checkpoint);
            return Ok(part.map(|part| (part, self)));
        }
        let (segments, from) = (self.segments.clone(), self.next);
        let read = looked_up(move || segments.read(from, CHUNK_BYTES)).await?;
        let records: Vec<_> = read
            .into_iter()
            .filter(|(position, _)| *position < end)
            .map(|(_, record)| record.into())
            .collect();
        if records.is_empty() {
            return Err(super::unknown("from", "the records were let go while they were read: begin later"));
        }
        self.next += records.len() as u64;
        Ok(Some((Part::Records(ExportRecords { records }), self)))
    }
}
