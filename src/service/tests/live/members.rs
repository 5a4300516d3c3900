//! A node is added though an earlier try broke off.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Server;
use crate::config::{LimitsConfig, NodeConfig, Role};
use crate::metrics::Metrics;
use crate::proto::cluster::{AddNodeRequest, NodeState};
use crate::proto::registry::RequestContext;
use crate::proto::store::{AllocateNode, Command, command, reply};
use crate::raft::Node;

/// What a request leaves behind that broke off between the id and the node: found by the simulation.
#[tokio::test]
async fn an_addition_that_broke_off_is_finished_by_asking_again() {
    let server = Server::ready(LimitsConfig::default()).await;
    let op = command::Op::AllocateNode(AllocateNode { name: "node2".to_owned() });
    let context = RequestContext { request_id: "broke-off".to_owned(), ..RequestContext::default() };
    let command = Command { context: Some(context), op: Some(op), ..Command::default() };
    let allocated = server.node.write(command, Instant::now() + Duration::from_secs(30)).await.unwrap();
    assert_eq!(allocated.reply, Some(reply::Reply::NodeId(2)));

    let folder = tempfile::tempdir().unwrap();
    let config = NodeConfig::loopback("node2", Role::Provincial, folder.path());
    let node = Node::start(config, Arc::new(Metrics::new())).await.unwrap();
    let request = || AddNodeRequest { peer_address: node.member().peer_address };
    let added = server.admin().add_node(request()).await.unwrap().into_inner().member.unwrap();
    assert_eq!(added.node_id, 3, "an id is given once");
    assert_ne!(node.status().state(), NodeState::Waiting);

    // A member's name stays taken.
    let other_folder = tempfile::tempdir().unwrap();
    let config = NodeConfig::loopback("node2", Role::Provincial, other_folder.path());
    let other = Node::start(config, Arc::new(Metrics::new())).await.unwrap();
    let request = AddNodeRequest { peer_address: other.member().peer_address };
    let refused = server.admin().add_node(request).await.unwrap_err();
    assert!(refused.message().contains("node 3 has this name"), "{refused}");
    node.stop().await;
    other.stop().await;
}
