//! PostgreSQL: a primary and two standbys, a commit waits for one of them; the load is its own pgbench.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::grpc::Loop;
use super::machine::{children, cpu_seconds, free_ports, run};
use super::sample::{Sample, Work};

/// Who it runs as when this runs as root, which it refuses to be.
const USER: &str = "postgres";

/// A primary, two standbys and a table that holds the keys.
pub struct Postgres {
    programs: PathBuf,
    folder: PathBuf,
    port: u16,
    /// Data folders: the primary's, then the standbys'.
    data: Vec<PathBuf>,
}

impl Postgres {
    /// Its version, when it and pgbench are installed.
    pub fn version() -> Option<String> {
        let text = run(Command::new(programs()?.join("pgbench")).arg("--version")).ok()?;
        Some(format!("PostgreSQL {}", text.split_whitespace().nth(2)?))
    }

    /// Makes and starts the three, and fills the table.
    pub fn start(folder: &Path, keys: u64, size: usize) -> Result<Self, String> {
        let programs = programs().ok_or("PostgreSQL is not installed")?;
        let ports: [u16; 3] = free_ports().map_err(|e| e.to_string())?;
        if rustix::process::geteuid().is_root() {
            run(Command::new("chown").arg(USER).arg(folder))?;
            let entered = Command::new("runuser").args(["-u", USER, "--", "test", "-x"]).arg(folder).status();
            if !entered.is_ok_and(|status| status.success()) {
                return Err(format!(
                    "PostgreSQL runs as the user {USER}, who may not enter {}: name a --data folder that everybody may \
                     enter",
                    folder.display()
                ));
            }
        }
        let mut started = Self { programs, folder: folder.to_path_buf(), port: ports[0], data: Vec::new() };
        started.start_primary()?;
        for (n, port) in (1..).zip(&ports[1..]) {
            started.start_standby(n, *port)?;
        }
        started.fill(keys, size)?;
        Ok(started)
    }

    fn start_primary(&mut self) -> Result<(), String> {
        let data = self.folder.join("p");
        run(self.program("initdb").arg("-D").arg(&data).args(["-A", "trust", "-U", USER]))?;
        let settings = format!(
            "port={}\nlisten_addresses='127.0.0.1'\nunix_socket_directories=''\nshared_buffers=512MB\n\
             max_connections=400\nmax_wal_senders=8\nmax_wal_size=4GB\nsynchronous_standby_names='ANY 1 (s1,s2)'\n",
            self.port
        );
        append(&data.join("postgresql.conf"), &settings)?;
        self.start_server(data)
    }

    fn start_standby(&mut self, number: u32, port: u16) -> Result<(), String> {
        let data = self.folder.join(format!("s{number}"));
        let primary = format!("host=127.0.0.1 port={} user={USER} application_name=s{number}", self.port);
        run(self
            .program("pg_basebackup")
            .args(["-d", &primary, "-R", "-X", "stream", "-c", "fast", "-D"])
            .arg(&data))?;
        append(&data.join("postgresql.conf"), &format!("port={port}\n"))?;
        self.start_server(data)
    }

    fn start_server(&mut self, data: PathBuf) -> Result<(), String> {
        let log = data.with_extension("log");
        self.data.push(data.clone());
        run(self.program("pg_ctl").arg("-D").arg(&data).arg("-l").arg(&log).args(["-w", "start"])).map(drop)
    }

    fn fill(&self, keys: u64, size: usize) -> Result<(), String> {
        let random = |of: &str| format!("decode(repeat(md5({of}::text), {}), 'hex')", size.div_ceil(16));
        let table = format!(
            "create table c(k bigint primary key, v bytea); \
             insert into c select i, {} from generate_series(0, {}) i; analyze c;",
            random("i"),
            keys - 1
        );
        let port = self.port.to_string();
        let database = ["-h", "127.0.0.1", "-p", &port, "-U", USER, "-d", "postgres", "-q", "-c", &table];
        run(self.program("psql").args(database))?;
        let choose = format!("\\set k random(0, {})\n", keys - 1);
        let get = format!("{choose}select v from c where k = :k;\n");
        let put = format!("{choose}update c set v = {} where k = :k;\n", random("random()"));
        fs::write(self.folder.join("get.sql"), get).map_err(|e| e.to_string())?;
        fs::write(self.folder.join("put.sql"), put).map_err(|e| e.to_string())
    }

    /// Prepared selects or updates by key; a select asks the primary alone.
    pub fn measure(&self, work: Work, plan: Loop) -> Result<Sample, String> {
        let script = match work {
            Work::Read(_) => "get.sql",
            Work::Write(_) => "put.sql",
            other => return Err(format!("there is no {} here", other.name())),
        };
        let before = self.cpu_seconds();
        let port = self.port.to_string();
        let seconds = plan.measure.as_secs().max(1);
        let text = run(self
            .program("pgbench")
            .args(["-h", "127.0.0.1", "-p", &port, "-U", USER, "-n", "-M", "prepared", "-j", "2"])
            .args(["-c", &plan.clients.to_string(), "-T", &seconds.to_string(), "-f"])
            .arg(self.folder.join(script))
            .arg("postgres"))?;
        let used = self.cpu_seconds() - before;
        let number = |name: &str| {
            let line = text.lines().find_map(|line| line.trim().strip_prefix(name));
            line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok())
        };
        let per_s = number("tps = ").ok_or_else(|| format!("pgbench tells no rate: {text}"))?;
        let operations = number("number of transactions actually processed: ").unwrap_or_default();
        let cpu_us = Some(used * 1e6 / operations.max(1.0));
        Ok(Sample { per_s, cpu_us, operations, ..Sample::default() })
    }

    /// Processor time of all servers so far: of each one, of those of its children that run and of those that ended.
    fn cpu_seconds(&self) -> f64 {
        let first_line = |data: &PathBuf| {
            let text = fs::read_to_string(data.join("postmaster.pid")).ok()?;
            text.lines().next()?.trim().parse::<u32>().ok()
        };
        let servers = self.data.iter().filter_map(first_line);
        let with_children =
            |server| cpu_seconds(server) + children(server).into_iter().map(cpu_seconds).sum::<f64>();
        servers.map(with_children).sum()
    }

    /// One of its programs, as the user that it may run as.
    fn program(&self, name: &str) -> Command {
        let program = self.programs.join(name);
        let mut command = if rustix::process::geteuid().is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", USER, "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command.current_dir(&self.folder);
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        for data in self.data.iter().rev() {
            // One that did not start has nothing to stop.
            let stopped =
                run(self.program("pg_ctl").arg("-D").arg(data).args(["-m", "immediate", "-w", "stop"]));
            drop(stopped);
        }
    }
}

fn append(file: &Path, text: &str) -> Result<(), String> {
    let mut all = fs::read_to_string(file).map_err(|e| format!("{}: {e}", file.display()))?;
    all += text;
    fs::write(file, all).map_err(|e| format!("{}: {e}", file.display()))
}

/// Where its programs are: Debian keeps those of each version in a folder of its own.
fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?.flatten();
    let folders = versions.map(|version| version.path().join("bin"));
    folders.filter(|folder| folder.join("initdb").exists() && folder.join("pgbench").exists()).max()
}
