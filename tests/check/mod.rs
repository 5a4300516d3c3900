//! Judges of histories: what clients asked of a record, what they were told, and whether one register could have told it.
//!
//! ```text
//! history    calls and answers, and their text form: one call a line
//! versions   by the revisions that every answer carries: O(n log n), says which rule was broken
//! search     Wing and Gong's search with Lowe's memory, blind to revisions: the cross-check
//! tests      both on the histories in fixtures/, good and bad
//! ```
//!
//! Each key is judged by itself: linearizability is local (Herlihy and Wing 1990, theorem 1). The two judges share
//! nothing but the history. `versions` knows more (each answer names the revision it saw) and reads every kind of
//! call; `search` believes values alone, so an error in what dancu says of revisions cannot deceive it.
//!
//! What is deliberately absent: events over several people. A history here is about one record at a time.

pub mod history;
pub mod search;
#[cfg(test)]
mod tests;
pub mod versions;
