//! The semantics of each command as a short story, against the register in memory.

use super::model::Register;
use super::*;
use crate::domain::fixtures::{context, full_person, plain_person};
use crate::domain::policy::{Policies, PolicyKey};
use crate::proto::registry::person_key::Key;
use crate::proto::registry::write::Write as Kind;
use crate::proto::registry::{
    Atomicity, CreatePerson, PatchPerson, Person, PersonKey, PhysicalStatus, PhysicalStatusKind,
    UpdatePerson, Write,
};
use crate::proto::store::{
    AllocateNode, AuditLogRow, PolicyRow, ReceiptKeysRow, RetireNode, WriteSet, reply::Reply as Answer,
};
use ErrorReason::*;

/// Personal ids that a person born in 1990 may have.
const A: &str = "001090000001";
const B: &str = "001090000002";
const C: &str = "001090000003";

pub(super) fn create(person: Person) -> Write {
    Write { write: Some(Kind::Create(CreatePerson { person: Some(person), accept_existing: false })) }
}

pub(super) fn import(person: Person) -> Write {
    Write { write: Some(Kind::Create(CreatePerson { person: Some(person), accept_existing: true })) }
}

pub(super) fn update(key: Key, person: Person, expected_record_revision: u64) -> Write {
    let key = Some(PersonKey { key: Some(key) });
    Write { write: Some(Kind::Update(UpdatePerson { key, person: Some(person), expected_record_revision })) }
}

pub(super) fn patch(key: Key, paths: &[&str], person: Person, expected_record_revision: u64) -> Write {
    let update_mask = Some(prost_types::FieldMask { paths: paths.iter().map(|&p| p.into()).collect() });
    let key = Some(PersonKey { key: Some(key) });
    Write {
        write: Some(Kind::Patch(PatchPerson {
            key,
            person: Some(person),
            update_mask,
            expected_record_revision,
        })),
    }
}

fn uid(uid: u64) -> Key {
    Key::PersonUid(uid)
}

fn id(number: &str) -> Key {
    Key::PersonalId(number.into())
}

fn old(number: &str) -> Key {
    Key::OldIdNumber(number.into())
}

fn with_old_ids(person: Person, numbers: &[&str]) -> Person {
    Person { old_id_numbers: numbers.iter().map(|&n| n.into()).collect(), ..person }
}

/// (uid, record_revision, changed) of a write that was applied.
pub(super) fn applied(outcome: &WriteOutcome) -> (u64, u64, bool) {
    match &outcome.outcome {
        Some(Outcome::Written(w)) => (w.person_uid, w.record_revision, w.changed),
        other => panic!("not applied: {other:?}"),
    }
}

/// (reason, field) of a write that was not.
pub(super) fn refused(outcome: &WriteOutcome) -> (ErrorReason, &str) {
    match &outcome.outcome {
        Some(Outcome::Rejected(r)) => (r.reason(), &r.field),
        other => panic!("not rejected: {other:?}"),
    }
}

/// A register with Lan (uid 1, id A), Mai (uid 2, id B) and Nga (uid 3, no id).
fn three() -> Register {
    let mut register = Register::default();
    for (given, number) in [("Lan", A), ("Mai", B), ("Nga", "")] {
        register.write(create(plain_person(given, number)));
    }
    register
}

pub(super) fn record(register: &Register, uid: u64) -> Person {
    register.persons[&uid].person.clone().expect("a row has a person")
}

#[test]
fn a_person_is_added() {
    let mut r = Register::default();
    let sent = Person { uid: 77, record_revision: 88, ..full_person() };
    assert_eq!(applied(&r.write(create(sent))), (1, 1, true));
    assert_eq!(record(&r, 1), Person { uid: 1, record_revision: 1, ..full_person() });
    assert_eq!(applied(&r.write(create(plain_person("Lan", A)))), (2, 2, true));
    // A rejected write takes no uid and no revision.
    assert_eq!(refused(&r.write(create(plain_person("Mai", A)))), (IdentifierTaken, "person.personal_id"));
    assert_eq!(applied(&r.write(create(plain_person("Mai", "")))), (3, 3, true));
    // A cancelled id is taken too, whether it would be active or cancelled again.
    let cancelled = full_person().cancelled_personal_ids[0].clone();
    let again = Person { cancelled_personal_ids: vec![cancelled], ..plain_person("Mai", B) };
    assert_eq!(refused(&r.write(create(again))), (IdentifierTaken, "person.cancelled_personal_ids"));
    let active = Person { cancelled_personal_ids: vec![A.into()], ..plain_person("Mai", B) };
    assert_eq!(refused(&r.write(create(active))), (IdentifierTaken, "person.cancelled_personal_ids"));
}

