//! Durable before applied: a node's state is never ahead of what its own disk has of the log, or of a snapshot.

use super::Seen;

pub fn check(seen: &[Seen<'_>]) -> Result<(), String> {
    for one in seen {
        let held = one.durable.map(|id| id.index).max(one.snapshot);
        if one.applied.map(|id| id.index) > held {
            return Err(format!(
                "durable first: {} applied {:?}, its disk has {held:?}",
                one.name, one.applied
            ));
        }
    }
    Ok(())
}
