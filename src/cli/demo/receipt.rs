//! The step that takes an answer away as a receipt, and has it checked without the cluster.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::narrator::Narrator;
use super::stage::{Stage, machine};
use super::steps::PROVINCES;
use crate::cli::failure::file_failure;
use crate::cli::{Failure, fetch, receipt};
use crate::proto::registry::claim::Value as ClaimValue;
use crate::proto::registry::{Attribute, Claim, ReadOptions, Subject};

impl Stage {
    /// Has an answer signed, and checks the receipt offline: with this program, and with `outside` if there is one.
    pub async fn receipt(&mut self, narrator: &mut Narrator, outside: Option<&Path>) -> Result<(), Failure> {
        narrator.step("An answer is taken away as a receipt, and checked without the cluster")?;
        let (her, record) = self.written.first().cloned().expect("it was written before");
        let given = record.birth_name.map(|name| name.given).unwrap_or_default();
        let claim = Claim {
            attribute: Attribute::GivenName.into(),
            value: Some(ClaimValue::Text(given)),
            ..Claim::default()
        };
        let subject = Subject { key: Some(her), claims: vec![claim] };
        let answer = self.clients[PROVINCES[0]].verify_with_receipt(subject, ReadOptions::default()).await?;
        let signed = answer.receipt.unwrap_or_default();
        // The programs that check run elsewhere.
        let folder = std::path::absolute(&self.folder).map_err(|e| machine(&e))?;
        let (file, keys) = (folder.join("receipt"), folder.join("jwks.json"));
        receipt::write(&file, &signed)?;
        let http = self.fleet.nodes[0].config().http_listen.map(|address| address.to_string());
        let set = fetch::get(&http.unwrap_or_default(), receipt::KEYS_PATH).await;
        let set = set.map_err(|e| Failure::Unavailable(format!("no keys: {e}")))?;
        std::fs::write(&keys, set).map_err(|e| file_failure("write", &keys, &e))?;

        let checked = own_check(&file, &keys)?;
        narrator.say(&indented(&checked.1))?;
        let text = "the province's receipt is genuine, by the keys that a central node shows";
        narrator.holds(checked.0, text)?;

        let edited = folder.join("receipt-edited");
        let flipped = match signed.jws.strip_suffix('A') {
            Some(rest) => format!("{rest}Q"),
            None => format!("{}A", &signed.jws[..signed.jws.len().saturating_sub(1)]),
        };
        std::fs::write(&edited, flipped).map_err(|e| file_failure("write", &edited, &e))?;
        narrator.holds(!own_check(&edited, &keys)?.0, "with one letter changed it is not")?;

        let Some(outside) = outside else { return Ok(()) };
        let mut check = Command::new(outside);
        let (genuine, said) = run(check.arg(&file).arg(&keys))?;
        narrator.say(&indented(&said))?;
        narrator.holds(genuine, "and a JOSE library that is not ours (Python) says so, too")
    }
}

/// `dancu receipt verify`, as a program of its own that knows two files.
fn own_check(file: &PathBuf, keys: &PathBuf) -> Result<(bool, String), Failure> {
    let program = std::env::current_exe().map_err(|e| machine(&e))?;
    run(Command::new(program).args(["receipt", "verify"]).arg(file).arg("--keys").arg(keys))
}

/// Whether a program ended well, and what it printed.
fn run(command: &mut Command) -> Result<(bool, String), Failure> {
    let output = command.stdin(Stdio::null()).output().map_err(|e| machine(&e))?;
    let text = [output.stdout, output.stderr].concat();
    Ok((output.status.success(), String::from_utf8_lossy(&text).trim_end().to_owned()))
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("   {line}")).collect::<Vec<_>>().join("\n")
}
