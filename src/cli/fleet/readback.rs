//! Looks at one node for everything that was acknowledged: is it there, is it what was written, is it there once?

use futures::{StreamExt, TryStreamExt, stream};

use crate::client::{Client, ClientError};
use crate::proto::registry::person_result::Result as Found;
use crate::proto::registry::{Person, PersonKey, PersonResult, ReadOptions};

/// People asked for at once.
const BATCH: usize = 500;
/// Requests on their way at once.
const IN_FLIGHT: usize = 2;

/// What one node holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadBack {
    /// People whose adding was acknowledged.
    pub acknowledged: u64,
    /// Those of them that the node returns as they were written.
    pub found: u64,
    /// People that the node holds in all.
    pub persons: u64,
    /// The revision it was read at.
    pub revision: u64,
    /// Digest of all that the node holds.
    pub sha256: String,
}

impl ReadBack {
    /// Acknowledged people that are missing or not as written.
    pub fn lost(&self) -> u64 {
        self.acknowledged - self.found
    }

    /// People that nobody's acknowledged write accounts for: writes that were applied twice.
    pub fn doubled(&self) -> u64 {
        self.persons.saturating_sub(self.acknowledged)
    }
}

/// Reads all `expected` people at one node, linearizably, and digests what it holds. No write may be under way.
///
/// # Errors
/// When the node does not answer.
pub async fn read_back(
    node: &Client,
    expected: impl Iterator<Item = (PersonKey, Person)>,
) -> Result<ReadBack, ClientError> {
    let batches = Batches(expected);
    let counts = stream::iter(batches).map(|batch| check(node, batch)).buffer_unordered(IN_FLIGHT);
    let sum = |(all, good, last): (u64, u64, u64), (n, found, revision): (u64, u64, u64)| async move {
        Ok((all + n, good + found, last.max(revision)))
    };
    let (acknowledged, found, revision) = counts.try_fold((0, 0, 0), sum).await?;
    let digest = node.digest(revision).await?;
    Ok(ReadBack {
        acknowledged,
        found,
        persons: digest.persons,
        revision: digest.revision,
        sha256: digest.sha256,
    })
}

/// How many were asked for, how many were right, and at which revision.
async fn check(node: &Client, batch: Vec<(PersonKey, Person)>) -> Result<(u64, u64, u64), ClientError> {
    let (keys, wanted): (Vec<PersonKey>, Vec<Person>) = batch.into_iter().unzip();
    let answer = node.batch_read(keys, ReadOptions::default()).await?;
    let good = wanted.iter().zip(&answer.results).filter(|(wanted, result)| same(wanted, result)).count();
    let revision = answer.meta.unwrap_or_default().revision;
    Ok((wanted.len() as u64, good as u64, revision))
}

/// Whether the record is what was written. What the registry fills in itself is left out.
fn same(wanted: &Person, result: &PersonResult) -> bool {
    let Some(Found::Person(found)) = &result.result else { return false };
    let core = |p: &Person| {
        let ids = (p.personal_id.clone(), p.old_id_numbers.clone());
        (p.birth_name.clone(), ids, p.birth_date, p.gender, p.permanent_residence.clone())
    };
    core(wanted) == core(found)
}

/// Cuts an iterator into batches.
struct Batches<I>(I);

impl<I: Iterator> Iterator for Batches<I> {
    type Item = Vec<I::Item>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch: Vec<I::Item> = self.0.by_ref().take(BATCH).collect();
        (!batch.is_empty()).then_some(batch)
    }
}
