//! Judges of histories: what clients asked of a record, what they were told, and whether one register could have told it.
//!
//! ```text
//! history    calls and answers, and their text form: one call a line
//! versions   by the revisions that every answer carries: O(n log n), says which rule was broken
//! search     Wing and Gong's search with Lowe's memory, blind to revisions: the cross-check
//! window     what is kept of a history that has been judged, so that a run of hours stays small
//! growth     what counts as a leak
//! tests      both on the histories in fixtures/, good and bad
//! ```
//!
//! Each key is judged by itself: linearizability is local (Herlihy and Wing 1990, theorem 1). The two judges share
//! nothing but the history. `versions` knows more (each answer names the revision it saw) and reads every kind of
//! call; `search` believes values alone, so an error in what dancu says of revisions cannot deceive it.
//!
//! What is deliberately absent: events over several people. A history here is about one record at a time.

pub mod growth;
pub mod history;
pub mod search;
#[cfg(test)]
mod tests;
pub mod versions;
pub mod window;

use history::Operation;
use search::Finding;

/// What both judges say of the history of one record.
#[derive(Debug, Default)]
pub struct Judgement {
    /// What is wrong.
    pub broken: Option<String>,
    /// The search was given up: `versions` alone has judged it.
    pub gave_up: bool,
}

/// Asks both judges.
pub fn judge(operations: &[Operation]) -> Judgement {
    let broken = versions::check(operations).first().map(ToString::to_string);
    match search::search(operations) {
        Finding::Linearizable => Judgement { broken, gave_up: false },
        Finding::Stuck(at) => {
            let stuck = || format!("no order of the calls explains {at}");
            Judgement { broken: broken.or_else(|| Some(stuck())), gave_up: false }
        }
        Finding::GaveUp => Judgement { broken, gave_up: true },
    }
}
