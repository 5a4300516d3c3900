//! Changes of the cluster: form it, add and remove nodes, let them vote, hand leadership over.
//!
//! Everything but [`Node::init`] is done by the leader; other nodes carry the request to it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use openraft::async_runtime::watch::WatchReceiver;
use openraft::errors::{ClientWriteError, RaftError};
use openraft::{ChangeMembers, Instant as _, RaftMetrics};
use tokio::time::Instant;

use crate::defect::{self, Defect};
use crate::proto::cluster::{Member, NodeRole};
use crate::proto::peer::{AdminRequest, AdminResponse, AdoptResponse, admin_request};
use crate::proto::registry::RequestContext;
use crate::proto::store::{AllocateNode, Command, Reply, RetireNode, command, reply};
use crate::raft::error::Error;
use crate::raft::leader;
use crate::raft::node::Node;
use crate::raft::peer::channel::{Me, To};
use crate::raft::peer::client::adopt;
use crate::raft::replica::Replica;
use crate::raft::types::TypeConfig;
use crate::storage::data_dir::Identity;

/// The agency under which the cluster writes its own commands to the request table.
const CLUSTER_AGENCY: &str = "dancu.cluster";

/// A learner may vote, and a voter may be handed leadership, when it lacks at most this many entries.
const CAUGHT_UP: u64 = 1000;

/// A node that acknowledged a heartbeat within this time counts as there.
const RECENTLY: Duration = Duration::from_secs(3);

/// How long a change of members may take.
const PATIENCE: Duration = Duration::from_secs(30);

fn state(what: impl Into<String>) -> Error {
    Error::ClusterState(what.into())
}

fn not_changed(error: &RaftError<TypeConfig, ClientWriteError<TypeConfig>>) -> Error {
    match error.forward_to_leader() {
        Some(_) => Error::NotReady("this node does not lead".to_owned()),
        None => state(format!("the membership was not changed: {error}")),
    }
}

/// Asks a node who it is, or gives it the identity that is meant: then it must have the certificate of that name.
async fn ask(me: &Me, to: To<'_>, cluster_id: &str) -> Result<AdoptResponse, Error> {
    let address = to.address;
    let answer = adopt(me, to, cluster_id).await;
    answer.map_err(|status| state(format!("the node at {address} did not answer: {}", status.message())))
}

fn described(answer: &AdoptResponse, address: &str) -> Result<Member, Error> {
    answer.member.clone().ok_or_else(|| state(format!("the node at {address} did not say who it is")))
}

impl Node {
    /// Forms a cluster of waiting central nodes, this one among them, and makes them its voters.
    ///
    /// May be called again after it broke off half-way: nodes that were adopted for this cluster keep their ids.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a list that cannot be, [`Error::ClusterState`] when a node is not free.
    pub async fn init(&self, addresses: Vec<String>) -> Result<(String, Vec<Member>), Error> {
        let field = "peer_addresses";
        if !matches!(addresses.len(), 1 | 3 | 5) {
            return Err(Error::invalid(
                field,
                "1, 3 or 5 nodes form a cluster: an even number survives no more",
            ));
        }
        if addresses.iter().collect::<BTreeSet<_>>().len() != addresses.len() {
            return Err(Error::invalid(field, "an address is named twice"));
        }
        let name = self.member().name;
        let identity = Identity { cluster_id: String::new(), node_id: 0, name: name.clone() };
        let me = Me { identity, tls: self.tls.clone() };
        let mut answers = Vec::new();
        for address in &addresses {
            answers.push(ask(&me, To::stranger(address), "").await?);
        }
        if answers.iter().any(|answer| answer.formed) {
            // A node that lost its folder waits like a new one. Given its old id it could vote again on what it forgot.
            return Err(state(
                "this cluster was formed already: bring a node that waits in with `dancu cluster add`, under a new id",
            ));
        }
        let members = first_members(&addresses, &answers)?;
        if !members.iter().any(|member| member.name == name) {
            return Err(Error::invalid(field, "the node that is asked must be one of them"));
        }
        let known = answers.iter().map(|answer| answer.cluster_id.as_str()).find(|id| !id.is_empty());
        #[expect(clippy::disallowed_methods, reason = "made once, then replicated")]
        let cluster_id = known.map_or_else(|| uuid::Uuid::new_v4().to_string(), str::to_owned);
        for member in &members {
            ask(&me, To::member(member.node_id, member), &cluster_id).await?;
        }
        let described: BTreeMap<u64, Member> = members.iter().map(|m| (m.node_id, m.clone())).collect();
        let formed = self.replica()?.raft.initialize(described).await;
        formed.map_err(|error| state(format!("this cluster was formed already ({error})")))?;
        Ok((cluster_id, members))
    }

