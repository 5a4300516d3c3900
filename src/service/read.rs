//! Reading: which freshness a request asks for, and rows of one consistent view.

use std::sync::Arc;
use std::time::Duration;

use tonic::Status;

use super::budget::Uncounted;
use super::lookup::Trail;
use super::status;
use crate::audit::now_ms;
use crate::domain::command::Alias;
use crate::domain::error::rejection;
use crate::domain::fields::Fields;
use crate::domain::policy::Licence;
use crate::domain::{units, validate};
use crate::proto::registry::{
    ConsentRecord, Consistency, ErrorReason, KeyResolution, LegalBasis, PartialDate, Person, PersonKey,
    Procedure, ReadOptions, Rejection, RequestContext, UnitEdition,
};
use crate::proto::store::{GuessRow, PersonRow};
use crate::raft::{
    AsOf, AsOfError, Error, Fault, NameCursor, ReadError, ReadMode, Reading, Resolved, StateView,
};

/// One consistent view of local state, at the place that was asked for. Whoever is found through it is in the record of the
/// access: there is no other way to a person.
pub(super) struct View {
    /// The rows.
    state: StateView,
    /// The read mode that was served.
    pub served: Consistency,
    /// The answer is no older than this; `u32::MAX` when nothing is known.
    pub staleness_bound_ms: u32,
    /// Where a failing disk is declared.
    fault: Fault,
    /// Where it is noted who was found.
    trail: Trail,
    /// What the caller may learn.
    licence: Licence,
    /// Wrong claims that the state does not know yet.
    uncounted: Arc<Uncounted>,
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

/// A person whose addresses are given in the edition of units that options ask for. What stands in the registry is not
/// touched.
pub(super) fn shown(mut person: Person, options: Option<&ReadOptions>) -> Person {
    units::in_edition(&mut person, options.map_or(UnitEdition::Unspecified, ReadOptions::unit_edition));
    person
}

impl View {
    /// Takes the view that raft gave leave to read, with the licence of the agency that asks; without one, everything may be
    /// seen.
    ///
    /// # Errors
    /// Why the agency is not licensed for a call of this context; `REVISION_FUTURE` when the view has not reached the place asked for, `REVISION_COMPACTED` when the history no
    /// longer goes back to it.
    pub fn of(
        reading: Reading,
        trail: Trail,
        asker: Option<&RequestContext>,
        uncounted: Arc<Uncounted>,
    ) -> Result<Self, Status> {
        let Reading { state, at, served, staleness_bound_ms, fault } = reading;
        let view = state.view();
        let licence = match asker {
            Some(asker) => licence(&view, asker, &fault)?,
            None => Licence::everything(),
        };
        let state = match at {
            None => view,
            Some(at) => view.at(at).map_err(unreadable)?,
        };
        trail.read_at(state.revision(), served, staleness_bound_ms);
        Ok(Self { state, served, staleness_bound_ms, fault, trail, licence, uncounted })
    }

    /// Wrong claims that the state does not know yet.
    pub fn uncounted(&self) -> &Uncounted {
        &self.uncounted
    }

    /// What the caller may learn.
    pub fn licence(&self) -> &Licence {
        &self.licence
    }

    /// The registry's revision that this view reads at.
    pub fn revision(&self) -> u64 {
        self.state.revision()
    }

    /// The same view, of these fields alone: see [`StateView::of_fields`].
    pub fn of_fields(self, fields: Fields) -> Self {
        let fields = self.licence.looks_at(fields);
        Self { state: self.state.of_fields(fields), ..self }
    }

    /// The same view, of what was written at or before an instant.
    ///
    /// # Errors
    /// As [`View::of`].
    pub fn at_instant(self, instant_ms: u64) -> Result<Self, Status> {
        let state = self.state.at(AsOf::Instant(instant_ms)).map_err(unreadable)?;
        Ok(Self { state, ..self })
    }

