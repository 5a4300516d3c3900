//! `dancu certs`: the authorities of a cluster and the certificates they give to nodes, agencies and operators.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::{Failure, Output};
use crate::config::is_node_name;
use crate::tls::authority::{Authority, AuthorityError};
use crate::tls::{Circle, Holder, Right};

/// Both circles.
const CIRCLES: [Circle; 2] = [Circle::Peers, Circle::Clients];

/// What to do.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Make the authorities that a cluster trusts: once, on a machine that is none of its nodes
    Init {
        #[command(flatten)]
        place: Place,
        /// Days until their certificates end
        #[arg(long, default_value_t = 3650, value_parser = days())]
        days: u32,
    },
    /// Make the certificates of a node, an agency or an operator
    Issue {
        #[command(flatten)]
        place: Place,
        /// Days until they end
        #[arg(long, global = true, default_value_t = 397, value_parser = days())]
        days: u32,
        #[command(subcommand)]
        to: Issue,
    },
    /// Make new certificates in place of those that end soon, with new keys
    Renew {
        #[command(flatten)]
        place: Place,
        /// Those that end within so many days
        #[arg(long, default_value_t = 60, value_parser = days())]
        within: u32,
        /// Days until the new ones end
        #[arg(long, default_value_t = 397, value_parser = days())]
        days: u32,
    },
    /// Take a certificate back: its connections end, and the next one is refused, at each node that has the new revoked.pem
    Revoke {
        #[command(flatten)]
        place: Place,
        /// Whose
        #[arg(value_enum)]
        kind: Kind,
        /// Its name or id
        name: String,
    },
}

/// Whom to give a certificate.
#[derive(clap::Subcommand)]
pub enum Issue {
    /// A node: one certificate for its clients, one for the other nodes
    Node {
        /// Its name, as in its configuration
        name: String,
        /// Names and IP addresses by which clients reach it, separated by commas
        #[arg(long, required = true, value_delimiter = ',')]
        host: Vec<String>,
    },
    /// An agency: for its services
    Agency {
        /// Its id, as it stands in requests
        id: String,
    },
    /// An operator
    Operator {
        /// Their name
        name: String,
        /// What they may do
        #[arg(long, value_enum, default_value_t = Role::Admin)]
        role: Role,
    },
}

/// What an operator may do.
#[derive(Clone, Copy, ValueEnum)]
pub enum Role {
    /// Change the cluster
    Admin,
    /// Look at it
    Observer,
    /// See who asked about whom, and nothing of the cluster
    Auditor,
}

/// A kind of holder.
#[derive(Clone, Copy, ValueEnum)]
pub enum Kind {
    /// A node
    Node,
    /// An agency
    Agency,
    /// An operator
    Operator,
}

/// Where the authorities are kept.
#[derive(Args)]
pub struct Place {
    /// Folder of the authorities. The two authority.key stay here: who has them can be anybody
    #[arg(long, global = true, default_value = "dancu-certs")]
    folder: PathBuf,
}

fn days() -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..=36_500)
}

/// Does it.
///
/// # Errors
/// When a file is in the way, cannot be used or written.
pub fn run(command: Command, output: &Output) -> Result<ExitCode, Failure> {
    match command {
        Command::Init { place: Place { folder }, days } => {
            for circle in CIRCLES {
                Authority::init(&folder, circle, days)?;
            }
            let shown = folder.display();
            let text = format!(
                "{shown} holds the authorities. Next: dancu certs issue --folder {shown} node NAME --host HOST"
            );
            output.result(|| json!({ "folder": folder }), || text)?;
        }
        Command::Issue { place, days, to } => issue(&place.folder, days, to, output)?,
        Command::Renew { place: Place { folder }, within, days } => {
            let mut renewed = Vec::new();
            for circle in CIRCLES {
                let holders = Authority::open(&folder, circle)?.renew(within, days)?;
                renewed.extend(holders.iter().map(|holder| format!("{}: {holder}", circle.name())));
            }
            let text = || match &renewed[..] {
                [] => format!("no certificate ends within {within} days"),
                renewed => format!("renewed, to be copied to their holders:\n  {}", renewed.join("\n  ")),
            };
            output.result(|| json!({ "renewed": renewed }), text)?;
        }
        Command::Revoke { place: Place { folder }, kind, name } => revoke(&folder, kind, &name, output)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn issue(folder: &Path, days: u32, to: Issue, output: &Output) -> Result<(), Failure> {
    let clients = Authority::open(folder, Circle::Clients)?;
    let (holder, hosts) = match to {
        Issue::Node { name, host } => (named(Kind::Node, &name)?, host),
        Issue::Agency { id } => (named(Kind::Agency, &id)?, Vec::new()),
        Issue::Operator { name, role } => {
            named(Kind::Operator, &name)?;
            let right = match role {
                Role::Admin => Right::Administer,
                Role::Observer => Right::Observe,
                Role::Auditor => Right::Audit,
            };
            (Holder::operator(&name, right), Vec::new())
        }
    };
    let for_clients = clients.issue(&holder, &hosts, days)?;
    let Holder::Node(_) = holder else {
        let text = format!("{} is what {holder} gets: its --tls", for_clients.display());
        return output.result(|| json!({ "tls": for_clients }), || text);
    };
    let for_peers = Authority::open(folder, Circle::Peers)?.issue(&holder, &[], days)?;
    let (clients, peers) = (for_clients.display(), for_peers.display());
    let text = format!("{holder} gets {clients} as its client_tls and {peers} as its peer_tls");
    output.result(|| json!({ "client_tls": for_clients, "peer_tls": for_peers }), || text)
}

fn revoke(folder: &Path, kind: Kind, name: &str, output: &Output) -> Result<(), Failure> {
    let holder = named(kind, name)?;
    let circles: &[Circle] = if let Kind::Node = kind { &CIRCLES } else { &[Circle::Clients] };
    for circle in circles {
        Authority::open(folder, *circle)?.revoke(&holder)?;
    }
    let lists: Vec<PathBuf> =
        circles.iter().map(|circle| folder.join(circle.name()).join("revoked.pem")).collect();
    let text = || {
        let shown = lists.iter().map(|list| list.display().to_string()).collect::<Vec<_>>().join(" and ");
        format!(
            "the certificate of {} {name} is taken back. Copy {shown} into the folders of each node: they read it within seconds, and \
             end its connections",
            kind_word(kind)
        )
    };
    output.result(|| -> Value { json!({ "revoked": name, "lists": lists }) }, text)
}

/// The holder of this kind and name.
fn named(kind: Kind, name: &str) -> Result<Holder, Failure> {
    let holder = match kind {
        Kind::Node => Holder::node(name),
        Kind::Agency => Holder::agency(name),
        Kind::Operator => Holder::operator(name, Right::Administer),
    };
    let bad = |rule: &str| Err(Failure::Input(format!("\"{name}\" is no name of a certificate's {rule}")));
    match kind {
        Kind::Node if !is_node_name(name) => {
            bad("node: 1 to 63 of a-z, 0-9, '-' and '.', first and last a letter or digit")
        }
        Kind::Agency | Kind::Operator if !holder.is_well_named() => {
            bad("agency or operator: 1 to 35 of A-Z, a-z, 0-9, '.', '-' and '_', first a letter or digit")
        }
        _ => Ok(holder),
    }
}

fn kind_word(kind: Kind) -> &'static str {
    match kind {
        Kind::Node => "node",
        Kind::Agency => "agency",
        Kind::Operator => "operator",
    }
}

impl From<AuthorityError> for Failure {
    fn from(error: AuthorityError) -> Self {
        Self::Input(error.to_string())
    }
}
