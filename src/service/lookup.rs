//! The one way by which a method reads the register: what it finds and what it answers is recorded before the answer leaves.
//!
//! ```text
//! Shared::lookup -> admitted -> the method, with a Lookup -> Trail: who was found, which fields, which verdicts
//!                                                               |
//!                   the answer leaves <- durable <- Audit::record <- and how it ended: given, or refused and why
//! ```
//!
//! Only a [`Lookup`] gives leave to read, after it asked the caller's licence for what the method needs, and only a [`View`]
//! leads to people, noting each: a method that reads without being licensed and recorded cannot be written by mistake. What it was asked about is noted even when it refuses.
//!
//! A caller that goes away, or whose time runs out, may leave a record of an answer that it never got. There is one of what
//! the caller may not call, and none of what else was refused before anything was read of the request.

use std::future::Future;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tonic::{Request, Response, Status};

use super::call::Call;
use super::caller::Caller;
use super::read::{self, View};
use super::{Shared, status};
use crate::domain::policy::Licence;
use crate::domain::validate;
use crate::proto::registry::{
    AccessRecord, AccessedPerson, AttributeVerdict, Consistency, LegalBasis, PersonField, ReadOptions,
    Rejection, RequestContext,
};
use crate::raft::ReadMode;

/// A request that reads: a [`Call`] with the record that is being made of it.
pub(super) struct Lookup {
    call: Call,
    trail: Trail,
    /// Who asks and for what, once that was validated.
    asker: OnceLock<RequestContext>,
}

/// The record of an access, as far as it is known.
#[derive(Clone, Default)]
pub(super) struct Trail(Arc<Mutex<AccessRecord>>);

impl Shared {
    /// Serves a request of a method that reads: admits it, has it served, records it, and only then lets the answer go.
    ///
    /// # Errors
    /// See [`Shared::admit`]; what `serve` refuses; `AUDIT_UNAVAILABLE` when it cannot be recorded.
    pub(super) async fn lookup<Q, A, F, W>(
        self: &Arc<Self>,
        method: &'static str,
        request: Request<Q>,
        serve: F,
    ) -> Result<Response<A>, Status>
    where
        F: FnOnce(Arc<Lookup>, Q) -> W,
        W: Future<Output = Result<A, Status>>,
    {
        self.lookup_placed(method, request, serve).await.map(|(answer, _)| Response::new(answer))
    }

    /// The same, with the position of the record in this node's log, for what an answer says about its own record; `None`
    /// where nothing is recorded.
    ///
    /// # Errors
    /// See [`Shared::lookup`].
    pub(super) async fn lookup_placed<Q, A, F, W>(
        self: &Arc<Self>,
        method: &'static str,
        request: Request<Q>,
        serve: F,
    ) -> Result<(A, Option<u64>), Status>
    where
        F: FnOnce(Arc<Lookup>, Q) -> W,
        W: Future<Output = Result<A, Status>>,
    {
        let call = self.admit(&request)?;
        self.recorded(method, call, request.into_inner(), serve).await
    }

    /// [`Shared::lookup_placed`] for a part of a stream.
    ///
    /// # Errors
    /// See [`Shared::admit_part`] and [`Shared::lookup`].
    pub(super) async fn lookup_part<Q, A, F, W>(
        self: &Arc<Self>,
        method: &'static str,
        caller: Caller,
        request: Q,
        serve: F,
    ) -> Result<(A, Option<u64>), Status>
    where
        F: FnOnce(Arc<Lookup>, Q) -> W,
        W: Future<Output = Result<A, Status>>,
    {
        let call = self.admit_part(caller).await?;
        self.recorded(method, call, request, serve).await
    }

    async fn recorded<Q, A, F, W>(
        &self,
        method: &'static str,
        call: Call,
        request: Q,
        serve: F,
    ) -> Result<(A, Option<u64>), Status>
    where
        F: FnOnce(Arc<Lookup>, Q) -> W,
        W: Future<Output = Result<A, Status>>,
    {
        // Before it reads anything for an answer that could not leave.
        if self.node.audit().is_some_and(|audit| audit.closed().is_some()) {
            return Err(status::unrecorded());
        }
        let lookup = Arc::new(Lookup { call, trail: Trail::default(), asker: OnceLock::new() });
        let answer = serve(lookup.clone(), request).await;
        // Looked for after the answer: a node that was taken into a cluster meanwhile may have read something. One that
        // belongs to none reads nothing and has no log.
        let Some(audit) = self.node.audit() else { return answer.map(|answer| (answer, None)) };
        let mut record = std::mem::take(&mut *lookup.trail.record());
        method.clone_into(&mut record.method);
        record.caller = lookup.caller().name();
        if let Err(refused) = &answer {
            told_why(&mut record, refused);
        }
        match lookup.in_time(audit.record(record)).await {
            Ok(Ok(position)) => answer.map(|answer| (answer, Some(position))),
            // A refusal shows nothing of anybody: when the time is over it leaves, and its record is on its way.
            Err(late) => Err(answer.err().unwrap_or(late)),
            Ok(Err(error)) => {
                tracing::debug!(%error, "an answer was withheld");
                Err(status::unrecorded())
            }
        }
    }
}

