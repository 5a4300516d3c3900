//! The budgets of an agency: how many calls it may make in a day, and how many wrong claims about a person.
//!
//! Both are replicated, so that it does not matter which node is asked. Wrong claims are counted before the verdicts leave,
//! in one command for an answer; right ones cost nothing. Calls are reserved in blocks, so that most cost nothing either: a
//! node that stops loses what is left of its block for the day, a hundredth of the quota at most.
//!
//! A node that is cut off answers stale verifications that are right. Wrong ones end in an error there, because they cannot be
//! counted; that tells as much as an answer, so the node counts them by itself until they are ([`Uncounted`]).

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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

/// Wrong claims that this node has made known by an error and that the cluster has not counted yet.
#[derive(Default)]
pub(super) struct Uncounted(Mutex<HashMap<(String, u64), Vec<u64>>>);

/// Pairs of an agency and a person for whom there are such claims. Beyond that nobody else is verified here: it takes long
/// to get there.
const PAIRS: usize = 200_000;

impl Uncounted {
    fn pairs(&self) -> MutexGuard<'_, HashMap<(String, u64), Vec<u64>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those of an agency about a person; `None` when there is no room to note any.
    fn of(&self, agency: &str, uid: u64) -> Option<Vec<u64>> {
        let pairs = self.pairs();
        if pairs.is_empty() {
            return Some(Vec::new());
        }
        match pairs.get(&(agency.to_owned(), uid)) {
            Some(claims) => Some(claims.clone()),
            None => (pairs.len() < PAIRS).then(Vec::new),
        }
    }

    /// Notes claims before they are counted.
    fn note(&self, agency: &str, people: &[Guesses]) {
        let mut pairs = self.pairs();
        for person in people {
            let claims = pairs.entry((agency.to_owned(), person.person_uid)).or_default();
            claims.extend(&person.claims);
            claims.sort_unstable();
            claims.dedup();
        }
    }

    /// All of these people are counted.
    fn counted(&self, agency: &str, people: &[u64]) {
        let mut pairs = self.pairs();
        people.iter().for_each(|uid| drop(pairs.remove(&(agency.to_owned(), *uid))));
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
        self.uncounted().note(&agency.agency_id, &people);
        let command = own(agency, Op::ChargeGuesses(ChargeGuesses { people }));
        let reply = self.write_unlicensed(command).await?;
        self.uncounted().counted(&agency.agency_id, &charged);
        match reply {
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
            self.0.entry(uid).or_insert_with(|| known.uncounted.clone()).push(digest);
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
    /// What the cluster has counted.
    row: GuessRow,
    /// What this node has noted beside that: charged with the next wrong claim.
    uncounted: Vec<u64>,
}

impl View {
    /// What the caller's agency has guessed wrong about a person.
    ///
    /// # Errors
    /// `GUESS_BUDGET` when that was too much; see [`View::failed`].
    pub fn known_of(&self, uid: u64) -> Result<Result<Known, Rejection>, Status> {
        let Some(agency) = self.licence().agency() else { return Ok(Ok(Known::default())) };
        let row = self.guesses(&agency.agency_id, uid)?.unwrap_or_default();
        if budget::is_spent(&row, now_ms()) {
            return Ok(Err(over_budget()));
        }
        let live = now_ms() < row.since_ms.saturating_add(budget::GUESS_WINDOW_MS);
        let row = if live { row } else { GuessRow::default() };
        let Some(uncounted) = self.uncounted().of(&agency.agency_id, uid) else {
            return Ok(Err(over_budget()));
        };
        let new = uncounted.iter().filter(|claim| !row.claims.contains(claim)).count();
        if new > 0 && row.claims.len() + new > budget::guesses_of(agency) {
            return Ok(Err(over_budget()));
        }
        Ok(Ok(Known { counted: true, row, uncounted }))
    }
}

/// The agency has guessed too often about a person.
pub(super) fn over_budget() -> Rejection {
    let detail = "this agency has made as many wrong claims about this person as it may: for 30 days from the first one it is \
                  not told whether any claim about them is right";
    rejection(ErrorReason::GuessBudget, "", detail)
}
