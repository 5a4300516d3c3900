//! The steps of the demo, in the order in which they are told.

use std::fs::File;
use std::time::Instant;

use serde_json::json;

use super::narrator::Narrator;
use super::stage::{PATIENCE, Stage, machine};
use crate::cli::answer::meta_text;
use crate::cli::cluster::status_text;
use crate::cli::fleet::load::{Ack, Load};
use crate::cli::fleet::readback::{ReadBack, read_back};
use crate::cli::json::Texts as _;
use crate::cli::output::grouped;
use crate::cli::{Failure, failure, forming, generate, import, json as person_json};
use crate::config::Role;
use crate::domain::population::Population;
use crate::proto::cluster::NodeState;
use crate::proto::registry::claim::Value as ClaimValue;
use crate::proto::registry::person_key::Key;
use crate::proto::registry::{
    Attribute, Claim, Consistency, CreatePerson, PatchPerson, Person, PersonKey, PersonName, ReadOptions,
    Subject,
};

/// How often a write at one province is looked for at the other.
pub(super) const ROUNDS: u32 = 100;
/// Positions of the provincial nodes among the fleet's.
pub(super) const PROVINCES: [usize; 2] = [3, 4];

impl Stage {
    /// Makes one cluster of the nodes.
    pub async fn form(&mut self, narrator: &mut Narrator) -> Result<(), Failure> {
        narrator.step("Three central nodes form a cluster, two provincial nodes join it")?;
        self.clients = forming::form(&mut self.fleet, PATIENCE).await?;
        let status = self.clients[0].status(false).await?;
        narrator.say(&status_text(&status.cluster_id, &status.nodes))?;
        let leaders = status.nodes.iter().filter(|node| node.state() == NodeState::Leader).count();
        narrator.holds(leaders == 1 && status.nodes.len() == 5, "five nodes, one leader")
    }

    /// Generates a population and imports it at a province.
    pub async fn import(&mut self, narrator: &mut Narrator, count: u64, seed: u64) -> Result<(), Failure> {
        narrator.step(&format!("{} citizens are imported at a provincial node", grouped(count)))?;
        let file = self.folder.join("people.ndjson");
        let output = File::create(&file).map_err(|e| failure::file_failure("write", &file, &e))?;
        generate::write(seed, 0..count, &indicatif::ProgressBar::hidden(), output)
            .map_err(|e| failure::file_failure("write", &file, &e))?;
        let job = import::Job { file, mapping: None, chunk: 500, name: None, rejects: None };
        let (name, tally) = import::import(&self.clients[PROVINCES[0]], job).await?;
        self.population = Some((Population::new(seed), count));
        narrator.say(&format!("   {}", tally.text()))?;
        self.report.insert("import".to_owned(), tally.json(&name));
        narrator.holds(tally.created() == count, &format!("all {} are in the registry", grouped(count)))
    }

    /// Verifies somebody at a province, linearizably.
    pub async fn verify(&mut self, narrator: &mut Narrator) -> Result<(), Failure> {
        narrator.step("A linearizable verification at a provincial node")?;
        let (population, _) = self.population.as_ref().expect("people were imported");
        let person = normalised(population.person(0));
        let name = person.birth_name.clone().unwrap_or_default();
        let parts = [name.family.as_str(), &name.middle, &name.given];
        let full = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
        let claims = vec![
            claim(Attribute::FullName, ClaimValue::Text(full)),
            claim(Attribute::BirthDate, ClaimValue::Date(person.birth_date.unwrap_or_default())),
            claim(Attribute::Gender, ClaimValue::Gender(person.gender)),
            claim(Attribute::GivenName, ClaimValue::Text("Nobody".to_owned())),
        ];
        let subject = Subject { key: Some(by_personal_id(&person)), claims };
        let begun = Instant::now();
        let answer = self.clients[PROVINCES[0]].verify(subject, ReadOptions::default()).await?;
        let took = begun.elapsed();
        for verdict in &answer.verdicts {
            let about = verdict.attribute().as_str_name().trim_start_matches("ATTRIBUTE_").to_lowercase();
            let said = verdict.verdict().as_str_name().trim_start_matches("VERDICT_").to_lowercase();
            narrator.say(&format!("   {about:<12} {said}"))?;
        }
        let meta = answer.meta.unwrap_or_default();
        narrator.say(&format!("   {} · took {:.1} ms", meta_text(&meta), took.as_secs_f64() * 1000.0))?;
        let linearizable = meta.consistency_served() == Consistency::Linearizable;
        let verdicts: Vec<&str> = answer.verdicts.iter().map(|v| v.verdict().as_str_name()).collect();
        let right = verdicts == ["VERDICT_MATCH", "VERDICT_MATCH", "VERDICT_MATCH", "VERDICT_NO_MATCH"];
        narrator.holds(
            linearizable && right,
            "what is true matches, what is not does not, and the answer is up to date",
        )
    }

