//! The receiving side of [`super`]: checks each call's claim and hands it to Raft.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::{Stream, StreamExt};
use openraft::async_runtime::watch::WatchReceiver;
use openraft::raft::{AppendEntriesRequest, StreamAppendError, StreamAppendResult, TransferLeaderRequest};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status, Streaming};
use tracing::Instrument;

use crate::machine::Connection;
use crate::proto::grpc_timeout;
use crate::proto::peer::peer_server::{Peer, PeerServer};
use crate::proto::peer::{
    AdminRequest, AdminResponse, AdoptRequest, AdoptResponse, AppendDone, AppendRequest, AppendResponse,
    ConfirmRequest, ConfirmResponse, ForwardRequest, ForwardResponse, NodeStatusRequest, NodeStatusResponse,
    OfferSnapshotRequest, OfferSnapshotResponse, ReadAuditRequest, ReadAuditResponse, ReadIndexRequest,
    ReadIndexResponse, SendSnapshotResponse, SnapshotChunk, TransferLeaderResponse, VoteRequest,
    VoteResponse, append_response, snapshot_chunk,
};
use crate::raft::convert::{self, Malformed};
use crate::raft::divergence::Verdict;
use crate::raft::error::Error;
use crate::raft::leader;
use crate::raft::node::Node;
use crate::raft::peer::channel::MAX_MESSAGE_BYTES;
use crate::raft::peer::client::refusal;
use crate::raft::peer::{auth, snapshot};
use crate::raft::replica::Replica;
use crate::raft::trail;
use crate::raft::types::{RaftSnapshot, TypeConfig};
use crate::storage::state::{Incoming, Snapshot};

/// How long a forwarded write may take when its caller states no time.
const DEFAULT_PATIENCE: Duration = Duration::from_secs(60);

/// Room for entries in flight on one append stream.
const WINDOW_BYTES: u32 = 4 << 20;

/// Serves peers until `end`, which also ends their append streams: those have no end of their own.
pub async fn serve<I: Connection>(
    node: Arc<Node>,
    incoming: impl Stream<Item = io::Result<I>> + Send,
    end: CancellationToken,
) {
    let service = PeerServer::new(PeerService { node, offered: Mutex::default(), end: end.clone() })
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    let served = tonic::transport::Server::builder()
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(2 * WINDOW_BYTES)
        .http2_keepalive_interval(Some(Duration::from_secs(5)))
        .http2_keepalive_timeout(Some(Duration::from_secs(5)))
        .add_service(service)
        .serve_with_incoming_shutdown(incoming, end.cancelled_owned());
    if let Err(error) = served.await {
        tracing::error!(%error, "the peer listener stopped");
    }
}

/// Answers on a stream.
type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

struct PeerService {
    node: Arc<Node>,
    /// The snapshot that was offered last, until its parts come.
    offered: Mutex<Option<Offered>>,
    /// The node stops.
    end: CancellationToken,
}

/// A snapshot that the leader offers.
enum Offered {
    /// Its parts are to come.
    Arriving(Box<Incoming>),
    /// It is here: the answer to an earlier transfer was lost on its way.
    Here(Snapshot),
}

impl Offered {
    fn id(&self) -> &str {
        match self {
            Offered::Arriving(incoming) => &incoming.manifest().id,
            Offered::Here(held) => &held.manifest().id,
        }
    }
}

fn not_ready(error: &Error) -> Status {
    Status::unavailable(error.to_string())
}

fn malformed(error: &Malformed) -> Status {
    Status::invalid_argument(error.to_string())
}

fn fatal(error: impl std::fmt::Display) -> Status {
    Status::unavailable(error.to_string())
}

impl PeerService {
    /// The replica, if the call is for it; and the sender.
    fn admit<T>(&self, request: &Request<T>) -> Result<(Arc<Replica>, u64), Status> {
        if self.end.is_cancelled() {
            return Err(Status::unavailable("this node is stopping"));
        }
        let replica = self.node.replica().map_err(|error| not_ready(&error))?;
        let from = auth::check(request.metadata(), &replica.identity)?;
        if let Some(member) = leader::member(&replica.raft, from) {
            auth::check_holder(request.extensions(), self.node.tls.is_some(), &member)?;
        }
        replica.in_service().map_err(|error| not_ready(&error))?;
        Ok((replica.clone(), from))
    }

