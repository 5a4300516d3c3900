//! The register from the shell: a file for each thing that it knows, and what their commands share.
//!
//! ```text
//! person      records: get, create, patch, status, merge, history; find: people by name
//! event       births, deaths, marriages and the like, as JSON
//! uin         personal ids made, cancelled, made anew, checked, resolved; links to CMND numbers
//! credential  papers and cards
//! eid         the account for electronic identification
//! household   who lives with whom
//! attributes  parts of a record
//! ```
//!
//! A question is an [`Ask`], a write a [`Submit`]. JSON goes in as an argument, `@FILE` or `-`, and has the form of
//! `src/cli/json`. Questions that are answered by yes or no end with exit code 0 or 1, and with 2 or more when there is no
//! answer.

mod attributes;
mod credential;
mod eid;
mod event;
mod find;
mod household;
mod person;
mod uin;

use std::io::Read;
use std::process::ExitCode;

use super::answer::written;
use super::connect::{Connect, Freshness, Whom};
use super::output::Output;
use super::{Failure, failure, json};
use crate::client::{Client, ClientError};
use crate::domain::date;
use crate::proto::registry::{PartialDate, PersonKey, ReadOptions, Rejection, RequestContext, WriteResponse};

/// What to do with the register.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Read, find, add or change people
    #[command(subcommand)]
    Person(person::Command),
    /// Record a birth, death, marriage, divorce, move, correction or adoption
    Event(event::Args),
    /// Make, cancel, check and resolve personal ids
    #[command(subcommand)]
    Uin(uin::Command),
    /// Issue, change, list and verify papers and cards
    #[command(subcommand)]
    Credential(credential::Command),
    /// Open, lock and ask for accounts for electronic identification
    #[command(subcommand)]
    Eid(eid::Command),
    /// Show households, and verify who belongs to one
    #[command(subcommand)]
    Household(household::Command),
    /// Verify that a CMND number and a personal id are one person's: exit code 0 when linked, 1 when not
    Link(uin::Link),
    /// Read chosen fields of a record, or those that a procedure may read
    Attributes(attributes::Args),
    /// List the administrative procedures and the fields that each may read
    Procedures {
        #[command(flatten)]
        connect: Connect,
    },
}

/// Does it.
///
/// # Errors
/// See [`Failure`].
pub async fn run(command: Command, output: &Output) -> Result<ExitCode, Failure> {
    match command {
        Command::Person(command) => person::run(command, output).await,
        Command::Event(args) => event::run(args, output).await,
        Command::Uin(command) => uin::run(command, output).await,
        Command::Credential(command) => credential::run(command, output).await,
        Command::Eid(command) => eid::run(command, output).await,
        Command::Household(command) => household::run(command, output).await,
        Command::Link(args) => uin::link(args, output).await,
        Command::Attributes(args) => attributes::run(args, output).await,
        Command::Procedures { connect } => attributes::procedures(&connect, output).await,
    }
}

/// A question about one person.
#[derive(clap::Args)]
pub struct Ask {
    #[command(flatten)]
    connect: Connect,
    #[command(flatten)]
    whom: Whom,
    #[command(flatten)]
    freshness: Freshness,
}

impl Ask {
    /// Whom to ask, about whom, and how fresh the answer must be.
    fn parts(&self) -> Result<(Client, PersonKey, ReadOptions), Failure> {
        Ok((self.connect.client()?, self.whom.key(), self.freshness.options()))
    }
}

/// A write.
#[derive(clap::Args)]
pub struct Submit {
    #[command(flatten)]
    connect: Connect,
    /// Key under which the write is applied at most once; repeat it to learn the outcome of a lost answer
    #[arg(long)]
    request_id: Option<String>,
}

impl Submit {
    /// Writes, and prints what that did.
    async fn run(
        self,
        output: &Output,
        write: impl AsyncFnOnce(&Client, RequestContext) -> Result<WriteResponse, ClientError>,
    ) -> Result<ExitCode, Failure> {
        let client = self.connect.client()?;
        let mut context = client.context();
        context.request_id = self.request_id.unwrap_or(context.request_id);
        written(output, &write(&client, context).await?)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// The exit code of a question that is answered by yes or no.
fn yes_or_no(yes: bool) -> ExitCode {
    ExitCode::from(u8::from(!yes))
}

/// An argument that is JSON itself, or says where it is.
fn argument(argument: &str) -> Result<String, Failure> {
    if argument == "-" {
        let mut text = String::new();
        let read = std::io::stdin().read_to_string(&mut text);
        return read.map(|_| text).map_err(|e| Failure::Input(format!("cannot read standard input: {e}")));
    }
    match argument.strip_prefix('@') {
        None => Ok(argument.to_owned()),
        Some(path) => std::fs::read_to_string(path)
            .map_err(|e| failure::file_failure("read", std::path::Path::new(path), &e)),
    }
}

/// What JSON is refused with.
fn malformed(rejection: &Rejection) -> Failure {
    match rejection.field.as_str() {
        "" => Failure::Input(rejection.detail.clone()),
        field => Failure::Input(format!("{field}: {}", rejection.detail)),
    }
}

/// The day that a command names, or today in Viet Nam.
#[expect(clippy::disallowed_methods, reason = "a person's today; what is replicated names the day itself")]
fn day(named: Option<json::Date>) -> PartialDate {
    /// Viet Nam is seven hours ahead of UTC, all year.
    const AHEAD_MS: u64 = 7 * 3_600_000;
    let today = || {
        let now = jiff::Timestamp::now().as_millisecond();
        date::day_of(u64::try_from(now).unwrap_or_default() + AHEAD_MS)
    };
    named.map_or_else(today, PartialDate::from)
}
