//! `dancu eid`: the account for electronic identification.

use std::process::ExitCode;

use serde_json::json;

use super::{Ask, Submit, day};
use crate::cli::Failure;
use crate::cli::answer::{meta_json, meta_text};
use crate::cli::connect::Whom;
use crate::cli::json;
use crate::cli::output::Output;
use crate::proto::registry::{EidLevel, EidState, ErrorReason, ReadEidResponse};

/// What to do with the account.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Open the account, or change its level
    Level {
        #[command(flatten)]
        submit: Submit,
        #[command(flatten)]
        whom: Whom,
        /// The level
        level: json::EidLevel,
        /// The day, which the age is counted at; today when absent
        #[arg(long)]
        on: Option<json::Date>,
    },
    /// Lock the account
    Lock {
        #[command(flatten)]
        submit: Submit,
        #[command(flatten)]
        whom: Whom,
        /// Why
        #[arg(long)]
        reason: String,
    },
    /// Unlock the account
    Unlock {
        #[command(flatten)]
        submit: Submit,
        #[command(flatten)]
        whom: Whom,
    },
    /// Show the account, locked or not
    Show(Ask),
    /// Ask whether the account may be used: exit code 0 when it may, 1 when it is locked or there is none
    Use(Ask),
}

/// Does it.
///
/// # Errors
/// See [`Failure`].
pub async fn run(command: Command, output: &Output) -> Result<ExitCode, Failure> {
    match command {
        Command::Level { submit, whom, level, on } => {
            let level = EidLevel::try_from(level.to_proto()).unwrap_or_default();
            submit
                .run(output, async |client, context| {
                    client.set_eid_level(context, whom.key(), level, day(on)).await
                })
                .await
        }
        Command::Lock { submit, whom, reason } => {
            submit
                .run(output, async |client, context| client.lock_eid(context, whom.key(), reason).await)
                .await
        }
        Command::Unlock { submit, whom } => {
            submit.run(output, async |client, context| client.unlock_eid(context, whom.key()).await).await
        }
        Command::Show(ask) => {
            let (client, key, options) = ask.parts()?;
            shown(output, client.eid(key, options).await?)
        }
        Command::Use(ask) => {
            let (client, key, options) = ask.parts()?;
            let answer = client.use_eid(key, options).await;
            let answer = answer.map_err(|error| match error.reason() {
                ErrorReason::EidLocked | ErrorReason::CredentialNotFound => Failure::from(error),
                _ => Failure::from(error).unanswered(),
            })?;
            shown(output, answer)
        }
    }
}

fn shown(output: &Output, answer: ReadEidResponse) -> Result<ExitCode, Failure> {
    let meta = answer.meta.unwrap_or_default();
    let account = answer.account.unwrap_or_default();
    let level = match account.level() {
        EidLevel::EidLevel2 => 2,
        _ => 1,
    };
    let state = match account.state() {
        EidState::Locked => format!("LOCKED: {}", account.lock_reason),
        _ => "unlocked".to_owned(),
    };
    output.result(
        || json!({ "eid_account": json::EidAccount::from(account.clone()), "meta": meta_json(&meta) }),
        || format!("level {level}, {state}\n{}", meta_text(&meta)),
    )?;
    Ok(ExitCode::SUCCESS)
}
