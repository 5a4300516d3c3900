//! What became of the people of an import: counts, a progress bar, and the list of those that were rejected.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use serde_json::{Value, json};

use super::super::Failure;
use super::super::failure::file_failure;
use super::super::output::grouped;
use super::source::{Chunk, Origin};
use crate::domain::error::reason_name;
use crate::proto::registry::{ImportResponse, Rejection};

/// A row of the input that did not become a person of the registry.
#[derive(Serialize)]
pub struct Reject {
    /// Its first line, from 1.
    pub line: u64,
    /// What is at fault, in the terms of the input: a field as a dotted path, or a column; empty when no one is.
    pub field: String,
    /// The reason, as the API names it.
    pub reason: String,
    /// What was expected, in words.
    pub detail: String,
}

impl Reject {
    /// The row on a line, and why it was refused.
    pub fn new(line: u64, why: Rejection) -> Self {
        let reason = reason_name(why.reason()).to_owned();
        Self { line, field: why.field, reason, detail: why.detail }
    }
}

/// The counts of one run.
pub struct Tally {
    started: Instant,
    bar: ProgressBar,
    rejects_path: PathBuf,
    rejects: Option<BufWriter<File>>,
    /// Where the people of the chunks stand that have no answer yet.
    pending: VecDeque<Vec<Origin>>,
    sent: bool,
    checked: u64,
    created: u64,
    existing: u64,
    rejected: u64,
    normalised: u64,
    revision: u64,
}

impl Tally {
    /// Nothing done yet. `length` is that of the input in bytes, for the progress bar.
    pub fn new(input: &Path, rejects: Option<PathBuf>, length: Option<u64>) -> Self {
        let beside = || {
            let name = if input == Path::new("-") { "import".into() } else { input.as_os_str().to_owned() };
            let mut name = name;
            name.push(".rejects.ndjson");
            name.into()
        };
        Self {
            started: Instant::now(),
            bar: progress_bar(length),
            rejects_path: rejects.unwrap_or_else(beside),
            rejects: None,
            pending: VecDeque::new(),
            sent: false,
            checked: 0,
            created: 0,
            existing: 0,
            rejected: 0,
            normalised: 0,
            revision: 0,
        }
    }

    /// What was found on the way to a chunk's people. Takes its rejects.
    ///
    /// # Errors
    /// When the list of rejects cannot be written.
    pub fn read(&mut self, chunk: &mut Chunk) -> Result<(), Failure> {
        self.normalised += chunk.normalised;
        chunk.rejects.drain(..).try_for_each(|reject| self.reject(&reject))
    }

    /// A chunk's people were found to be well-formed, which was all that was asked.
    pub fn checked(&mut self, people: usize) {
        self.checked += people as u64;
    }

    /// A chunk goes out, with people from these places.
    pub fn sent(&mut self, origins: Vec<Origin>) {
        self.sent = true;
        self.pending.push_back(origins);
    }

    /// The answer to the oldest chunk that had none; `told` puts a rejection into the terms of the input.
    ///
    /// # Errors
    /// When the list of rejects cannot be written.
    pub fn answered(
        &mut self,
        answer: &ImportResponse,
        told: impl Fn(&Origin, Rejection) -> Reject,
    ) -> Result<(), Failure> {
        let origins = self.pending.pop_front().unwrap_or_default();
        self.created += u64::from(answer.created);
        self.existing += u64::from(answer.existing);
        self.revision = self.revision.max(answer.meta.as_ref().map_or(0, |meta| meta.revision));
        for reject in &answer.rejects {
            let why = reject.rejection.clone().unwrap_or_default();
            let origin = usize::try_from(reject.position).ok().and_then(|at| origins.get(at));
            let reject = match origin {
                Some(origin) => told(origin, why),
                None => Reject::new(0, why),
            };
            self.reject(&reject)?;
        }
        Ok(())
    }

    /// Moves the bar: `position` bytes of the input are read.
    pub fn progress(&self, position: u64) {
        self.bar.set_position(position);
        let (done, rate) = (self.done(), self.rate());
        self.bar.set_message(format!("{} people, {}/s", grouped(done), grouped(rate)));
    }