    /// Does an operator's request, here or at the leader.
    ///
    /// # Errors
    /// [`Error::ClusterState`] with what stands in the way; [`Error::NoQuorum`] without a leader.
    pub async fn admin(&self, request: AdminRequest, deadline: Instant) -> Result<AdminResponse, Error> {
        let replica = self.replica()?;
        loop {
            let answer = match leader::current(&replica.raft) {
                Some(id) if id == replica.identity.node_id => replica.lead_admin(&request).await,
                Some(id) => replica.send_admin(id, &request, deadline).await,
                None => Ok(None),
            };
            if let Some(response) = answer? {
                return Ok(response);
            }
            if Instant::now() >= deadline {
                return Err(Error::NoQuorum("no leader took the request".to_owned()));
            }
            leader::changed(&replica.raft, Duration::from_millis(100)).await;
        }
    }
}

/// The first voters with their ids, in the order of the addresses.
fn first_members(addresses: &[String], answers: &[AdoptResponse]) -> Result<Vec<Member>, Error> {
    let clusters: BTreeSet<&str> =
        answers.iter().map(|a| a.cluster_id.as_str()).filter(|id| !id.is_empty()).collect();
    if clusters.len() > 1 {
        return Err(state("these nodes belong to different clusters already; give them empty folders"));
    }
    let mut members = Vec::new();
    for (position, (address, answer)) in addresses.iter().zip(answers).enumerate() {
        let member = described(answer, address)?;
        let id = position as u64 + 1;
        if member.role() != NodeRole::Central {
            return Err(state(format!("{} is provincial: only central nodes form a cluster", member.name)));
        }
        if member.node_id != 0 && member.node_id != id {
            return Err(state(format!("{} is node {} of a cluster already", member.name, member.node_id)));
        }
        if members.iter().any(|other: &Member| other.name == member.name) {
            return Err(state(format!("two nodes are named {}: change one name", member.name)));
        }
        members.push(Member { node_id: id, ..member });
    }
    Ok(members)
}

impl Replica {
    async fn send_admin(
        &self,
        leader: u64,
        request: &AdminRequest,
        deadline: Instant,
    ) -> Result<Option<AdminResponse>, Error> {
        let Some(member) = leader::member(&self.raft, leader) else { return Ok(None) };
        let left = deadline.saturating_duration_since(Instant::now());
        match self.calls.admin(&member, request.clone(), left).await {
            Ok(response) if response.refused.is_empty() => Ok(Some(response)),
            Ok(response) => Err(state(response.refused)),
            // It no longer leads, or is gone: somebody else will.
            Err(_) => Ok(None),
        }
    }

    /// Does a request as the leader; `None` when this node no longer leads and the request must go elsewhere.
    ///
    /// # Errors
    /// [`Error::ClusterState`] with what stands in the way.
    pub async fn lead_admin(&self, request: &AdminRequest) -> Result<Option<AdminResponse>, Error> {
        match self.lead(request).await {
            Err(Error::NotReady(_)) => Ok(None),
            done => done,
        }
    }

    /// The same; [`Error::NotReady`] when this node no longer leads, or hands leadership over just now.
    async fn lead(&self, request: &AdminRequest) -> Result<Option<AdminResponse>, Error> {
        use admin_request::Op;
        let mut response = AdminResponse::default();
        match &request.op {
            Some(Op::Add(add)) => response.added = Some(self.add(&add.peer_address).await?),
            Some(Op::Promote(promote)) => self.promote(promote.node_id).await?,
            Some(Op::Remove(remove)) if remove.node_id == self.identity.node_id => {
                // A leader does not remove itself: its successor does.
                self.transfer(0).await?;
                return Ok(None);
            }
            Some(Op::Remove(remove)) => self.remove(remove.node_id).await?,
            Some(Op::Transfer(transfer)) => response.leader_id = self.transfer(transfer.node_id).await?,
            None => return Err(Error::invalid("op", "the request says nothing to do")),
        }
        Ok(Some(response))
    }

