//! One write: from its kind to the operation, and what it comes to.

use std::collections::BTreeSet;

use super::people::People;
use super::{
    Counters, Effect, Stop, View, adoption, birth, correction, create, credential, death, eid, marriage,
    merge, numbers, replace, residence, status,
};
use crate::domain::error::rejection;
use crate::domain::policy::Licence;
use crate::domain::validate;
use crate::proto::registry::event::Event as Life;
use crate::proto::registry::write::Write as Kind;
use crate::proto::registry::{ErrorReason, Event, Rejection, RequestContext, Write, Written};

/// What one write comes to.
pub(super) struct Applied {
    /// The answer.
    pub(super) written: Written,
    /// True when it added a person.
    pub(super) created: bool,
    /// The rows; none when nothing changed.
    pub(super) effects: Vec<Effect>,
    /// Everybody it named or changed.
    pub(super) drafted: BTreeSet<u64>,
}

/// Where a write comes from.
#[derive(Clone, Copy)]
pub(super) struct Origin<'a> {
    /// Who wrote it.
    pub(super) context: &'a RequestContext,
    /// Random bytes of the leader.
    pub(super) entropy: &'a [u8],
    /// What its writer may do.
    pub(super) licence: &'a Licence,
}

/// What a write puts on the versions that it makes.
pub(super) struct Stamp<'a> {
    /// The revision that a change gets.
    pub(super) revision: u64,
    /// Where it comes from.
    pub(super) origin: Origin<'a>,
    /// Its position in a write set, from 0.
    pub(super) position: usize,
    /// The time, and the uid of a person that is added.
    pub(super) counters: Counters,
    /// People that may not be named again: those of the same all-or-nothing batch so far.
    pub(super) named: Option<&'a BTreeSet<u64>>,
}

impl Stamp<'_> {
    /// Refuses a person that the batch has named or changed before.
    pub(super) fn once(&self, uid: u64, field: &str) -> Result<(), Rejection> {
        if self.named.is_some_and(|named| named.contains(&uid)) {
            let detail = "an all-or-nothing batch may change a person once, events included";
            return Err(rejection(ErrorReason::FieldInvalid, field, detail));
        }
        Ok(())
    }
}

/// Decides one write. `Stop::Rejected` is its rejection.
pub(super) fn decide<V: View>(view: &V, stamp: &Stamp<'_>, write: &Write) -> Result<Applied, Stop<V::Error>> {
    let mut people = People::new(view, stamp);
    match validate::frame(write)? {
        Kind::Create(c) => create::create(&mut people, c)?,
        Kind::Update(u) => replace::update(&mut people, u)?,
        Kind::Patch(p) => replace::patch(&mut people, p)?,
        Kind::Event(e) => event(&mut people, e)?,
        Kind::SetStatus(s) => status::set(&mut people, s)?,
        Kind::Merge(m) => merge::merge(&mut people, m)?,
        Kind::AssignPersonalId(a) => numbers::assign(&mut people, a)?,
        Kind::CancelPersonalId(c) => numbers::cancel(&mut people, c)?,
        Kind::Credential(c) => credential::change(&mut people, c)?,
        Kind::Eid(e) => eid::change(&mut people, e)?,
    }
    people.finish()
}

fn event<'a, V: View>(people: &mut People<'a, V>, event: &'a Event) -> Result<(), Stop<V::Error>> {
    people.source = event.source.as_ref();
    match &event.event {
        Some(Life::Birth(b)) => birth::birth(people, b),
        Some(Life::Death(d)) => death::death(people, d),
        Some(Life::Marriage(m)) => marriage::marriage(people, m),
        Some(Life::Divorce(d)) => marriage::divorce(people, d),
        Some(Life::Move(m)) => {
            // Whoever moves in is still the other province's.
            people.from_anywhere =
                m.to.as_ref().is_some_and(|to| people.stamp.origin.licence.covers_address(to));
            residence::change(people, m)
        }
        Some(Life::Correction(c)) => correction::correct(people, c),
        Some(Life::Adoption(a)) => adoption::adopt(people, a),
        None => Stop::rejected(ErrorReason::FieldInvalid, "event", "name the event"),
    }
}
