//! The tables of the state machine: their names, keys and values.
//!
//! Every value is a format byte and protobuf (`storage::codec`), and that of some tables is sealed as it goes to the disk
//! (`storage::sealing`); the exceptions are empty values, where the key says
//! it all. Numbers in keys are big endian, so that RocksDB's byte order is their order.

use prost::Message;

use crate::domain::command::Alias;
use crate::domain::policy::PolicyKey;
use crate::proto::store::{
    self, AuditLogRow, HolderRow, NodeRow, PersonRow, PersonalIdRow, PolicyRow, ReceiptKeysRow, RequestRow,
    StoredMembership, SupersededRow,
};
use crate::storage::codec;
use crate::storage::error::StorageError;
use crate::storage::sealing::Place;

/// A table: one column family of RocksDB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Table {
    /// uid -> the current version of a record.
    Person = 1,
    /// uid, revision descending -> an earlier version of a record.
    History = 2,
    /// What a number leads to; see [`personal_id_key`] and [`holder_key`].
    Alias = 3,
    /// Agency and request id -> the first reply.
    Request = 4,
    /// Expiry and request key -> nothing: the order in which request rows go.
    RequestExpiry = 5,
    /// Node id -> whom it was given to.
    Node = 6,
    /// The state machine's bookkeeping, neither part of the chain hash nor of the digest; and what is known of the nodes'
    /// audit logs and receipt keys, which the digest leaves out because it changes without a revision.
    Meta = 7,
    /// Revision and uid -> when it took the place of the version in the history: the order in which those go.
    Superseded = 8,
    /// Who may ask what: agencies, procedures, policies, consents, guesses and calls; see [`policy_key`]. Part of the chain hash,
    /// and not of the digest, which is of one revision: they change without one.
    Policy = 9,
}

impl Table {
    /// All tables.
    pub const ALL: [Self; 9] = [
        Self::Person,
        Self::History,
        Self::Superseded,
        Self::Alias,
        Self::Request,
        Self::RequestExpiry,
        Self::Node,
        Self::Policy,
        Self::Meta,
    ];

    /// The tables that are equal, byte for byte, on every node that applied the same log; the policy table, which is too, left
    /// out.
    pub const REPLICATED: [Self; 7] = [
        Self::Person,
        Self::History,
        Self::Superseded,
        Self::Alias,
        Self::Request,
        Self::RequestExpiry,
        Self::Node,
    ];

    /// The name of its column family.
    pub fn name(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::History => "history",
            Self::Superseded => "superseded",
            Self::Alias => "alias",
            Self::Request => "request",
            Self::RequestExpiry => "request_expiry",
            Self::Node => "node",
            Self::Policy => "policy",
            Self::Meta => "meta",
        }
    }

    /// Whether its values are sealed where there is a key to seal them with. Those of the other tables tell no more than
    /// their keys, which cannot be.
    pub fn is_sealed(self) -> bool {
        matches!(self, Self::Person | Self::History | Self::Request | Self::Policy)
    }

    /// What the value of a row is bound to.
    pub fn place(self, key: &[u8]) -> Place {
        Place::row(self as u8, key)
    }

    /// How an error names one of its rows: without the key, which may be a citizen's number.
    pub fn row(self) -> String {
        format!("a row of table {}", self.name())
    }
}

/// A message that is a row of a table.
pub(super) trait Row: Message + Default {
    /// Where it stands.
    const TABLE: Table;

