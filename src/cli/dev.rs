//! `dancu dev`: a whole cluster in one process on loopback, for people who write services against it.
//!
//! Three central nodes and a provincial one, each with its own folder, listeners, stores and certificates, exactly as on
//! four machines; only the time-outs are short. The data stays in the folder: the next start goes on with it, on the same
//! ports, because the nodes know each other by them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use futures::future::{join_all, select_all, try_join_all};
use serde_json::json;

use super::failure::file_failure;
use super::fleet::{Issuer, master_key};
use super::output::{Output, table};
use super::serving::{Serving, stop_signal};
use super::{Failure, forming};
use crate::config::{LogConfig, NodeConfig, RaftConfig, Role};
use crate::telemetry;

/// The nodes: name and role.
const NODES: [(&str, Role); 4] = [
    ("central-1", Role::Central),
    ("central-2", Role::Central),
    ("central-3", Role::Central),
    ("province-1", Role::Provincial),
];

/// From a node's client port to its peer port, and again to its HTTP port.
const PORT_STEP: u16 = 100;

/// The client port of the first node when none is given.
const BASE_PORT: u16 = 7001;

/// File in the data folder that keeps the base port the cluster was formed with.
const PORT_FILE: &str = "base-port";

/// Folder in the data folder that keeps the authorities and all certificates.
const CERTIFICATES: &str = "certs";

/// The agency that gets a certificate. Others can be made: `dancu certs issue --folder DATA/certs agency ID`.
const AGENCY: &str = "dancu-dev";

/// How long the cluster may take to be ready.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where the cluster lives.
#[derive(clap::Args)]
pub struct Args {
    /// Folder of the data, made when it is not there
    #[arg(long, default_value = "dancu-dev")]
    data: PathBuf,
    /// Client port of the first node; the others follow, peers 100 above and HTTP 200 above. 7001 when absent, or what
    /// the cluster in the folder was formed with
    #[arg(long, value_parser = clap::value_parser!(u16).range(1024..=65_000))]
    base_port: Option<u16>,
    /// What to log: error, warn, info, debug or trace, also by module as in warn,dancu::raft=info
    #[arg(long, default_value = "warn,openraft=error")]
    log: String,
}

/// Runs the cluster until Ctrl-C.
///
/// # Errors
/// A fault when a port is in use or the folder cannot be used; unavailable when no leader is found.
pub async fn run(args: Args, output: &Output) -> Result<ExitCode, Failure> {
    let log = LogConfig { level: args.log.clone(), ..LogConfig::default() };
    telemetry::init(&log).map_err(|problem| Failure::Input(problem.to_string()))?;
    let stopping = stop_signal();
    tokio::pin!(stopping);
    let begun = Instant::now();
    let base_port = base_port(&args)?;
    let issuer =
        Issuer::of(&args.data.join(CERTIFICATES), AGENCY).map_err(|e| Failure::Fault(e.to_string()))?;
    let configs = (0..).zip(NODES).map(|(i, node)| config(&args.data, &issuer, base_port + i, node));
    let dev = Dev { configs: configs.collect::<Result<_, _>>()?, issuer, data: &args.data };
    let mut nodes = try_join_all(dev.configs.iter().cloned().map(Serving::start)).await?;
    let outcome = tokio::select! {
        outcome = dev.serve(&mut nodes, (begun, output)) => outcome,
        signalled = &mut stopping => signalled,
    };
    join_all(nodes.into_iter().map(Serving::stop_with_all)).await;
    outcome?;
    let remark = format!("stopped; the data stays in {}", args.data.display());
    output.remark(remark).map(|()| ExitCode::SUCCESS)
}

/// The cluster.
struct Dev<'a> {
    configs: Vec<NodeConfig>,
    issuer: Issuer,
    data: &'a Path,
}

