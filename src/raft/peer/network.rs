//! openraft's way to the other nodes.
//!
//! One [`Network`] serves one purpose towards one node and owns its connection. The log's append stream lives as long
//! as openraft keeps it: requests go out while earlier answers are still under way. A heartbeat is a call of its own
//! for openraft; here it goes over a stream that is kept open between them, which saves the cost of a call.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt};
use openraft::OptionalSend;
use openraft::base::{BoxFuture, BoxStream};
use openraft::errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Timeout, Unreachable};
use openraft::network::{
    Backoff, NetBackoff, NetSnapshot, NetStreamAppend, NetTransferLeader, NetVote, RPCOption, RPCTypes,
    RaftNetworkFactory,
};
use openraft::raft::{
    AppendEntriesRequest, SnapshotResponse, StreamAppendError, StreamAppendResult, TransferLeaderError,
    TransferLeaderRequest, TransferLeaderResponse, VoteRequest, VoteResponse,
};
use prost::Message;
use tonic::{Code, Status};

use crate::defect::{self, Defect};
use crate::metrics::Metrics;
use crate::proto::cluster::Member;
use crate::proto::peer;
use crate::raft::convert::{self, Malformed};
use crate::raft::fault::Fault;
use crate::raft::leadership::Told;
use crate::raft::peer::channel::{self, Client, Me, To};
use crate::raft::peer::kept::Kept;
use crate::raft::peer::snapshot;
use crate::raft::types::{RaftSnapshot, TypeConfig, Vote};
use crate::storage::state::Snapshot;

type AppendAnswer = Result<StreamAppendResult<TypeConfig>, RPCError<TypeConfig>>;

/// Makes the networks of this node.
pub struct NetworkFactory {
    me: Me,
    metrics: Arc<Metrics>,
    fault: Fault,
    told: Told,
}

impl NetworkFactory {
    /// For the node `me`. A snapshot that cannot be read is declared as a fault.
    /// What followers are told to be committed is noted in `told`.
    pub fn new(me: Me, metrics: Arc<Metrics>, fault: Fault, told: Told) -> Self {
        Self { me, metrics, fault, told }
    }

    fn network(&self, target: u64, node: &Member, appends: Appends) -> Network {
        let client = channel::client(&self.me, To::member(target, node)).map_err(|e| e.to_string());
        let (metrics, fault, told) = (self.metrics.clone(), self.fault.clone(), self.told.clone());
        Network { me: self.me.identity.node_id, target, client, appends, kept: None, metrics, fault, told }
    }
}

impl RaftNetworkFactory<TypeConfig> for NetworkFactory {
    type Network = Network;

    async fn new_client(&mut self, target: u64, node: &Member) -> Network {
        self.network(target, node, Appends::Streamed)
    }

    async fn new_heartbeat_client(&mut self, target: u64, node: &Member) -> Network {
        self.network(target, node, Appends::OneByOne)
    }

    async fn new_snapshot_client(&mut self, target: u64, node: &Member) -> Network {
        self.network(target, node, Appends::Streamed)
    }
}

/// How a network's append requests come.
#[derive(Clone, Copy)]
enum Appends {
    /// Many on one stream.
    Streamed,
    /// One at a time: heartbeats.
    OneByOne,
}

/// One connection to one node.
pub struct Network {
    me: u64,
    target: u64,
    client: Result<Client, String>,
    appends: Appends,
    /// Open between heartbeats.
    kept: Option<Kept<peer::AppendRequest, peer::AppendResponse>>,
    metrics: Arc<Metrics>,
    fault: Fault,
    told: Told,
}

impl Network {
    fn client(&self) -> Result<Client, RPCError<TypeConfig>> {
        self.client.clone().map_err(|why| RPCError::Unreachable(Unreachable::from_string(why)))
    }

    /// A unary call, within the time that openraft gives it.
    async fn call<T>(
        &self,
        action: RPCTypes,
        option: &RPCOption,
        call: impl Future<Output = Result<tonic::Response<T>, Status>>,
    ) -> Result<T, RPCError<TypeConfig>> {
        let ttl = option.soft_ttl();
        match tokio::time::timeout(ttl, call).await {
            Ok(Ok(response)) => Ok(response.into_inner()),
            Ok(Err(status)) => Err(failed(&status)),
            Err(_) => Err(RPCError::Timeout(self.timeout(action, ttl))),
        }
    }

    fn timeout(&self, action: RPCTypes, timeout: Duration) -> Timeout<TypeConfig> {
        Timeout { action, id: self.me, target: self.target, timeout }
    }