    /// The bytes that are stored.
    fn to_value(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Reads what [`Row::to_value`] made.
    fn from_value(value: &[u8]) -> Result<Self, StorageError> {
        // The name is only put together for an error: this is on the way of every read.
        codec::decode(Self::TABLE.name(), value)
    }
}

impl Row for PersonRow {
    const TABLE: Table = Table::Person;
}
impl Row for SupersededRow {
    const TABLE: Table = Table::Superseded;
}
impl Row for PersonalIdRow {
    const TABLE: Table = Table::Alias;
}
impl Row for HolderRow {
    const TABLE: Table = Table::Alias;
}
impl Row for RequestRow {
    const TABLE: Table = Table::Request;
}
impl Row for NodeRow {
    const TABLE: Table = Table::Node;
}
impl Row for store::Applied {
    const TABLE: Table = Table::Meta;
}
impl Row for ReceiptKeysRow {
    const TABLE: Table = Table::Meta;
}
impl Row for AuditLogRow {
    const TABLE: Table = Table::Meta;
}
impl Row for PolicyRow {
    const TABLE: Table = Table::Policy;
}
impl Row for StoredMembership {
    const TABLE: Table = Table::Meta;
}

/// Row of the meta table: the last entry applied and the counters, without the membership.
pub(super) const APPLIED_KEY: &[u8] = b"applied";

/// Row of the meta table: the last membership. A row of its own because it is large and seldom changes, and the
/// other is written with every batch.
pub(super) const MEMBERSHIP_KEY: &[u8] = b"membership";

/// Key of the row of the meta table for a node's audit log.
pub(super) fn audit_log_key(node_id: u64) -> Vec<u8> {
    [b"audit/", &node_id.to_be_bytes()[..]].concat()
}

/// Key of a row of the policy table. A person's number stands last, behind a text that has no zero byte: texts are printable.
pub(super) fn policy_key(key: &PolicyKey) -> Vec<u8> {
    match key {
        PolicyKey::Agency(id) => [b"a", id.as_bytes()].concat(),
        PolicyKey::Policy(name) => [b"p", name.as_bytes()].concat(),
        PolicyKey::Procedure(code) => [b"r", code.as_bytes()].concat(),
        PolicyKey::Consent(id) => [b"c", id.as_bytes()].concat(),
        PolicyKey::ConsentOf(uid, id) => [&consents_of(*uid), id.as_bytes()].concat(),
        PolicyKey::Guesses(agency, uid) => [b"g", agency.as_bytes(), b"\0", &uid.to_be_bytes()].concat(),
        PolicyKey::Calls(agency) => [b"n", agency.as_bytes()].concat(),
    }
}

/// What the keys of all consents of a person begin with; the id follows.
pub(super) fn consents_of(uid: u64) -> Vec<u8> {
    [b"u", &uid.to_be_bytes()[..]].concat()
}

/// What the keys of rows begin with that stand in memory: agencies, policies and procedures.
pub(super) const KEPT_POLICIES: [&[u8]; 3] = [b"a", b"p", b"r"];

/// What the keys of the rows for receipt keys begin with.
pub(super) const RECEIPT_KEYS: &[u8] = b"receipt/";

/// Key of the row of the meta table for a node's receipt keys.
pub(super) fn receipt_keys_key(node_id: u64) -> Vec<u8> {
    [RECEIPT_KEYS, &node_id.to_be_bytes()[..]].concat()
}

/// Key of a person, and of a node.
pub(super) fn id_key(id: u64) -> [u8; 8] {
    id.to_be_bytes()
}

/// The id in such a key.
pub(super) fn id_of(table: Table, key: &[u8]) -> Result<u64, StorageError> {
    let bytes = key.try_into().map_err(|_| StorageError::corrupt(table.row(), "its key is not 8 bytes"))?;
    Ok(u64::from_be_bytes(bytes))
}

/// Key of a version of a record: the newest comes first.
pub(super) fn history_key(uid: u64, revision: u64) -> [u8; 16] {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&uid.to_be_bytes());
    key[8..].copy_from_slice(&(!revision).to_be_bytes());
    key
}

/// Key of the row that says that a version took the place of an earlier one of the same person.
pub(super) fn superseded_key(revision: u64, uid: u64) -> [u8; 16] {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&revision.to_be_bytes());
    key[8..].copy_from_slice(&uid.to_be_bytes());
    key
}

/// Revision and uid in such a key.
pub(super) fn split_superseded_key(key: &[u8]) -> Result<(u64, u64), StorageError> {
    let short = || StorageError::corrupt(Table::Superseded.row(), "its key is not 16 bytes");
    let (revision, uid) = key.split_first_chunk::<8>().ok_or_else(short)?;
    Ok((u64::from_be_bytes(*revision), u64::from_be_bytes(uid.try_into().map_err(|_| short())?)))
}

/// Key of a personal id: it is one person's for ever.
pub(super) fn personal_id_key(number: &str) -> Vec<u8> {
    [b"p", number.as_bytes()].concat()
}

/// What the keys of all who ever had an alias begin with; the uid follows. No number and no name has a zero byte.
pub(super) fn holder_prefix(alias: &Alias) -> Vec<u8> {
    match alias {
        Alias::OldId(number) => [b"c", number.as_bytes(), b"\0"].concat(),
        Alias::Credential { kind, number } => {
            [b"d", &kind.to_be_bytes()[..], number.as_bytes(), b"\0"].concat()
        }
        Alias::Household(file) => [b"h", file.as_bytes(), b"\0"].concat(),
        Alias::Name { folded, born } => [&name_prefix(folded)[..], &born_bytes(*born)].concat(),
    }
}

