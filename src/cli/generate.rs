//! `dancu generate`: a synthetic population as NDJSON, one person a line, some of them in the other Unicode form as in
//! real files. Nothing is held in memory but that line.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::ops::Range;
use std::path::PathBuf;
use std::process::ExitCode;

use indicatif::{ProgressBar, ProgressStyle};
use unicode_normalization::UnicodeNormalization;

use super::json::Texts as _;
use super::{Failure, json};
use crate::domain::population::Population;

/// What to generate.
#[derive(clap::Args)]
pub struct Args {
    /// How many people
    #[arg(long)]
    count: u64,
    /// The same seed gives the same people on every machine
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Position of the first person in the population of this seed, to generate it in parts
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// The file to write; standard output when absent
    #[arg(long, short)]
    output: Option<PathBuf>,
}

/// Writes the population.
///
/// # Errors
/// When the output cannot be written.
pub fn run(args: &Args) -> Result<ExitCode, Failure> {
    let people = args.first..args.first.saturating_add(args.count);
    let written = match &args.output {
        None => write(args.seed, people, &ProgressBar::hidden(), io::stdout().lock()),
        Some(path) => {
            File::create(path).and_then(|file| write(args.seed, people, &progress(args.count), file))
        }
    };
    match written {
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => {
            let path = args.output.clone().unwrap_or_else(|| "standard output".into());
            Err(super::failure::file_failure("write", &path, &e))
        }
        _ => Ok(ExitCode::SUCCESS),
    }
}

/// Writes these people of a seed's population, one a line.
///
/// # Errors
/// When `to` cannot be written.
pub fn write(seed: u64, people: Range<u64>, progress: &ProgressBar, to: impl Write) -> io::Result<()> {
    let population = Population::new(seed);
    let mut to = BufWriter::with_capacity(1 << 16, to);
    for index in people {
        let mut person = json::Person::from(population.person(index));
        if population.is_decomposed(index) {
            person.texts(&mut |text| *text = text.nfd().collect());
        }
        serde_json::to_writer(&mut to, &person)?;
        to.write_all(b"\n")?;
        progress.inc(1);
    }
    progress.finish_and_clear();
    to.flush()
}

fn progress(count: u64) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style =
        ProgressStyle::with_template("{bar:40} {human_pos}/{human_len} people, {per_sec}, {eta} left");
    ProgressBar::new(count).with_style(style.expect("the template is well-formed"))
}
