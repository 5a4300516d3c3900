//! Reading: which freshness a request asks for, and rows of one consistent view.

use std::time::Duration;

use tonic::Status;

use super::status;
use crate::domain::error::rejection;
use crate::domain::validate;
use crate::proto::registry::{
    Consistency, ErrorReason, KeyResolution, Person, PersonKey, ReadOptions, Rejection,
};
use crate::raft::{AsOf, AsOfError, Error, Fault, ReadMode, Reading, Resolved, StateView, StorageError};

/// One consistent view of local state, at the place that was asked for.
pub(super) struct View {
    /// The rows.
    pub state: StateView,
    /// The read mode that was served.
    pub served: Consistency,
    /// The answer is no older than this; `u32::MAX` when nothing is known.
    pub staleness_bound_ms: u32,
    /// Where a failing disk is declared.
    fault: Fault,
}

/// A person found by a key.
pub(super) struct Found {
    /// The record.
    pub person: Person,
    /// How the key led to it.
    pub resolution: KeyResolution,
}

/// The read mode that options ask for; absent options are linearizable.
///
/// # Errors
/// `FIELD_INVALID` for an unknown mode, a bound out of range, or a field of another mode: a caller who sets a revision
/// and forgets the mode would otherwise silently read the present.
pub(super) fn mode(options: Option<&ReadOptions>) -> Result<ReadMode, Rejection> {
    let Some(options) = options else { return Ok(ReadMode::Linearizable) };
    validate::read_options(options)?;
    let invalid = |field, detail: &str| Err(rejection(ErrorReason::FieldInvalid, field, detail));
    use Consistency::{AsOf as AtTime, AtLeast, BoundedStale, Linearizable, Unspecified};
    let consistency = options.consistency();
    if options.revision != 0 && !matches!(consistency, AtLeast | AtTime) {
        return invalid("options.revision", "goes with AT_LEAST and AS_OF only");
    }
    if options.max_staleness_ms != 0 && consistency != BoundedStale {
        return invalid("options.max_staleness_ms", "goes with BOUNDED_STALE only");
    }
    if options.as_of_ms != 0 && consistency != AtTime {
        return invalid("options.as_of_ms", "goes with AS_OF only");
    }
    Ok(match consistency {
        Unspecified | Linearizable => ReadMode::Linearizable,
        AtLeast if options.revision == 0 => return invalid("options.revision", "AT_LEAST needs one from 1"),
        AtLeast => ReadMode::AtLeast(options.revision),
        BoundedStale => ReadMode::BoundedStale(Duration::from_millis(options.max_staleness_ms)),
        AtTime if options.revision != 0 => ReadMode::AsOf(AsOf::Revision(options.revision)),
        AtTime => ReadMode::AsOf(AsOf::Instant(options.as_of_ms)),
    })
}

impl View {
    /// Takes the view that raft gave leave to read.
    ///
    /// # Errors
    /// `REVISION_FUTURE` when the view has not reached the place asked for.
    pub fn of(reading: Reading) -> Result<Self, Status> {
        let Reading { state, at, served, staleness_bound_ms, fault } = reading;
        let view = state.view();
        let state = match at {
            None => view,
            Some(at) => view.at(at).map_err(|error| match error {
                AsOfError::RevisionFuture { current } => status::failed(Error::RevisionFuture { current }),
            })?,
        };
        Ok(Self { state, served, staleness_bound_ms, fault })
    }

    /// The disk failed under this view: the node goes out of service, and out of voting.
    pub fn failed(&self, error: &StorageError) -> Status {
        self.fault.declare(format!("a read of its state failed: {error}"));
        status::out_of_service()
    }

    /// The one person that a request is about.
    ///
    /// # Errors
    /// `PERSON_NOT_FOUND` and `AMBIGUOUS_KEY` at the revision read; `NODE_FAULT` when this node's disk fails.
    pub fn only(&self, key: &PersonKey, field: &str) -> Result<Found, Status> {
        self.person(key, field)?.map_err(|missing| status::rejected_at(&missing, self.state.revision()))
    }

    /// The person a valid key leads to, or why there is none: `PERSON_NOT_FOUND` or `AMBIGUOUS_KEY` at `field`.
    ///
    /// # Errors
    /// `NODE_FAULT` when this node's disk fails.
    pub fn person(&self, key: &PersonKey, field: &str) -> Result<Result<Found, Rejection>, Status> {
        Ok(match self.state.resolve(key).map_err(|error| self.failed(&error))? {
            Resolved::Found { row, resolution } => {
                let person =
                    row.person.ok_or_else(|| status::broken("a row of the person table has no person"))?;
                Ok(Found { person, resolution })
            }
            Resolved::NotFound => Err(rejection(
                ErrorReason::PersonNotFound,
                field,
                "no such person at the revision that was read",
            )),
            Resolved::Ambiguous(holders) => {
                let detail =
                    format!("{holders} people hold this CMND number: name one by personal id or uid");
                Err(rejection(ErrorReason::AmbiguousKey, field, detail))
            }
        })
    }
}

/// The person of one key of a batch: a malformed key is a result here, so that it does not spoil the others.
///
/// # Errors
/// `NODE_FAULT` when this node's disk fails.
pub(super) fn lookup(
    view: &View,
    key: Option<&PersonKey>,
    field: &str,
) -> Result<Result<Found, Rejection>, Status> {
    match (validate::key(key, field), key) {
        (Ok(()), Some(key)) => view.person(key, field),
        (Err(malformed), _) => Ok(Err(malformed)),
        (Ok(()), None) => Err(status::broken("an absent key was found valid")),
    }
}

/// Runs the lookups of a batch on a thread where waiting for the disk holds up nobody.
///
/// # Errors
/// What `work` fails with.
pub(super) async fn run_batch<T: Send + 'static>(
    work: impl FnOnce() -> Result<Vec<T>, Status> + Send + 'static,
) -> Result<Vec<T>, Status> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err(status::broken("the thread of a batch died")))
}
