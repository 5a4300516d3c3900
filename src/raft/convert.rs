//! Between openraft's types and ours: log ids, votes, memberships, entries.
//!
//! Decoding is total: whatever a disk or a peer holds becomes a value or a [`Malformed`], never a panic.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use openraft::EntryPayload;
use openraft::vote::{RaftLeaderId, RaftVote};
use prost::Message;

use crate::proto::cluster::Member;
use crate::proto::store;
use crate::raft::types::{
    Entry, LogId, Membership, Payload, Proposal, SnapshotMeta, StoredMembership, TypeConfig, Vote,
};

type LeaderId = openraft::alias::LeaderIdOf<TypeConfig>;

/// A message that lacks a part, or whose parts contradict each other.
#[derive(Debug, thiserror::Error)]
#[error("malformed {0}")]
pub struct Malformed(pub &'static str);

impl From<Malformed> for std::io::Error {
    fn from(malformed: Malformed) -> Self {
        std::io::Error::new(std::io::ErrorKind::InvalidData, malformed)
    }
}

/// Ours from openraft's.
pub fn log_id(id: &LogId) -> store::LogId {
    store::LogId { term: id.leader_id.term, leader_id: id.leader_id.node_id, index: id.index }
}

/// openraft's from ours.
pub fn raft_log_id(id: &store::LogId) -> LogId {
    LogId::new(LeaderId { term: id.term, node_id: id.leader_id }, id.index)
}

/// Ours from openraft's.
pub fn vote(vote: &Vote) -> store::Vote {
    store::Vote { term: vote.leader_id.term, node_id: vote.leader_id.node_id, committed: vote.is_committed() }
}

/// openraft's from ours.
pub fn raft_vote(vote: &store::Vote) -> Vote {
    Vote::from_leader_id(LeaderId::new(vote.term, vote.node_id), vote.committed)
}

/// The vote that a message must carry.
pub fn required_vote(vote: Option<&store::Vote>) -> Result<Vote, Malformed> {
    vote.map(raft_vote).ok_or(Malformed("message without a vote"))
}

/// Ours from openraft's.
pub fn membership(membership: &Membership) -> store::Membership {
    let voter_sets = membership.get_joint_config().iter();
    store::Membership {
        voter_sets: voter_sets
            .map(|set| store::VoterSet { node_ids: set.iter().copied().collect() })
            .collect(),
        members: membership.nodes().map(numbered).collect(),
    }
}

fn numbered((node_id, member): (&u64, &Member)) -> store::NumberedMember {
    store::NumberedMember { node_id: *node_id, member: Some(member.clone()) }
}

/// openraft's from ours.
pub fn raft_membership(membership: &store::Membership) -> Result<Membership, Malformed> {
    let voter_sets: Vec<BTreeSet<u64>> =
        membership.voter_sets.iter().map(|set| set.node_ids.iter().copied().collect()).collect();
    let members: BTreeMap<u64, Member> =
        membership.members.iter().map(|m| (m.node_id, m.member.clone().unwrap_or_default())).collect();
    if voter_sets.is_empty() {
        return Ok(Membership::default());
    }
    Membership::new(voter_sets, members).map_err(|_| Malformed("membership: a voter without a description"))
}

/// Ours from openraft's.
#[cfg(test)]
pub fn stored_membership(stored: &StoredMembership) -> store::StoredMembership {
    store::StoredMembership {
        log_id: stored.log_id().as_ref().map(log_id),
        membership: Some(membership(stored.membership())),
    }
}

/// openraft's from ours; an absent one is the empty membership of a node that has none yet.
pub fn raft_stored_membership(
    stored: Option<&store::StoredMembership>,
) -> Result<StoredMembership, Malformed> {
    let Some(stored) = stored else { return Ok(StoredMembership::default()) };
    let inner = match &stored.membership {
        Some(membership) => raft_membership(membership)?,
        None => Membership::default(),
    };
    Ok(StoredMembership::new(stored.log_id.as_ref().map(raft_log_id), inner))
}

/// Ours from openraft's. The batch's bytes are shared, not copied.
pub fn entry(entry: &Entry) -> store::Entry {
    use store::entry::Payload as Ours;
    let payload = match &entry.payload {
        EntryPayload::Blank => Ours::Blank(store::Blank {}),
        EntryPayload::Normal(proposal) => Ours::Batch(proposal.0.clone()),
        EntryPayload::Membership(m) => Ours::Membership(membership(m)),
    };
    store::Entry { log_id: Some(log_id(&entry.log_id)), payload: Some(payload) }
}

/// openraft's from ours.
pub fn raft_entry(entry: store::Entry) -> Result<Entry, Malformed> {
    use store::entry::Payload as Ours;
    let log_id = entry.log_id.as_ref().map(raft_log_id).ok_or(Malformed("entry without a log id"))?;
    let payload: Payload = match entry.payload {
        Some(Ours::Blank(_)) => EntryPayload::Blank,
        Some(Ours::Batch(bytes)) => EntryPayload::Normal(Proposal(bytes)),
        Some(Ours::Membership(m)) => EntryPayload::Membership(raft_membership(&m)?),
        None => return Err(Malformed("entry without a payload")),
    };
    Ok(Entry { log_id, payload })
}

/// Decodes an entry as it is in the log and on the wire.
pub fn decode_entry(bytes: Bytes) -> Result<Entry, Malformed> {
    raft_entry(store::Entry::decode(bytes).map_err(|_| Malformed("entry"))?)
}

/// What a snapshot covers, from its manifest.
pub fn snapshot_meta(manifest: &store::SnapshotManifest) -> Result<SnapshotMeta, Malformed> {
    let applied = manifest.applied.as_ref().ok_or(Malformed("snapshot manifest without its state"))?;
    Ok(SnapshotMeta {
        last_log_id: applied.log_id.as_ref().map(raft_log_id),
        last_membership: raft_stored_membership(applied.membership.as_ref())?,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn member(node_id: u64) -> Member {
        Member { node_id, name: format!("node-{node_id}"), role: 1, ..Default::default() }
    }

    fn a_membership() -> impl Strategy<Value = Membership> {
        (proptest::collection::btree_set(1u64..9, 1..5), proptest::collection::btree_set(10u64..20, 0..4))
            .prop_map(|(voters, learners)| {
                let members: BTreeMap<u64, Member> =
                    voters.iter().chain(&learners).map(|id| (*id, member(*id))).collect();
                Membership::new(vec![voters], members).expect("every voter is described")
            })
    }

    fn an_entry() -> impl Strategy<Value = Entry> {
        let payload = prop_oneof![
            Just(EntryPayload::Blank),
            proptest::collection::vec(any::<u8>(), 0..64)
                .prop_map(|bytes| EntryPayload::Normal(Proposal(bytes.into()))),
            a_membership().prop_map(EntryPayload::Membership),
        ];
        (any::<u64>(), any::<u64>(), any::<u64>(), payload).prop_map(|(term, node_id, index, payload)| {
            Entry { log_id: LogId::new(LeaderId { term, node_id }, index), payload }
        })
    }

    proptest! {
        #[test]
        fn entries_survive_the_round_trip(original in an_entry()) {
            let bytes = Bytes::from(entry(&original).encode_to_vec());
            prop_assert_eq!(decode_entry(bytes).expect("decodes"), original);
        }

        #[test]
        fn votes_survive_the_round_trip(term in any::<u64>(), node_id in any::<u64>(), committed in any::<bool>()) {
            let original = store::Vote { term, node_id, committed };
            prop_assert_eq!(vote(&raft_vote(&original)), original);
        }

        #[test]
        fn memberships_survive_the_round_trip(inner in a_membership(), index in any::<u64>()) {
            let stored = StoredMembership::new(Some(LogId::new(LeaderId { term: 1, node_id: 1 }, index)), inner);
            prop_assert_eq!(raft_stored_membership(Some(&stored_membership(&stored))).expect("decodes"), stored);
        }

        #[test]
        fn garbage_is_refused_or_decoded_but_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode_entry(bytes.into());
        }
    }

    #[test]
    fn an_entry_without_parts_is_malformed() {
        assert!(raft_entry(store::Entry::default()).is_err());
        let only_id = store::Entry { log_id: Some(store::LogId::default()), payload: None };
        assert!(raft_entry(only_id).is_err());
    }
}