#[test]
fn an_import_run_again_finds_its_people() {
    let mut r = Register::default();
    assert_eq!(applied(&r.write(import(plain_person("Lan", A)))), (1, 1, true));
    assert_eq!(applied(&r.write(import(plain_person("Lan", A)))), (1, 1, false));
    // An unstated status is the ALIVE that was stored for it.
    assert_eq!(
        applied(&r.write(import(Person { physical_status: None, ..plain_person("Lan", A) }))),
        (1, 1, false)
    );
    assert_eq!(refused(&r.write(import(plain_person("Mai", A)))), (IdentifierTaken, "person.personal_id"));
    assert_eq!(refused(&r.write(create(plain_person("Lan", A)))), (IdentifierTaken, "person.personal_id"));
    assert_eq!(refused(&r.write(import(plain_person("Lan", "")))), (FieldInvalid, "person.personal_id"));
    // Once the id was cancelled, whoever comes with it as the active one is refused.
    r.write(patch(id(A), &["personal_id"], plain_person("", B), 0));
    assert_eq!(refused(&r.write(import(plain_person("Lan", A)))), (IdentifierTaken, "person.personal_id"));
}

#[test]
fn a_record_is_replaced() {
    let mut r = three();
    assert_eq!(applied(&r.write(update(id(A), plain_person("Loan", A), 1))), (1, 4, true));
    assert_eq!(r.history.len(), 1);
    assert_eq!(applied(&r.write(update(uid(1), plain_person("Loan", A), 4))), (1, 4, false));
    assert_eq!(r.history.len(), 1);

    let conflict = r.write(update(uid(1), plain_person("Lan", A), 1));
    let Some(Outcome::Rejected(rejection)) = &conflict.outcome else { panic!("{conflict:?}") };
    assert_eq!((rejection.reason(), rejection.current_record_revision), (RevisionConflict, 4));
    // The conflict is told also when the record would not have changed.
    assert_eq!(refused(&r.write(update(uid(1), plain_person("Loan", A), 1))).0, RevisionConflict);

    assert_eq!(
        refused(&r.write(update(uid(1), plain_person("Loan", B), 0))),
        (IdentifierTaken, "person.personal_id")
    );
    assert_eq!(refused(&r.write(update(uid(9), plain_person("Loan", C), 0))), (PersonNotFound, "key"));
    assert_eq!(refused(&r.write(update(id(C), plain_person("Loan", C), 0))), (PersonNotFound, "key"));
    assert_eq!(
        refused(&r.write(update(uid(0), plain_person("Loan", C), 0))),
        (FieldInvalid, "key.person_uid")
    );
}

#[test]
fn fields_are_patched() {
    let mut r = three();
    let named = Person { gender: 99, ..plain_person("Loan", C) };
    // What the mask does not name is not looked at.
    assert_eq!(applied(&r.write(patch(uid(1), &["birth_name.given"], named, 1))), (1, 4, true));
    assert_eq!(record(&r, 1), Person { uid: 1, record_revision: 4, ..plain_person("Loan", A) });
    // The record that it makes is checked as a whole.
    let younger =
        Person { birth_date: Some(crate::domain::date::tests::date(1991, 0, 0)), ..Person::default() };
    assert_eq!(
        refused(&r.write(patch(uid(1), &["birth_date"], younger.clone(), 0))),
        (IdStructureInvalid, "person.personal_id")
    );
    let both = Person { personal_id: "001091000001".into(), ..younger };
    assert_eq!(applied(&r.write(patch(uid(1), &["birth_date", "personal_id"], both, 0))), (1, 5, true));
    assert_eq!(record(&r, 1).cancelled_personal_ids, [A]);
    // A message that the patch leaves out is removed, which a required one must not be.
    assert_eq!(
        refused(&r.write(patch(uid(1), &["birth_name"], Person::default(), 0))),
        (FieldInvalid, "person.birth_name")
    );
    assert_eq!(
        refused(&r.write(patch(uid(1), &["birth_name.family"], Person::default(), 0))),
        (NameCharset, "person.birth_name.family")
    );
    assert_eq!(applied(&r.write(patch(uid(1), &["birth_place"], Person::default(), 0))), (1, 5, false));
    assert_eq!(
        refused(&r.write(patch(uid(1), &["uid"], Person::default(), 0))),
        (FieldMaskInvalid, "update_mask")
    );
    assert_eq!(refused(&r.write(patch(uid(1), &["gender"], full_person(), 4))).0, RevisionConflict);
}

