//! Decoders of every format that comes from a disk, a peer or a client, for the fuzzer in `tests/fuzz`. Not part of a
//! node: only the library's own tests and a build with the feature `fuzzing` have them.
//!
//! ```text
//! target    input: the kind in the first byte, then       checked
//! log       rows of the log, slots of the mark            read as written; an entry only in its place
//! state     rows, keys, CURRENT, manifest, IDENTITY       the same; a part says what the whole does; no name leaves
//!                                                         its folder
//! peer      messages between nodes, commands, entries     read as written, converted there and back
//! request   messages from clients, page tokens            validation is sure; a token is one that a search gave
//! text      names, dates, numbers, the configuration      normal forms are final; the configuration as written
//! import    CSV, NDJSON, mappings                         every row is a person or an error; JSON there and back
//! receipt   receipts, sets of keys                        nobody's signature is taken; keys as written
//! ```
//!
//! A target panics when a property is broken; an error of the decoder is an answer like any other. The tests below run
//! the corpora of `tests/fuzz/corpus` and changes of them, which needs no fuzzer; `scripts/fuzz` runs the fuzzer.

use std::path::Path;

use prost::Message;
use unicode_normalization::UnicodeNormalization;

use crate::cli::import::fuzz as import;
use crate::config::NodeConfig;
use crate::config::sample::render;
use crate::domain::{date, identifier, text, validate};
use crate::proto::{cluster, peer, registry, store};
use crate::{raft, receipt, service, storage};

/// Decodes an input, and panics when a property does not hold.
pub type Target = fn(&[u8]);

/// What is fuzzed, by name.
pub const TARGETS: [(&str, Target); 7] = [
    ("log", of_log),
    ("state", of_state),
    ("peer", of_peer),
    ("request", of_request),
    ("text", of_text),
    ("import", of_import),
    ("receipt", of_receipt),
];

/// Gives an input to a target.
///
/// # Panics
/// When a property is broken, or there is no such target.
pub fn run(target: &str, input: &[u8]) {
    let (_, check) = TARGETS.iter().find(|(name, _)| *name == target).expect("a target of this name");
    check(input);
}

/// The kind, of `kinds`, and the rest.
fn split(input: &[u8], kinds: u8) -> (u8, &[u8]) {
    input.split_first().map_or((0, input), |(kind, rest)| (kind % kinds, rest))
}

fn of_log(input: &[u8]) {
    match split(input, 3) {
        (0, bytes) => storage::log::fuzz::entry(bytes),
        (1, bytes) => storage::log::fuzz::meta(bytes),
        (_, bytes) => storage::log::fuzz::slot(bytes),
    }
}

fn of_state(input: &[u8]) {
    match split(input, 3) {
        (0, bytes) => storage::state::fuzz::rows(bytes),
        (1, bytes) => storage::state::fuzz::keys(bytes),
        (_, bytes) => storage::state::fuzz::files(bytes),
    }
}

/// A message that is read as it was written.
fn message<M: Message + Default + PartialEq>(bytes: &[u8]) -> Option<M> {
    let message = M::decode(bytes).ok()?;
    let again = M::decode(&*message.encode_to_vec()).expect("reads its own");
    assert!(again == message, "a message is not read as it was written");
    Some(message)
}

fn of_peer(input: &[u8]) {
    let (kind, bytes) = split(input, 7);
    match kind {
        0 => raft::fuzz::entry(bytes),
        1 => drop(message::<peer::AppendRequest>(bytes).map(raft::fuzz::append)),
        2 => {
            if let Some(manifest) = message::<peer::OfferSnapshotRequest>(bytes).and_then(|m| m.manifest) {
                raft::fuzz::manifest(&manifest);
            }
        }
        3 => drop(message::<store::Membership>(bytes).inspect(raft::fuzz::membership)),
        4 => drop(message::<store::Batch>(bytes)),
        5 => drop((message::<peer::ForwardRequest>(bytes), message::<peer::AdminRequest>(bytes))),
        _ => drop((
            message::<peer::VoteRequest>(bytes),
            message::<peer::SnapshotChunk>(bytes),
            message::<peer::AdoptRequest>(bytes),
            message::<peer::NodeStatusResponse>(bytes),
        )),
    }
}

