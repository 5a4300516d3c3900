//! One admitted request: its place among those in flight, its deadline, and its way to the node.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use prost::Message;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep, timeout_at};
use tonic::{Request, Status};

use super::budget::{Quotas, Uncounted};
use super::caller::Caller;
use super::observe::{BATCHES, IMPORT, OTHER, VERIFY_STREAM};
use super::read::View;
use super::{Shared, deadline, meta, observe, status};
use crate::audit::Audit;
use crate::domain::error::rejection;
use crate::domain::policy::Policies;
use crate::machine;
use crate::proto::registry::{
    Checkpoint, ConsentRecord, ErrorReason, LogCoverage, RequestContext, ResponseMeta,
};
use crate::proto::store::{Command, Reply, reply};
use crate::raft::{Error, Fault, ReadMode, Reading, StateView};
use crate::receipt::{KeySet, Pen};
use crate::tls::Holder;

/// When a refused caller may come back: a few of the requests in flight have ended by then.
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// Requests in flight that make no overload, however late they run: then something else keeps the machine busy, and to
/// refuse them would help nobody.
pub(super) const FEW: usize = 64;

/// What a node that works against the same deadline has to say that it ran out.
const GRACE: Duration = Duration::from_millis(10);

/// How long the other nodes may take to say what they have recorded.
const FETCH: Duration = Duration::from_secs(1);

/// A request in flight. Dropping it makes room for another.
pub(super) struct Call {
    shared: Arc<Shared>,
    deadline: Instant,
    caller: Caller,
    /// Whether the caller named a correlation id.
    correlated: bool,
    _permit: OwnedSemaphorePermit,
    /// Its place among those of its agency.
    _share: Option<OwnedSemaphorePermit>,
}

impl Shared {
    /// Takes a request in, or refuses it.
    ///
    /// # Errors
    /// `OVERLOADED` with the time to come back, `NOT_READY` during the shutdown, `FIELD_INVALID` for a malformed
    /// deadline.
    pub(super) fn admit<T>(self: &Arc<Self>, request: &Request<T>) -> Result<Call, Status> {
        let deadline = deadline::of(request.metadata(), &self.limits)?;
        if self.stopping.is_cancelled() {
            return Err(status::stopping());
        }
        let permit = self.gate.clone().try_acquire_owned().map_err(|_| self.refusal())?;
        let correlated = observe::is_correlated(request.extensions());
        let caller = observe::caller(request.extensions())?;
        let share = self.shares.place(&caller).ok_or_else(|| self.refusal())?;
        Ok(Call { shared: self.clone(), deadline, caller, correlated, _permit: permit, _share: share })
    }

    /// Whether a call of this method may begin at all, of which nothing but its name was read. Those of operators may, and
    /// streams, which are taken in part by part.
    ///
    /// # Errors
    /// `OVERLOADED` with the time to come back.
    pub(super) fn is_welcome(&self, method: &str) -> Result<(), Status> {
        let always = matches!(method, OTHER | IMPORT | VERIFY_STREAM)
            || ["ClusterAdmin/", "Health/", "ServerReflection/"]
                .iter()
                .any(|service| method.starts_with(service));
        let too_many = || BATCHES.contains(&method) && self.batch_pace.is_too_slow(self.max_lag());
        if always || !(self.is_too_late() || too_many()) { Ok(()) } else { Err(self.refusal()) }
    }

    fn refusal(&self) -> Status {
        self.metrics.overloaded_total.inc();
        status::overloaded(RETRY_AFTER)
    }

    /// True when there are more requests than can be answered soon.
    fn is_too_late(&self) -> bool {
        let in_flight = self.limits.max_requests_in_flight.saturating_sub(self.gate.available_permits());
        in_flight > FEW && self.lag.now() > self.max_lag()
    }

    fn max_lag(&self) -> Duration {
        Duration::from_millis(self.limits.max_lag_ms)
    }

    /// Takes in a part of a stream that was admitted earlier: waits for room, so that the stream's sender is slowed
    /// down instead of refused.
    ///
    /// # Errors
    /// `OVERLOADED` when there is no room within the default deadline.
    pub(super) async fn admit_part(self: &Arc<Self>, caller: Caller) -> Result<Call, Status> {
        let deadline = Instant::now() + Duration::from_millis(self.limits.default_deadline_ms);
        let places = async { (self.shares.wait(&caller).await, self.gate.clone().acquire_owned().await) };
        match timeout_at(deadline, places).await {
            Ok((share, Ok(permit))) => {
                // The wait does not count against the work.
                let deadline = Instant::now() + Duration::from_millis(self.limits.default_deadline_ms);
                Ok(Call {
                    _share: share,
                    shared: self.clone(),
                    deadline,
                    caller,
                    correlated: true,
                    _permit: permit,
                })
            }
            Ok((_, Err(_))) => Err(status::stopping()),
            Err(_) => Err(self.refusal()),
        }
    }
}

