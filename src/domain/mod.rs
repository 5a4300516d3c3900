//! The rules of the register, as pure functions: no clock, no random source, no disk, no network.
//!
//! # What is decided here
//!
//! A write reaches this folder twice. The service asks [`validate`] before it proposes anything, so that a caller
//! hears of a malformed request at once. Then, on every node and in the order of the log, [`command::decide`] is
//! asked again, because what stands in a log outlives the program that put it there:
//!
//! ```text
//! service   validate::create(..)?        early: one clear error, nothing replicated
//!   |
//!  raft     the command is committed
//!   |
//! storage   decide(view, counters, command) -> Decision { effects, reply, counters }
//!           one batch of rows <- effects      kept under the request id <- reply
//! ```
//!
//! `decide` looks through a [`command::View`] and returns what to write; it never writes. Every node that has the
//! same rows and the same command reaches the same [`command::Decision`], bit for bit. A rejection is such a
//! decision: it is a reply, it changes nothing, and it uses up neither a revision nor a uid. Only the view can fail
//! (a fault of this machine), and its error is passed on untouched.
//!
//! # The rules
//!
//! * A person's key is the uid that the register gave, from 1, never reused. Personal ids and CMND numbers are names
//!   for a person, and they may change by law.
//! * A personal id has one holder, for ever. When it changes, the earlier one stays with the record as cancelled and
//!   goes on leading to the person; it never becomes active again and never goes to anybody else.
//! * A CMND number may have several holders: 50,000 of them were issued twice. A key that names one of those is
//!   ambiguous, and the caller is told so instead of being given one of the holders.
//! * The registry's revision counts changes. A write that finds the record as it wants it changes nothing and takes
//!   no revision; an all-or-nothing batch takes one for all its writes; a rejected write takes none.
//! * Text comes in as NFC or not at all. What is stored is what was sent: nothing is corrected in silence. A claim
//!   that is only compared, and never stored, is normalised first.
//! * A verification says of each claim whether the register holds the same. It never says what the register holds.
//!
//! # The modules
//!
//! | module | rule |
//! |---|---|
//! | [`identifier`] | the 12-digit personal id and the 9-digit CMND |
//! | [`date`] | dates that may lack a day or a month |
//! | [`text`] | NFC, which characters a name may have, and its key in the index of names |
//! | [`validate`] | every bound that a proto comment states |
//! | [`command`] | deciding writes |
//! | [`matching`] | comparing claims with a record |
//! | [`credential`] | whether a credential is in force at a date |
//! | [`units`] | administrative units in both editions, and what lies in what |
//! | [`access`] | parts of a record: fields by name, and by procedure |
//! | [`policy`] | who may learn and change what |
//! | [`fields`] | sets of fields, for those who read no more than they need |
//! | [`population`] | a synthetic population from a seed, for tests, demonstrations and load |
//! | [`error`] | rejections, their reasons and their gRPC codes |
//!
//! # Deliberately absent
//!
//! * The request table: whether a request id was seen before is storage's question, asked before `decide`.
//! * Refusing a code that no list has, of a unit, a country or an officer: codes are checked for form, because a record
//!   may name a unit that was abolished or a country that no longer exists.
//! * Likeness of names by sound or by edit distance: a verdict can be explained, see [`matching`].

pub mod access;
pub mod command;
pub mod credential;
mod data;
pub mod date;
pub mod error;
pub mod fields;
#[cfg(test)]
pub(crate) mod fixtures;
pub mod identifier;
pub mod matching;
pub mod policy;
pub mod population;
pub mod text;
pub mod units;
pub mod validate;