impl Dev<'_> {
    /// Forms the cluster unless it was formed before, says how to reach it, and returns only when a node breaks.
    async fn serve(&self, nodes: &mut [Serving], (begun, output): (Instant, &Output)) -> Result<(), Failure> {
        self.form().await?;
        let seconds = begun.elapsed().as_secs_f64();
        let endpoints = || self.configs.iter().map(endpoints_json).collect::<Vec<_>>();
        output.result(
            || {
                json!({
                    "ready_seconds": seconds,
                    "nodes": endpoints(),
                    "tls": self.issuer.agency_folder,
                    "operator_tls": self.issuer.operator_folder,
                    "auditor_tls": self.issuer.auditor_folder,
                })
            },
            || self.welcome(seconds),
        )?;
        let (failure, _, _) = select_all(nodes.iter_mut().map(|node| Box::pin(node.broken()))).await;
        Err(failure)
    }

    async fn form(&self) -> Result<(), Failure> {
        let address = |config: &NodeConfig| config.client_listen.to_string();
        let client = |config: &NodeConfig| forming::only(&address(config), &self.issuer.certificates);
        let clients = self.configs.iter().map(client).collect::<Result<Vec<_>, _>>()?;
        if forming::is_waiting(&clients[0]).await? {
            keep_base_port(self.data, self.configs[0].client_listen.port())?;
            let central = self.configs.iter().filter(|config| config.role == Role::Central);
            clients[0].init(central.map(|config| config.peer_listen.to_string()).collect()).await?;
        }
        for (client, config) in clients.iter().zip(&self.configs) {
            if forming::is_waiting(client).await? {
                forming::add(&clients[0], &config.peer_listen.to_string(), PATIENCE).await?;
            }
        }
        try_join_all(clients.iter().map(|client| forming::ready(client, PATIENCE))).await?;
        forming::license(&clients[0], AGENCY).await
    }

    fn welcome(&self, seconds: f64) -> String {
        let row = |config: &NodeConfig| {
            let role = match config.role {
                Role::Central => "central",
                Role::Provincial => "provincial",
            };
            let http = config.http_listen.map(|address| format!("http://{address}/metrics"));
            let grpc = config.client_listen.to_string();
            vec![config.name.clone(), role.to_owned(), grpc, http.unwrap_or_default()]
        };
        let shown = table(&["node", "role", "gRPC", "metrics"], self.configs.iter().map(row).collect());
        let first = self.configs[0].client_listen;
        let (data, agency) = (self.data.display(), self.issuer.agency_folder.display());
        let operator = self.issuer.operator_folder.display();
        let auditor = self.issuer.auditor_folder.display();
        let endpoint = if first.port() == BASE_PORT { String::new() } else { format!(" -e {first}") };
        format!(
            "dancu is ready after {seconds:.1} s; data in {data}\n{shown}\n\
             Any node takes reads and writes, from holders of its certificates. In another terminal:\n\n  \
             export DANCU_TLS={agency}\n  \
             export DANCU_OPERATOR_TLS={operator}\n  \
             export DANCU_AUDITOR_TLS={auditor}\n  \
             dancu cluster status{endpoint}\n  \
             dancu generate --count 1000 --seed 1 --output people.ndjson\n  \
             dancu import{endpoint} people.ndjson\n  \
             dancu person get{endpoint} --uid 1\n  \
             dancu audit history{endpoint} --uid 1\n\n\
             Ctrl-C stops it; the data stays."
        )
    }
}

/// The base port to use: what was asked for, unless the cluster was formed with another one.
fn base_port(args: &Args) -> Result<u16, Failure> {
    let Ok(text) = std::fs::read_to_string(args.data.join(PORT_FILE)) else {
        return Ok(args.base_port.unwrap_or(BASE_PORT));
    };
    let data = args.data.display();
    let formed: u16 = text.trim().parse().map_err(|_| {
        Failure::Input(format!(
            "{data}/{PORT_FILE} does not hold a port: correct it, or give another folder with --data"
        ))
    })?;
    match args.base_port {
        Some(port) if port != formed => Err(Failure::Input(format!(
            "the nodes of the cluster in {data} know each other by the ports from {formed} on: start it with \
             --base-port {formed}, or give another folder with --data"
        ))),
        _ => Ok(formed),
    }
}

fn keep_base_port(data: &Path, port: u16) -> Result<(), Failure> {
    let file = data.join(PORT_FILE);
    std::fs::write(&file, format!("{port}\n")).map_err(|e| file_failure("write", &file, &e))
}

/// A node's configuration; `port` is its client port.
fn config(
    data: &Path,
    issuer: &Issuer,
    port: u16,
    (name, role): (&str, Role),
) -> Result<NodeConfig, Failure> {
    let port = |step: u16| SocketAddr::from(([127, 0, 0, 1], port + step * PORT_STEP));
    let mut config = NodeConfig::loopback(name, role, &data.join(name));
    config.client_listen = port(0);
    config.peer_listen = port(1);
    config.http_listen = Some(port(2));
    let folders = issuer.node(name, config.client_listen.ip());
    let (client_tls, peer_tls) = folders.map_err(|e| Failure::Fault(e.to_string()))?;
    (config.client_tls, config.peer_tls, config.plaintext) = (Some(client_tls), Some(peer_tls), false);
    // On loopback an answer takes microseconds, so a leader can be missed soon.
    config.raft = RaftConfig {
        heartbeat_interval_ms: 50,
        election_timeout_min_ms: 150,
        election_timeout_max_ms: 300,
        ..RaftConfig::default()
    };
    config.storage.block_cache_mb = 32;
    let key = data.join(format!("{name}.key"));
    config.encryption.key_file = Some(master_key(&key).map_err(|e| file_failure("write", &key, &e))?);
    Ok(config)
}

fn endpoints_json(config: &NodeConfig) -> serde_json::Value {
    json!({
        "name": config.name,
        "role": config.role,
        "client": config.client_listen.to_string(),
        "http": config.http_listen.map(|address| address.to_string()),
        "data": config.data_dir,
    })
}
