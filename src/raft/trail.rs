//! The audit trail's part in the cluster: what this node's log holds is signed at a period and agreed on by all, and the
//! central nodes fetch it.
//!
//! ```text
//! own log grew -> sign (size, root) -> a write like any other -> every node knows it -> it may never shrink
//! central node -> "from position n on" -> any node -> records -> copy, held against the checkpoint -> index
//! ```
//!
//! A checkpoint follows its records and is waited for by nobody, so that a node that is cut off goes on recording. One that
//! the cluster refuses, or that this node's log does not lead to, means that the log lost or changed something: the node
//! answers no lookups from then on.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::Instant;
use tonic::Status;

use crate::audit::{Audit, AuditError, now_ms};
use crate::config::AuditConfig;
use crate::machine;
use crate::metrics::NodeLabels;
use crate::proto::cluster::Member;
use crate::proto::peer::ReadAuditResponse;
use crate::proto::registry::{Checkpoint, LogCoverage};
use crate::proto::store::{Command, command::Op, reply};
use crate::raft::error::Error;
use crate::raft::leader;
use crate::raft::replica::Replica;

/// How long the cluster may take to agree on a checkpoint; after that it is tried again with the next one.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often a central node asks the others for records.
const FETCH: Duration = Duration::from_secs(1);

/// How long one such round may take: what did not come is asked for in the next one.
const ROUND: Duration = Duration::from_secs(2);

/// Bytes of records in one answer.
const CHUNK_BYTES: usize = 4 << 20;

/// Starts the tasks that sign and fetch. They end with the replica.
pub fn start(replica: &Arc<Replica>, config: &AuditConfig) {
    if replica.audit.is_some() {
        tokio::spawn(sign(Arc::downgrade(replica), Duration::from_millis(config.checkpoint_interval_ms)));
        tokio::spawn(carry(Arc::downgrade(replica), config.retention_days));
    }
}

async fn sign(replica: Weak<Replica>, interval: Duration) {
    loop {
        tokio::time::sleep(interval).await;
        let Some(replica) = replica.upgrade() else { return };
        let Some(audit) = &replica.audit else { return };
        if audit.closed().is_some() || replica.in_service().is_err() {
            continue;
        }
        if let Err(error) = checkpoint(&replica, audit, Instant::now() + PATIENCE).await {
            tracing::debug!(%error, "no checkpoint of the audit log: it will be tried again");
        }
    }
}

/// The newest checkpoint of this node's log, made now when there are records that none covers. `None` while it is empty.
///
/// # Errors
/// As [`Replica::write`]; [`Error::Fault`] when the log is not what the cluster knows.
pub async fn checkpoint(
    replica: &Replica,
    audit: &Arc<Audit>,
    deadline: Instant,
) -> Result<Option<Checkpoint>, Error> {
    let id = audit.owner().node_id;
    let known = || replica.state.audit_checkpoint(id).map_err(|error| Error::Fault(error.to_string()));
    let (signer, last) = (audit.clone(), known()?);
    let before = last.clone();
    let signing = machine::blocking(move || signer.checkpoint(before.as_ref())).await;
    let signed = signing.map_err(|error| Error::Fault(error.to_string()))?;
    let Some(signed) = signed.map_err(|error| closed(replica, audit, &error))? else { return Ok(last) };
    let op = Some(Op::AuditCheckpoint(signed.clone()));
    let reply = replica.write(Command { op, ..Command::default() }, deadline).await?;
    match reply.reply {
        Some(reply::Reply::Checkpointed(_)) => Ok(Some(signed)),
        Some(reply::Reply::Rejected(rejection)) => {
            // Another one of this node may have been agreed on meanwhile; the next one is held against what then stands.
            let newer = known()?.filter(|newer| newer.size >= signed.size);
            newer.map(Some).ok_or(Error::ClusterState(rejection.detail))
        }
        _ => Err(Error::Fault("the state machine gave a reply of another kind".to_owned())),
    }
}

