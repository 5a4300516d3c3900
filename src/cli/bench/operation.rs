//! What a load asks for, and the calls that ask for one thing after another. Those that keep a stream are in `stream`.

use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use rand::{RngExt as _, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tonic::transport::Channel;
use tonic::{Request, Status};
use tonic_types::StatusExt;

use super::load::Seat;
use super::people::People;
use super::skew::Keys;
use crate::domain::error::reason_name;
use crate::proto::registry::population_registry_client::PopulationRegistryClient;
use crate::proto::registry::verification_client::VerificationClient;
use crate::proto::registry::write::Write as Op;
use crate::proto::registry::{
    Atomicity, BatchVerifyRequest, CommitBatchRequest, PatchPersonRequest, ReadOptions, ReadPersonRequest,
    Rejection, RequestContext, Subject, VerifyRequest, VerifyResponse, Write, write_outcome,
};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Operation {
    /// Verify: three claims about one person
    Verify,
    /// BatchVerify: --batch people in a call; rates and costs are those of one person
    BatchVerify,
    /// VerifyStream: each client keeps a stream with --batch requests on their way
    StreamVerify,
    /// ReadPerson
    Read,
    /// PatchPerson: one move of one person
    Write,
    /// CommitBatch: --batch moves in a call
    BatchWrite,
    /// Verify, and PatchPerson in --write-share of the calls
    Mixed,
    /// Import: each client keeps a stream with four chunks of --batch people on their way
    Import,
}

impl Operation {
    /// As it is written on the command line.
    pub fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

/// All that requests are made of.
#[derive(Clone)]
pub struct Job {
    /// Whom they are about.
    pub people: Arc<People>,
    /// How often about each.
    pub keys: Keys,
    /// How fresh answers must be.
    pub options: ReadOptions,
    /// The agency that asks.
    pub agency: String,
    /// The time one call has.
    pub deadline: Duration,
    /// People of one call, requests of one stream.
    pub batch: usize,
    /// The share of writes in a mixed load, 0 to 1.
    pub write_share: f64,
    /// What no other run has: the start of request ids.
    pub run: String,
    /// Seed of the random choices.
    pub seed: u64,
}

impl Job {
    /// The context of a read.
    pub fn reader(&self) -> RequestContext {
        RequestContext { agency_id: self.agency.clone(), ..RequestContext::default() }
    }

    /// A request with the deadline, which the server learns of.
    pub fn within<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.set_timeout(self.deadline);
        request
    }
}

/// One logical client.
pub struct Asker {
    job: Arc<Job>,
    number: usize,
    random: ChaCha8Rng,
    writes: u64,
    verification: VerificationClient<Channel>,
    registry: PopulationRegistryClient<Channel>,
}

impl Asker {
    /// The client of this number, over a connection that others may share.
    pub fn new(job: Arc<Job>, number: usize, channel: Channel) -> Self {
        let random = ChaCha8Rng::seed_from_u64(job.seed.wrapping_add(number as u64));
        let verification = VerificationClient::new(channel.clone()).max_decoding_message_size(usize::MAX);
        let registry = PopulationRegistryClient::new(channel).max_decoding_message_size(usize::MAX);
        Self { job, number, random, writes: 0, verification, registry }
    }

    /// Asks one thing after another until the time is up.
    pub async fn ask(mut self, operation: Operation, seat: Seat) {
        while let Some(turn) = seat.next().await {
            let writes = match operation {
                Operation::Write | Operation::BatchWrite => true,
                Operation::Mixed => self.random.random_bool(self.job.write_share),
                _ => false,
            };
            let outcome = match operation {
                Operation::Read => self.read().await,
                Operation::BatchVerify => self.batch_verify().await,
                Operation::BatchWrite => self.batch_write().await,
                _ if writes => self.write().await,
                _ => self.verify().await,
            };
            seat.settle(if writes { "write" } else { "read" }, turn, outcome).await;
        }
    }

    async fn verify(&mut self) -> Result<u64, String> {
        let request = self.verify_request();
        let answer = self.verification.verify(self.job.within(request)).await.map_err(|e| reason(&e))?;
        all_match(&answer.into_inner())
    }

    /// What [`Asker::verify`] asks, also on a stream.
    pub fn verify_request(&mut self) -> VerifyRequest {
        let subject = Some(self.subject());
        VerifyRequest {
            context: Some(self.job.reader()),
            subject,
            options: Some(self.job.options),
            receipt: false,
        }
    }

    fn subject(&mut self) -> Subject {
        let place = self.pick();
        self.job.people.subject(place)
    }

    async fn batch_verify(&mut self) -> Result<u64, String> {
        let subjects = (0..self.job.batch).map(|_| self.subject()).collect();
        let context = Some(self.job.reader());
        let request = BatchVerifyRequest { context, subjects, options: Some(self.job.options) };
        let answer = self.verification.batch_verify(self.job.within(request)).await;
        let results = answer.map_err(|e| reason(&e))?.into_inner().results;
        for result in &results {
            if let Some(missing) = &result.missing {
                return Err(rejected(missing));
            }
            if !result.all_match {
                return Err(MISMATCH.to_owned());
            }
        }
        complete(results.len(), self.job.batch)
    }

    async fn read(&mut self) -> Result<u64, String> {
        let place = self.pick();
        let key = Some(self.job.people.key(place));
        let context = Some(self.job.reader());
        let request = ReadPersonRequest { context, key, options: Some(self.job.options) };
        let answer = self.registry.read_person(self.job.within(request)).await.map_err(|e| reason(&e))?;
        complete(usize::from(answer.into_inner().person.is_some()), 1)
    }

    async fn write(&mut self) -> Result<u64, String> {
        let place = self.pick();
        let (context, detail) = self.writer();
        let request =
            PatchPersonRequest { context: Some(context), patch: Some(self.job.people.patch(place, detail)) };
        let answer = self.registry.patch_person(self.job.within(request)).await.map_err(|e| reason(&e))?;
        let changed = answer.into_inner().written.is_some_and(|written| written.changed);
        complete(usize::from(changed), 1)
    }

    async fn batch_write(&mut self) -> Result<u64, String> {
        let (context, detail) = self.writer();
        let batch = self.job.batch;
        let patch = |n| {
            let place = self.pick();
            Write { write: Some(Op::Patch(self.job.people.patch(place, format!("{detail}, {n}")))) }
        };
        let writes = (0..batch).map(patch).collect();
        let atomicity = Atomicity::Each.into();
        let request = CommitBatchRequest { context: Some(context), writes, atomicity };
        let answer = self.registry.commit_batch(self.job.within(request)).await;
        let mut changed = 0;
        for outcome in answer.map_err(|e| reason(&e))?.into_inner().outcomes {
            match outcome.outcome {
                Some(write_outcome::Outcome::Written(written)) => changed += usize::from(written.changed),
                Some(write_outcome::Outcome::Rejected(rejection)) => return Err(rejected(&rejection)),
                None => {}
            }
        }
        complete(changed, self.job.batch)
    }

    fn pick(&mut self) -> usize {
        self.job.keys.pick(&mut self.random)
    }

    /// The context of a new write, and a text that no other write has.
    fn writer(&mut self) -> (RequestContext, String) {
        self.writes += 1;
        let request_id = format!("{}-{}-{}", self.job.run, self.number, self.writes);
        let detail = format!("Số {request_id}");
        let agency_id = self.job.agency.clone();
        (RequestContext { request_id, agency_id, ..RequestContext::default() }, detail)
    }
}

/// A verification that should have matched and did not.
const MISMATCH: &str = "MISMATCH";

/// One operation, when everything matched.
pub fn all_match(answer: &VerifyResponse) -> Result<u64, String> {
    if answer.all_match { Ok(1) } else { Err(MISMATCH.to_owned()) }
}

fn complete(found: usize, asked: usize) -> Result<u64, String> {
    if found == asked { Ok(found as u64) } else { Err("INCOMPLETE".to_owned()) }
}

/// The reason of a status: the registry's, or the code of one that never came from it.
pub fn reason(status: &Status) -> String {
    match status.get_error_details().error_info() {
        Some(info) => info.reason.clone(),
        None => format!("{:?}", status.code()),
    }
}

/// The reason of a rejection.
pub fn rejected(rejection: &Rejection) -> String {
    reason_name(rejection.reason()).to_owned()
}