    /// As [`Self::admit`], for calls that only members may make.
    fn admit_member<T>(&self, request: &Request<T>) -> Result<(Arc<Replica>, u64), Status> {
        let (replica, from) = self.admit(request)?;
        match leader::member(&replica.raft, from) {
            Some(_) => Ok((replica, from)),
            None => Err(Status::permission_denied(format!("node {from} is not a member of this cluster"))),
        }
    }
}

pub(in crate::raft) fn append_entries(
    request: AppendRequest,
) -> Result<AppendEntriesRequest<TypeConfig>, Malformed> {
    Ok(AppendEntriesRequest {
        vote: convert::required_vote(request.vote.as_ref())?,
        prev_log_id: request.prev.as_ref().map(convert::raft_log_id),
        entries: request.entries.into_iter().map(convert::decode_entry).collect::<Result<_, _>>()?,
        leader_commit: request.commit.as_ref().map(convert::raft_log_id),
    })
}

fn append_response(result: StreamAppendResult<TypeConfig>) -> AppendResponse {
    use append_response::Result as Answer;
    let answer = match result {
        Ok(log_id) => Answer::Done(AppendDone { log_id: log_id.as_ref().map(convert::log_id) }),
        Err(StreamAppendError::Conflict(log_id)) => Answer::Conflict(convert::log_id(&log_id)),
        Err(StreamAppendError::HigherVote(vote)) => Answer::HigherVote(convert::vote(&vote)),
    };
    AppendResponse { result: Some(answer) }
}

fn raft_vote_request(request: &VoteRequest) -> Result<openraft::raft::VoteRequest<TypeConfig>, Status> {
    Ok(openraft::raft::VoteRequest {
        vote: convert::required_vote(request.vote.as_ref()).map_err(|e| malformed(&e))?,
        last_log_id: request.last_log_id.as_ref().map(convert::raft_log_id),
        leadership_transfer: request.leadership_transfer,
    })
}

fn vote_response(response: &openraft::raft::VoteResponse<TypeConfig>) -> Response<VoteResponse> {
    Response::new(VoteResponse {
        vote: Some(convert::vote(&response.vote)),
        granted: response.vote_granted,
        last_log_id: response.last_log_id.as_ref().map(convert::log_id),
    })
}

#[tonic::async_trait]
impl Peer for PeerService {
    type AppendStream = Answers<AppendResponse>;

    async fn append(
        &self,
        request: Request<Streaming<AppendRequest>>,
    ) -> Result<Response<Self::AppendStream>, Status> {
        let (replica, from) = self.admit(&request)?;
        let requests = request.into_inner().scan((), move |(), request| well_formed(request, from));
        let requests = requests.take_until(self.end.clone().cancelled_owned());
        let answers = replica.raft.stream_append(requests);
        let answers = answers.map(|answer| answer.map(append_response).map_err(fatal));
        Ok(Response::new(Box::pin(answers)))
    }

    async fn vote(&self, request: Request<VoteRequest>) -> Result<Response<VoteResponse>, Status> {
        let (replica, _) = self.admit(&request)?;
        let response = replica.raft.vote(raft_vote_request(request.get_ref())?).await.map_err(fatal)?;
        Ok(vote_response(&response))
    }

    async fn pre_vote(&self, request: Request<VoteRequest>) -> Result<Response<VoteResponse>, Status> {
        let (replica, _) = self.admit(&request)?;
        let response = replica.raft.pre_vote(raft_vote_request(request.get_ref())?).await.map_err(fatal)?;
        Ok(vote_response(&response))
    }

    async fn transfer_leader(
        &self,
        request: Request<crate::proto::peer::TransferLeaderRequest>,
    ) -> Result<Response<TransferLeaderResponse>, Status> {
        let (replica, _) = self.admit(&request)?;
        let message = request.get_ref();
        let from = convert::required_vote(message.from_leader.as_ref()).map_err(|e| malformed(&e))?;
        let last = message.last_log_id.as_ref().map(convert::raft_log_id);
        let transfer = TransferLeaderRequest::new(from, message.to_node_id, last);
        let answer = replica.raft.handle_transfer_leader(transfer).await.map_err(fatal)?;
        let refused = answer.err().map(|why| why.to_string()).unwrap_or_default();
        Ok(Response::new(TransferLeaderResponse { refused }))
    }

