//! Writers that never stop asking: each adds people one after the other and repeats a write, under its request id,
//! until it is acknowledged. What was acknowledged is kept, to be looked for afterwards.
//!
//! The people have no personal id, so that nothing but the request table stands against a write that is applied twice.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::client::{Client, ClientError};
use crate::proto::registry::person_key::Key;
use crate::proto::registry::{
    Address, CreatePerson, Gender, PartialDate, Person, PersonKey, PersonName, UnitEdition,
};

/// An acknowledged write.
#[derive(Clone, Copy, Debug)]
pub struct Ack {
    /// Which person of the load it added.
    pub index: u64,
    /// The id that the registry gave.
    pub uid: u64,
    /// The revision that the write made.
    pub revision: u64,
    /// When the write was first asked for.
    pub begun: Instant,
    /// When its acknowledgement came.
    pub done: Instant,
}

impl Ack {
    /// What the registry must hold for it.
    pub fn expected(&self) -> (PersonKey, Person) {
        (PersonKey { key: Some(Key::PersonUid(self.uid)) }, person(self.index))
    }
}

/// Writers at work.
pub struct Load {
    stop: CancellationToken,
    writers: JoinSet<Result<(), ClientError>>,
    acks: Arc<Mutex<Vec<Ack>>>,
    count: watch::Receiver<usize>,
}

impl Load {
    /// Starts `writers` writers, each with a client that `client` makes from its number.
    ///
    /// # Errors
    /// That of `client`.
    pub fn start<E>(writers: u64, client: impl Fn(u64) -> Result<Client, E>) -> Result<Self, E> {
        let stop = CancellationToken::new();
        let acks = Arc::new(Mutex::new(Vec::new()));
        let (counted, count) = watch::channel(0);
        let counted = Arc::new(counted);
        let mut tasks = JoinSet::new();
        for number in 0..writers {
            let (client, stop, acks, counted) =
                (client(number)?, stop.clone(), acks.clone(), counted.clone());
            tasks.spawn(async move {
                let mut index = number;
                while !stop.is_cancelled() {
                    let ack = add(&client, index).await?;
                    counted.send_replace(push(&acks, ack));
                    index += writers;
                }
                Ok(())
            });
        }
        Ok(Self { stop, writers: tasks, acks, count })
    }

    /// How many writes are acknowledged by now.
    pub fn acknowledged(&self) -> usize {
        *self.count.borrow()
    }

    /// Waits until `more` further writes are acknowledged; false when that takes longer than `limit`.
    pub async fn advance(&self, more: usize, limit: Duration) -> bool {
        let mut count = self.count.clone();
        let goal = *count.borrow() + more;
        tokio::time::timeout(limit, count.wait_for(|count| *count >= goal)).await.is_ok()
    }

    /// Waits for the first acknowledgement of a write that was asked for after `instant`, and says how long after it
    /// that came; `None` when it takes longer than `limit`.
    pub async fn next_after(&self, instant: Instant, limit: Duration) -> Option<Duration> {
        let mut count = self.count.clone();
        let deadline = Instant::now() + limit;
        loop {
            let first = lock(&self.acks).iter().filter(|ack| ack.begun >= instant).map(|ack| ack.done).min();
            if let Some(done) = first {
                return Some(done - instant);
            }
            tokio::time::timeout_at(deadline, count.changed()).await.ok()?.ok()?;
        }
    }

    /// Lets each writer finish its last write and returns all that were acknowledged.
    ///
    /// # Errors
    /// The first refusal that a writer met: there should be none.
    pub async fn stop(mut self) -> Result<Vec<Ack>, ClientError> {
        self.stop.cancel();
        while let Some(ended) = self.writers.join_next().await {
            ended.expect("a writer does not panic and is not cancelled")?;
        }
        Ok(std::mem::take(&mut lock(&self.acks)))
    }
}

fn lock(acks: &Mutex<Vec<Ack>>) -> MutexGuard<'_, Vec<Ack>> {
    acks.lock().expect("nothing panics while it holds this lock")
}

fn push(acks: &Mutex<Vec<Ack>>, ack: Ack) -> usize {
    let mut acks = lock(acks);
    acks.push(ack);
    acks.len()
}

/// Adds a person, however long it takes: an unknown outcome is asked for again under the same request id.
async fn add(client: &Client, index: u64) -> Result<Ack, ClientError> {
    let context = client.context();
    let begun = Instant::now();
    loop {
        let create = CreatePerson { person: Some(person(index)), accept_existing: false };
        match client.create(context.clone(), create).await {
            Ok(answer) => {
                let written = answer.written.unwrap_or_default();
                let (uid, revision) = (written.person_uid, written.record_revision);
                return Ok(Ack { index, uid, revision, begun, done: Instant::now() });
            }
            Err(error) if error.is_unknown() || error.code() == tonic::Code::Unavailable => {}
            Err(error) => return Err(error),
        }
    }
}

/// The person that stands behind a number of the load: its residence says which.
fn person(index: u64) -> Person {
    Person {
        birth_name: Some(PersonName {
            family: "Nguyễn".to_owned(),
            middle: "Thị".to_owned(),
            given: "Thúy".to_owned(),
        }),
        birth_date: Some(PartialDate { year: 1990, month: 5, day: 17 }),
        gender: Gender::Female.into(),
        permanent_residence: Some(Address {
            unit_code: "01".to_owned(),
            unit_edition: UnitEdition::V34.into(),
            detail: format!("load {index}"),
            country: String::new(),
        }),
        ..Person::default()
    }
}