fn closed(replica: &Replica, audit: &Audit, error: &AuditError) -> Error {
    if audit.closed().is_some() {
        replica.metrics().audit_closed.set(1);
        tracing::error!(%error, "this node answers no lookups from now on");
    }
    Error::Fault(error.to_string())
}

/// Answers a member that fetches this node's log.
///
/// # Errors
/// `UNAVAILABLE` when the log cannot be read.
pub async fn read(replica: &Replica, by: u64, from: u64) -> Result<ReadAuditResponse, Status> {
    let unavailable = |error: &AuditError| Status::unavailable(error.to_string());
    let audit = replica.audit.clone().ok_or_else(|| Status::unavailable("accesses are not recorded here"))?;
    let segments = audit.log().map_err(|error| unavailable(&error))?.segments().clone();
    audit.has_fetched(by, from);
    let (size, first) = (segments.size(), segments.first());
    if from < first || from >= size {
        let peaks = segments.tree.frontier(first).map_err(|error| unavailable(&error.into()))?;
        let frontier = peaks.peaks().iter().map(|hash| hash.to_vec().into()).collect();
        return Ok(ReadAuditResponse { records: Vec::new(), size, first, frontier });
    }
    let reading = machine::blocking(move || segments.read(from, CHUNK_BYTES)).await;
    let read = reading.map_err(|error| Status::internal(error.to_string()))?;
    let records = read.map_err(|error| unavailable(&error))?.into_iter();
    Ok(ReadAuditResponse {
        records: records.map(|(_, record)| record.into()).collect(),
        size,
        first,
        frontier: Vec::new(),
    })
}

/// Whether this node votes: those that do hold the logs of all.
pub fn is_central(replica: &Replica) -> bool {
    leader::voters(&replica.raft).contains(&replica.identity.node_id)
}

/// Fetches what the other members have recorded, each as far as it can be reached by `deadline`.
pub async fn fetch(replica: &Replica, audit: &Arc<Audit>, deadline: Instant) {
    let Ok(_one_at_a_time) = tokio::time::timeout_at(deadline, replica.fetching.lock()).await else { return };
    let others = leader::members(&replica.raft).into_iter();
    let others = others.filter(|(member, _)| member.node_id != replica.identity.node_id);
    let fetching = others.map(|(member, _)| async move {
        match tokio::time::timeout_at(deadline, fetch_of(replica, audit, &member)).await {
            Ok(Ok(())) | Err(_) => {}
            Ok(Err(why)) => tracing::debug!(node_id = member.node_id, why, "its audit log was not fetched"),
        }
    });
    futures::future::join_all(fetching).await;
    for node_id in audit.archive().nodes().unwrap_or_default() {
        if let Ok(Some(segments)) = audit.segments_of(node_id) {
            replica.metrics().audit_carried.get_or_create(&NodeLabels { node: node_id }).set(segments.size());
        }
    }
}

/// Fetches all of one member's log that is not here yet.
async fn fetch_of(replica: &Replica, audit: &Arc<Audit>, member: &Member) -> Result<(), String> {
    let node_id = member.node_id;
    loop {
        let held = audit.archive().coverage(node_id).map_err(|error| error.to_string())?.held;
        let answer = replica.calls.read_audit(member, held, PATIENCE).await;
        let answer = answer.map_err(|status| status.message().to_owned())?;
        if answer.first > held && held == 0 {
            let (archive, first) = (audit.clone(), answer.first);
            let beginning = move || archive.archive().begin_after(node_id, first, &answer.frontier);
            let begun = machine::blocking(beginning).await.map_err(|error| error.to_string())?;
            begun.map_err(|error| error.to_string())?;
            continue;
        }
        if answer.first > held {
            let gone = format!("its records {held} to {} are no longer kept there", answer.first - 1);
            return Err(gone);
        }
        let last = replica.state.audit_checkpoint(node_id).map_err(|error| error.to_string())?;
        let records: Vec<Vec<u8>> = answer.records.iter().map(|record| record.to_vec()).collect();
        let (archive, done, size) = (audit.clone(), records.is_empty(), answer.size);
        let taking = move || archive.archive().take(node_id, held, records, size, last.as_ref());
        let taken = machine::blocking(taking).await.map_err(|error| error.to_string())?;
        let now_held = taken.map_err(|error| error.to_string())?;
        if done || now_held >= size {
            return Ok(());
        }
    }
}