    async fn offer_snapshot(
        &self,
        request: Request<OfferSnapshotRequest>,
    ) -> Result<Response<OfferSnapshotResponse>, Status> {
        let (replica, from) = self.admit(&request)?;
        let OfferSnapshotRequest { vote, manifest } = request.into_inner();
        let vote = convert::required_vote(vote.as_ref()).map_err(|e| malformed(&e))?;
        if vote < replica.raft.metrics().borrow_watched().vote {
            return Err(Status::failed_precondition("this node follows a later leader"));
        }
        let manifest = manifest.ok_or_else(|| Status::invalid_argument("an offer without a manifest"))?;
        tracing::info!(from, snapshot = manifest.id, files = manifest.files.len(), "a snapshot is offered");
        let held = replica.state.snapshot().filter(|held| held.manifest().id == manifest.id);
        let (have, offered) = if let Some(held) = held {
            (manifest.files.iter().map(|file| file.size).collect(), Offered::Here(held))
        } else {
            let state = replica.state.clone();
            let incoming = snapshot::blocking(move || state.receive(manifest)).await?;
            (incoming.have().to_vec(), Offered::Arriving(Box::new(incoming)))
        };
        *self.offered.lock().expect("no holder of this lock panics") = Some(offered);
        Ok(Response::new(OfferSnapshotResponse { have }))
    }

    async fn send_snapshot(
        &self,
        request: Request<Streaming<SnapshotChunk>>,
    ) -> Result<Response<SendSnapshotResponse>, Status> {
        let (replica, _) = self.admit(&request)?;
        let mut chunks = request.into_inner();
        let Some(snapshot_chunk::Part::Start(start)) = chunks.message().await?.and_then(|first| first.part)
        else {
            return Err(Status::invalid_argument("a snapshot stream does not begin with its start"));
        };
        let offered = self.offered.lock().expect("no holder of this lock panics").take();
        let offered = offered.filter(|offered| offered.id() == start.id);
        let offered = offered.ok_or_else(|| Status::failed_precondition("this snapshot was not offered"))?;
        let metrics = self.node.metrics();
        let count = |bytes: usize| {
            metrics.snapshot_received_bytes_total.inc_by(bytes as u64);
        };
        let received = match offered {
            Offered::Arriving(incoming) => snapshot::receive(*incoming, chunks, count).await?,
            Offered::Here(held) => held,
        };
        let vote = convert::required_vote(start.vote.as_ref()).map_err(|e| malformed(&e))?;
        let meta = convert::snapshot_meta(received.manifest()).map_err(|e| malformed(&e))?;
        tracing::info!(snapshot = start.id, "the snapshot is complete: installing it");
        let snapshot = RaftSnapshot { meta, snapshot: received };
        let response = replica.raft.install_full_snapshot(vote, snapshot).await.map_err(fatal)?;
        metrics.snapshots_installed_total.inc();
        Ok(Response::new(SendSnapshotResponse { vote: Some(convert::vote(&response.vote)) }))
    }

    type ReadIndexStream = Answers<ReadIndexResponse>;

    async fn read_index(
        &self,
        request: Request<Streaming<ReadIndexRequest>>,
    ) -> Result<Response<Self::ReadIndexStream>, Status> {
        let (replica, from) = self.admit_member(&request)?;
        let questions = request.into_inner().take_until(self.end.clone().cancelled_owned());
        let answers = questions.then(move |asked| {
            let replica = replica.clone();
            async move { read_index(&replica, from, &asked?).await }
        });
        Ok(Response::new(Box::pin(answers)))
    }

    type ConfirmStream = Answers<ConfirmResponse>;

    async fn confirm(
        &self,
        request: Request<Streaming<ConfirmRequest>>,
    ) -> Result<Response<Self::ConfirmStream>, Status> {
        let (replica, from) = self.admit_member(&request)?;
        let questions = request.into_inner().take_until(self.end.clone().cancelled_owned());
        let answers = questions.map(move |asked| {
            asked?;
            still_admitted(&replica, from)?;
            Ok(ConfirmResponse { vote: replica.log.vote() })
        });
        Ok(Response::new(Box::pin(answers)))
    }