#[test]
fn a_personal_id_that_changes_goes_on_leading_to_its_person() {
    let mut r = three();
    assert_eq!(applied(&r.write(patch(id(A), &["personal_id"], plain_person("", C), 0))), (1, 4, true));
    assert_eq!(record(&r, 1).cancelled_personal_ids, [A]);
    // By its old number, a person is still found.
    assert_eq!(
        applied(&r.write(patch(id(A), &["birth_name.given"], plain_person("Loan", ""), 0))),
        (1, 5, true)
    );
    // It never becomes active again, of this person or of another.
    assert_eq!(
        refused(&r.write(patch(uid(1), &["personal_id"], plain_person("", A), 0))),
        (IdentifierTaken, "person.personal_id")
    );
    assert_eq!(
        refused(&r.write(patch(uid(3), &["personal_id"], plain_person("", A), 0))),
        (IdentifierTaken, "person.personal_id")
    );
    // It is not forgotten.
    let forgetful = plain_person("Loan", C);
    assert_eq!(
        refused(&r.write(update(uid(1), forgetful, 0))),
        (FieldInvalid, "person.cancelled_personal_ids")
    );
    assert_eq!(
        refused(&r.write(patch(uid(1), &["cancelled_personal_ids"], Person::default(), 0))).0,
        FieldInvalid
    );
    // A person may lose the active id and get another one later.
    assert_eq!(applied(&r.write(patch(uid(1), &["personal_id"], Person::default(), 0))), (1, 6, true));
    assert_eq!(record(&r, 1).cancelled_personal_ids, [A, C]);
    // They stay in the order in which they ended.
    let listed = |ids: [&str; 2]| Person {
        cancelled_personal_ids: ids.map(str::to_owned).to_vec(),
        ..plain_person("Loan", "001090000004")
    };
    let turned = r.write(update(id(C), listed([C, A]), 0));
    assert_eq!(refused(&turned), (FieldInvalid, "person.cancelled_personal_ids"));
    assert_eq!(applied(&r.write(update(id(C), listed([A, C]), 0))), (1, 7, true));
}

#[test]
fn the_ninth_cancelled_id_is_one_too_many() {
    let mut r = three();
    for n in 0..8 {
        applied(&r.write(patch(uid(1), &["personal_id"], plain_person("", &format!("0010901{n:05}")), 0)));
    }
    let outcome = r.write(patch(uid(1), &["personal_id"], plain_person("", C), 0));
    assert_eq!(refused(&outcome), (TooLarge, "person.cancelled_personal_ids"));
}

#[test]
fn a_cmnd_number_may_have_several_holders() {
    let mut r = three();
    let twice = "271450001";
    let of = |numbers: &[&str]| with_old_ids(Person::default(), numbers);
    assert_eq!(refused(&r.write(patch(old(twice), &["gender"], full_person(), 0))), (PersonNotFound, "key"));
    r.write(patch(uid(1), &["old_id_numbers"], of(&[twice, "012345678"]), 0));
    assert_eq!(applied(&r.write(patch(old(twice), &["nationalities"], full_person(), 0))), (1, 5, true));
    r.write(patch(uid(2), &["old_id_numbers"], of(&[twice]), 0));
    assert_eq!(
        refused(&r.write(patch(old(twice), &["nationalities"], full_person(), 0))),
        (AmbiguousKey, "key.old_id_number")
    );
    r.write(patch(uid(1), &["old_id_numbers"], of(&["012345678"]), 0));
    assert_eq!(applied(&r.write(patch(old(twice), &["nationalities"], full_person(), 0))), (2, 8, true));
    // Only the order of the list changes: a new version, the same holders.
    r.write(patch(uid(2), &["old_id_numbers"], of(&["000000001", twice]), 0));
    assert_eq!(
        applied(&r.write(patch(uid(2), &["old_id_numbers"], of(&[twice, "000000001"]), 0))),
        (2, 10, true)
    );
}

#[test]
fn an_omission_brings_nobody_back() {
    let mut r = three();
    let status = |kind: PhysicalStatusKind| Some(PhysicalStatus { kind: kind.into(), since: None });
    let lan = |physical_status| Person { physical_status, ..plain_person("Lan", A) };
    assert_eq!(applied(&r.write(update(uid(1), lan(None), 0))), (1, 1, false));
    let died = lan(status(PhysicalStatusKind::Deceased));
    assert_eq!(applied(&r.write(patch(uid(1), &["physical_status"], died, 0))), (1, 4, true));
    for silent in [None, status(PhysicalStatusKind::Unspecified)] {
        assert_eq!(
            refused(&r.write(update(uid(1), lan(silent), 0))),
            (FieldInvalid, "person.physical_status.kind")
        );
    }
    assert_eq!(applied(&r.write(update(uid(1), lan(status(PhysicalStatusKind::Alive)), 0))), (1, 5, true));
}

