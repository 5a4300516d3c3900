//! The store against a map: after every revision the people that a map says, now and as of each revision before.

use std::collections::BTreeMap;

use super::*;
use crate::domain::command::Alias;
use crate::storage::state::AsOf;

/// What the map keeps of a person: given name and CMND numbers.
pub(super) type Facts = (String, Vec<String>);

fn facts(person: &Person) -> Facts {
    (given(person).to_owned(), person.old_id_numbers.clone())
}

/// What each command of an entry wants to write, by its key's person: `None` creates. Nothing for a compaction.
fn wanted(entry: &Entry) -> Option<Vec<(String, Option<u64>, Facts)>> {
    let Some(Payload::Batch(bytes)) = &entry.payload else { return Some(Vec::new()) };
    let commands = Batch::decode(bytes.as_ref()).unwrap().commands.into_iter();
    commands
        .map(|command| {
            let Some(Op::Write(write)) = command.op else { return None };
            let request_id = command.context.unwrap().request_id;
            Some(match write.write.unwrap() {
                write::Write::Create(create) => (request_id, None, facts(&create.person.unwrap())),
                write::Write::Update(update) => {
                    let Some(Key::PersonUid(uid)) = update.key.unwrap().key else { panic!("not by uid") };
                    (request_id, Some(uid), facts(&update.person.unwrap()))
                }
                _ => panic!("not written here"),
            })
        })
        .collect()
}

/// Applies a log entry by entry, compares each reply with what a map makes of it, and returns all people after each
/// revision.
pub(super) fn follow(
    log: &Log,
    mut apply: impl FnMut(&Entry) -> Vec<Vec<Reply>>,
) -> Vec<BTreeMap<u64, Facts>> {
    let mut versions: Vec<BTreeMap<u64, Facts>> = vec![BTreeMap::new()];
    let mut first_replies = BTreeMap::new();
    for entry in &log.entries {
        let replies = apply(entry).remove(0);
        let Some(wanted) = wanted(entry) else { continue };
        assert_eq!(replies.len(), wanted.len());
        for ((request_id, uid, facts), reply) in wanted.into_iter().zip(replies) {
            if let Some(first) = first_replies.get(&request_id) {
                assert_eq!(first, &reply);
                continue;
            }
            let written = written(&reply);
            first_replies.insert(request_id, reply);
            let mut people = versions.last().unwrap().clone();
            assert!(uid.is_none_or(|uid| uid == written.person_uid));
            let changed = people.insert(written.person_uid, facts.clone()).as_ref() != Some(&facts);
            assert_eq!(changed, written.changed);
            if changed {
                versions.push(people);
                assert_eq!(written.record_revision, versions.len() as u64 - 1);
            }
        }
    }
    versions
}

#[test]
fn every_revision_is_as_a_map_says() {
    let mut rng = seeded("property::every_revision_is_as_a_map_says");
    let log = random_log(&mut rng, 120);
    let mut disk = Some(Disk::new());
    let versions = follow(&log, |entry| {
        let mut now = disk.take().unwrap();
        let replies = now.store.apply(std::slice::from_ref(entry)).unwrap();
        if rng.random_ratio(1, 40) {
            now = now.reopen();
        }
        disk = Some(now);
        replies
    });
    let disk = disk.unwrap();
    let view = disk.store.view();
    assert_eq!(view.revision(), versions.len() as u64 - 1);
    assert_eq!(disk.store.digest().unwrap().persons, versions.last().unwrap().len() as u64);
    for (revision, people) in versions.iter().enumerate() {
        let then = view.clone().at(AsOf::Revision(revision as u64)).unwrap();
        check(&then, people, revision);
    }
}

/// Compares one view with the map, by every key.
pub(super) fn check(view: &StateView, people: &BTreeMap<u64, Facts>, revision: usize) {
    for uid in 1..=people.len() as u64 + 1 {
        let there = view.person(uid).unwrap().map(|row| facts(&row.person.unwrap()));
        assert_eq!(there.as_ref(), people.get(&uid), "person {uid} at revision {revision}");
        let number = personal_id(u32::try_from(uid).unwrap());
        let resolved = matches!(view.resolve(&by_personal_id(&number)).unwrap(), Resolved::Found { .. });
        assert_eq!(resolved, people.contains_key(&uid), "number of {uid} at revision {revision}");
    }
    for n in 0..20 {
        let number = old_id(n);
        let holders: Vec<_> = people.iter().filter(|(_, (_, held))| held.contains(&number)).collect();
        match view.resolve(&by_old_id(&number)).unwrap() {
            Resolved::Found { row, .. } => {
                assert_eq!(holders.len(), 1);
                assert_eq!(*holders[0].0, row.person.unwrap().uid);
            }
            Resolved::NotFound => assert_eq!(holders.len(), 0, "CMND {n} at revision {revision}"),
            Resolved::Ambiguous => {
                let all = view.holders(&Alias::OldId(number), usize::MAX).unwrap();
                assert_eq!(holders.len(), all.len(), "CMND {n} at revision {revision}");
            }
        }
    }
}

#[test]
fn every_history_is_what_the_revisions_say() {
    let mut rng = seeded("property::every_history_is_what_the_revisions_say");
    let log = random_log(&mut rng, 100);
    let disk = Disk::new();
    disk.store.apply(&log.entries).unwrap();
    let view = disk.store.view();
    for uid in 1..=disk.store.applied().persons {
        let mut expected = Vec::new();
        for revision in 1..=view.revision() {
            let then = view.clone().at(AsOf::Revision(revision)).unwrap().person(uid).unwrap();
            expected.extend(then.filter(|row| row.person.as_ref().unwrap().record_revision == revision));
        }
        expected.reverse();
        let (mut paged, mut before, mut more) = (Vec::new(), 0, true);
        while more {
            let page;
            (page, more) = view.history(uid, before, rng.random_range(1..4), usize::MAX).unwrap();
            before = page.last().unwrap().person.as_ref().unwrap().record_revision;
            paged.extend(page);
        }
        assert!(paged == expected, "history of person {uid} differs");
    }
}