impl Call {
    /// Checks that a validated context is the caller's own, and puts its ids into the request's span.
    ///
    /// Returns the agency in whose name the caller asks.
    ///
    /// # Errors
    /// `AGENCY_MISMATCH` when it is not.
    pub(super) fn identify(&self, context: &RequestContext) -> Result<String, Status> {
        let agency = self.caller.agency(context)?;
        observe::identify(context, agency, self.correlated);
        Ok(agency.to_owned())
    }

    /// Who calls.
    pub(super) fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Has a command of the caller applied, which asks about or changes so many people. Whether the caller's agency is
    /// licensed for it is decided where the command is, alike on every node.
    ///
    /// # Errors
    /// See [`status::failed`], and [`Call::spend`]. A rejected command is a reply.
    pub(super) async fn write(&self, command: Command, people: usize) -> Result<Reply, Status> {
        let command = self.licensed(command, people).await?;
        self.within(self.shared.node.write(command, self.deadline)).await
    }

    /// Has a command of the cluster itself applied.
    ///
    /// # Errors
    /// See [`status::failed`].
    pub(super) async fn write_unlicensed(&self, command: Command) -> Result<Option<reply::Reply>, Status> {
        Ok(self.within(self.shared.node.write(command, self.deadline)).await?.reply)
    }

    /// The same command, marked with whether the caller has shown who they are; it counts against the agency's quota.
    async fn licensed(&self, command: Command, people: usize) -> Result<Command, Status> {
        let Caller::Known(Holder::Agency(id)) = &self.caller else { return Ok(command) };
        let policies = self.shared.node.policies().map_err(status::failed)?;
        self.spend(policies.agency(id), people as u64).await?;
        Ok(Command { licensed: true, ..command })
    }

    /// What this node has reserved of the agencies' quotas.
    pub(super) fn quotas(&self) -> &Quotas {
        &self.shared.quotas
    }

    /// Wrong claims that this node has noted and the cluster has not counted yet.
    pub(super) fn uncounted(&self) -> &Arc<Uncounted> {
        &self.shared.uncounted
    }

    /// Whether the caller is an agency that showed who it is, so that it needs a licence for what it asks.
    pub(super) fn needs_licence(&self) -> bool {
        matches!(self.caller, Caller::Known(Holder::Agency(_)))
    }

    /// All agencies, procedures and policies as they stand now, and what a look at consents finds; linearizable.
    ///
    /// # Errors
    /// See [`status::failed`].
    pub(super) async fn policies(&self) -> Result<Stand, Status> {
        let reading = self.reading(ReadMode::Linearizable).await?;
        let state = reading.state.view();
        let meta = meta::linearizable(self.shared.node.about(), state.revision());
        Ok(Stand { state, meta, fault: reading.fault })
    }

    /// The same for a part of a stream: while the leader takes no more, it waits and asks again, so that the stream's sender
    /// is slowed down instead of refused. That wait does not count against the work: nothing of it is under way.
    ///
    /// # Errors
    /// As [`Call::write`]; `OVERLOADED` when the leader took it at no time within the longest deadline.
    pub(super) async fn write_part(&self, command: Command, people: usize) -> Result<Reply, Status> {
        let command = self.licensed(command, people).await?;
        let limits = &self.shared.limits;
        let gives_up = Instant::now() + Duration::from_millis(limits.max_deadline_ms);
        loop {
            let deadline = Instant::now() + Duration::from_millis(limits.default_deadline_ms);
            match until(deadline, self.shared.node.write(command.clone(), deadline)).await? {
                Err(Error::Overloaded { retry_after }) if Instant::now() + retry_after < gives_up => {
                    sleep(retry_after).await;
                }
                outcome => return outcome.map_err(status::failed),
            }
        }
    }

    /// Waits until local state may be read in this mode. For [`super::lookup`] alone, which records what is read.
    ///
    /// # Errors
    /// See [`status::failed`].
    pub(super) async fn reading(&self, mode: ReadMode) -> Result<Reading, Status> {
        self.within(self.shared.node.read(mode, self.deadline)).await
    }

    /// The newest checkpoint of a node's audit log.
    ///
    /// # Errors
    /// See [`status::failed`].
    pub(super) async fn audit_checkpoint(&self, node_id: u64) -> Result<Option<Checkpoint>, Status> {
        self.within(self.shared.node.audit_checkpoint(node_id, self.deadline)).await
    }

    /// What signs the receipt of an answer.
    ///
    /// # Errors
    /// `RECEIPT_UNAVAILABLE` when this node signs none now.
    pub(super) fn pen(&self) -> Result<Pen, Status> {
        self.shared.node.receipts().and_then(|keyring| keyring.pen()).ok_or_else(status::unsigned)
    }

    /// The keys of all receipts of this cluster, as far as this node knows them.
    ///
    /// # Errors
    /// See [`status::failed`].
    pub(super) async fn receipt_keys(&self) -> Result<KeySet, Status> {
        self.within(self.shared.node.receipt_keys()).await
    }

