//! Calls to the leader and to other members that are not openraft's: read index, forwarded writes, status.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Mutex;
use std::time::Duration;

use tonic::{Code, Request, Status};

use crate::proto::cluster::{Member, NodeStatus};
use crate::proto::peer::{
    AdminRequest, AdminResponse, AdoptRequest, AdoptResponse, ConfirmRequest, ConfirmResponse,
    ForwardRequest, NodeStatusRequest, ReadAuditRequest, ReadAuditResponse, ReadIndexRequest,
    ReadIndexResponse,
};
use crate::proto::store::{Command, Reply};
use crate::raft::error::ProposeError;
use crate::raft::peer::channel::{self, Client, Me, To};
use crate::raft::peer::kept::Kept;

/// Set on a refusal by a node that does not lead: the leader's id, when it knows one.
pub const LEADER_HINT: &str = "dancu-leader";

/// Set on what the leader itself refused before it appended anything. Without it a code may be the transport's own,
/// which says nothing about the write.
const REFUSED: &str = "dancu-refused";

/// How long another node may take to say how it is.
const STATUS_TIMEOUT: Duration = Duration::from_millis(500);

/// How long a node may take to write its identity.
const ADOPT_TIMEOUT: Duration = Duration::from_secs(5);

/// The calls of one node to its peers: one connection to each, made at the first call.
pub struct PeerCalls {
    me: Me,
    peers: Mutex<HashMap<(u64, String), Peer>>,
}

/// A connection, and the streams on it that wait for their next question.
struct Peer {
    client: Client,
    read_index: Option<Kept<ReadIndexRequest, ReadIndexResponse>>,
    confirm: Option<Kept<ConfirmRequest, ConfirmResponse>>,
}

fn bad_address(error: &tonic::transport::Error) -> Status {
    Status::unavailable(format!("the member's address cannot be used: {error}"))
}

impl PeerCalls {
    /// For calls by `me`.
    pub fn new(me: Me) -> Self {
        Self { me, peers: Mutex::default() }
    }

    /// Who calls.
    pub fn me(&self) -> &Me {
        &self.me
    }

    fn with<T>(&self, member: &Member, act: impl FnOnce(&mut Peer) -> T) -> Result<T, Status> {
        let mut peers = self.peers.lock().expect("no holder of this lock panics");
        let peer = match peers.entry((member.node_id, member.peer_address.clone())) {
            Entry::Occupied(there) => there.into_mut(),
            Entry::Vacant(free) => {
                let client = channel::client(&self.me, To::member(member.node_id, member));
                let client = client.map_err(|e| bad_address(&e))?;
                free.insert(Peer { client, read_index: None, confirm: None })
            }
        };
        Ok(act(peer))
    }

    fn to(&self, member: &Member) -> Result<Client, Status> {
        self.with(member, |peer| peer.client.clone())
    }

    /// Asks the leader for a confirmed index. The caller bounds the time: a question that is given up takes its stream
    /// with it.
    ///
    /// # Errors
    /// The stream's status; the caller asks anew, never with an old answer.
    pub async fn read_index(
        &self,
        leader: &Member,
        request: ReadIndexRequest,
    ) -> Result<ReadIndexResponse, Status> {
        let (mut client, kept) = self.with(leader, |peer| (peer.client.clone(), peer.read_index.take()))?;
        let kept = match kept {
            Some(kept) => kept,
            None => Kept::open(|questions| async move { client.read_index(questions).await }).await?,
        };
        let (answer, kept) = kept.exchange(request).await?;
        self.with(leader, |peer| peer.read_index = Some(kept))?;
        Ok(answer)
    }

    /// Asks a voter for its vote. The caller bounds the time, as of [`PeerCalls::read_index`].
    ///
    /// # Errors
    /// The stream's status.
    pub async fn confirm(&self, voter: &Member) -> Result<ConfirmResponse, Status> {
        let (mut client, kept) = self.with(voter, |peer| (peer.client.clone(), peer.confirm.take()))?;
        let kept = match kept {
            Some(kept) => kept,
            None => Kept::open(|questions| async move { client.confirm(questions).await }).await?,
        };
        let (answer, kept) = kept.exchange(ConfirmRequest {}).await?;
        self.with(voter, |peer| peer.confirm = Some(kept))?;
        Ok(answer)
    }