impl Shared {
    /// Records a call that was refused because its method is not for the caller. Nothing was read of it, and it is refused also
    /// where it cannot be recorded.
    pub(super) async fn record_refusal(&self, method: &str, caller: &Caller, refused: &Status) {
        let Some(audit) = self.node.audit() else { return };
        let mut record =
            AccessRecord { method: method.to_owned(), caller: caller.name(), ..AccessRecord::default() };
        told_why(&mut record, refused);
        if let Err(error) = audit.record(record).await {
            tracing::debug!(%error, "a refusal was not recorded");
        }
    }
}

fn told_why(record: &mut AccessRecord, refused: &Status) {
    record.code = refused.code() as u32;
    record.reason = status::reason_of(refused).unwrap_or_default().into();
}

impl Deref for Lookup {
    type Target = Call;

    fn deref(&self) -> &Call {
        &self.call
    }
}

impl Lookup {
    /// The record of this access.
    pub fn trail(&self) -> &Trail {
        &self.trail
    }

    /// Validates the context of a read, which may be absent, and notes it in the span and in the record.
    ///
    /// # Errors
    /// `TOO_LARGE` or `FIELD_INVALID` for a field that is too long or not printable; as [`Call::identify`].
    pub fn identify_reader(&self, context: Option<&RequestContext>) -> Result<(), Status> {
        let absent = RequestContext::default();
        validate::context_for_read(context.unwrap_or(&absent))
            .map_err(|rejection| status::rejected(&rejection))?;
        let mut context = context.unwrap_or(&absent).clone();
        let identified = self.call.identify(&context);
        let refused = match identified {
            Ok(agency) => {
                context.agency_id = agency;
                // Asked for once in a call.
                let _ = self.asker.set(context.clone());
                Ok(())
            }
            Err(refused) => Err(refused),
        };
        self.trail.record().context = Some(context).filter(|context| *context != absent);
        refused
    }

    /// A view of local state that is as fresh as asked, for a caller whose licence permits what `need` asks of it. Policies
    /// are those of the same state; a consent is looked at as it stands now, whatever is read.
    ///
    /// # Errors
    /// `FIELD_INVALID` for options that contradict each other; what the licence does not permit; `QUOTA`; see
    /// [`status::failed`].
    pub async fn read(
        &self,
        options: Option<&ReadOptions>,
        need: impl FnOnce(&Licence) -> Result<(), Rejection>,
    ) -> Result<View, Status> {
        let mode = read::mode(options).map_err(|rejection| status::rejected(&rejection))?;
        let asked = options.map_or(Consistency::Linearizable, ReadOptions::consistency);
        self.trail.record().consistency = asked.into();
        let asker = match (self.needs_licence(), self.asker.get()) {
            (false, _) => None,
            (true, Some(context)) => Some(context),
            (true, None) => return Err(status::broken("a method reads before it knows who asks")),
        };
        let relies_on_consent = asker.is_some_and(|context| context.legal_basis() == LegalBasis::Consent);
        if relies_on_consent && mode != ReadMode::Linearizable {
            self.call.reading(ReadMode::Linearizable).await?;
        }
        let reading = self.call.reading(mode).await?;
        let view = View::of(reading, self.trail.clone(), asker, self.uncounted().clone())?;
        need(view.licence()).map_err(|refused| status::rejected(&refused))?;
        self.call.spend(view.licence().agency(), 1).await?;
        Ok(view)
    }
}

impl Trail {
    fn record(&self) -> MutexGuard<'_, AccessRecord> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A view was taken.
    pub fn read_at(&self, revision: u64, served: Consistency, staleness_bound_ms: u32) {
        let mut record = self.record();
        record.revision = revision;
        record.consistency = served.into();
        record.staleness_bound_ms = staleness_bound_ms;
    }

    /// A person was found, by the key of a record that was merged into theirs or, with 0, of their own.
    pub fn saw(&self, uid: u64, merged_from: u64) {
        let mut record = self.record();
        let again = |last: &AccessedPerson| last.uid == uid && last.attributes.is_empty() && merged_from == 0;
        if !record.persons.last().is_some_and(again) {
            record.persons.push(AccessedPerson { uid, merged_from, ..AccessedPerson::default() });
        }
    }

    /// The person found last was compared with claims.
    pub fn judged(&self, uid: u64, verdicts: &[AttributeVerdict]) {
        let mut record = self.record();
        if let Some(person) = record.persons.iter_mut().rfind(|person| person.uid == uid) {
            person.attributes = verdicts.iter().map(|verdict| verdict.attribute).collect();
            person.verdicts = verdicts.iter().map(|verdict| verdict.verdict).collect();
            person.strengths = verdicts.iter().map(|verdict| verdict.strength).collect();
        }
    }

    /// The answer shows these fields alone.
    pub fn limited_to(&self, fields: &[PersonField]) {
        self.record().fields = fields.iter().map(|field| (*field).into()).collect();
    }

    /// The answer came to the enum value of this name.
    pub fn came_to(&self, result: &str) {
        result.clone_into(&mut self.record().result);
    }
}
