//! `dancu import`: adds the people of an NDJSON or CSV file, in chunks, over one stream.
//!
//! ```text
//! lines    file -> lines
//! csv      lines -> records                       mapping, cell, place    record -> person
//! source   lines or records -> people -> chunks   the same chunks for the same file, run after run
//! mod      chunks -> client's import session -> answers
//! tally    answers -> counts, progress, FILE.rejects.ndjson
//! ```
//!
//! **One bad row costs one row.** It is listed with its line, the field or column at fault and the reason, and the
//! import goes on. What the rules of a record alone can tell is told before anything is sent, by the registry's own
//! code; what depends on who is there already, the registry tells.
//!
//! **Resumable.** The import's name is a hash of the file, of the mapping and of the chunk size, and each chunk is applied at
//! most once under its name and number. A second run after a break sends all chunks again: those that were applied before are
//! answered from the request table, or, once that has forgotten them, count as people who exist already, unless their
//! record was changed since: those are rejected as IDENTIFIER_TAKEN, and nothing of them is overwritten.
//!
//! **Text is normalised to NFC** before it is sent: sources write Vietnamese in both Unicode forms, and the registry
//! refuses the other one. The two forms are the same text by definition. How many people it concerned is reported.

mod cell;
mod csv;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz;
mod lines;
mod mapping;
mod place;
mod source;
mod tally;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::process::ExitCode;

use self::source::Source;
pub use self::tally::Tally;
use super::Failure;
use super::connect::Connect;
use super::output::Output;
use crate::client::{Client, ImportSession};

/// The example of a mapping, which explains itself.
const MAPPING: &str = concat!("An example of a mapping:\n\n", include_str!("mapping.toml"));

/// What to import.
#[derive(clap::Args)]
#[command(after_long_help = MAPPING)]
pub struct Args {
    #[command(flatten)]
    connect: Connect,
    /// People as NDJSON, one a line as `dancu generate` writes them, or as CSV with --mapping; - for standard input
    file: PathBuf,
    /// The file is CSV (UTF-8, its first line names the columns); this TOML file says which field each column is. See
    /// the example below in --help
    #[arg(long)]
    mapping: Option<PathBuf>,
    /// Only check the file, without a cluster: list what is no person, send nothing
    #[arg(long)]
    check: bool,
    /// People in a chunk
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u64).range(1..=1000))]
    chunk: u64,
    /// Name of the import, at most 28 characters: a run under a name continues the last one under it, with the same
    /// file, mapping and --chunk. A hash of these when absent; for standard input a new one each time
    #[arg(long, value_parser = name)]
    name: Option<String>,
    /// Where rejected rows are listed, as NDJSON of line, field, reason and detail; FILE.rejects.ndjson when absent, and
    /// import.rejects.ndjson for standard input
    #[arg(long)]
    rejects: Option<PathBuf>,
}

fn name(text: &str) -> Result<String, String> {
    let printable = text.bytes().all(|b| b.is_ascii_graphic());
    if (1..=28).contains(&text.len()) && printable {
        Ok(text.to_owned())
    } else {
        Err("expected 1 to 28 characters of printable ASCII without spaces".to_owned())
    }
}

/// A file to import, and how.
pub struct Job {
    /// The file; `-` for standard input.
    pub file: PathBuf,
    /// What its columns are, when it is CSV; see [`Args`].
    pub mapping: Option<PathBuf>,
    /// People in a chunk, 1 to 1000.
    pub chunk: u64,
    /// Name of the import; see [`Args`].
    pub name: Option<String>,
    /// Where rejected rows are listed; see [`Args`].
    pub rejects: Option<PathBuf>,
}

impl Job {
    fn open(&self) -> Result<(Source, Tally), Failure> {
        let real = |path: &PathBuf| std::fs::canonicalize(path).ok();
        let read = [Some(&self.file), self.mapping.as_ref()];
        if let Some(rejects) = self.rejects.as_ref().and_then(real)
            && read.into_iter().flatten().filter_map(real).any(|read| read == rejects)
        {
            let text = "--rejects names a file that is read: its content would be lost; name another";
            return Err(Failure::Input(text.to_owned()));
        }
        let chunk = usize::try_from(self.chunk).expect("at most 1000");
        let source = Source::open(&self.file, self.mapping.as_deref(), chunk)?;
        let tally = Tally::new(&self.file, self.rejects.clone(), source.length());
        Ok((source, tally))
    }
}

/// Imports or checks the file; 0 when everybody is in the registry, 1 when some were rejected.
///
/// # Errors
/// See [`Failure`]. What was acknowledged before a failure stays; the same command continues.
pub async fn run(args: Args, output: &Output) -> Result<ExitCode, Failure> {
    let Args { connect, file, mapping, check: only_check, chunk, name, rejects } = args;
    let job = Job { file, mapping, chunk, name, rejects };
    let (name, tally) = if only_check { check(&job)? } else { import(&connect.client()?, job).await? };
    output.result(|| tally.json(&name), || tally.text())?;
    Ok(ExitCode::from(u8::from(tally.rejected() != 0)))
}

/// Reads the whole file and sends nothing.
fn check(job: &Job) -> Result<(String, Tally), Failure> {
    let (mut source, mut tally) = job.open()?;
    while let Some(mut chunk) = source.next_chunk()? {
        tally.read(&mut chunk)?;
        tally.checked(chunk.persons.len());
        tally.progress(source.position());
    }
    tally.finish()?;
    Ok((source.name()?, tally))
}

/// Imports the file, with a progress bar on a terminal, and returns the import's name and its counts.
///
/// # Errors
/// As [`run`].
pub async fn import(client: &Client, job: Job) -> Result<(String, Tally), Failure> {
    let (mut source, mut tally) = job.open()?;
    let name = match job.name {
        Some(name) => name,
        None => source.name()?,
    };
    let mut context = client.context();
    context.request_id.clone_from(&name);
    let mut session = client.import(context);
    if let Err(failure) = send(&mut source, &mut session, &mut tally).await {
        return Err(tally.interrupted(failure));
    }
    tally.finish()?;
    Ok((name, tally))
}

async fn send(source: &mut Source, session: &mut ImportSession, tally: &mut Tally) -> Result<(), Failure> {
    while let Some(mut chunk) = source.next_chunk()? {
        tally.read(&mut chunk)?;
        if !chunk.persons.is_empty() {
            tally.sent(chunk.origins);
            for answer in session.send(chunk.persons).await? {
                tally.answered(&answer, |origin, why| source.reject(origin, why))?;
            }
        }
        tally.progress(source.position());
    }
    while let Some(answer) = session.answer().await? {
        tally.answered(&answer, |origin, why| source.reject(origin, why))?;
    }
    Ok(())
}
