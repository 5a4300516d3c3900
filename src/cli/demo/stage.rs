//! What the demo stands on: the node processes, and what happened so far.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use super::narrator::Narrator;
use crate::cli::fleet::load::Load;
use crate::cli::fleet::{Fleet, Issuer};
use crate::cli::{Failure, forming};
use crate::client::{Client, ClientOptions};
use crate::config::Role;
use crate::domain::population::Population;
use crate::proto::cluster::NodeState;
use crate::proto::registry::{Person, PersonKey};

/// How long a step may wait for a node.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// The nodes, and what happened so far.
pub struct Stage {
    /// The node processes.
    pub(super) fleet: Fleet,
    /// Where their files are.
    pub(super) folder: PathBuf,
    /// A client for each of them.
    pub(super) clients: Vec<Client>,
    /// Gives certificates to those who ask.
    pub(super) issuer: Arc<Issuer>,
    /// Who was imported: their population, and how many of it.
    pub(super) population: Option<(Population, u64)>,
    /// Whom the two provinces wrote and verified, as they are now.
    pub(super) written: Vec<(PersonKey, Person)>,
    /// The figures of the steps so far.
    pub(super) report: Map<String, Value>,
}

/// What this machine refused.
pub(super) fn machine(error: &std::io::Error) -> Failure {
    Failure::Fault(error.to_string())
}

impl Stage {
    /// Starts five node processes that wait for a cluster.
    pub fn set(folder: &Path) -> Result<Self, Failure> {
        let binary = std::env::current_exe().map_err(|e| machine(&e))?;
        let mut fleet = Fleet::new(&binary, folder);
        let issuer = Issuer::of(&folder.join("certs"), "demo").map_err(|e| Failure::Fault(e.to_string()))?;
        let issuer = Arc::new(issuer);
        fleet.secure(issuer.clone());
        for number in 1..=3 {
            fleet.spawn(&format!("central-{number}"), Role::Central).map_err(|e| machine(&e))?;
        }
        for name in ["ha-noi", "an-giang"] {
            fleet.spawn(name, Role::Provincial).map_err(|e| machine(&e))?;
        }
        let folder = folder.to_path_buf();
        Ok(Self {
            fleet,
            issuer,
            folder,
            clients: Vec::new(),
            population: None,
            written: Vec::new(),
            report: Map::new(),
        })
    }

    /// The figures of the steps so far.
    pub fn report(&self) -> &Map<String, Value> {
        &self.report
    }

    /// Starts writers at all nodes.
    pub fn load(&self) -> Result<Load, Failure> {
        let addresses = self.fleet.client_addresses();
        Load::start(8, |number| {
            let mut endpoints = addresses.clone();
            let turn = usize::try_from(number).unwrap_or(0) % endpoints.len();
            endpoints.rotate_left(turn);
            let certificates = self.fleet.certificates.clone();
            let agency_id = "demo".to_owned();
            let options = ClientOptions { agency_id, certificates, ..ClientOptions::default() };
            Ok(Client::connect(endpoints, options)?)
        })
    }

    /// Asks all nodes to stop.
    pub fn stop(&mut self, narrator: &mut Narrator) -> Result<(), Failure> {
        let mut clean = true;
        for node in self.fleet.nodes.iter_mut().rev() {
            clean &= node.stop(PATIENCE).map_err(|e| machine(&e))?.success();
        }
        if clean { Ok(()) } else { narrator.holds(false, "all nodes stop in good order when asked") }
    }

    /// Position of the node that leads.
    pub(super) async fn leader(&self) -> Result<usize, Failure> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            for (place, client) in self.clients.iter().enumerate() {
                if forming::local_status(client).await?.state() == NodeState::Leader {
                    return Ok(place);
                }
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Err(Failure::Unavailable("no node leads".to_owned()))
    }
}
