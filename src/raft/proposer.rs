//! Turns waiting commands into log entries: while an entry is under way, what arrives gathers for the next one.
//!
//! ```text
//! submit -> bounded queue -> [permit of max_entries_in_flight] -> one store::Batch -> openraft -> replies, one each
//! ```
//!
//! There is no timer: an idle leader proposes the first command at once, a busy one proposes as many as have gathered
//! meanwhile. A command whose caller has gone is left out as long as it was not proposed.
//!
//! The queue is bounded by commands, by bytes, and by time: when more writes come than can be made, those that are taken
//! still get their answers soon and the others hear at once that they should come back later.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use openraft::errors::{ClientWriteError, RaftError};
use prost::Message;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::Instant;

use crate::config::RaftConfig;
use crate::domain::command::{ENTROPY_BYTES, needs_entropy};
use crate::metrics::Metrics;
use crate::proto::store::{Batch, Command, Reply, command::Op};
use crate::raft::error::ProposeError;
use crate::raft::types::{Proposal, Raft, TypeConfig};

struct Waiting {
    command: Command,
    bytes: usize,
    reply: oneshot::Sender<Result<Reply, ProposeError>>,
    /// Its share of `write_queue_bytes`, given back when it is proposed or given up.
    _share: OwnedSemaphorePermit,
}

/// The queue in front of the leader's log.
#[derive(Clone)]
pub struct Proposer {
    queue: mpsc::Sender<Waiting>,
    room: Arc<Semaphore>,
    pace: Arc<Pace>,
    max_wait: Duration,
    /// As many may wait whatever the pace: it is known only while more wait than fit into one entry.
    always: usize,
    metrics: Arc<Metrics>,
}

impl Proposer {
    /// Starts the task that proposes; it ends when the last handle is dropped.
    pub fn start(raft: Raft, config: RaftConfig, metrics: Arc<Metrics>) -> Self {
        let (queue, waiting) = mpsc::channel(config.write_queue_commands);
        let room = Arc::new(Semaphore::new(config.write_queue_bytes.min(Semaphore::MAX_PERMITS)));
        let pace = Arc::new(Pace::default());
        let max_wait = Duration::from_millis(config.write_queue_ms);
        let always = config.max_commands_per_entry;
        let worker = Worker {
            raft,
            pace: pace.clone(),
            in_flight: Arc::new(Semaphore::new(config.max_entries_in_flight)),
            config,
            metrics: metrics.clone(),
        };
        tokio::spawn(worker.run(waiting));
        Self { queue, room, pace, max_wait, always, metrics }
    }

    /// Proposes a command here and waits for its reply until `deadline`.
    ///
    /// # Errors
    /// See [`ProposeError`]: only `NotLeader` and `Overloaded` say that nothing was left behind.
    pub async fn submit(&self, command: Command, deadline: Instant) -> Result<Reply, ProposeError> {
        let waiting = self.depth();
        if waiting >= self.always && self.pace.wait_of(waiting) > self.max_wait {
            return Err(self.overloaded());
        }
        let (reply, answer) = oneshot::channel();
        let bytes = command.encoded_len();
        let share =
            u32::try_from(bytes).ok().and_then(|bytes| self.room.clone().try_acquire_many_owned(bytes).ok());
        let share = share.ok_or_else(|| self.overloaded())?;
        self.queue.try_send(Waiting { command, bytes, reply, _share: share }).map_err(
            |refused| match refused {
                mpsc::error::TrySendError::Full(_) => self.overloaded(),
                mpsc::error::TrySendError::Closed(_) => {
                    ProposeError::Stopped("the node is stopping".to_owned())
                }
            },
        )?;
        self.metrics.write_queue_depth.set(self.depth() as u64);
        match tokio::time::timeout_at(deadline, answer).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => {
                Err(ProposeError::Unknown("the node stopped while the write was under way".to_owned()))
            }
            Err(_) => Err(ProposeError::Unknown("the write was not confirmed in time".to_owned())),
        }
    }

    fn overloaded(&self) -> ProposeError {
        self.metrics.overloaded_total.inc();
        ProposeError::Overloaded
    }

    fn depth(&self) -> usize {
        self.queue.max_capacity() - self.queue.capacity()
    }
}

/// How fast commands leave a queue in which more wait than fit into one entry.
#[derive(Default)]
struct Pace {
    /// Nanoseconds that one took, of late; 0 when that is not known.
    per_command: AtomicU64,
}

impl Pace {
    /// How long a command waits that finds `waiting` before it; nothing when that is not known.
    fn wait_of(&self, waiting: usize) -> Duration {
        Duration::from_nanos(self.per_command.load(Ordering::Relaxed).saturating_mul(waiting as u64))
    }

    /// `commands` left the queue in a time in which it was never empty; `None` when it was.
    fn note(&self, commands: usize, busy: Option<Duration>) {
        // What was measured before a pause says nothing about now.
        let Some(busy) = busy else { return self.per_command.store(0, Ordering::Relaxed) };
        let latest = u64::try_from(busy.as_nanos()).unwrap_or(u64::MAX) / (commands.max(1) as u64);
        let before = self.per_command.load(Ordering::Relaxed);
        let now = if before == 0 { latest } else { before / 4 * 3 + latest / 4 };
        self.per_command.store(now, Ordering::Relaxed);
    }
}