    /// Carries a command to the leader, within `timeout`.
    ///
    /// # Errors
    /// Only a refusal that the leader itself stated is known to have left nothing behind.
    pub async fn forward(
        &self,
        leader: &Member,
        command: Command,
        timeout: Duration,
    ) -> Result<Reply, ProposeError> {
        let mut request = Request::new(ForwardRequest { command: Some(command) });
        request.set_timeout(timeout);
        let mut client =
            self.to(leader).map_err(|status| ProposeError::Unknown(status.message().to_owned()))?;
        let response = client.forward(request).await.map_err(|status| refused(&status))?;
        response
            .into_inner()
            .reply
            .ok_or_else(|| ProposeError::Unknown("an answer without a reply".to_owned()))
    }

    /// Carries an operator's request to the leader, within `timeout`.
    ///
    /// # Errors
    /// The call's status.
    pub async fn admin(
        &self,
        leader: &Member,
        request: AdminRequest,
        timeout: Duration,
    ) -> Result<AdminResponse, Status> {
        let mut request = Request::new(request);
        request.set_timeout(timeout);
        Ok(self.to(leader)?.admin(request).await?.into_inner())
    }

    /// Asks a member for records of its audit log, within `timeout`.
    ///
    /// # Errors
    /// The call's status.
    pub async fn read_audit(
        &self,
        member: &Member,
        from: u64,
        timeout: Duration,
    ) -> Result<ReadAuditResponse, Status> {
        let mut request = Request::new(ReadAuditRequest { from });
        request.set_timeout(timeout);
        Ok(self.to(member)?.read_audit(request).await?.into_inner())
    }

    /// Asks a member how it is.
    ///
    /// # Errors
    /// The call's status.
    pub async fn status(&self, member: &Member) -> Result<NodeStatus, Status> {
        let mut request = Request::new(NodeStatusRequest {});
        request.set_timeout(STATUS_TIMEOUT);
        let call = self.to(member)?.node_status(request).await?;
        call.into_inner().status.ok_or_else(|| Status::internal("an answer without a status"))
    }
}

/// Asks a node who it is, when `to` has no id, or gives it this identity. Made for nodes that may not belong to a cluster
/// yet: the claim that other peer calls carry is not checked.
///
/// # Errors
/// The call's status; `ALREADY_EXISTS` when the node has another identity.
pub async fn adopt(me: &Me, to: To<'_>, cluster_id: &str) -> Result<AdoptResponse, Status> {
    let mut client = channel::client(me, to).map_err(|e| bad_address(&e))?;
    let mut request = Request::new(AdoptRequest { cluster_id: cluster_id.to_owned(), node_id: to.id });
    request.set_timeout(ADOPT_TIMEOUT);
    Ok(client.adopt(request).await?.into_inner())
}

/// A status that the leader's `Forward` or this side's transport made of a failure.
fn refused(status: &Status) -> ProposeError {
    let hint = || status.metadata().get(LEADER_HINT).and_then(|id| id.to_str().ok()?.parse().ok());
    let stated = status.metadata().contains_key(REFUSED);
    match status.code() {
        Code::FailedPrecondition if stated => ProposeError::NotLeader(hint()),
        Code::ResourceExhausted if stated => ProposeError::Overloaded,
        _ => ProposeError::Unknown(format!("the leader did not answer: {}", status.message())),
    }
}

/// The other direction: what `Forward` answers for a failure.
pub fn refusal(error: &ProposeError) -> Status {
    let stated = |mut status: Status| {
        status.metadata_mut().insert(REFUSED, 1.into());
        status
    };
    match error {
        ProposeError::NotLeader(leader) => {
            let mut status = stated(Status::failed_precondition("this node does not lead"));
            if let Some(id) = leader {
                status.metadata_mut().insert(LEADER_HINT, (*id).into());
            }
            status
        }
        ProposeError::Overloaded => {
            stated(Status::resource_exhausted("the leader's queue is full: nothing was applied"))
        }
        ProposeError::Unknown(why) => Status::aborted(why.clone()),
        ProposeError::Stopped(why) => Status::unavailable(why.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_keeps_its_meaning_over_the_wire() {
        let cases =
            [ProposeError::NotLeader(Some(7)), ProposeError::NotLeader(None), ProposeError::Overloaded];
        for error in cases {
            assert_eq!(refused(&refusal(&error)), error);
        }
    }

    #[test]
    fn what_is_not_a_stated_refusal_is_unknown() {
        let transport = [
            Status::unavailable("x"),
            Status::cancelled("x"),
            Status::deadline_exceeded("x"),
            Status::resource_exhausted("too many reset streams"),
        ];
        for status in transport {
            assert!(matches!(refused(&status), ProposeError::Unknown(_)), "{:?}", status.code());
        }
        assert!(matches!(refused(&refusal(&ProposeError::Unknown("x".into()))), ProposeError::Unknown(_)));
    }
}