    /// All answers are there. A list that an earlier run left behind is emptied when nobody was rejected this time.
    ///
    /// # Errors
    /// When the list of rejects cannot be written.
    pub fn finish(&mut self) -> Result<(), Failure> {
        self.bar.finish_and_clear();
        let finished = match &mut self.rejects {
            Some(file) => file.flush(),
            None if self.rejects_path.exists() => File::create(&self.rejects_path).map(drop),
            None => Ok(()),
        };
        finished.map_err(|e| file_failure("write", &self.rejects_path, &e))
    }

    /// The import broke off: says what is safe and how to go on.
    pub fn interrupted(&mut self, failure: Failure) -> Failure {
        self.bar.finish_and_clear();
        let done = grouped(self.done());
        let next = match &failure {
            Failure::Input(_) | Failure::Negative(_) => "Mend that, then run the command again",
            Failure::Unavailable(_) | Failure::Fault(_) => "Run the same command again to go on",
        };
        let text = format!(
            "{failure}\n{done} people were answered before that and are safe. {next}: nobody is added twice."
        );
        match failure {
            // Exit code 1 says that some people were rejected.
            Failure::Negative(_) | Failure::Input(_) => Failure::Input(text),
            Failure::Unavailable(_) => Failure::Unavailable(text),
            Failure::Fault(_) => Failure::Fault(text),
        }
    }

    /// How many were added by this run.
    pub fn created(&self) -> u64 {
        self.created
    }

    /// How many were rejected.
    pub fn rejected(&self) -> u64 {
        self.rejected
    }

    /// The summary for programs.
    pub fn json(&self, name: &str) -> Value {
        json!({
            "import": name,
            "checked": self.checked,
            "created": self.created,
            "existing": self.existing,
            "rejected": self.rejected,
            "normalised": self.normalised,
            "rejects_file": (self.rejected != 0).then(|| self.rejects_path.display().to_string()),
            "seconds": self.started.elapsed().as_secs_f64(),
            "per_second": self.rate(),
            "revision": self.revision,
        })
    }

    /// The summary for people, on one line.
    pub fn text(&self) -> String {
        let rejects = match self.rejected {
            0 => "none rejected".to_owned(),
            n => format!("{} REJECTED (see {})", grouped(n), self.rejects_path.display()),
        };
        if !self.sent {
            let (checked, normalised) = (grouped(self.checked), grouped(self.normalised));
            return format!(
                "{checked} people are well-formed ({normalised} after NFC), {rejects}; nothing was sent"
            );
        }
        format!(
            "{} people in {:.1} s ({}/s): {} created, {} there already, {} normalised to NFC, {rejects}; revision {}",
            grouped(self.done()),
            self.started.elapsed().as_secs_f64(),
            grouped(self.rate()),
            grouped(self.created),
            grouped(self.existing),
            grouped(self.normalised),
            self.revision,
        )
    }

    fn reject(&mut self, reject: &Reject) -> Result<(), Failure> {
        self.rejected += 1;
        let failed = |e: io::Error| file_failure("write", &self.rejects_path, &e);
        let file = match &mut self.rejects {
            Some(file) => file,
            none => none.insert(BufWriter::new(File::create(&self.rejects_path).map_err(failed)?)),
        };
        serde_json::to_writer(&mut *file, reject).map_err(|e| failed(e.into()))?;
        file.write_all(b"\n").map_err(failed)
    }

    fn done(&self) -> u64 {
        self.checked + self.created + self.existing + self.rejected
    }

    /// People a second, since the start.
    fn rate(&self) -> u64 {
        let ms = self.started.elapsed().as_millis().max(1);
        u64::try_from(u128::from(self.done()) * 1000 / ms).unwrap_or(u64::MAX)
    }
}

fn progress_bar(length: Option<u64>) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let (bar, template) = match length {
        Some(length) => (ProgressBar::new(length), "{bar:40} {percent:>3}% {msg}, {eta} left"),
        None => (ProgressBar::new_spinner(), "{spinner} {msg}"),
    };
    bar.with_style(ProgressStyle::with_template(template).expect("the template is well-formed"))
}