/// What the keys of all who ever had a name begin with, whenever they were born. The birth date follows, so that they
/// come in its order: four bytes of the year, one of the month and one of the day.
pub(super) fn name_prefix(folded: &str) -> Vec<u8> {
    [b"n", folded.as_bytes(), b"\0"].concat()
}

fn born_bytes((year, month, day): (u32, u32, u32)) -> [u8; 6] {
    let [y0, y1, y2, y3] = year.to_be_bytes();
    // A record's month and day are within 31: validated before they came here.
    [y0, y1, y2, y3, month.to_be_bytes()[3], day.to_be_bytes()[3]]
}

/// Key of one holder of an alias.
pub(super) fn holder_key(alias: &Alias, uid: u64) -> Vec<u8> {
    let mut key = holder_prefix(alias);
    key.extend_from_slice(&uid.to_be_bytes());
    key
}

/// What the keys of all holders of one alias share, and what bloom filters know of a key: [`holder_prefix`]. All of the key
/// of a personal id.
pub(super) fn shared_part(key: &[u8]) -> &[u8] {
    match key.first() {
        Some(b'p') => key,
        _ => &key[..key.len().saturating_sub(8)],
    }
}

/// Key of a request. The agency's length stands first, so that no two pairs share a key.
pub(super) fn request_key(agency_id: &str, request_id: &str) -> Vec<u8> {
    let length = u32::try_from(agency_id.len()).expect("a command is smaller than 4 GiB");
    [&length.to_be_bytes(), agency_id.as_bytes(), request_id.as_bytes()].concat()
}

/// Key of the row that says when a request row goes.
pub(super) fn expiry_key(expires_at_ms: u64, request_key: &[u8]) -> Vec<u8> {
    [&expires_at_ms.to_be_bytes(), request_key].concat()
}

/// The two parts of such a key.
pub(super) fn split_expiry_key(key: &[u8]) -> Result<(u64, &[u8]), StorageError> {
    let (expires, request) = key
        .split_first_chunk::<8>()
        .ok_or_else(|| StorageError::corrupt(Table::RequestExpiry.row(), "its key is too short"))?;
    Ok((u64::from_be_bytes(*expires), request))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_as_they_are_read() {
        assert!(history_key(7, 9) < history_key(7, 8));
        assert!(history_key(7, 0) < history_key(8, u64::MAX));
        assert!(id_key(255) < id_key(256));
        assert!(superseded_key(255, 9) < superseded_key(256, 1));
        assert_eq!(split_superseded_key(&superseded_key(7, 9)).unwrap(), (7, 9));
        assert!(expiry_key(255, b"z") < expiry_key(256, b"a"));
        let old_id = |number: &str| Alias::OldId(number.to_owned());
        assert!(holder_key(&old_id("271450001"), 1).starts_with(&holder_prefix(&old_id("271450001"))));
        assert!(!holder_key(&old_id("2714500012"), 1).starts_with(&holder_prefix(&old_id("271450001"))));
        let named = |day| Alias::Name { folded: "lan".to_owned(), born: (1990, 5, day) };
        assert!(holder_key(&named(2), 9) < holder_key(&named(3), 1));
        assert!(holder_key(&named(2), 9).starts_with(&name_prefix("lan")));
    }

    #[test]
    fn holders_of_one_alias_share_their_prefix_and_nothing_more() {
        let aliases = [
            Alias::OldId("271450001".to_owned()),
            Alias::Credential { kind: 7, number: "AB-1".to_owned() },
            Alias::Household("H1".to_owned()),
            Alias::Name { folded: "lan".to_owned(), born: (1990, 5, 2) },
        ];
        for alias in aliases {
            for uid in [0, 1, u64::MAX] {
                assert_eq!(shared_part(&holder_key(&alias, uid)), holder_prefix(&alias));
            }
        }
        let number = personal_id_key("001190000001");
        assert_eq!(shared_part(&number), number);
        assert_eq!(shared_part(b""), b"");
    }

    #[test]
    fn no_two_requests_share_a_key() {
        assert_ne!(request_key("a", "bc"), request_key("ab", "c"));
        assert_ne!(request_key("a\0", "b"), request_key("a", "\0b"));
        let key = expiry_key(9, &request_key("a", "b"));
        assert_eq!(split_expiry_key(&key).unwrap(), (9, request_key("a", "b").as_slice()));
    }
}