#[test]
fn each_write_of_a_set_by_itself() {
    let mut r = three();
    let writes = [
        create(plain_person("Oanh", C)),
        create(plain_person("Phương", C)),
        patch(id(C), &["birth_name.given"], plain_person("Oánh", ""), 0),
        update(uid(1), plain_person("Lan", A), 0),
        Write::default(),
        patch(uid(1), &["birth_name.given"], plain_person("Loan", ""), 1),
    ];
    let outcomes = r.writes(&writes, Atomicity::Each);
    assert_eq!(applied(&outcomes[0]), (4, 4, true));
    assert_eq!(refused(&outcomes[1]), (IdentifierTaken, "person.personal_id"));
    assert_eq!(applied(&outcomes[2]), (4, 5, true));
    assert_eq!(applied(&outcomes[3]), (1, 1, false));
    assert_eq!(refused(&outcomes[4]), (FieldInvalid, "write"));
    assert_eq!(applied(&outcomes[5]), (1, 6, true));
}

#[test]
fn all_writes_of_a_set_or_none() {
    let mut r = three();
    let rename = |uid, given| patch(Key::PersonUid(uid), &["birth_name.given"], plain_person(given, ""), 0);
    let outcomes = r.writes(
        &[rename(1, "Loan"), create(plain_person("Oanh", C)), rename(2, "Mai")],
        Atomicity::Unspecified,
    );
    assert_eq!(outcomes.iter().map(applied).collect::<Vec<_>>(), [(1, 4, true), (4, 4, true), (2, 2, false)]);

    let before = r.clone();
    let culprits: [(Write, (ErrorReason, &str)); 4] = [
        (create(plain_person("Lan", A)), (IdentifierTaken, "person.personal_id")),
        // Named twice, by two keys; not a conflict of revisions, because the first write has none yet.
        (patch(id(A), &["gender"], full_person(), 4), (FieldInvalid, "key")),
        (import(plain_person("Mai", B)), (FieldInvalid, "person.personal_id")),
        (Write::default(), (FieldInvalid, "write")),
    ];
    for (culprit, expected) in culprits {
        let writes = [rename(1, "Liên"), rename(2, "Mai"), culprit, rename(3, "Na")];
        let outcomes = r.writes(&writes, Atomicity::AllOrNothing);
        for (i, outcome) in outcomes.iter().enumerate() {
            assert_eq!(refused(outcome), if i == 2 { expected } else { (BatchAborted, "") }, "write {i}");
        }
        assert_eq!((&r.persons, &r.counters.revision), (&before.persons, &before.counters.revision));
    }
    // Two people may not take the same id in one go either.
    let outcomes =
        r.writes(&[create(plain_person("O", "")), create(plain_person("P", B))], Atomicity::AllOrNothing);
    assert_eq!(refused(&outcomes[1]).0, IdentifierTaken);
}

#[test]
fn malformed_commands_are_rejected() {
    let write = || Op::Write(create(plain_person("Lan", A)));
    let set = |writes, atomicity| Op::WriteSet(WriteSet { writes, atomicity });
    let no_agency = RequestContext { agency_id: String::new(), ..context() };
    #[rustfmt::skip]
    let cases = [
        (Some(context()), None, "op", FieldInvalid),
        (None, Some(write()), "context.request_id", FieldInvalid),
        (Some(no_agency), Some(write()), "context.agency_id", FieldInvalid),
        (Some(context()), Some(set(vec![], 0)), "writes", FieldInvalid),
        (Some(context()), Some(set(vec![Write::default(); 1001], 0)), "writes", TooLarge),
        (Some(context()), Some(set(vec![Write::default()], 9)), "atomicity", FieldInvalid),
        (None, Some(set(vec![Write::default()], 0)), "context.request_id", FieldInvalid),
        (None, Some(Op::AllocateNode(AllocateNode::default())), "name", FieldInvalid),
        (None, Some(Op::RetireNode(RetireNode { node_id: 1 })), "node_id", ClusterState),
    ];
    for (context, op, field, reason) in cases {
        let counters = Counters { revision: 7, ..Counters::default() };
        let Ok(decision) =
            decide(&Register::default(), counters, &Command { context, op, ..Command::default() });
        assert_eq!((decision.effects.len(), decision.counters, decision.reply.revision), (0, counters, 7));
        let Some(Answer::Rejected(rejection)) = decision.reply.reply else { panic!("{:?}", decision.reply) };
        assert_eq!((rejection.field.as_str(), rejection.reason()), (field, reason));
    }
}

