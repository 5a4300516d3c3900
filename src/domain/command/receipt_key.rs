//! Keys with which nodes sign receipts: one at a time for each node, agreed on before the first receipt.
//!
//! A new key begins where the one before ends, by the node's own clock, which is that of its receipts too: so a receipt has
//! one key that may have signed it. No key goes: receipts are kept longer than keys are used.

use super::{Counters, Decision, Effect, Stop, View, decision};
use crate::proto::registry::ErrorReason;
use crate::proto::store::{Blank, NewReceiptKey, ReceiptKey, ReceiptKeysRow, reply::Reply};

/// How many keys a node may ever have: every node keeps them all, and gives them to whoever asks.
const MAX_KEYS: usize = 1_000;

/// Takes a node's new key, or finds it in use already.
pub(super) fn take<V: View>(
    view: &V,
    counters: Counters,
    given: &NewReceiptKey,
) -> Result<Decision, Stop<V::Error>> {
    if given.public_key.len() != 32 {
        return Stop::rejected(ErrorReason::FieldInvalid, "public_key", "must be 32 bytes");
    }
    let id = given.node_id;
    if view.node(id).map_err(Stop::View)?.is_none_or(|node| node.retired) {
        return Stop::rejected(ErrorReason::ClusterState, "node_id", "no member has this id");
    }
    let mut row = view.receipt_keys(id).map_err(Stop::View)?.unwrap_or_default();
    let done = |effects| Ok(decision(effects, Reply::ReceiptKeyTaken(Blank {}), counters));
    match row.keys.last_mut() {
        Some(last) if last.public_key == given.public_key => return done(Vec::new()),
        Some(last) if last.since_ms >= given.since_ms => {
            let detail = format!("must be later than that of the last one, {}", last.since_ms);
            return Stop::rejected(ErrorReason::ReceiptKeyRefused, "since_ms", &detail);
        }
        Some(last) => last.until_ms = given.since_ms,
        None => {}
    }
    if row.keys.iter().any(|key| key.public_key == given.public_key) {
        let detail = "this node signed with it before: a key that was replaced does not come back";
        return Stop::rejected(ErrorReason::ReceiptKeyRefused, "public_key", detail);
    }
    if row.keys.len() >= MAX_KEYS {
        let detail = format!("this node has had {MAX_KEYS} keys: add a new node and remove this one");
        return Stop::rejected(ErrorReason::ReceiptKeyRefused, "public_key", &detail);
    }
    let key = ReceiptKey { public_key: given.public_key.clone(), since_ms: given.since_ms, until_ms: 0 };
    row.keys.push(key);
    done(vec![Effect::PutReceiptKeys { id, row: ReceiptKeysRow { keys: row.keys } }])
}

#[cfg(test)]
mod tests {
    use super::super::model::Register;
    use super::*;
    use crate::proto::store::{AllocateNode, RetireNode, command::Op};

    fn key(number: u16, since_ms: u64) -> Op {
        let mut public_key = vec![0; 30];
        public_key.extend(number.to_be_bytes());
        Op::ReceiptKey(NewReceiptKey { node_id: 1, public_key: public_key.into(), since_ms })
    }

    fn given(register: &mut Register, op: Op) -> String {
        match register.run(op).reply {
            Some(Reply::Rejected(rejection)) => format!("{:?} {}", rejection.reason(), rejection.field),
            Some(Reply::ReceiptKeyTaken(_)) => String::new(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_key_begins_where_the_last_one_ends_and_none_comes_back() {
        let mut register = Register::default();
        assert_eq!(given(&mut register, key(1, 5)), "ClusterState node_id");
        register.run(Op::AllocateNode(AllocateNode { name: "central-1".into() }));
        #[rustfmt::skip]
        let cases = [
            (key(1, 5), ""), (key(1, 5), ""), (key(1, 9), ""), (key(2, 5), "ReceiptKeyRefused since_ms"), (key(2, 7), ""),
            (key(1, 9), "ReceiptKeyRefused public_key"), (key(3, 6), "ReceiptKeyRefused since_ms"), (key(3, 8), ""),
        ];
        for (number, (op, refused)) in cases.into_iter().enumerate() {
            assert_eq!(given(&mut register, op), refused, "case {number} (from 0)");
        }
        let periods: Vec<_> =
            register.receipt_keys[&1].keys.iter().map(|key| (key.since_ms, key.until_ms)).collect();
        assert_eq!(periods, [(5, 7), (7, 8), (8, 0)]);
        let short = NewReceiptKey { node_id: 1, public_key: vec![0; 31].into(), since_ms: 99 };
        assert_eq!(given(&mut register, Op::ReceiptKey(short)), "FieldInvalid public_key");

        for number in 4..=1_000 {
            assert_eq!(given(&mut register, key(number, 100 + u64::from(number))), "");
        }
        assert_eq!(given(&mut register, key(1_001, 9_999)), "ReceiptKeyRefused public_key");
        register.run(Op::RetireNode(RetireNode { node_id: 1 }));
        assert_eq!(given(&mut register, key(1_001, 9_999)), "ClusterState node_id");
        assert_eq!(register.receipt_keys[&1].keys.len(), 1_000, "they stay when the node has left");
    }
}