    /// A read of this view failed. `REVISION_COMPACTED` when what it shows was compacted meanwhile; `NODE_FAULT` when the
    /// disk failed: the node goes out of service, and out of voting.
    pub fn failed(&self, error: &ReadError) -> Status {
        match error {
            ReadError::AsOf(gone) => unreadable(*gone),
            ReadError::Storage(fault) => {
                self.fault.declare(format!("a read of its state failed: {fault}"));
                status::out_of_service()
            }
        }
    }

    /// The one person that a request is about.
    ///
    /// # Errors
    /// `PERSON_NOT_FOUND` and `AMBIGUOUS_KEY` at the revision read; see [`View::failed`].
    pub fn only(&self, key: &PersonKey, field: &str) -> Result<Found, Status> {
        self.person(key, field)?.map_err(|missing| status::rejected_at(&missing, self.state.revision()))
    }

    /// The record of a uid, merged or not.
    ///
    /// # Errors
    /// As [`View::only`].
    pub fn record(&self, uid: u64, field: &str) -> Result<Person, Status> {
        let row = self.state.person(uid).map_err(|error| self.failed(&error))?;
        let person = row.and_then(|row| row.person);
        let person = person.ok_or_else(|| status::rejected_at(&not_found(field), self.state.revision()))?;
        self.trail.saw(person.uid, 0);
        match self.may_see(&person, field) {
            Ok(()) => Ok(person),
            Err(refused) => Err(status::rejected_at(&refused, self.state.revision())),
        }
    }

    /// Whether the caller may learn anything about a person.
    ///
    /// # Errors
    /// `PERSON_NOT_FOUND` for one who lives elsewhere: that they are there is not told. `CONSENT_MISSING`.
    fn may_see(&self, person: &Person, field: &str) -> Result<(), Rejection> {
        self.licence.of_person(person.uid, field)?;
        if self.licence.covers(person) { Ok(()) } else { Err(not_found(field)) }
    }

    /// The versions of a record: see [`StateView::history`].
    ///
    /// # Errors
    /// See [`View::failed`].
    pub fn history(
        &self,
        uid: u64,
        before_revision: u64,
        limit: usize,
        max_bytes: usize,
    ) -> Result<(Vec<PersonRow>, bool), Status> {
        self.trail.saw(uid, 0);
        let read = self.state.history(uid, before_revision, limit, max_bytes);
        read.map_err(|error| self.failed(&error))
    }

    /// Everybody who has an alias, by uid.
    ///
    /// # Errors
    /// See [`View::failed`].
    pub fn holders(&self, alias: &Alias) -> Result<Vec<Person>, Status> {
        let rows = self.state.holders(alias, usize::MAX).map_err(|error| self.failed(&error))?;
        let persons: Vec<Person> = rows.into_iter().filter_map(|row| row.person).collect();
        persons.iter().for_each(|person| self.trail.saw(person.uid, 0));
        Ok(persons)
    }

    /// Whether nobody else than one person has an alias that this person has. Shows nothing of anybody.
    ///
    /// # Errors
    /// See [`View::failed`].
    pub fn is_of_one_person(&self, alias: &Alias) -> Result<bool, Status> {
        // Two are enough to know.
        let holders = self.state.holders(alias, 2).map_err(|error| self.failed(&error))?;
        Ok(holders.len() == 1)
    }

    /// Those of a name: see [`StateView::named`]. Whom of them the answer shows is told by [`View::shows`].
    ///
    /// # Errors
    /// See [`View::failed`].
    pub fn named(
        &self,
        folded: &str,
        born: Option<PartialDate>,
        after: Option<NameCursor>,
        limit: usize,
    ) -> Result<(Vec<PersonRow>, Option<NameCursor>), Status> {
        self.state.named(folded, born, after, limit).map_err(|error| self.failed(&error))
    }

    /// The procedure of this code that is in use.
    pub fn procedure(&self, code: &str) -> Option<Procedure> {
        self.state.policies().procedure(code)
    }

