//! Node ids: given out from a replicated counter, so that none is ever given to two nodes.
//!
//! A node's row stays when it leaves: the id is spent, its name is free again. These commands come from the cluster
//! itself, so their context may lack an agency and is not looked at.

use super::{Counters, Decision, Effect, Stop, View, decision, next};
use crate::domain::validate;
use crate::proto::registry::ErrorReason;
use crate::proto::store::{AllocateNode, Blank, NodeRow, RetireNode, reply::Reply};

/// Gives the next id to a node of this name.
pub(super) fn allocate<V: View>(
    view: &V,
    counters: Counters,
    allocate: &AllocateNode,
) -> Result<Decision, Stop<V::Error>> {
    validate::node_name(&allocate.name)?;
    if let Some(id) = view.live_node_named(&allocate.name).map_err(Stop::View)? {
        let detail = format!("node {id} has this name: remove it first, or choose another name");
        return Stop::rejected(ErrorReason::ClusterState, "name", &detail);
    }
    let id = next(counters.next_node_id);
    let row = NodeRow { name: allocate.name.clone(), retired: false };
    let counters = Counters { next_node_id: id + 1, ..counters };
    Ok(decision(vec![Effect::PutNode { id, row }], Reply::NodeId(id), counters))
}

/// Ends a node id. Ending one that has ended changes nothing.
pub(super) fn retire<V: View>(
    view: &V,
    counters: Counters,
    retire: &RetireNode,
) -> Result<Decision, Stop<V::Error>> {
    let id = retire.node_id;
    let effects = match view.node(id).map_err(Stop::View)? {
        None => return Stop::rejected(ErrorReason::ClusterState, "node_id", "no node was given this id"),
        Some(row) if row.retired => Vec::new(),
        Some(row) => vec![Effect::PutNode { id, row: NodeRow { retired: true, ..row } }],
    };
    Ok(decision(effects, Reply::Retired(Blank {}), counters))
}