    /// One request, one answer, on the kept stream.
    async fn exchange(&mut self, request: peer::AppendRequest) -> AppendAnswer {
        let stream = match self.kept.take() {
            Some(stream) => stream,
            None => {
                let mut client = self.client()?;
                Kept::open(|requests| async move { client.append(requests).await })
                    .await
                    .map_err(|status| failed(&status))?
            }
        };
        let (answer, stream) = stream.exchange(request).await.map_err(|status| failed(&status))?;
        let answer = append_answer(answer)?;
        if answer.is_ok() {
            // After a refusal the peer ends its side.
            self.kept = Some(stream);
        }
        Ok(answer)
    }
}

/// What a failed call means to openraft: it backs off from a node that is unreachable, and tries again at once after
/// another error.
fn failed(status: &Status) -> RPCError<TypeConfig> {
    match status.code() {
        Code::Unavailable | Code::FailedPrecondition => RPCError::Unreachable(Unreachable::new(status)),
        _ => RPCError::Network(NetworkError::new(status)),
    }
}

fn malformed(malformed: &Malformed) -> RPCError<TypeConfig> {
    RPCError::Network(NetworkError::new(malformed))
}

/// A request as it is sent. Every word that followers get of what is committed goes through here, heartbeats too.
fn append_request(request: &AppendEntriesRequest<TypeConfig>, told: &Told) -> peer::AppendRequest {
    told.note(request.leader_commit.as_ref().map(|id| id.index));
    let entries = request.entries.iter().map(|entry| convert::entry(entry).encode_to_vec().into());
    peer::AppendRequest {
        vote: Some(convert::vote(&request.vote)),
        prev: request.prev_log_id.as_ref().map(convert::log_id),
        entries: entries.collect(),
        commit: request.leader_commit.as_ref().map(convert::log_id),
    }
}

fn append_answer(response: peer::AppendResponse) -> AppendAnswer {
    use peer::append_response::Result as Answer;
    Ok(match response.result {
        Some(Answer::Done(done)) => Ok(done.log_id.as_ref().map(convert::raft_log_id)),
        Some(Answer::Conflict(id)) => Err(StreamAppendError::Conflict(convert::raft_log_id(&id))),
        Some(Answer::HigherVote(vote)) => Err(StreamAppendError::HigherVote(convert::raft_vote(&vote))),
        None => return Err(malformed(&Malformed("append response"))),
    })
}

impl NetStreamAppend<TypeConfig> for Network {
    fn stream_append<'s, S>(
        &'s mut self,
        mut input: S,
        _option: RPCOption,
    ) -> BoxFuture<'s, Result<BoxStream<'s, AppendAnswer>, RPCError<TypeConfig>>>
    where
        S: Stream<Item = AppendEntriesRequest<TypeConfig>> + OptionalSend + Unpin + 'static,
    {
        Box::pin(async move {
            match self.appends {
                Appends::Streamed => {
                    // openraft waits out its back-off before it gives the first request. Opening the call comes after, or
                    // a node that is down would be connected to without any pause.
                    let Some(first) = input.next().await else {
                        return Ok(Box::pin(futures::stream::empty()) as BoxStream<'s, AppendAnswer>);
                    };
                    let outgoing = futures::stream::iter([first]).chain(input);
                    if defect::has(Defect::AckBeforeCommit) {
                        return Ok(unasked_answers(self.client()?, outgoing, self.told.clone()));
                    }
                    let told = self.told.clone();
                    let outgoing = outgoing.map(move |request| append_request(&request, &told));
                    let answers = self.client()?.append(outgoing).await.map_err(|status| failed(&status))?;
                    let answers = answers.into_inner().map(|answer| match answer {
                        Ok(answer) => append_answer(answer),
                        Err(status) => Err(failed(&status)),
                    });
                    Ok(Box::pin(answers) as BoxStream<'s, AppendAnswer>)
                }
                Appends::OneByOne => {
                    let answers = futures::stream::unfold((self, input), |(network, mut input)| async move {
                        let request = input.next().await?;
                        let answer = network.exchange(append_request(&request, &network.told)).await;
                        Some((answer, (network, input)))
                    });
                    Ok(Box::pin(answers) as BoxStream<'s, AppendAnswer>)
                }
            }
        })
    }
}

/// [`Defect::AckBeforeCommit`]: each request is answered when it is sent; what the follower says counts if it is no.
fn unasked_answers(
    mut client: Client,
    requests: impl Stream<Item = AppendEntriesRequest<TypeConfig>> + Send + 'static,
    told: Told,
) -> BoxStream<'static, AppendAnswer> {
    let (answered, answers) = tokio::sync::mpsc::unbounded_channel();
    let sent = answered.clone();
    tokio::spawn(async move {
        let requests = requests.map(move |request| {
            let last = request.entries.last().map(|entry| entry.log_id).or(request.prev_log_id);
            let _ = sent.send(Ok(Ok(last)));
            append_request(&request, &told)
        });
        match client.append(requests).await {
            Ok(answers) => {
                let mut answers = answers.into_inner();
                while let Some(answer) = answers.next().await {
                    let answer = answer.map_err(|status| failed(&status)).and_then(append_answer);
                    if !matches!(answer, Ok(Ok(_))) {
                        let _ = answered.send(answer);
                    }
                }
            }
            Err(status) => drop(answered.send(Err(failed(&status)))),
        }
    });
    Box::pin(tokio_stream::wrappers::UnboundedReceiverStream::new(answers))
}

fn vote_request(rpc: &VoteRequest<TypeConfig>) -> peer::VoteRequest {
    peer::VoteRequest {
        vote: Some(convert::vote(&rpc.vote)),
        last_log_id: rpc.last_log_id.as_ref().map(convert::log_id),
        leadership_transfer: rpc.leadership_transfer,
    }
}

fn vote_response(response: &peer::VoteResponse) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
    let vote = convert::required_vote(response.vote.as_ref()).map_err(|e| malformed(&e))?;
    let last_log_id = response.last_log_id.as_ref().map(convert::raft_log_id);
    Ok(VoteResponse { vote, vote_granted: response.granted, last_log_id })
}