    /// Waits until this node has applied all that was agreed on before.
    ///
    /// # Errors
    /// See [`status::failed`].
    pub(super) async fn catch_up(&self) -> Result<(), Status> {
        self.within(self.shared.node.read(ReadMode::Linearizable, self.deadline)).await.map(drop)
    }

    /// Fetches what the other nodes have recorded, as far as they can be reached soon, and says how much is here.
    ///
    /// # Errors
    /// `CLUSTER_STATE` when this node is none of those that hold the logs of all.
    pub(super) async fn fetch_audit(&self) -> Result<Vec<LogCoverage>, Status> {
        let soon = self.deadline.min(Instant::now() + FETCH);
        self.shared.node.fetch_audit(soon).await.map_err(status::failed)
    }

    /// This node's part of the audit trail.
    ///
    /// # Errors
    /// `CLUSTER_STATE` when accesses are not recorded here, `NOT_READY` while the node waits for a cluster.
    pub(super) fn audit(&self) -> Result<&Arc<Audit>, Status> {
        self.shared.node.audit().ok_or_else(|| match self.shared.node.readiness() {
            Ok(()) => {
                status::failed(Error::ClusterState("accesses are not recorded on this node".to_owned()))
            }
            Err(why) => status::failed(Error::NotReady(why)),
        })
    }

    /// Waits for something else than the node until the deadline.
    ///
    /// # Errors
    /// `DEADLINE`.
    pub(super) async fn in_time<T>(&self, work: impl Future<Output = T>) -> Result<T, Status> {
        until(self.deadline, work).await
    }

    async fn within<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Status> {
        until(self.deadline, work).await?.map_err(status::failed)
    }

    /// Runs lookups on a thread where waiting for the disk holds up nobody. Few at a time: more would not be done sooner.
    ///
    /// # Errors
    /// `OVERLOADED` when it would wait too long for that; what `work` fails with.
    pub(super) async fn run_batch<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Status> + Send + 'static,
    ) -> Result<T, Status> {
        let Shared { batches, batch_pace, .. } = &*self.shared;
        let place = batch_pace.place(1, self.shared.max_lag()).ok_or_else(|| self.shared.refusal())?;
        let permit = match timeout_at(self.deadline, batches.clone().acquire_owned()).await {
            Ok(Ok(permit)) => permit,
            Ok(Err(_)) => return Err(status::stopping()),
            Err(_) => return Err(status::out_of_time()),
        };
        // The thread holds them: it goes on when the caller has gone.
        let pace = batch_pace.clone();
        let done = machine::blocking(move || {
            let _held = (place, permit);
            let done = work();
            pace.done(1);
            done
        })
        .await;
        done.unwrap_or_else(|_| Err(status::broken("the thread of a batch died")))
    }

    /// About the answer to a write.
    pub(super) fn meta_of_write(&self, revision: u64, record_revision: u64) -> ResponseMeta {
        meta::of_write(self.shared.node.about(), revision, record_revision)
    }

    /// About the answer to a read.
    pub(super) fn meta_of_read(&self, view: &View, record_revision: u64) -> ResponseMeta {
        meta::of_read(self.shared.node.about(), view, record_revision)
    }

    /// Refuses an answer that is too large to send.
    ///
    /// # Errors
    /// `TOO_LARGE` with what to do about it.
    pub(super) fn sendable<T: Message>(&self, answer: T, field: &str) -> Result<T, Status> {
        let limit = self.shared.limits.max_message_bytes;
        if answer.encoded_len() <= limit {
            return Ok(answer);
        }
        let detail = format!("the answer would have more than {limit} bytes: ask for less at once");
        Err(status::rejected(&rejection(ErrorReason::TooLarge, field, detail)))
    }

    /// The largest message sent or read, in bytes.
    pub(super) fn max_message_bytes(&self) -> usize {
        self.shared.limits.max_message_bytes
    }
}

/// How policies and consents stand: nobody's record.
pub(super) struct Stand {
    state: StateView,
    fault: Fault,
    /// About an answer from it.
    pub meta: ResponseMeta,
}

impl Stand {
    /// All agencies, procedures and policies.
    pub fn policies(&self) -> &Policies {
        self.state.policies()
    }

    /// A consent, by its id.
    ///
    /// # Errors
    /// `NODE_FAULT` when the disk fails.
    pub fn consent(&self, id: &str) -> Result<Option<ConsentRecord>, Status> {
        self.state.consent(id).map_err(|error| {
            self.fault.declare(format!("a read of its state failed: {error}"));
            status::out_of_service()
        })
    }
}

/// Waits for the node until `deadline`; little longer, whatever it does.
async fn until<T>(deadline: Instant, work: impl Future<Output = T>) -> Result<T, Status> {
    timeout_at(deadline + GRACE, work).await.map_err(|_| status::out_of_time())
}
