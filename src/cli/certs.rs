//! `dancu certs`: the authority of a cluster's nodes and the certificates it gives them.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::{Failure, Output};
use crate::config::is_node_name;
use crate::tls::authority::{Authority, AuthorityError};

/// What to do.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Make the authority that the nodes of a cluster trust: once, on a machine that is none of theirs
    Init {
        #[command(flatten)]
        place: Place,
        /// Days until its certificate ends
        #[arg(long, default_value_t = 3650, value_parser = clap::value_parser!(u32).range(1..=36_500))]
        days: u32,
    },
    /// Make the certificates of nodes, or new ones before the old ones end: FOLDER/NAME is what the node NAME gets
    Issue {
        #[command(flatten)]
        place: Place,
        /// Names of nodes, as in their configuration
        #[arg(required = true)]
        names: Vec<String>,
        /// Days until they end
        #[arg(long, default_value_t = 397, value_parser = clap::value_parser!(u32).range(1..=36_500))]
        days: u32,
    },
    /// Take the certificate of a node back: its next connection is refused by each node that has the new revoked.pem
    Revoke {
        #[command(flatten)]
        place: Place,
        /// The node's name
        name: String,
    },
}

/// Where the authority is kept.
#[derive(Args)]
pub struct Place {
    /// Folder of the authority. Its authority.key stays here: who has it can be any node
    #[arg(long, default_value = "dancu-certs")]
    folder: PathBuf,
}

/// Does it.
///
/// # Errors
/// When a file is in the way, cannot be used or written.
pub fn run(command: Command, output: &Output) -> Result<ExitCode, Failure> {
    match command {
        Command::Init { place, days } => {
            Authority::init(&place.folder, days)?;
            let folder = place.folder.display();
            let text =
                format!("{folder} holds the authority. Next: dancu certs issue --folder {folder} NAME...");
            output.result(|| json!({ "folder": place.folder }), || text)?;
        }
        Command::Issue { place, names, days } => {
            names.iter().try_for_each(|name| check(name))?;
            let authority = Authority::open(&place.folder)?;
            let folders: Vec<PathBuf> =
                names.iter().map(|name| authority.issue(name, days)).collect::<Result<_, _>>()?;
            let lines = names.iter().zip(&folders).map(|(name, folder)| {
                format!("{} is what {name} gets: name it as its peer_tls", folder.display())
            });
            output.result(|| json!({ "folders": folders }), || lines.collect::<Vec<_>>().join("\n"))?;
        }
        Command::Revoke { place, name } => {
            check(&name)?;
            Authority::open(&place.folder)?.revoke(&name)?;
            let text = format!(
                "the certificate of {name} is taken back. Copy {}/revoked.pem into the folder of each node: they read it within \
                 seconds. Connections that are there stay: `dancu cluster remove` ends those",
                place.folder.display()
            );
            output.result(|| json!({ "revoked": name }), || text)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn check(name: &str) -> Result<(), Failure> {
    if is_node_name(name) {
        return Ok(());
    }
    Err(Failure::Input(format!(
        "\"{name}\" is no name of a node: 1 to 63 of a-z, 0-9, '-' and '.', first and last a letter or digit"
    )))
}

impl From<AuthorityError> for Failure {
    fn from(error: AuthorityError) -> Self {
        Self::Input(error.to_string())
    }
}
