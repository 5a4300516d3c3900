//! One run after the other on a prepared cluster.

use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Map, Value, json};
use tonic::transport::Channel;

use super::How;
use super::counters;
use super::load::{Glance, Load, Plan, Seat};
use super::operation::{Asker, Job, Operation};
use super::people::{Chunks, People};
use super::report::Run;
use super::site::{Node, Site, channels, chosen};
use super::skew::Keys;
use super::stream;
use crate::cli::Failure;
use crate::cli::connect::{Connect, Freshness};
use crate::cli::output::grouped;
use crate::client::request_id;
use crate::domain::population::PEOPLE;

/// The time of an import that ends by itself.
const AS_LONG_AS_IT_TAKES: Duration = Duration::from_secs(86_400);
/// Characters of a run's name: with two numbers behind it, a request id has at most 40.
const RUN_CHARS: usize = 16;

/// A cluster that holds the people to ask about.
pub struct Runner<'a> {
    site: Site,
    how: &'a How,
    job: Job,
    progress: &'a ProgressBar,
}

/// What every client of a run is made of.
struct Crew {
    operation: Operation,
    job: Arc<Job>,
    channels: Vec<Channel>,
    chunks: Option<Chunks>,
}

impl<'a> Runner<'a> {
    /// Puts the people into the registry, unless they are there.
    ///
    /// # Errors
    /// As [`People::prepare`].
    pub async fn prepare(
        site: Site,
        (connect, freshness): (&Connect, &Freshness),
        how: &'a How,
        progress: &'a ProgressBar,
    ) -> Result<Self, Failure> {
        progress.set_style(style("{msg} {bar:30} {human_pos}/{human_len}, {per_sec}"));
        let people = People::new(how.seed, how.people);
        people.prepare(&site.client, how.existing, progress).await?;
        site.settle().await?;
        let job = Job {
            keys: Keys::new(how.skew, people.len()),
            people: Arc::new(people),
            options: freshness.options(),
            agency: site.client.options().agency_id.clone(),
            deadline: connect.timeout(),
            batch: how.batch as usize,
            write_share: how.write_share / 100.0,
            run: String::new(),
            seed: how.seed,
        };
        Ok(Self { site, how, job, progress })
    }

    /// Loads the cluster with one operation and so many clients.
    ///
    /// # Errors
    /// When the cluster cannot be reached, or has no node to ask.
    pub async fn run(&self, operation: Operation, clients: u32) -> Result<Run, Failure> {
        let nodes = self.site.nodes().await?;
        let asked = chosen(&nodes, self.how.target)?;
        let mut run = request_id();
        run.truncate(RUN_CHARS);
        let certificates = &self.site.client.options().certificates;
        let crew = Crew {
            operation,
            job: Arc::new(Job { run, ..self.job.clone() }),
            channels: channels(&asked, certificates, self.how.connections as usize).await?,
            chunks: self.chunks(operation).await?,
        };
        let plan = self.plan(operation, clients);
        self.begin(operation, clients, &plan);
        let watch = |glance: &Glance| self.watch(glance);
        let load = Load::start(&plan, |number, seat| crew.clone_for(number).work(seat));
        load.warm_up(&watch).await;
        let (before, own_before) = (counters::read_all(&nodes).await, counters::own_cpu_seconds());
        let measured = load.finish(&watch).await;
        let own_cpu_seconds = counters::own_cpu_seconds() - own_before;
        let after = counters::read_all(&nodes).await;
        Ok(Run {
            setting: self.setting(operation, clients, &asked),
            operation: operation.name(),
            clients,
            measured,
            spent: counters::spent(&nodes, &before, &after),
            own_cpu_seconds,
        })
    }

    fn plan(&self, operation: Operation, clients: u32) -> Plan {
        let counted = operation == Operation::Import && self.how.import_count.is_some();
        let seconds = Duration::from_secs_f64;
        Plan {
            clients: clients as usize,
            rate: self.how.rate,
            warm_up: if counted { Duration::ZERO } else { seconds(self.how.warm_up) },
            measure: if counted { AS_LONG_AS_IT_TAKES } else { seconds(self.how.seconds) },
        }
    }

    /// People for an import: those who are not on record yet.
    async fn chunks(&self, operation: Operation) -> Result<Option<Chunks>, Failure> {
        if operation != Operation::Import {
            return Ok(None);
        }
        let count = self.how.import_count.unwrap_or(PEOPLE);
        Ok(Some(self.job.people.others(&self.site.client, count, self.job.batch).await?))
    }

    fn setting(&self, operation: Operation, clients: u32, asked: &[Node]) -> Map<String, Value> {
        let how = self.how;
        let setting = json!({
            "operation": operation.name(),
            "clients": clients,
            "connections": how.connections,
            "rate": how.rate,
            "batch": how.batch,
            "write_share_percent": how.write_share,
            "skew": how.skew.text(),
            "people": how.people,
            "consistency": self.job.options.consistency().as_str_name(),
            "asked": asked.iter().map(|node| node.name.as_str()).collect::<Vec<_>>(),
        });
        let Value::Object(setting) = setting else { unreachable!("it is written as an object") };
        setting
    }

    fn begin(&self, operation: Operation, clients: u32, plan: &Plan) {
        let progress = self.progress;
        progress.set_style(style("{prefix} {bar:30} {elapsed} {msg}"));
        progress.set_prefix(format!("{}, {clients} clients", operation.name()));
        progress.set_message("");
        progress.reset();
        progress.set_length(match self.how.import_count {
            Some(count) if operation == Operation::Import => count,
            _ => u64::try_from((plan.warm_up + plan.measure).as_millis()).unwrap_or(u64::MAX),
        });
    }

    fn watch(&self, glance: &Glance) {
        let counted = self.progress.length().is_some_and(|length| Some(length) == self.how.import_count);
        let elapsed = glance.elapsed.as_secs_f64();
        let done = if counted { glance.operations } else { (elapsed * 1000.0) as u64 };
        self.progress.set_position(done);
        let rate = grouped((glance.operations as f64 / elapsed.max(0.001)) as u64);
        let errors = grouped(glance.errors);
        self.progress.set_message(format!("{rate}/s, {errors} errors"));
    }
}

impl Crew {
    /// What the client of this number works with.
    fn clone_for(&self, number: usize) -> Member {
        Member {
            number,
            operation: self.operation,
            job: self.job.clone(),
            channel: self.channels[number % self.channels.len()].clone(),
            chunks: self.chunks.clone(),
        }
    }
}

/// One client of a run.
struct Member {
    number: usize,
    operation: Operation,
    job: Arc<Job>,
    channel: Channel,
    chunks: Option<Chunks>,
}

impl Member {
    async fn work(self, seat: Seat) {
        let Self { number, operation, job, channel, chunks } = self;
        match (operation, chunks) {
            (Operation::StreamVerify, _) => stream::verify(job, number, channel, seat).await,
            (Operation::Import, Some(chunks)) => stream::import(job, chunks, channel, seat).await,
            (operation, _) => Asker::new(job, number, channel).ask(operation, seat).await,
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates are well-formed")
}
