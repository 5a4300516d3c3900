//! A running node's term, state and revision never go back, and a node's id is given once.

use std::collections::BTreeMap;

use super::Seen;

#[derive(Default)]
pub struct NeverBack {
    /// Term, applied index and revision, by name and start.
    last: BTreeMap<(String, u64), (u64, Option<u64>, u64)>,
    /// Whose an id is.
    ids: BTreeMap<u64, String>,
    /// The id of each name.
    names: BTreeMap<String, u64>,
}

impl NeverBack {
    pub fn check(&mut self, seen: &[Seen<'_>]) -> Result<(), String> {
        for one in seen {
            let now = (one.term, one.applied.map(|id| id.index), one.revision);
            let key = (one.name.to_owned(), one.start);
            let before = self.last.insert(key, now).unwrap_or_default();
            if now.0 < before.0 || now.1 < before.1 || now.2 < before.2 {
                return Err(format!("never back: {} went from {before:?} to {now:?}", one.name));
            }
            let owner = self.ids.entry(one.node_id).or_insert_with(|| one.name.to_owned());
            if owner != one.name {
                return Err(format!("never back: {} has the id {} of {owner}", one.name, one.node_id));
            }
            let id = self.names.insert(one.name.to_owned(), one.node_id).unwrap_or_default();
            if one.node_id < id {
                return Err(format!(
                    "never back: {} had the id {id}, and has {} again",
                    one.name, one.node_id
                ));
            }
        }
        Ok(())
    }
}