#[test]
fn nodes_come_and_go() {
    let mut r = Register::default();
    let mut allocate = |name: &str| r.run(Op::AllocateNode(AllocateNode { name: name.into() })).reply;
    assert_eq!(allocate("central-1"), Some(Answer::NodeId(1)));
    assert_eq!(allocate("central-2"), Some(Answer::NodeId(2)));
    let Some(Answer::Rejected(taken)) = allocate("central-1") else { panic!("a name is given once") };
    assert_eq!((taken.reason(), taken.field.as_str()), (ClusterState, "name"));
    for _ in 0..2 {
        let retired = r.run(Op::RetireNode(RetireNode { node_id: 1 })).reply;
        assert!(matches!(retired, Some(Answer::Retired(_))));
    }
    // The name is free again; the id is not.
    let again = r.run(Op::AllocateNode(AllocateNode { name: "central-1".into() })).reply;
    assert_eq!(again, Some(Answer::NodeId(3)));
    assert_eq!(r.counters.revision, 0);
}

#[test]
fn an_effect_prints_no_number_of_a_person() {
    let Ok(decision) = decide(
        &Register::default(),
        Counters::default(),
        &Command {
            context: Some(context()),
            op: Some(Op::Write(create(full_person()))),
            ..Command::default()
        },
    );
    let printed = format!("{decision:?}");
    let person = full_person();
    for secret in
        [&person.personal_id, &person.old_id_numbers[0], &person.cancelled_personal_ids[0], "Nguyễn"]
    {
        assert!(!printed.contains(secret), "{printed}");
    }
}

#[test]
fn a_fault_of_the_view_is_passed_on() {
    struct Broken;
    impl View for Broken {
        type Error = &'static str;
        fn person(&self, _: u64) -> Result<Option<Arc<PersonRow>>, Self::Error> {
            Err("disk")
        }
        fn personal_id(&self, _: &str) -> Result<Option<PersonalIdRow>, Self::Error> {
            Err("disk")
        }
        fn holders(&self, _: &Alias, _: usize) -> Result<Vec<u64>, Self::Error> {
            Err("disk")
        }
        fn node(&self, _: u64) -> Result<Option<NodeRow>, Self::Error> {
            Err("disk")
        }
        fn audit_log(&self, _: u64) -> Result<Option<AuditLogRow>, Self::Error> {
            Err("disk")
        }
        fn policy_row(&self, _: &PolicyKey) -> Result<Option<PolicyRow>, Self::Error> {
            Err("disk")
        }
        fn policies(&self) -> Arc<Policies> {
            Arc::default()
        }
        fn receipt_keys(&self, _: u64) -> Result<Option<ReceiptKeysRow>, Self::Error> {
            Err("disk")
        }
        fn live_node_named(&self, _: &str) -> Result<Option<u64>, Self::Error> {
            Err("disk")
        }
    }
    let person = || Op::Write(create(plain_person("Lan", A)));
    let set = |atomicity: Atomicity| {
        Op::WriteSet(WriteSet { writes: vec![create(plain_person("Lan", A))], atomicity: atomicity.into() })
    };
    let allocate = Op::AllocateNode(AllocateNode { name: "n".into() });
    for op in [person(), set(Atomicity::Each), set(Atomicity::AllOrNothing), allocate] {
        let command = Command { context: Some(context()), op: Some(op), ..Command::default() };
        assert_eq!(decide(&Broken, Counters::default(), &command), Err("disk"));
    }
}

#[test]
fn an_overlay_knows_which_nodes_left() {
    let mut base = Register::default();
    base.run(Op::AllocateNode(AllocateNode { name: "a".into() }));
    let mut overlay = Overlay::new(&base);
    assert_eq!(overlay.live_node_named("a"), Ok(Some(1)));
    overlay.apply(&[Effect::PutNode { id: 1, row: NodeRow { name: "a".into(), retired: true } }]);
    assert_eq!(
        (overlay.live_node_named("a"), overlay.node(1).map(|row| row.is_some())),
        (Ok(None), Ok(true))
    );
    overlay.apply(&[Effect::PutNode { id: 2, row: NodeRow { name: "a".into(), retired: false } }]);
    assert_eq!(overlay.live_node_named("a"), Ok(Some(2)));
}