    async fn forward(&self, request: Request<ForwardRequest>) -> Result<Response<ForwardResponse>, Status> {
        let (replica, _) = self.admit_member(&request)?;
        let deadline = deadline(request.metadata());
        let command = request.into_inner().command;
        let command = command.ok_or_else(|| Status::invalid_argument("nothing is forwarded"))?;
        let context = command.context.clone().unwrap_or_default();
        // The same names as at the node that took the request: its lines and these are found together.
        let span =
            tracing::info_span!("forwarded", request_id = context.request_id, agency_id = context.agency_id);
        let proposing = async {
            tracing::debug!("a write that another node carried here");
            replica.propose(command, deadline).await
        };
        let reply = proposing.instrument(span).await.map_err(|error| refusal(&error))?;
        Ok(Response::new(ForwardResponse { reply: Some(reply) }))
    }

    async fn admin(&self, request: Request<AdminRequest>) -> Result<Response<AdminResponse>, Status> {
        let (replica, _) = self.admit_member(&request)?;
        if !replica.leads() {
            return Err(Status::failed_precondition("this node does not lead"));
        }
        match replica.lead_admin(request.get_ref()).await {
            Ok(Some(response)) => Ok(Response::new(response)),
            Ok(None) => Err(Status::failed_precondition("this node no longer leads")),
            Err(error) => {
                Ok(Response::new(AdminResponse { refused: error.to_string(), ..AdminResponse::default() }))
            }
        }
    }

    async fn adopt(&self, request: Request<AdoptRequest>) -> Result<Response<AdoptResponse>, Status> {
        let AdoptRequest { cluster_id, node_id } = request.into_inner();
        if node_id != 0 {
            let adopted = self.node.adopt(cluster_id, node_id).await;
            adopted.map_err(|error| Status::already_exists(error.to_string()))?;
        }
        let (cluster_id, formed) = (self.node.about().cluster_id, self.node.formed());
        Ok(Response::new(AdoptResponse { member: Some(self.node.member()), cluster_id, formed }))
    }

    async fn read_audit(
        &self,
        request: Request<ReadAuditRequest>,
    ) -> Result<Response<ReadAuditResponse>, Status> {
        let (replica, from) = self.admit_member(&request)?;
        let position = request.into_inner().from;
        trail::read(&replica, from, position).await.map(Response::new)
    }

    async fn node_status(
        &self,
        request: Request<NodeStatusRequest>,
    ) -> Result<Response<NodeStatusResponse>, Status> {
        if let Ok(replica) = self.node.replica() {
            auth::check(request.metadata(), &replica.identity)?;
        }
        Ok(Response::new(NodeStatusResponse { status: Some(self.node.status()) }))
    }
}

/// What may have changed since a stream was opened.
fn still_admitted(replica: &Replica, from: u64) -> Result<(), Status> {
    replica.in_service().map_err(|error| not_ready(&error))?;
    match leader::is_member(&replica.raft, from) {
        true => Ok(()),
        false => Err(Status::permission_denied(format!("node {from} is no longer a member of this cluster"))),
    }
}

/// The answer to one question for a read index.
async fn read_index(
    replica: &Replica,
    from: u64,
    asked: &ReadIndexRequest,
) -> Result<ReadIndexResponse, Status> {
    still_admitted(replica, from)?;
    let diverged = match replica.compare(from, asked.hash_index, &asked.chain_hash) {
        Verdict::Alike => false,
        Verdict::TheOther => true,
        Verdict::Open => {
            return Err(Status::unavailable("two nodes differ and no majority has said which is right"));
        }
    };
    match replica.read_index(from, asked.vote.as_ref()).await {
        Some(index) => Ok(ReadIndexResponse { index, diverged }),
        None => Err(Status::unavailable("this node could not confirm that it leads")),
    }
}

/// A well-formed request, or the end of the stream.
fn well_formed(
    request: Result<AppendRequest, Status>,
    from: u64,
) -> std::future::Ready<Option<AppendEntriesRequest<TypeConfig>>> {
    let request = match request {
        Ok(request) => append_entries(request).map_err(|error| error.to_string()),
        Err(status) => Err(status.message().to_owned()),
    };
    if let Err(error) = &request {
        tracing::debug!(from, error, "an append stream ends");
    }
    std::future::ready(request.ok())
}

/// When the caller stops waiting.
fn deadline(metadata: &MetadataMap) -> Instant {
    let stated = metadata.get("grpc-timeout").and_then(|value| value.to_str().ok()).and_then(grpc_timeout);
    Instant::now() + stated.unwrap_or(DEFAULT_PATIENCE).min(DEFAULT_PATIENCE)
}