/// Fetches, goes through what came, and lets go what was kept long enough; at a period.
async fn carry(replica: Weak<Replica>, retention_days: u64) {
    loop {
        tokio::time::sleep(FETCH).await;
        let Some(replica) = replica.upgrade() else { return };
        let Some(audit) = replica.audit.clone() else { return };
        if replica.in_service().is_err() {
            continue;
        }
        let central = is_central(&replica);
        if central {
            fetch(&replica, &audit, Instant::now() + ROUND).await;
        }
        let centrals: Vec<u64> = leader::voters(&replica.raft).into_iter().collect();
        let tidying = machine::blocking(move || {
            if central {
                audit.go_through()?;
            }
            match retention_days {
                0 => Ok(()),
                days => audit.retain(Duration::from_secs(days * 86_400), &centrals),
            }
        });
        match tidying.await {
            Ok(Ok(())) | Err(_) => {}
            Ok(Err(error)) => {
                tracing::warn!(%error, "the audit logs were not gone through: it will be tried again");
            }
        }
    }
}

/// Fetches as [`fetch`], goes through what came, and says how much of each log was gone through.
///
/// # Errors
/// [`Error::ClusterState`] on a node that does not vote, or does not record; [`Error::Fault`] when the disk fails.
pub async fn gather(replica: &Arc<Replica>, deadline: Instant) -> Result<Vec<LogCoverage>, Error> {
    let Some(audit) = &replica.audit else {
        return Err(Error::ClusterState("accesses are not recorded on this node".to_owned()));
    };
    if !is_central(replica) {
        let members = leader::members(&replica.raft).into_iter().filter(|(_, voter)| *voter);
        let names: Vec<String> = members.map(|(member, _)| member.name).collect();
        let names = names.join(", ");
        return Err(Error::ClusterState(format!("this node holds its own log alone: ask one of {names}")));
    }
    fetch(replica, audit, deadline).await;
    let members = leader::members(&replica.raft).into_iter().map(|(member, _)| (member.node_id, member.name));
    let names: BTreeMap<u64, String> = members.collect();
    let audit = audit.clone();
    let looking = machine::blocking(move || {
        if let Err(error) = audit.go_through() {
            // The coverage of its node does not grow, and says so.
            tracing::warn!(%error, "an audit log was not gone through");
        }
        coverage(&audit, names)
    });
    let looked = looking.await.map_err(|error| Error::Fault(error.to_string()))?;
    looked.map_err(|error| Error::Fault(error.to_string()))
}

/// How much of each log was gone through: of those of the members, and of those that left copies here.
fn coverage(audit: &Audit, mut names: BTreeMap<u64, String>) -> Result<Vec<LogCoverage>, AuditError> {
    let own = audit.owner().node_id;
    for node_id in audit.archive().nodes()?.into_iter().chain([own]) {
        names.entry(node_id).or_default();
    }
    let index = audit.archive().index()?;
    let of = |(node_id, name)| {
        let held = index.next(node_id)?;
        let (known, asked_at_ms) = if node_id == own {
            (audit.log().map_or(held, |log| log.segments().size()), now_ms())
        } else {
            // A copy that cannot be used is one of a node that was not reached.
            let found = audit.archive().coverage(node_id).unwrap_or_default();
            (found.known, found.asked_at_ms)
        };
        Ok(LogCoverage { node_id, name, held, known: known.max(held), asked_at_ms })
    };
    names.into_iter().map(of).collect()
}