    async fn add(&self, address: &str) -> Result<Member, Error> {
        let _one_at_a_time = self.adding.lock().await;
        let me = self.calls.me();
        let answer = ask(me, To::stranger(address), "").await?;
        let mut member = described(&answer, address)?;
        if answer.cluster_id.is_empty() {
            self.retire_abandoned(&member.name).await?;
            let allocate = command::Op::AllocateNode(AllocateNode { name: member.name.clone() });
            member.node_id = match self.cluster_write(allocate).await?.reply {
                Some(reply::Reply::NodeId(id)) if defect::has(Defect::ReusedNodeId) => self.reused(id)?,
                Some(reply::Reply::NodeId(id)) => id,
                other => return Err(refused(other)),
            };
            let to = To { address, ..To::member(member.node_id, &member) };
            ask(me, to, &self.identity.cluster_id).await?;
        } else if answer.cluster_id != self.identity.cluster_id {
            return Err(state(format!("{} belongs to another cluster, {}", member.name, answer.cluster_id)));
        } else if leader::member(&self.raft, member.node_id).is_some() {
            return Err(state(format!("{} is a member already, node {}", member.name, member.node_id)));
        } else if self.retired(member.node_id)? {
            return Err(state(format!(
                "{} was removed as node {} and an id never comes back: stop it, empty its folder, add it again",
                member.name, member.node_id
            )));
        }
        let adding = self.raft.add_learner(member.node_id, member.clone(), false);
        let added = tokio::time::timeout(PATIENCE, adding).await;
        let added = added
            .map_err(|_| state("no majority confirmed the new member yet; look at `dancu cluster status`"))?;
        added.map_err(|error| not_changed(&error))?;
        Ok(member)
    }

    /// Ends the id that an earlier request gave to a node of this name and that no member has: it broke off before the node
    /// had its id, or the node lost its folder before it was a member. Nobody else can be about to make it one: additions
    /// are made one at a time, and what a leader of the past has not in this log can no longer be committed.
    async fn retire_abandoned(&self, name: &str) -> Result<(), Error> {
        let held = self.state.live_node_named(name).map_err(|error| Error::Fault(error.to_string()))?;
        match held {
            Some(id) if leader::member(&self.raft, id).is_none() => self.retire(id).await,
            _ => Ok(()),
        }
    }

    async fn retire(&self, id: u64) -> Result<(), Error> {
        match self.cluster_write(command::Op::RetireNode(RetireNode { node_id: id })).await?.reply {
            Some(reply::Reply::Retired(_)) => Ok(()),
            other => Err(refused(other)),
        }
    }

    async fn promote(&self, id: u64) -> Result<(), Error> {
        let member = self.member_named(id)?;
        if member.role() != NodeRole::Central {
            return Err(state(format!("{} is provincial: only central nodes vote", member.name)));
        }
        self.caught_up(&member)?;
        let with_it = &leader::voters(&self.raft) | &BTreeSet::from([id]);
        self.enough_answer(&with_it, &format!("{} cannot vote yet", member.name)).await?;
        self.change(ChangeMembers::AddVoterIds(BTreeSet::from([id])), true).await
    }

    async fn remove(&self, id: u64) -> Result<(), Error> {
        if let Ok(member) = self.member_named(id) {
            let voters: BTreeSet<u64> = leader::voters(&self.raft);
            let only = BTreeSet::from([id]);
            if voters.contains(&id) {
                self.enough_answer(&(&voters - &only), &format!("{} cannot be removed", member.name)).await?;
                self.change(ChangeMembers::RemoveVoters(only.clone()), false).await?;
            }
            if leader::member(&self.raft, id).is_some() {
                self.change(ChangeMembers::RemoveNodes(only), false).await?;
            }
        }
        // Last, so that a request that broke off before is finished by asking again.
        self.retire(id).await
    }

    /// Hands leadership to the voter `to`, or to the one that is furthest when it is 0; returns the new leader.
    ///
    /// # Errors
    /// [`Error::ClusterState`] when there is no voter that has nearly everything.
    pub async fn transfer(&self, to: u64) -> Result<u64, Error> {
        if to == self.identity.node_id {
            return Ok(to);
        }
        let successor = match to {
            0 => self.furthest_voter().ok_or_else(|| state("no other voter has caught up"))?,
            id if leader::voters(&self.raft).contains(&id) => id,
            id => return Err(state(format!("node {id} does not vote"))),
        };
        // While a transfer is under way the leader takes no writes: it must not wait for one that lags.
        self.caught_up(&self.member_named(successor)?)?;
        let fatal = |e: openraft::errors::Fatal<_>| Error::Fault(e.to_string());
        self.raft.trigger().transfer_leader(successor).await.map_err(fatal)?;
        let wait = self.raft.wait(Some(Duration::from_secs(10)));
        let moved = wait.metrics(
            |metrics| metrics.current_leader.is_some_and(|id| id != self.identity.node_id),
            "another leader",
        );
        match moved.await {
            Ok(metrics) => Ok(metrics.current_leader.unwrap_or(successor)),
            Err(_) => Err(state(format!("node {successor} did not take over in time; an election follows"))),
        }
    }

