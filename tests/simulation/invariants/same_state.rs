//! State machine safety: what was applied at an index is the same on every node (Ongaro 2014, figure 3.2), and so is the
//! state that came of it.

use std::collections::BTreeMap;

use super::Seen;
use crate::proto::store::LogId;

#[derive(Default)]
pub struct SameState {
    /// The entry that was applied at an index, where one was seen.
    entries: BTreeMap<u64, (LogId, String)>,
    /// The hash chain at an index.
    chains: BTreeMap<u64, ([u8; 32], String)>,
}

impl SameState {
    pub fn check(&mut self, seen: &[Seen<'_>]) -> Result<(), String> {
        for one in seen {
            if let Some(id) = one.applied {
                let (first, who) = self.entries.entry(id.index).or_insert_with(|| (id, one.name.to_owned()));
                if *first != id {
                    return Err(format!("same state: {who} applied {first:?}, {} {id:?}", one.name));
                }
            }
            if let Some((index, hash)) = one.chain {
                let (first, who) = self.chains.entry(index).or_insert_with(|| (hash, one.name.to_owned()));
                if *first != hash {
                    return Err(format!("same state: {who} and {} differ at entry {index}", one.name));
                }
            }
        }
        Ok(())
    }
}
