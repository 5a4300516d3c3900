//! `dancu audit verify`: an exported file, or the folder of a log, checked without a cluster.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::{Value, json};

use super::line;
use crate::audit::checkpoint::hex;
use crate::audit::verify::{Bad, Check, Report, folder};
use crate::cli::Failure;
use crate::cli::failure::file_failure;
use crate::cli::output::Output;

/// What to check.
#[derive(clap::Args)]
pub struct Args {
    /// A file that `dancu audit export` wrote, or the folder DATA/audit/ID of a node that is stopped
    path: PathBuf,
    /// The key that must have signed, as `dancu audit checkpoint` shows it: without it the one in the file is believed
    #[arg(long, value_parser = key)]
    key: Option<Key>,
}

/// An Ed25519 key.
#[derive(Clone)]
struct Key(Vec<u8>);

fn key(text: &str) -> Result<Key, String> {
    line::bytes_of(text)
        .filter(|key| key.len() == 32)
        .map(Key)
        .ok_or_else(|| "expected 64 hexadecimal digits".to_owned())
}

/// Checks it; exit code 1 when something is wrong.
///
/// # Errors
/// When it cannot be read, or is no log.
pub fn run(args: &Args, output: &Output) -> Result<ExitCode, Failure> {
    let key = args.key.clone().map(|key| key.0);
    let pinned = key.is_some();
    let outcome = if args.path.is_dir() {
        folder(&args.path, key).map_err(|error| Failure::Input(error.to_string()))?
    } else {
        file(&args.path, key)?
    };
    let (good, code) = match &outcome {
        Ok(_) => (true, ExitCode::SUCCESS),
        Err(_) => (false, ExitCode::from(1)),
    };
    output.result(
        || match &outcome {
            Ok(report) => json!({ "good": good, "report": report_json(report) }),
            Err(bad) => json!({ "good": good, "first_bad": bad.position, "detail": bad.detail }),
        },
        || match &outcome {
            Ok(report) => text(report, pinned),
            Err(bad) => format!("BAD: the first bad record is {}: {}", bad.position, bad.detail),
        },
    )?;
    Ok(code)
}

fn report_json(report: &Report) -> Value {
    json!({
        "cluster_id": report.owner.cluster_id,
        "node_id": report.owner.node_id,
        "first": report.first,
        "size": report.size,
        "root": hex(&report.root),
        "checkpoints": report.checkpoints,
        "covered": report.covered,
        "public_key": hex(&report.public_key),
    })
}

fn text(report: &Report, pinned: bool) -> String {
    let Report { owner, first, size, checkpoints, covered, .. } = report;
    let mut text = format!("good: node {}, records {first} to {size} (not included)\n", owner.node_id);
    text += &format!("root {}\n", hex(&report.root));
    if *checkpoints == 0 {
        return text + "no checkpoint covers any of them: only the hashes beside them were compared";
    }
    text += &format!("{checkpoints} signed checkpoints, the last of them of {covered} records\n");
    text += &format!("key  {}", hex(&report.public_key));
    if !pinned {
        text += "\ncompare the key with `dancu audit checkpoint`, or give it as --key";
    }
    text
}

/// Checks an exported file line by line.
fn file(path: &Path, key: Option<Vec<u8>>) -> Result<Result<Report, Bad>, Failure> {
    let file = File::open(path).map_err(|e| file_failure("open", path, &e))?;
    let mut lines = BufReader::new(file).lines();
    let no_export =
        || Failure::Input(format!("{} does not begin as an exported audit log does", path.display()));
    let first = lines.next().ok_or_else(no_export)?.map_err(|e| file_failure("read", path, &e))?;
    let json: Value = serde_json::from_str(&first).map_err(|_| no_export())?;
    match json["dancu_audit"].as_u64() {
        Some(line::FORM) => {}
        Some(form) => {
            let what = format!(
                "{} has form {form}, which this version does not know: use a newer one",
                path.display()
            );
            return Err(Failure::Input(what));
        }
        None => return Err(no_export()),
    }
    let start = line::start_of(&json).ok_or_else(no_export)?;
    if line::head(&start) != first {
        return Ok(Err(Bad::at(start.first, "the first line was edited")));
    }
    let mut check = match Check::of_export(&start, key) {
        Ok(check) => check,
        Err(bad) => return Ok(Err(bad)),
    };
    let mut covered = start.first;
    for text in lines {
        let checked = match text {
            Ok(text) => one(&mut check, &mut covered, &text),
            // Not UTF-8 any more.
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                Err(Bad::at(check.next(), "its line was edited"))
            }
            Err(error) => return Err(file_failure("read", path, &error)),
        };
        if let Err(bad) = checked {
            return Ok(Err(bad));
        }
    }
    if check.next() < start.size || covered < start.size {
        let detail =
            format!("the file ends before it, or before its checkpoint: it had {} records", start.size);
        return Ok(Err(Bad::at(check.next().min(start.size - 1), detail)));
    }
    Ok(Ok(check.report()))
}