    fn furthest_voter(&self) -> Option<u64> {
        let voters = leader::voters(&self.raft);
        let watch = self.raft.metrics();
        let metrics = watch.borrow_watched();
        let known = metrics.replication.iter().flatten();
        let others = known.filter(|(id, _)| **id != self.identity.node_id && voters.contains(id));
        others.max_by_key(|(_, matched)| matched.map(|log_id| log_id.index)).map(|(id, _)| *id)
    }

    fn caught_up(&self, member: &Member) -> Result<(), Error> {
        let watch = self.raft.metrics();
        let metrics = watch.borrow_watched();
        let matched =
            metrics.replication.as_ref().and_then(|all| all.get(&member.node_id).copied().flatten());
        let last = metrics.last_log_index.unwrap_or(0);
        match matched {
            Some(log_id) if last.saturating_sub(log_id.index) <= CAUGHT_UP => Ok(()),
            Some(log_id) => Err(state(format!(
                "{} lacks {} entries: try again when `dancu cluster status` shows less than {CAUGHT_UP}",
                member.name,
                last - log_id.index
            ))),
            None => Err(state(format!("{} has not answered this leader yet: try again", member.name))),
        }
    }

    /// A change of voters that no majority could confirm would stop every write: it is refused before it begins. A new
    /// leader has heard nobody yet, so the answers are waited for.
    async fn enough_answer(&self, voters: &BTreeSet<u64>, what: &str) -> Result<(), Error> {
        let me = self.identity.node_id;
        let enough = |metrics: &RaftMetrics<TypeConfig>| {
            let heard = |id: &u64| metrics.heartbeat.as_ref().and_then(|all| all.get(id).copied().flatten());
            let answers = |id: &&u64| **id == me || heard(id).is_some_and(|at| at.elapsed() < RECENTLY);
            voters.iter().filter(answers).count() > voters.len() / 2
        };
        let wait = self.raft.wait(Some(RECENTLY));
        let answered = wait.metrics(enough, "answers of those that would vote").await;
        answered.map(drop).map_err(|_| {
            state(format!(
                "{what}: of the {} nodes that would vote, no majority answers now. Bring the others back first; \
                 `dancu cluster status` shows them",
                voters.len()
            ))
        })
    }

    async fn change(&self, change: ChangeMembers<u64, Member>, retain: bool) -> Result<(), Error> {
        let changed = tokio::time::timeout(PATIENCE, self.raft.change_membership(change, retain)).await;
        match changed {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(not_changed(&error)),
            Err(_) => {
                Err(state("no majority confirmed the change of members yet; look at `dancu cluster status`"))
            }
        }
    }

    fn member_named(&self, id: u64) -> Result<Member, Error> {
        leader::member(&self.raft, id).ok_or_else(|| state(format!("node {id} is not a member")))
    }

    fn retired(&self, id: u64) -> Result<bool, Error> {
        let row = self.state.node(id).map_err(|error| Error::Fault(error.to_string()))?;
        Ok(row.is_some_and(|row| row.retired))
    }

    /// The last id that is free again; `new` when there is none.
    fn reused(&self, new: u64) -> Result<u64, Error> {
        for id in (1..new).rev() {
            if self.retired(id)? {
                return Ok(id);
            }
        }
        Ok(new)
    }

    #[expect(clippy::disallowed_methods, reason = "the id comes with the command")]
    async fn cluster_write(&self, op: command::Op) -> Result<Reply, Error> {
        let context = RequestContext {
            request_id: uuid::Uuid::new_v4().simple().to_string(),
            agency_id: CLUSTER_AGENCY.to_owned(),
            ..RequestContext::default()
        };
        let command = Command { context: Some(context), op: Some(op), ..Command::default() };
        self.write(command, Instant::now() + PATIENCE).await
    }
}

fn refused(reply: Option<reply::Reply>) -> Error {
    match reply {
        Some(reply::Reply::Rejected(rejection)) => state(rejection.detail),
        _ => Error::Fault("the state machine gave a reply of another kind".to_owned()),
    }
}
