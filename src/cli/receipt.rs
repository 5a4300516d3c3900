//! `dancu receipt`: whether a receipt of a verification is genuine, and what it attests; without a cluster when the set of
//! keys is at hand.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::{Value, json};

use super::Failure;
use super::audit::line;
use super::connect::Connect;
use super::failure::file_failure;
use super::fetch;
use super::output::{Output, line as print, table};
use crate::proto::registry::{Receipt, ReceiptVerdict, VerifyReceiptResponse};
use crate::receipt::{Checked, Content, KeySet, Opened, check};

/// Where a node shows the set of keys.
pub const KEYS_PATH: &str = "/.well-known/jwks.json";

/// What to do with receipts.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Check a receipt and show what it attests, with the claims that its disclosures open
    ///
    /// Exit codes: 0 when it is genuine; 1 when it is not; 2 when a file cannot be read; 3 when nobody answers.
    Verify(Box<Verify>),
    /// Print the public keys of all receipts of the cluster, to be kept: a receipt can be checked with them for ever
    Keys(Keys),
}

/// Which receipt.
#[derive(clap::Args)]
pub struct Verify {
    #[command(flatten)]
    connect: Connect,
    /// The receipt, as `dancu verify --receipt` wrote it; "-" is standard input. Disclosures may be cut off after any "~"
    file: PathBuf,
    /// The set of keys: a file, or http://HOST:PORT of a node's HTTP listener. A node is asked to check when this is absent
    #[arg(long, value_name = "FILE|URL")]
    keys: Option<String>,
}

/// Whose keys.
#[derive(clap::Args)]
pub struct Keys {
    /// A node's HTTP listener, as 127.0.0.1:7201
    address: String,
}

