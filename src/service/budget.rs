//! The budgets of an agency: how many calls it may make in a day, and how many wrong claims about a person.
//!
//! Both are replicated, so that it does not matter which node is asked. Wrong claims are counted before the verdicts leave,
//! in one command for an answer; right ones cost nothing. Calls are reserved in blocks, so that most cost nothing either: a
//! node that stops loses what is left of its block for the day, a hundredth of the quota at most.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tonic::Status;

use super::call::Call;
use super::read::View;
use super::status;
use crate::audit::now_ms;
use crate::domain::error::rejection;
use crate::domain::policy::{Licence, budget};
use crate::proto::registry::{
    Agency, AttributeVerdict, Claim, ErrorReason, Rejection, RequestContext, Verdict,
};
use crate::proto::store::{
    ChargeGuesses, Charged, Command, GuessRow, Guesses, ReservedCalls, command::Op, reply::Reply,
};

/// Calls that are reserved at once: this part of the quota, and not more than the bound.
const PART: u64 = 100;
const MOST: u64 = 1000;

/// What this node has reserved for each agency that has a quota.
#[derive(Default)]
pub(super) struct Quotas(Mutex<HashMap<String, Arc<tokio::sync::Mutex<Block>>>>);

/// Calls that are left, until the end of the day.
#[derive(Default)]
struct Block {
    left: u64,
    until_ms: u64,
}

impl Quotas {
    fn of(&self, agency: &str) -> Arc<tokio::sync::Mutex<Block>> {
        let mut blocks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        blocks.entry(agency.to_owned()).or_default().clone()
    }
}

impl Call {
    /// Spends calls of the agency's quota of today.
    ///
    /// # Errors
    /// `QUOTA`; as [`Call::write`] when more must be reserved.
    pub(super) async fn spend(&self, agency: Option<&Arc<Agency>>, calls: u64) -> Result<(), Status> {
        let Some(agency) = agency.filter(|agency| agency.calls_per_day > 0) else { return Ok(()) };
        let block = self.quotas().of(&agency.agency_id);
        // One reservation at a time: the others find what it brought.
        let mut block = self.in_time(block.lock()).await?;
        if now_ms() >= block.until_ms {
            block.left = 0;
        }
        if block.left < calls {
            let wanted = (calls - block.left).max((agency.calls_per_day / PART).clamp(1, MOST));
            let command = own(agency, Op::ReserveCalls(wanted));
            let Some(Reply::Reserved(ReservedCalls { calls, until_ms })) =
                self.write_unlicensed(command).await?
            else {
                return Err(status::broken("the reply to a reservation is of another kind"));
            };
            *block = Block { left: block.left + calls, until_ms };
        }
        match block.left.checked_sub(calls) {
            Some(left) => {
                block.left = left;
                Ok(())
            }
            None => {
                let wait = Duration::from_millis(block.until_ms.saturating_sub(now_ms()).max(1));
                Err(status::over_quota(agency.calls_per_day, wait))
            }
        }
    }

    /// Counts the wrong claims of an answer, by person, before it leaves. Those whose verdicts must not be told.
    ///
    /// # Errors
    /// As [`Call::write`].
    pub(super) async fn charge(&self, licence: &Licence, wrong: Wrong) -> Result<Vec<u64>, Status> {
        let Some(agency) = licence.agency().filter(|_| !wrong.0.is_empty()) else { return Ok(Vec::new()) };
        let people: Vec<_> =
            wrong.0.into_iter().map(|(person_uid, claims)| Guesses { person_uid, claims }).collect();
        let charged: Vec<u64> = people.iter().map(|person| person.person_uid).collect();
        let command = own(agency, Op::ChargeGuesses(ChargeGuesses { people }));
        match self.write_unlicensed(command).await? {
            Some(Reply::Charged(Charged { refused })) => Ok(charged
                .into_iter()
                .zip(refused)
                .filter_map(|(uid, refused)| refused.then_some(uid))
                .collect()),
            Some(Reply::Rejected(rejection)) => Err(status::rejected(&rejection)),
            _ => Err(status::broken("the reply to a charge is of another kind")),
        }
    }
}

/// A command about an agency's own budget: of the cluster itself, and under no request id.
fn own(agency: &Agency, op: Op) -> Command {
    let context = RequestContext { agency_id: agency.agency_id.clone(), ..RequestContext::default() };
    Command { context: Some(context), op: Some(op), ..Command::default() }
}

/// Wrong claims that the agency has not made before, by person.
#[derive(Default)]
pub(super) struct Wrong(BTreeMap<u64, Vec<u64>>);

impl Wrong {
    /// Notes the claims that do not hold.
    pub fn note(&mut self, uid: u64, claims: &[Claim], verdicts: &[AttributeVerdict], known: &Known) {
        let wrong = claims.iter().zip(verdicts).filter(|(_, verdict)| verdict.verdict() == Verdict::NoMatch);
        for (claim, _) in wrong {
            self.add(uid, budget::digest_of(uid, claim), known);
        }
    }

    /// Notes one that is no claim on an attribute.
    pub fn add(&mut self, uid: u64, digest: u64, known: &Known) {
        if known.counted && !known.row.claims.contains(&digest) {
            self.0.entry(uid).or_default().push(digest);
        }
    }

    /// These and those.
    pub fn and(mut self, others: Self) -> Self {
        for (uid, claims) in others.0 {
            self.0.entry(uid).or_default().extend(claims);
        }
        self
    }
}

/// What an agency has guessed about a person.
#[derive(Default)]
pub(super) struct Known {
    /// Whether its guesses are counted at all.
    counted: bool,
    row: GuessRow,
}

impl View {
    /// What the caller's agency has guessed wrong about a person.
    ///
    /// # Errors
    /// `GUESS_BUDGET` when that was too much; see [`View::failed`].
    pub fn known_of(&self, uid: u64) -> Result<Result<Known, Rejection>, Status> {
        let Some(agency) = self.licence().agency() else { return Ok(Ok(Known::default())) };
        let row = self.guesses(&agency.agency_id, uid)?.unwrap_or_default();
        Ok(if budget::is_spent(&row, now_ms()) {
            Err(over_budget())
        } else {
            let live = now_ms() < row.since_ms.saturating_add(budget::GUESS_WINDOW_MS);
            Ok(Known { counted: true, row: if live { row } else { GuessRow::default() } })
        })
    }
}

/// The agency has guessed too often about a person.
pub(super) fn over_budget() -> Rejection {
    let detail = "this agency has made as many wrong claims about this person as it may: for 30 days from the first one it is \
                  not told whether any claim about them is right";
    rejection(ErrorReason::GuessBudget, "", detail)
}
