//! A view with effects on top: what the register will hold once they are written.
//!
//! A write set looks through one, so that its second write sees what its first did; storage looks through one while
//! it gathers the effects of a whole log entry into a single batch of rows.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{BuildHasherDefault, DefaultHasher};
use std::sync::Arc;

use super::{Alias, Effect, View, uid_of};
use crate::domain::policy::{Policies, PolicyKey};
use crate::proto::store::{AuditLogRow, NodeRow, PersonRow, PersonalIdRow, PolicyRow, ReceiptKeysRow};

/// Rows by key, never in any order. Its hashes have no random part, for nothing here may have one.
type ByKey<K, V> = HashMap<K, V, BuildHasherDefault<DefaultHasher>>;

/// A [`View`] over another one and the effects applied since.
pub struct Overlay<'a, V: View> {
    base: &'a V,
    persons: ByKey<u64, Arc<PersonRow>>,
    personal_ids: ByKey<String, PersonalIdRow>,
    /// Alias, then its holders in the order of the effects: true when one was added, false when one was removed.
    holders: ByKey<Alias, Vec<(u64, bool)>>,
    nodes: BTreeMap<u64, NodeRow>,
    audit_logs: BTreeMap<u64, AuditLogRow>,
    policy_rows: BTreeMap<PolicyKey, PolicyRow>,
    policies: Arc<Policies>,
    receipt_keys: BTreeMap<u64, ReceiptKeysRow>,
}

impl<'a, V: View> Overlay<'a, V> {
    /// An overlay that shows what its base shows.
    pub fn new(base: &'a V) -> Self {
        Self {
            base,
            persons: ByKey::default(),
            personal_ids: ByKey::default(),
            holders: ByKey::default(),
            nodes: BTreeMap::new(),
            audit_logs: BTreeMap::new(),
            policy_rows: BTreeMap::new(),
            policies: base.policies(),
            receipt_keys: BTreeMap::new(),
        }
    }

    /// Puts effects on top, in order.
    pub fn apply(&mut self, effects: &[Effect]) {
        self.absorb(effects.to_vec());
    }

    /// The same, of effects that nobody else needs any more.
    pub fn absorb(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::PutPerson { row, .. } => {
                    self.persons.insert(uid_of(&row), row);
                }
                Effect::PutPersonalId { number, row } => {
                    self.personal_ids.insert(number, row);
                }
                Effect::AddHolder { alias, uid } => self.set_holder(alias, uid, true),
                Effect::RemoveHolder { alias, uid } => self.set_holder(alias, uid, false),
                Effect::PutNode { id, row } => {
                    self.nodes.insert(id, row);
                }
                Effect::PutAuditLog { id, row } => {
                    self.audit_logs.insert(id, row);
                }
                Effect::PutPolicy { key, row } => {
                    if Policies::keep(&key) {
                        self.policies = Arc::new(self.policies.with(&row));
                    }
                    self.policy_rows.insert(key, row);
                }

                Effect::PutReceiptKeys { id, row } => {
                    self.receipt_keys.insert(id, row);
                }
            }
        }
    }

    fn set_holder(&mut self, alias: Alias, uid: u64, holds: bool) {
        self.holders.entry(alias).or_default().push((uid, holds));
    }
}

impl<V: View> View for Overlay<'_, V> {
    type Error = V::Error;

    fn person(&self, uid: u64) -> Result<Option<Arc<PersonRow>>, V::Error> {
        match self.persons.get(&uid) {
            Some(row) => Ok(Some(row.clone())),
            None => self.base.person(uid),
        }
    }

    fn personal_id(&self, number: &str) -> Result<Option<PersonalIdRow>, V::Error> {
        match self.personal_ids.get(number) {
            Some(row) => Ok(Some(row.clone())),
            None => self.base.personal_id(number),
        }
    }

    fn holders(&self, alias: &Alias, limit: usize) -> Result<Vec<u64>, V::Error> {
        let Some(changed) = self.holders.get(alias) else { return self.base.holders(alias, limit) };
        // Of the first ones of the base, at most as many go as changed here.
        let base = self.base.holders(alias, limit.saturating_add(changed.len()))?;
        let mut holders: BTreeSet<u64> = base.into_iter().collect();
        for &(uid, holds) in changed {
            if holds {
                holders.insert(uid);
            } else {
                holders.remove(&uid);
            }
        }
        Ok(holders.into_iter().take(limit).collect())
    }

    fn node(&self, id: u64) -> Result<Option<NodeRow>, V::Error> {
        match self.nodes.get(&id) {
            Some(row) => Ok(Some(row.clone())),
            None => self.base.node(id),
        }
    }

    fn audit_log(&self, node_id: u64) -> Result<Option<AuditLogRow>, V::Error> {
        match self.audit_logs.get(&node_id) {
            Some(row) => Ok(Some(row.clone())),
            None => self.base.audit_log(node_id),
        }
    }

    fn policy_row(&self, key: &PolicyKey) -> Result<Option<PolicyRow>, V::Error> {
        match self.policy_rows.get(key) {
            Some(row) => Ok(Some(row.clone())),
            None => self.base.policy_row(key),
        }
    }

    fn policies(&self) -> Arc<Policies> {
        self.policies.clone()
    }

    fn receipt_keys(&self, node_id: u64) -> Result<Option<ReceiptKeysRow>, V::Error> {
        match self.receipt_keys.get(&node_id) {
            Some(row) => Ok(Some(row.clone())),
            None => self.base.receipt_keys(node_id),
        }
    }

    fn live_node_named(&self, name: &str) -> Result<Option<u64>, V::Error> {
        let here = self.nodes.iter().find(|(_, row)| !row.retired && row.name == name);
        if let Some((&id, _)) = here {
            return Ok(Some(id));
        }
        // A node of the base that the overlay also holds is known by its newer row, which did not match.
        let below = self.base.live_node_named(name)?;
        Ok(below.filter(|id| !self.nodes.contains_key(id)))
    }
}
