//! Checkpoints of audit logs: what a node says that its log holds, agreed on by all.
//!
//! A log only grows, and what it held stays in it. The first checkpoint of a node also says with which key it signs. That the
//! signature fits is checked by those who rely on it, with the key that stands here; that a later log begins with the
//! earlier one, by whoever has the log.

use super::{Counters, Decision, Effect, Stop, View, decision};
use crate::proto::registry::{Checkpoint, ErrorReason};
use crate::proto::store::{AuditLogRow, Blank, reply::Reply};

/// Takes a checkpoint, or finds it there already.
pub(super) fn commit<V: View>(
    view: &V,
    counters: Counters,
    given: &Checkpoint,
) -> Result<Decision, Stop<V::Error>> {
    let lengths = [
        ("root", given.root.len(), 32),
        ("public_key", given.public_key.len(), 32),
        ("signature", given.signature.len(), 64),
    ];
    for (field, length, wanted) in lengths {
        if length != wanted {
            return Stop::rejected(ErrorReason::FieldInvalid, field, &format!("must be {wanted} bytes"));
        }
    }
    if given.size == 0 {
        return Stop::rejected(ErrorReason::FieldInvalid, "size", "an empty log has no checkpoint");
    }
    let id = given.node_id;
    if view.node(id).map_err(Stop::View)?.is_none_or(|node| node.retired) {
        return Stop::rejected(ErrorReason::ClusterState, "node_id", "no member has this id");
    }
    let last = view.audit_log(id).map_err(Stop::View)?.and_then(|row| row.checkpoint);
    let refused = last.as_ref().and_then(|last| contradiction(last, given));
    if let Some((field, detail)) = refused {
        return Stop::rejected(ErrorReason::ClusterState, field, &detail);
    }
    let effects = if last.is_some_and(|last| last.size == given.size) {
        Vec::new()
    } else {
        vec![Effect::PutAuditLog { id, row: AuditLogRow { checkpoint: Some(given.clone()) } }]
    };
    Ok(decision(effects, Reply::Checkpointed(Blank {}), counters))
}

/// What in a checkpoint contradicts the last one.
fn contradiction(last: &Checkpoint, given: &Checkpoint) -> Option<(&'static str, String)> {
    if last.public_key != given.public_key {
        return Some(("public_key", "this node signed its last checkpoint with another key".to_owned()));
    }
    if given.size < last.size {
        let detail = format!("this node's log had {} records before: some are missing", last.size);
        return Some(("size", detail));
    }
    if given.size == last.size && given.root != last.root {
        return Some(("root", "this node's log held something else at this size before".to_owned()));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::model::Register;
    use super::*;
    use crate::proto::store::{AllocateNode, command::Op};

    fn checkpoint(size: u64, root: u8, key: u8) -> Op {
        Op::AuditCheckpoint(Checkpoint {
            node_id: 1,
            size,
            root: vec![root; 32].into(),
            public_key: vec![key; 32].into(),
            signature: vec![0; 64].into(),
            ..Checkpoint::default()
        })
    }

    #[test]
    fn a_log_only_grows_and_keeps_what_it_held() {
        let mut register = Register::default();
        let refused = |register: &mut Register, op| match register.run(op).reply {
            Some(Reply::Rejected(rejection)) => rejection.field,
            Some(Reply::Checkpointed(_)) => String::new(),
            other => panic!("{other:?}"),
        };
        assert_eq!(refused(&mut register, checkpoint(5, 1, 1)), "node_id");
        register.run(Op::AllocateNode(AllocateNode { name: "central-1".into() }));
        #[rustfmt::skip]
        let cases = [
            ((0, 1, 1), "size"), ((5, 1, 1), ""), ((5, 1, 1), ""), ((5, 2, 1), "root"), ((4, 1, 1), "size"),
            ((9, 3, 2), "public_key"), ((9, 3, 1), ""), ((5, 1, 1), "size"),
        ];
        for ((size, root, key), field) in cases {
            assert_eq!(refused(&mut register, checkpoint(size, root, key)), field, "{size} {root} {key}");
        }
        let kept = register.audit_logs[&1].checkpoint.as_ref().unwrap();
        assert_eq!((kept.size, kept.root[0]), (9, 3));
        let mut short = checkpoint(10, 1, 1);
        if let Op::AuditCheckpoint(given) = &mut short {
            given.signature = vec![0; 63].into();
        }
        assert_eq!(refused(&mut register, short), "signature");
    }
}
