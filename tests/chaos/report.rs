//! The report of a run, in a folder: `report.md`, `timeline.svg`, `summary.json`, and for each record that was judged wrong
//! its history as text, which the judges' fixtures have the form of.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

use super::nemesis::Past;
use super::resources::Resource;
use super::timeline::timeline;
use super::verdict::{Outcome, Verdict};
use crate::workload::{Told, Wrong};

/// What the report is about.
pub struct Run<'a> {
    /// The command that repeats it.
    pub command: &'a str,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// The nodes' names.
    pub names: &'a [String],
    /// What the clients were told.
    pub told: &'a Told,
    /// The faults.
    pub past: &'a [Past],
    /// Who led, from when on.
    pub leaders: &'a [(f64, usize, u64)],
    /// The verdict.
    pub outcome: &'a Outcome,
}

impl Run<'_> {
    /// Writes the report.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
        fs::create_dir_all(folder)?;
        fs::write(folder.join("timeline.svg"), timeline(self))?;
        fs::write(folder.join("report.md"), self.markdown())?;
        fs::write(folder.join("summary.json"), serde_json::to_string_pretty(self.outcome)? + "\n")?;
        if self.outcome.verdict == Verdict::Broken {
            for Wrong { key, operations, .. } in &self.told.judged.wrong {
                let lines: Vec<String> = operations.iter().map(ToString::to_string).collect();
                fs::write(folder.join(format!("record-{key}.txt")), lines.join("\n") + "\n")?;
            }
        }
        Ok(())
    }

    /// The table of counts, for the terminal too.
    pub fn counts(&self) -> Vec<(&'static str, String)> {
        let outcome = self.outcome;
        let faults: Vec<String> =
            outcome.faults.iter().map(|(name, count)| format!("{name} {count}")).collect();
        vec![
            ("answered calls", outcome.operations.to_string()),
            ("acknowledged writes", outcome.writes.to_string()),
            ("writes without an answer", outcome.unknown.to_string()),
            (
                "records judged",
                format!(
                    "{} ({} by revisions alone, {} in windows)",
                    outcome.records, outcome.given_up, self.told.judged.cut
                ),
            ),
            ("faults", format!("{}: {}", self.past.len(), faults.join(", "))),
            ("leader changes", outcome.leader_changes.to_string()),
            ("longest write gap", format!("{} ms", outcome.longest_write_gap_ms)),
        ]
    }

    fn markdown(&self) -> String {
        let mut text = format!(
            "# {:?}\n\nRepeat with `{}`; it ran for {:.0} s.\n\n",
            self.outcome.verdict, self.command, self.seconds
        );
        for reason in &self.outcome.reasons {
            let _ = writeln!(text, "- {reason}");
        }
        text += "\n![Calls, faults and leaders over time](timeline.svg)\n\n| what | how much |\n|---|---|\n";
        for (what, value) in self.counts() {
            let _ = writeln!(text, "| {what} | {value} |");
        }
        text += "\n| node | what it took | start | end | most | growth in an hour |\n|---|---|---:|---:|---:|---:|\n";
        for Resource { node, what, start, end, most, growth_per_hour } in &self.outcome.resources {
            let growth = growth_per_hour.map_or("not judged".to_owned(), |growth| format!("{growth:.1}"));
            let _ = writeln!(text, "| {node} | {what} | {start:.0} | {end:.0} | {most:.0} | {growth} |");
        }
        text += "\n| from, s | to, s | fault | at | what it does |\n|---:|---:|---|---|---|\n";
        for one in self.past {
            let nodes: Vec<&str> = one.nodes.iter().map(|node| self.names[*node].as_str()).collect();
            let (from, to, nodes) = (one.from, one.to, nodes.join(", "));
            let what = if one.detail.is_empty() { one.fault.about() } else { &one.detail };
            let _ = writeln!(text, "| {from:.1} | {to:.1} | {} | {nodes} | {what} |", one.fault);
        }
        text
    }
}