/// Checks a line after the first.
fn one(check: &mut Check, covered: &mut u64, text: &str) -> Result<(), Bad> {
    let position = check.next();
    let edited = || Bad::at(position, "its line was edited");
    let json: Value = serde_json::from_str(text).map_err(|_| edited())?;
    if json.get("checkpoint").is_some() {
        let checkpoint = line::checkpoint_of(&json["checkpoint"]);
        let checkpoint = checkpoint.filter(|it| line::checkpoint(it) == text);
        let checkpoint =
            checkpoint.ok_or_else(|| Bad::at(*covered, "the line of the next checkpoint was edited"))?;
        if checkpoint.size != position {
            return Err(Bad::at(
                position.min(checkpoint.size),
                format!("the checkpoint of {} records stands here", checkpoint.size),
            ));
        }
        check.checkpoint(&checkpoint)?;
        *covered = checkpoint.size;
        return Ok(());
    }
    let stated = json["position"].as_u64().ok_or_else(edited)?;
    if stated != position {
        return Err(Bad::at(position, format!("record {stated} stands in its place")));
    }
    let bytes = json["record"].as_str().and_then(line::bytes_of).ok_or_else(edited)?;
    let access = check.record(&bytes)?;
    if line::record(position, &bytes, &access) == text { Ok(()) } else { Err(edited()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::checkpoint::Key;
    use crate::audit::log::Owner;
    use crate::audit::merkle::{self, Frontier};
    use crate::audit::record;
    use crate::proto::registry::{AccessRecord, AccessedPerson, ExportStart};

    const RECORDS: u64 = 30;

    /// The lines of an export, with a checkpoint after each ten records.
    fn export() -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let key = Key::open(folder.path(), true).unwrap();
        let owner = Owner { cluster_id: "a-cluster".to_owned(), node_id: 3 };
        let (cluster_id, node_id) = (owner.cluster_id.clone(), 3);
        let start = ExportStart { cluster_id, node_id, size: RECORDS, ..ExportStart::default() };
        let mut lines = vec![line::head(&start)];
        let mut tree = Frontier::default();
        for position in 0..RECORDS {
            let persons = vec![AccessedPerson {
                uid: position + 1,
                attributes: vec![1],
                verdicts: vec![1],
                strengths: vec![2],
                ..AccessedPerson::default()
            }];
            let method = "Verification/Verify".to_owned();
            let access = AccessRecord { node_id: 3, method, persons, ..AccessRecord::default() };
            let mut bytes = record::encode(&access);
            record::place(&mut bytes, position);
            tree.push(merkle::leaf(&bytes), |_| ());
            let access = record::decode(&bytes, 3, position).unwrap();
            lines.push(line::record(position, &bytes, &access));
            if position % 10 == 9 {
                lines.push(line::checkpoint(&key.sign(&owner, &tree, 7)));
            }
        }
        lines
    }

    fn check(lines: &[String]) -> Result<Report, (u64, String)> {
        let file_of_lines = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file_of_lines.path(), lines.join("\n") + "\n").unwrap();
        file(file_of_lines.path(), None).unwrap().map_err(|bad| (bad.position, bad.detail))
    }

    /// The line of a record.
    fn at(position: u64) -> usize {
        usize::try_from(1 + position + position / 10).unwrap()
    }

    #[test]
    fn a_sound_file_is_found_sound() {
        let report = check(&export()).unwrap();
        assert_eq!((report.size, report.checkpoints, report.covered), (RECORDS, 3, RECORDS));
    }

    #[test]
    fn any_byte_edited_is_named_by_its_record() {
        let lines = export();
        for position in 0..RECORDS {
            let line = &lines[at(position)];
            for byte in (0..line.len()).step_by(7) {
                let mut edited = line.clone().into_bytes();
                edited[byte] ^= 1;
                let mut lines = lines.clone();
                lines[at(position)] = String::from_utf8(edited).unwrap();
                assert_eq!(check(&lines).unwrap_err().0, position, "byte {byte}: {}", lines[at(position)]);
            }
        }
    }

    #[test]
    fn what_was_dropped_swapped_or_cut_is_named() {
        let lines = export();
        for position in [0, 7, 15, RECORDS - 1] {
            let mut dropped = lines.clone();
            dropped.remove(at(position));
            assert_eq!(check(&dropped).unwrap_err().0, position, "dropped");
        }
        let mut swapped = lines.clone();
        swapped.swap(at(12), at(13));
        assert_eq!(check(&swapped).unwrap_err().0, 12, "swapped");
        for kept in 1..lines.len() {
            let records = lines[1..kept].iter().filter(|line| line.contains("\"position\":")).count() as u64;
            let expected = records.min(RECORDS - 1);
            assert_eq!(check(&lines[..kept]).unwrap_err().0, expected, "cut to {kept} lines");
        }
    }

    #[test]
    fn a_record_replaced_with_all_that_follows_from_it_is_found_out_by_the_signature() {
        let mut lines = export();
        let json: Value = serde_json::from_str(&lines[at(15)]).unwrap();
        let bytes = line::bytes_of(json["record"].as_str().unwrap()).unwrap();
        let mut access = record::decode(&bytes, 3, 15).unwrap();
        (access.position, access.persons[0].uid) = (0, 99);
        let mut bytes = record::encode(&access);
        record::place(&mut bytes, 15);
        let access = record::decode(&bytes, 3, 15).unwrap();
        lines[at(15)] = line::record(15, &bytes, &access);
        let (position, detail) = check(&lines).unwrap_err();
        assert!(
            position == 10 && detail.contains("records 10 to 19 are not those that were signed"),
            "{detail}"
        );
    }
}
