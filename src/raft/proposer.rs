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
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use openraft::errors::{ClientWriteError, RaftError};
use prost::Message;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::Instant;

use crate::config::RaftConfig;
use crate::domain::command::{ENTROPY_BYTES, needs_entropy};
use crate::metrics::Metrics;
use crate::pace::{Pace, Place};
use crate::proto::store::{Batch, Command, Reply, command::Op};
use crate::raft::error::ProposeError;
use crate::raft::types::{Proposal, Raft, TypeConfig};

/// So many writes may always wait, however long: as many single ones as fit into one entry. With fewer the pace is that of
/// small entries, which says little about a larger one. A leader that has answered nothing yet takes no more than these.
const ALWAYS: usize = 256;

struct Waiting {
    command: Command,
    bytes: usize,
    reply: oneshot::Sender<Result<Reply, ProposeError>>,
    place: Place,
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
    metrics: Arc<Metrics>,
}

impl Proposer {
    /// Starts the task that proposes; it ends when the last handle is dropped.
    pub fn start(raft: Raft, config: RaftConfig, metrics: Arc<Metrics>) -> Self {
        let (queue, waiting) = mpsc::channel(config.write_queue_commands);
        let room = Arc::new(Semaphore::new(config.write_queue_bytes.min(Semaphore::MAX_PERMITS)));
        let pace = Pace::new(ALWAYS);
        let max_wait = Duration::from_millis(config.write_queue_ms);
        let worker = Worker {
            raft,
            pace: pace.clone(),
            in_flight: Arc::new(Semaphore::new(config.max_entries_in_flight)),
            config,
            metrics: metrics.clone(),
        };
        tokio::spawn(worker.run(waiting));
        Self { queue, room, pace, max_wait, metrics }
    }

    /// Proposes a command here and waits for its reply until `deadline`.
    ///
    /// # Errors
    /// See [`ProposeError`]: only `NotLeader` and `Overloaded` say that nothing was left behind.
    pub async fn submit(&self, command: Command, deadline: Instant) -> Result<Reply, ProposeError> {
        let (reply, answer) = oneshot::channel();
        let bytes = command.encoded_len();
        let share =
            u32::try_from(bytes).ok().and_then(|bytes| self.room.clone().try_acquire_many_owned(bytes).ok());
        let share = share.ok_or_else(|| self.overloaded())?;
        let place = self.pace.place(writes_of(&command), self.max_wait).ok_or_else(|| self.overloaded())?;
        self.queue.try_send(Waiting { command, bytes, reply, place, _share: share }).map_err(|refused| {
            match refused {
                mpsc::error::TrySendError::Full(_) => self.overloaded(),
                mpsc::error::TrySendError::Closed(_) => {
                    ProposeError::Stopped("the node is stopping".to_owned())
                }
            }
        })?;
        self.metrics.write_queue_depth.set(self.depth());
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

    fn depth(&self) -> u64 {
        (self.queue.max_capacity() - self.queue.capacity()) as u64
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
            held = too_much;
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
        let with_entropy = |waiting: Waiting| (with_entropy(waiting.command), (waiting.reply, waiting.place));
        let (commands, replies): (Vec<_>, Vec<_>) = waiting.into_iter().map(with_entropy).unzip();
        self.metrics.observe_proposal(commands.len());
        let batch =
            Batch { proposed_at_ms: now_ms(), request_window_ms: self.config.request_window_ms, commands };
        let (raft, pace) = (self.raft.clone(), self.pace.clone());
        tokio::spawn(async move {
            let written = raft.client_write(Proposal(batch.encode_to_vec().into())).await;
            drop(permit);
            match written {
                Ok(response) => {
                    pace.done(replies.iter().map(|(_, place)| place.units()).sum());
                    for ((reply, _place), result) in replies.into_iter().zip(response.data.0) {
                        // A caller that has gone no longer wants its reply.
                        drop(reply.send(Ok(result)));
                    }
                }
                Err(error) => {
                    let error = propose_error(error);
                    replies.into_iter().for_each(|(reply, _place)| drop(reply.send(Err(error.clone()))));
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

/// How many records a command writes: what takes the time.
fn writes_of(command: &Command) -> usize {
    match &command.op {
        Some(Op::WriteSet(set)) => set.writes.len().max(1),
        _ => 1,
    }
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