impl NetVote<TypeConfig> for Network {
    async fn vote(
        &mut self,
        rpc: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        let mut client = self.client()?;
        vote_response(&self.call(RPCTypes::Vote, &option, client.vote(vote_request(&rpc))).await?)
    }

    async fn pre_vote(
        &mut self,
        rpc: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        let mut client = self.client()?;
        vote_response(&self.call(RPCTypes::Vote, &option, client.pre_vote(vote_request(&rpc))).await?)
    }
}

impl NetSnapshot<TypeConfig> for Network {
    type SnapshotData = Snapshot;

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: RaftSnapshot,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        let client = self.client()?;
        let ttl = option.soft_ttl();
        let sent_bytes = self.metrics.snapshot_sent_bytes_total.clone();
        let sent = move |bytes: usize| {
            sent_bytes.inc_by(bytes as u64);
        };
        let sending =
            snapshot::send(client, convert::vote(&vote), &snapshot.snapshot, self.fault.clone(), sent);
        let sending = tokio::time::timeout(ttl, sending);
        tokio::select! {
            biased;
            closed = cancel => Err(StreamingError::Closed(closed)),
            sent = sending => match sent {
                Ok(Ok(vote)) => Ok(SnapshotResponse::new(convert::raft_vote(&vote))),
                Ok(Err(status)) => Err(failed(&status).into()),
                Err(_) => Err(StreamingError::Timeout(self.timeout(RPCTypes::InstallSnapshot, ttl))),
            },
        }
    }
}

impl NetTransferLeader<TypeConfig> for Network {
    async fn transfer_leader(
        &mut self,
        req: TransferLeaderRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<TypeConfig>, RPCError<TypeConfig>> {
        let message = peer::TransferLeaderRequest {
            from_leader: Some(convert::vote(req.from_leader())),
            to_node_id: *req.to_node_id(),
            last_log_id: req.last_log_id().map(convert::log_id),
        };
        let mut client = self.client()?;
        let response = self.call(RPCTypes::TransferLeader, &option, client.transfer_leader(message)).await?;
        Ok(match response.refused.as_str() {
            "" => Ok(()),
            _ => {
                Err(TransferLeaderError::LogNotFlushed { expected: req.last_log_id().copied(), actual: None })
            }
        })
    }
}

impl NetBackoff<TypeConfig> for Network {
    fn backoff(&self) -> Option<Backoff> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::store;

    #[test]
    fn every_append_request_notes_what_it_tells_to_be_committed() {
        let id = |index| convert::raft_log_id(&store::LogId { term: 3, leader_id: 1, index });
        let request = |committed: Option<u64>| AppendEntriesRequest::<TypeConfig> {
            vote: Vote::new_committed(3, 1),
            prev_log_id: None,
            entries: Vec::new(),
            leader_commit: committed.map(id),
        };
        let told = Told::default();
        append_request(&request(None), &told);
        assert_eq!(told.read_index(4), 4);
        let sent = append_request(&request(Some(9)), &told);
        assert_eq!((sent.commit.map(|id| id.index), told.read_index(4)), (Some(9), 9));
    }
}