struct Worker {
    raft: Raft,
    pace: Arc<Pace>,
    in_flight: Arc<Semaphore>,
    config: RaftConfig,
    metrics: Arc<Metrics>,
}

impl Worker {
    async fn run(self, mut queue: mpsc::Receiver<Waiting>) {
        let mut held = None;
        // Since when the queue has not been empty.
        let mut busy: Option<Instant> = None;
        loop {
            let Some(first) = (match held.take() {
                Some(waiting) => Some(waiting),
                None => queue.recv().await,
            }) else {
                return;
            };
            let Ok(permit) = self.in_flight.clone().acquire_owned().await else { return };
            let (batch, too_much) = self.gather(first, &mut queue);
            self.metrics.write_queue_depth.set(queue.len() as u64);
            self.pace.note(batch.len(), busy.map(|since| since.elapsed()));
            held = too_much;
            busy = (held.is_some() || !queue.is_empty()).then(Instant::now);
            if !batch.is_empty() {
                self.propose(batch, permit);
            }
        }
    }

    /// What waits now, up to the bounds of one entry, and the first command that did not fit.
    fn gather(&self, first: Waiting, queue: &mut mpsc::Receiver<Waiting>) -> (Vec<Waiting>, Option<Waiting>) {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        let mut next = Some(first);
        while let Some(waiting) = next {
            if waiting.reply.is_closed() {
                next = queue.try_recv().ok();
                continue;
            }
            bytes += waiting.bytes;
            if !batch.is_empty() && bytes > self.config.max_entry_bytes {
                return (batch, Some(waiting));
            }
            batch.push(waiting);
            if batch.len() >= self.config.max_commands_per_entry {
                break;
            }
            next = queue.try_recv().ok();
        }
        (batch, None)
    }

    fn propose(&self, waiting: Vec<Waiting>, permit: OwnedSemaphorePermit) {
        let with_entropy = |waiting: Waiting| (with_entropy(waiting.command), waiting.reply);
        let (commands, replies): (Vec<_>, Vec<_>) = waiting.into_iter().map(with_entropy).unzip();
        self.metrics.observe_proposal(commands.len());
        let batch =
            Batch { proposed_at_ms: now_ms(), request_window_ms: self.config.request_window_ms, commands };
        let raft = self.raft.clone();
        tokio::spawn(async move {
            let written = raft.client_write(Proposal(batch.encode_to_vec().into())).await;
            drop(permit);
            match written {
                Ok(response) => {
                    for (reply, result) in replies.into_iter().zip(response.data.0) {
                        // A caller that has gone no longer wants its reply.
                        drop(reply.send(Ok(result)));
                    }
                }
                Err(error) => {
                    let error = propose_error(error);
                    replies.into_iter().for_each(|reply| drop(reply.send(Err(error.clone()))));
                }
            }
        });
    }
}

/// Proposes a command of the cluster itself in an entry of its own, past the queue, and waits for its reply. It has no
/// request id, so that no reply of it is kept.
///
/// # Errors
/// `NotLeader`, `Unknown`.
pub async fn propose_alone(raft: &Raft, op: Op) -> Result<Reply, ProposeError> {
    let commands = vec![Command { op: Some(op), ..Command::default() }];
    let batch = Batch { proposed_at_ms: now_ms(), request_window_ms: 0, commands };
    let written = raft.client_write(Proposal(batch.encode_to_vec().into())).await.map_err(propose_error)?;
    written
        .data
        .0
        .into_iter()
        .next()
        .ok_or_else(|| ProposeError::Unknown("the entry has no reply".to_owned()))
}

/// The leader's wall clock, which goes into the batch: apply itself reads no clock.
#[expect(clippy::disallowed_methods, reason = "the one stamp that goes into the log")]
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The command with random bytes when it makes numbers, and without any when it does not: they come from here alone.
#[expect(clippy::disallowed_methods, reason = "the one draw that goes into the log")]
fn with_entropy(command: Command) -> Command {
    let needs = needs_entropy(&command);
    let entropy = if needs { rand::random::<[u8; ENTROPY_BYTES]>().to_vec() } else { Vec::new() };
    Command { entropy: entropy.into(), ..command }
}

fn propose_error(error: RaftError<TypeConfig, ClientWriteError<TypeConfig>>) -> ProposeError {
    match error {
        RaftError::APIError(ClientWriteError::ForwardToLeader(to)) => ProposeError::NotLeader(to.leader_id),
        RaftError::APIError(other) => ProposeError::Unknown(other.to_string()),
        // It may have been appended, and sent, before Raft ended.
        RaftError::Fatal(fatal) => ProposeError::Unknown(fatal.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_is_told_from_the_pace_while_there_is_one() {
        let pace = Pace::default();
        let ms = Duration::from_millis;
        assert_eq!(pace.wait_of(1_000), Duration::ZERO, "nothing is known yet");
        pace.note(100, Some(ms(100)));
        assert_eq!(pace.wait_of(250), ms(250));
        // Four times as slow once: the pace follows by a quarter.
        pace.note(100, Some(ms(500)));
        assert_eq!(pace.wait_of(250), ms(500));
        pace.note(256, None);
        assert_eq!(pace.wait_of(1_000), Duration::ZERO, "the queue was empty: what was measured is over");
    }
}