/// A message whose validation says the same of what is written again.
fn valid<M: Message + Default + PartialEq, T, E>(
    bytes: &[u8],
    check: impl Fn(&M) -> Result<T, E>,
) -> Option<M> {
    let found = message::<M>(bytes)?;
    let again = M::decode(&*found.encode_to_vec()).expect("reads its own");
    assert_eq!(check(&found).is_ok(), check(&again).is_ok(), "validation is not sure");
    Some(found)
}

fn of_request(input: &[u8]) {
    let (kind, bytes) = split(input, 7);
    match kind {
        0 => drop(valid(bytes, validate::write)),
        1 => {
            let request = valid::<registry::FindPersonsRequest, _, _>(bytes, validate::find);
            drop(request.inspect(service::registry::fuzz::page));
        }
        2 => {
            drop(valid::<registry::VerifyRequest, _, _>(bytes, |m| validate::subjects(m.subject.as_slice())));
        }
        3 => drop(valid::<registry::ImportRequest, _, _>(bytes, |m| validate::import_chunk(&m.persons))),
        4 => {
            drop(valid::<registry::ReadPersonRequest, _, _>(bytes, |m| validate::key(m.key.as_ref(), "key")));
        }
        5 => drop(valid(bytes, validate::context_for_write)),
        _ => drop((message::<cluster::Member>(bytes), valid(bytes, validate::read_options))),
    }
}

fn of_text(input: &[u8]) {
    let (kind, bytes) = split(input, 3);
    let stated = String::from_utf8_lossy(bytes);
    match kind {
        0 => a_name(&stated),
        1 => {
            let has_a_place = identifier::is_personal_id(&stated) && !stated.starts_with("000");
            assert_eq!(has_a_place, identifier::PersonalId::parse(&stated).is_ok());
            if let Some(on) = message::<registry::PartialDate>(bytes).filter(|on| date::check(on).is_ok()) {
                let [first, last] = date::bounds(&on);
                assert!(date::check(&first).is_ok() && date::check(&last).is_ok(), "no days of the calendar");
                assert!(!date::surely_before(&last, &first), "a date ends before it begins");
            }
        }
        _ => {
            let file = Path::new("node.toml");
            if let Ok(config) = NodeConfig::parse(file, &stated) {
                let again = NodeConfig::parse(file, &render(&config, false));
                assert_eq!(again.expect("reads its own"), config);
            }
        }
    }
}

/// Normal forms and the key under which a name is looked up.
fn a_name(stated: &str) {
    let normal = text::nfc_trimmed(stated);
    assert_eq!(text::nfc_trimmed(&normal), normal, "a normal form that is not final");
    let key = text::folded(stated);
    assert!(!key.contains('\0'), "a key of the index of names ends at a zero");
    if text::check_name(stated).is_ok() {
        assert_eq!(normal, stated, "a name that is not in its normal form");
        assert!(!key.is_empty(), "a name without a key");
        let taken_apart: String = stated.nfd().collect();
        assert_eq!(text::folded(&taken_apart), key, "a name with two keys");
        assert_eq!(text::folded(&key), key, "a key that folds to another");
    }
}

fn of_import(input: &[u8]) {
    match split(input, 3) {
        (0, bytes) => import::csv(bytes),
        (1, bytes) => import::line(bytes),
        (_, bytes) => import::mapping(&String::from_utf8_lossy(bytes)),
    }
}

fn of_receipt(input: &[u8]) {
    match split(input, 2) {
        (0, bytes) => receipt::fuzz::receipt(&String::from_utf8_lossy(bytes)),
        (_, bytes) => receipt::fuzz::key_set(bytes),
    }
}

#[cfg(test)]
mod tests;