/// Does it.
///
/// # Errors
/// See [`Failure`].
pub async fn run(command: Command, output: &Output) -> Result<ExitCode, Failure> {
    match command {
        Command::Verify(args) => verify(*args, output).await.map_err(Failure::unanswered),
        Command::Keys(Keys { address }) => {
            let keys = fetched(&address).await?;
            print(format!("{:#}", keys.to_json()))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn verify(args: Verify, output: &Output) -> Result<ExitCode, Failure> {
    let receipt = read(&args.file)?;
    let Some(keys) = &args.keys else {
        let answer = args.connect.client()?.verify_receipt(receipt.trim().to_owned()).await?;
        let valid = answer.verdict() == ReceiptVerdict::Valid;
        output.result(|| answered_json(&answer), || answered_text(&answer))?;
        return Ok(ExitCode::from(u8::from(!valid)));
    };
    match check(&receipt, &keys_of(keys).await?) {
        Ok(checked) => {
            output.result(|| checked_json(&checked), || checked_text(&checked))?;
            Ok(ExitCode::SUCCESS)
        }
        Err(refused) => {
            let verdict = word(refused.verdict());
            output.result(
                || json!({ "valid": false, "verdict": verdict, "detail": refused.to_string() }),
                || format!("NOT GENUINE: {refused}"),
            )?;
            Ok(ExitCode::from(1))
        }
    }
}

fn word(verdict: ReceiptVerdict) -> String {
    super::answer::word(verdict.as_str_name(), "RECEIPT_VERDICT_")
}

fn read(path: &Path) -> Result<String, Failure> {
    let bytes = if path == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut std::io::stdin(), &mut bytes).map(|_| bytes)
    } else {
        std::fs::read(path)
    };
    let bytes = bytes.map_err(|error| file_failure("read", path, &error))?;
    // What is no text is no receipt: that is for the check to say.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

async fn keys_of(place: &str) -> Result<KeySet, Failure> {
    if let Some(rest) = place.strip_prefix("http://") {
        return fetched(rest.split('/').next().unwrap_or_default()).await;
    }
    if place.starts_with("https://") {
        return Err(Failure::Input(
            "--keys: fetch it with a tool that speaks https, and name the file".to_owned(),
        ));
    }
    let path = Path::new(place);
    let bytes = std::fs::read(path).map_err(|error| file_failure("read", path, &error))?;
    KeySet::parse(&bytes)
        .map_err(|detail| Failure::Input(format!("{place} is no set of receipt keys: {detail}")))
}

async fn fetched(address: &str) -> Result<KeySet, Failure> {
    let keys = fetch::get(address, KEYS_PATH).await;
    let keys = keys.map_err(|error| Failure::Unavailable(format!("no keys from {address}: {error}")))?;
    KeySet::parse(keys.as_bytes())
        .map_err(|detail| Failure::Input(format!("{address} shows no set of receipt keys: {detail}")))
}

/// Writes a receipt with all its disclosures, which are personal data: for its owner alone.
///
/// # Errors
/// When the file cannot be written.
pub fn write(path: &Path, receipt: &Receipt) -> Result<(), Failure> {
    let mut text = receipt.jws.clone();
    for disclosure in &receipt.disclosures {
        text.push('~');
        text.push_str(disclosure);
    }
    text.push_str("~\n");
    let opened = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    let written = opened.and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| file_failure("write", path, &error))
}

fn checked_text(checked: &Checked) -> String {
    let Checked { kid, content, opened } = checked;
    let of = |place: usize| {
        let shown = opened.iter().find(|opened| opened.verdict == Some(place));
        shown.map(|opened| value_text(&opened.value)).unwrap_or_default()
    };
    let row = |(place, told): (usize, &crate::receipt::Told)| {
        vec![
            told.attribute.clone(),
            told.verdict.clone(),
            told.strength.clone(),
            told.precision.clone(),
            of(place),
        ]
    };
    let shown = table(
        &["claim", "verdict", "strength", "precision", "opened"],
        content.verdicts.iter().enumerate().map(row).collect(),
    );
    let whole = opened.iter().filter(|opened| opened.verdict.is_none());
    let whole = whole.map(|opened| format!("\n{}: {}", opened.name, value_text(&opened.value)));
    format!("genuine: signed with key {kid}\n{}\n{shown}{}", said(content), whole.collect::<String>())
}

/// Who said what, when; and where the record of it is.
fn said(content: &Content) -> String {
    let Content { node_id, time_ms, agency, revision, consistency, .. } = content;
    let agency = if agency.is_empty() { "somebody" } else { agency };
    let all = if content.all_match { "all claims match" } else { "NOT all claims match" };
    let procedure = match content.procedure.as_str() {
        "" => String::new(),
        code => format!(" in procedure {code}"),
    };
    format!(
        "node {node_id} of cluster {} answered {agency}{procedure} at {}\n{all} · revision {revision} · {} · record {}/{} of \
         the audit trail",
        content.cluster_id,
        line::time(*time_ms),
        consistency.replace('_', " "),
        content.audit.node_id,
        content.audit.position,
    )
}

/// A text without quotes, and everything else as JSON.
fn value_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)
}

fn checked_json(checked: &Checked) -> Value {
    let opened =
        |opened: &Opened| json!({ "name": opened.name, "value": opened.value, "verdict": opened.verdict });
    json!({
        "valid": true,
        "verdict": word(ReceiptVerdict::Valid),
        "kid": checked.kid,
        "content": checked.content,
        "opened": checked.opened.iter().map(opened).collect::<Vec<_>>(),
    })
}

fn answered_text(answer: &VerifyReceiptResponse) -> String {
    let Some(attested) = &answer.attested else { return format!("NOT GENUINE: {}", answer.detail) };
    let all = if attested.all_match { "all claims match" } else { "NOT all claims match" };
    format!(
        "genuine: node {} answered {} at {}\n{all} · revision {} · record {}/{} of the audit trail · {} disclosures are its own",
        attested.node_id,
        attested.agency_id,
        line::time(attested.time_ms),
        attested.revision,
        attested.audit_node_id,
        attested.audit_position,
        answer.opened,
    )
}

fn answered_json(answer: &VerifyReceiptResponse) -> Value {
    let attested = answer.attested.as_ref().map(|attested| {
        json!({
            "node_id": attested.node_id, "time_ms": attested.time_ms, "agency": attested.agency_id,
            "revision": attested.revision, "all_match": attested.all_match,
            "audit": { "node_id": attested.audit_node_id, "position": attested.audit_position },
        })
    });
    json!({
        "valid": answer.verdict() == ReceiptVerdict::Valid,
        "verdict": word(answer.verdict()),
        "detail": answer.detail,
        "attested": attested,
        "opened": answer.opened,
    })
}
