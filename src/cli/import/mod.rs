//! `dancu import`: adds the people of an NDJSON file, in chunks, over one stream.
//!
//! ```text
//! source  file -> lines -> people -> chunks      the same chunks for the same file, run after run
//! mod     chunks -> client's import session -> answers
//! tally   answers -> counts, progress, FILE.rejects.ndjson
//! ```
//!
//! **Resumable.** The import's name is a hash of the file and of the chunk size, and each chunk is applied at most once
//! under its name and number. A second run after a break sends all chunks again: those that were applied before are
//! answered from the request table, or, once that has forgotten them, count as people who exist already.
//!
//! **Text is normalised to NFC** before it is sent: sources write Vietnamese in both Unicode forms, and the registry
//! refuses the other one. The two forms are the same text by definition. How many people it concerned is reported.

mod source;
mod tally;

use std::path::PathBuf;
use std::process::ExitCode;

use self::source::Source;
pub use self::tally::Tally;
use super::Failure;
use super::connect::Connect;
use super::output::Output;
use crate::client::{Client, ImportSession};

/// What to import.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    connect: Connect,
    /// NDJSON of people as `dancu generate` writes it; - for standard input
    file: PathBuf,
    /// People in a chunk
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u64).range(1..=1000))]
    chunk: u64,
    /// Name of the import, at most 28 characters: a run under a name continues the last one under it. A hash of the
    /// file when absent; for standard input a new one each time
    #[arg(long, value_parser = name)]
    name: Option<String>,
    /// Where rejected people are listed; FILE.rejects.ndjson when absent
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
    /// People in a chunk, 1 to 1000.
    pub chunk: u64,
    /// Name of the import; see [`Args`].
    pub name: Option<String>,
    /// Where rejected people are listed; see [`Args`].
    pub rejects: Option<PathBuf>,
}

/// Imports the file; 0 when everybody is in the registry, 1 when some were rejected.
///
/// # Errors
/// See [`Failure`]. What was acknowledged before a failure stays; the same command continues.
pub async fn run(args: Args, output: &Output) -> Result<ExitCode, Failure> {
    let client = args.connect.client()?;
    let job = Job { file: args.file, chunk: args.chunk, name: args.name, rejects: args.rejects };
    let (name, tally) = import(&client, job).await?;
    output.result(|| tally.json(&name), || tally.text())?;
    Ok(ExitCode::from(u8::from(tally.rejected() != 0)))
}

/// Imports the file, with a progress bar on a terminal, and returns the import's name and its counts.
///
/// # Errors
/// As [`run`].
pub async fn import(client: &Client, job: Job) -> Result<(String, Tally), Failure> {
    let mut source = Source::open(&job.file, usize::try_from(job.chunk).expect("at most 1000"))?;
    let name = match job.name {
        Some(name) => name,
        None => source.name()?,
    };
    let mut tally = Tally::new(&job.file, job.rejects, source.length());
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
    while let Some(chunk) = source.next_chunk()? {
        tally.sent(chunk.lines, chunk.rejects, chunk.normalised)?;
        if !chunk.persons.is_empty() {
            for answer in session.send(chunk.persons).await? {
                tally.answered(&answer)?;
            }
        }
        tally.progress(source.position());
    }
    while let Some(answer) = session.answer().await? {
        tally.answered(&answer)?;
    }
    Ok(())
}
