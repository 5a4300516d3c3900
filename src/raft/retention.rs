//! Retention: while this node leads, it proposes that versions go which were superseded too long ago.
//!
//! Deciding is the leader's part alone, and only the instant: which versions go follows from the log on every node
//! (`storage::state`, compaction). A command that is proposed twice, or by a leader of the past, finds less to do. Each
//! one takes few versions, so that no write waits long behind it, and none is proposed while there is nothing to do.
//!
//! The instant is reckoned by the leader's clock: one that is ahead compacts that much too early, one that is behind
//! that much too late.

use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::machine;
use crate::proto::store::{CompactHistory, command::Op, reply};
use crate::raft::error::ProposeError;
use crate::raft::proposer::{now_ms, propose_alone};
use crate::raft::replica::Replica;

/// The most versions that one log entry removes.
const STEP: u32 = 128;

/// Pause between two steps: what is left of the disk and the log is for everybody else.
const PAUSE: Duration = Duration::from_millis(50);

/// How often at least a leader looks for something to do, and how often at most.
const LOOK: (Duration, Duration) = (Duration::from_millis(100), Duration::from_mins(1));

/// Starts the task, unless everything is kept for ever. It ends with the replica.
pub fn start(replica: &Arc<Replica>, retention_ms: u64) {
    if retention_ms > 0 {
        tokio::spawn(keep_to(Arc::downgrade(replica), retention_ms));
    }
}

async fn keep_to(replica: Weak<Replica>, retention_ms: u64) {
    // A tenth of the retention: short ones are for tests.
    let look = Duration::from_millis(retention_ms / 10).clamp(LOOK.0, LOOK.1);
    loop {
        let more = match replica.upgrade() {
            Some(replica) => step(&replica, retention_ms).await,
            None => return,
        };
        tokio::time::sleep(if more { PAUSE } else { look }).await;
    }
}

/// Removes some versions, if this node leads and there are any to remove. True when there may be more.
async fn step(replica: &Replica, retention_ms: u64) -> bool {
    if !replica.leads() || replica.in_service().is_err() {
        return false;
    }
    let superseded_before_ms = now_ms().saturating_sub(retention_ms);
    let state = replica.state.clone();
    let looked = machine::blocking(move || state.has_superseded_before(superseded_before_ms)).await;
    match looked {
        Ok(Ok(true)) => {}
        Ok(Ok(false)) | Err(_) => return false,
        Ok(Err(error)) => {
            replica.fault.declare(format!("a read of its state failed: {error}"));
            return false;
        }
    }
    let op = Op::CompactHistory(CompactHistory { superseded_before_ms, max_versions: STEP });
    match propose_alone(&replica.raft, op).await.map(|reply| reply.reply) {
        Ok(Some(reply::Reply::Compacted(versions))) => {
            tracing::debug!(versions, "compacted the history");
            versions == STEP
        }
        Ok(_) | Err(ProposeError::NotLeader(_)) => false,
        Err(error) => {
            tracing::debug!(?error, "the history was not compacted: it will be tried again");
            false
        }
    }
}