    /// Changes a person at one province and verifies the change at the other, many times.
    pub async fn write_here_read_there(&mut self, narrator: &mut Narrator) -> Result<(), Failure> {
        narrator.step("A write at one province is seen by the next verification at the other")?;
        let (here, there) = (&self.clients[PROVINCES[0]], &self.clients[PROVINCES[1]]);
        let (population, _) = self.population.as_ref().expect("people were imported");
        let mut person = Person {
            personal_id: String::new(),
            cancelled_personal_ids: Vec::new(),
            old_id_numbers: Vec::new(),
            credentials: Vec::new(),
            residence_file_no: String::new(),
            household_role: 0,
            ..normalised(population.person(0))
        };
        let create = CreatePerson { person: Some(person.clone()), accept_existing: false };
        let uid = here.create(here.context(), create).await?.written.unwrap_or_default().person_uid;
        let key = PersonKey { key: Some(Key::PersonUid(uid)) };
        let mut seen = 0;
        for round in 0..ROUNDS {
            let given = if round % 2 == 0 { "Thúy" } else { "Thùy" };
            let name = person.birth_name.get_or_insert_default();
            given.clone_into(&mut name.given);
            let patch = given_name_patch(&key, name);
            let written = here.patch(here.context(), patch).await?.meta.unwrap_or_default();
            let claims = vec![claim(Attribute::GivenName, ClaimValue::Text(given.to_owned()))];
            let subject = Subject { key: Some(key.clone()), claims };
            let answer = there.verify(subject, ReadOptions::default()).await?;
            let revision = answer.meta.unwrap_or_default().revision;
            seen += u32::from(answer.all_match && revision >= written.revision);
        }
        self.written.push((key, person));
        self.report.insert("writes_seen_at_the_other_province".to_owned(), json!(seen));
        narrator.holds(
            seen == ROUNDS,
            &format!("{ROUNDS} changes written, {seen} seen by the verification after each"),
        )
    }

    /// Kills the leader under load, waits for the next acknowledged write, and lets the node come back.
    pub async fn kill_leader(&mut self, narrator: &mut Narrator, load: &Load) -> Result<(), Failure> {
        narrator.step("The leader is killed (kill -9) while eight writers write")?;
        load.advance(500, PATIENCE).await;
        let victim = self.leader().await?;
        let name = self.fleet.nodes[victim].name().to_owned();
        let before = load.acknowledged();
        self.fleet.nodes[victim].kill().map_err(|e| machine(&e))?;
        let killed = tokio::time::Instant::now();
        let Some(gap) = load.next_after(killed, PATIENCE).await else {
            return narrator
                .holds(false, &format!("{name} was killed and no write was acknowledged after it"));
        };
        let milliseconds = u64::try_from(gap.as_millis()).unwrap_or(u64::MAX);
        narrator.say(&format!("   {name} led and was killed after {} writes", grouped(before as u64)))?;
        self.report.insert("leader_loss_to_next_acknowledged_write_ms".to_owned(), json!(milliseconds));
        narrator.holds(true, &format!("{milliseconds} ms to the next acknowledged write"))?;
        let flowing = load.advance(500, PATIENCE).await;
        self.fleet.nodes[victim].start().map_err(|e| machine(&e))?;
        self.fleet.nodes[victim].wait_serving(PATIENCE).map_err(|e| machine(&e))?;
        forming::ready(&self.clients[victim], PATIENCE).await?;
        narrator.holds(flowing, &format!("writes go on, and {name} is back in the cluster"))
    }