    /// A consent as it stands now.
    ///
    /// # Errors
    /// See [`View::failed`].
    pub fn consent(&self, id: &str) -> Result<Option<ConsentRecord>, Status> {
        self.state.consent(id).map_err(|error| self.failed(&error.into()))
    }

    /// All consents of a person as they stand now.
    ///
    /// # Errors
    /// See [`View::failed`].
    pub fn consents_of(&self, uid: u64) -> Result<Vec<ConsentRecord>, Status> {
        self.state.consents_of(uid).map_err(|error| self.failed(&error.into()))
    }

    /// What an agency has guessed wrong about a person.
    ///
    /// # Errors
    /// See [`View::failed`].
    pub fn guesses(&self, agency: &str, uid: u64) -> Result<Option<GuessRow>, Status> {
        self.state.guesses(agency, uid).map_err(|error| self.failed(&error.into()))
    }

    /// One of [`View::named`], or of consents, is part of the answer.
    pub fn shows(&self, uid: u64) {
        self.trail.saw(uid, 0);
    }

    /// How a key led to a person, without a number that the caller may not learn.
    fn told(&self, resolution: KeyResolution) -> KeyResolution {
        if self.licence.shows_numbers() {
            return resolution;
        }
        KeyResolution { superseded_by: String::new(), ..resolution }
    }

    /// The person a valid key leads to, or why there is none: `PERSON_NOT_FOUND` or `AMBIGUOUS_KEY` at `field`.
    ///
    /// # Errors
    /// See [`View::failed`].
    pub fn person(&self, key: &PersonKey, field: &str) -> Result<Result<Found, Rejection>, Status> {
        Ok(match self.state.resolve(key).map_err(|error| self.failed(&error))? {
            Resolved::Found { row, resolution } => {
                let person =
                    row.person.ok_or_else(|| status::broken("a row of the person table has no person"))?;
                self.trail.saw(person.uid, resolution.merged_from);
                self.may_see(&person, field).map(|()| Found { resolution: self.told(resolution), person })
            }
            Resolved::NotFound => Err(not_found(field)),
            Resolved::Ambiguous => {
                let detail = "several people hold this CMND number: name one by personal id or uid";
                Err(rejection(ErrorReason::AmbiguousKey, field, detail))
            }
        })
    }
}

/// What the agency of a context may learn, from the policies of a view.
fn licence(view: &StateView, asker: &RequestContext, fault: &Fault) -> Result<Licence, Status> {
    let consent = match asker.legal_basis() {
        LegalBasis::Consent => view.consent(&asker.consent_id).map_err(|error| {
            fault.declare(format!("a read of its state failed: {error}"));
            status::out_of_service()
        })?,
        _ => None,
    };
    let licence = view.policies().licence(&asker.agency_id, asker, |_| consent, now_ms());
    licence.map_err(|refused| status::rejected_at(&refused, view.revision()))
}

fn not_found(field: &str) -> Rejection {
    rejection(ErrorReason::PersonNotFound, field, "no such person at the revision that was read")
}

/// Why a view cannot be moved to the place asked for.
fn unreadable(error: AsOfError) -> Status {
    match error {
        AsOfError::RevisionFuture { current } => status::failed(Error::RevisionFuture { current }),
        AsOfError::RevisionCompacted { first } => status::compacted(first),
    }
}

/// The key of a request about one person.
///
/// # Errors
/// `FIELD_INVALID` or `ID_STRUCTURE_INVALID` when it is absent or malformed.
pub(super) fn valid_key(key: Option<PersonKey>, field: &str) -> Result<PersonKey, Status> {
    validate::key(key.as_ref(), field).map_err(|rejection| status::rejected(&rejection))?;
    status::required(key, field)
}

/// The person of one key of a batch: a malformed key is a result here, so that it does not spoil the others.
///
/// # Errors
/// See [`View::failed`].
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