    /// Brings another province into the running cluster.
    pub async fn add_province(&mut self, narrator: &mut Narrator, load: &Load) -> Result<(), Failure> {
        narrator.step("A province is added to the running cluster")?;
        let begun = Instant::now();
        let place = self.fleet.spawn("gia-lai", Role::Provincial).map_err(|e| machine(&e))?;
        let node = &mut self.fleet.nodes[place];
        node.wait_serving(PATIENCE).map_err(|e| machine(&e))?;
        let client = forming::only(&node.client_address(), &self.fleet.certificates)?;
        let member = forming::add(&self.clients[PROVINCES[0]], &node.peer_address(), PATIENCE).await?;
        forming::ready(&client, PATIENCE).await?;
        let (key, person) = self.written.first().expect("it was written before");
        let answer = client.read(key.clone(), ReadOptions::default()).await?;
        let caught_up = begun.elapsed();
        let same = answer.person.and_then(|p| p.birth_name) == person.birth_name;
        self.clients.push(client);
        self.report.insert("province_added_ms".to_owned(), json!(caught_up.as_millis()));
        let flowing = load.advance(100, PATIENCE).await;
        let took = caught_up.as_secs_f64();
        let id = member.node_id;
        narrator.holds(
            same && flowing,
            &format!("gia-lai is node {id} and serves linearizable reads after {took:.1} s"),
        )
    }

    /// Looks at every node for everything that was acknowledged.
    pub async fn read_back(&mut self, narrator: &mut Narrator, acks: &[Ack]) -> Result<(), Failure> {
        narrator.step("Everything that was acknowledged is read back at every node")?;
        let mut all: Vec<ReadBack> = Vec::new();
        for (node, client) in self.fleet.nodes.iter().zip(&self.clients) {
            let (population, count) = self.population.as_ref().expect("people were imported");
            let imported = (0..*count).map(|index| {
                let person = normalised(population.person(index));
                (by_personal_id(&person), person)
            });
            let expected = imported.chain(self.written.iter().cloned()).chain(acks.iter().map(Ack::expected));
            let held = read_back(client, expected).await?;
            let (acknowledged, found) = (grouped(held.acknowledged), grouped(held.found));
            let counts = format!(
                "acknowledged {acknowledged}, found {found}, lost {}, doubled {}",
                held.lost(),
                held.doubled()
            );
            let text = format!("{:<10} {counts} · state {}", node.name(), &held.sha256[..16]);
            narrator.holds(held.lost() == 0 && held.doubled() == 0, &text)?;
            all.push(held);
        }
        let equal = all.windows(2).all(|pair| pair[0] == pair[1]);
        let first = &all[0];
        self.report.insert("acknowledged".to_owned(), json!(first.acknowledged));
        self.report.insert("found_at_every_node".to_owned(), json!(all.iter().map(|held| held.found).min()));
        self.report.insert("lost".to_owned(), json!(all.iter().map(ReadBack::lost).max()));
        self.report.insert("doubled".to_owned(), json!(all.iter().map(ReadBack::doubled).max()));
        self.report.insert("state_sha256".to_owned(), json!(first.sha256));
        narrator.holds(
            equal,
            &format!("equal state hashes at all {} nodes, revision {}", all.len(), first.revision),
        )
    }
}

/// The person as the import sends it: in NFC.
fn normalised(person: Person) -> Person {
    let mut person = person_json::Person::from(person);
    person.normalise();
    person.into()
}

fn by_personal_id(person: &Person) -> PersonKey {
    PersonKey { key: Some(Key::PersonalId(person.personal_id.clone())) }
}

pub(super) fn claim(attribute: Attribute, value: ClaimValue) -> Claim {
    Claim { attribute: attribute.into(), value: Some(value), ..Claim::default() }
}

fn given_name_patch(key: &PersonKey, name: &PersonName) -> PatchPerson {
    PatchPerson {
        key: Some(key.clone()),
        person: Some(Person { birth_name: Some(name.clone()), ..Person::default() }),
        update_mask: Some(prost_types::FieldMask { paths: vec!["birth_name.given".to_owned()] }),
        expected_record_revision: 0,
    }
}
