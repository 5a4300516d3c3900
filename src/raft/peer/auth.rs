//! Who a peer call is from and for: written into the metadata by the caller, checked by the receiver on every call.

use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::service::Interceptor;
use tonic::transport::server::TcpConnectInfo;
use tonic::{Extensions, Request, Status};

use crate::proto::cluster::Member;
use crate::storage::data_dir::Identity;
use crate::tls::{Holder, Shown};

/// The cluster's id.
const CLUSTER: &str = "dancu-cluster";
/// The Raft group. One for now; in the protocol from the first day so that sharding stays possible.
const GROUP: &str = "dancu-group";
/// The sender's node id.
const FROM: &str = "dancu-from";
/// The node id that the sender means to talk to.
const TO: &str = "dancu-to";

/// The only group there is.
const GROUP_ID: &str = "0";

/// Puts the sender's claim on each call to one peer.
#[derive(Clone)]
pub struct Claim {
    cluster: MetadataValue<tonic::metadata::Ascii>,
    from: MetadataValue<tonic::metadata::Ascii>,
    to: MetadataValue<tonic::metadata::Ascii>,
}

impl Claim {
    /// A claim by `me` for calls to the node `to`.
    pub fn new(me: &Identity, to: u64) -> Self {
        let ascii = |text: &str| MetadataValue::try_from(text).expect("ids are digits and a UUID: ASCII");
        Self { cluster: ascii(&me.cluster_id), from: me.node_id.into(), to: to.into() }
    }
}

impl Interceptor for Claim {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let metadata = request.metadata_mut();
        metadata.insert(CLUSTER, self.cluster.clone());
        metadata.insert(GROUP, MetadataValue::from_static(GROUP_ID));
        metadata.insert(FROM, self.from.clone());
        metadata.insert(TO, self.to.clone());
        Ok(request)
    }
}

/// Checks a claim against who this node is and returns the sender's id.
///
/// # Errors
/// `FAILED_PRECONDITION` with the part that does not agree.
pub fn check(metadata: &MetadataMap, me: &Identity) -> Result<u64, Status> {
    let text = |key| metadata.get(key).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let refuse = |what: String| Err(Status::failed_precondition(what));
    if text(CLUSTER) != me.cluster_id {
        return refuse(format!("this node belongs to cluster {}, the call to another", me.cluster_id));
    }
    if text(GROUP) != GROUP_ID {
        return refuse("this node serves Raft group 0 only".to_owned());
    }
    if text(TO).parse() != Ok(me.node_id) {
        return refuse(format!("this is node {}, the call means another", me.node_id));
    }
    match text(FROM).parse() {
        Ok(from) if from != 0 && from != me.node_id => Ok(from),
        _ => refuse("the call does not name its sender, or names this very node".to_owned()),
    }
}

/// Checks that the certificate of the connection is that of the node that the call claims to be from. Without TLS (`secure`
/// is false) nobody shows one.
///
/// # Errors
/// `PERMISSION_DENIED` with both names.
pub fn check_holder(extensions: &Extensions, secure: bool, from: &Member) -> Result<(), Status> {
    if !secure {
        return Ok(());
    }
    match extensions.get::<Shown<TcpConnectInfo>>() {
        Some(Shown { holder, .. }) if *holder == Holder::node(&from.name) => Ok(()),
        shown => Err(Status::permission_denied(format!(
            "the call is said to come from node {}, its connection has the certificate of {}",
            from.name,
            shown.map_or_else(|| "nobody".to_owned(), |shown| shown.holder.to_string())
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(cluster_id: &str, node_id: u64) -> Identity {
        Identity { cluster_id: cluster_id.to_owned(), node_id, name: format!("node-{node_id}") }
    }

    fn claimed(by: &Identity, to: u64) -> MetadataMap {
        Claim::new(by, to).call(Request::new(())).expect("a claim never refuses").metadata().clone()
    }

    #[test]
    fn a_true_claim_names_its_sender() {
        let (one, two) = (identity("c", 1), identity("c", 2));
        assert_eq!(check(&claimed(&one, 2), &two).expect("accepted"), 1);
    }

    #[test]
    fn another_cluster_another_receiver_and_a_missing_sender_are_refused() {
        let me = identity("c", 2);
        let cases = [
            claimed(&identity("other", 1), 2),
            claimed(&identity("c", 1), 3),
            claimed(&identity("c", 2), 2),
            claimed(&identity("c", 0), 2),
            MetadataMap::new(),
        ];
        for metadata in cases {
            let refused = check(&metadata, &me).expect_err("refused");
            assert_eq!(refused.code(), tonic::Code::FailedPrecondition);
        }
    }

    #[test]
    fn another_group_is_refused() {
        let mut metadata = claimed(&identity("c", 1), 2);
        metadata.insert(GROUP, MetadataValue::from_static("1"));
        assert!(check(&metadata, &identity("c", 2)).is_err());
    }

    #[test]
    fn a_call_comes_over_a_connection_of_its_sender() {
        let member = Member { node_id: 1, name: "central-1".to_owned(), ..Member::default() };
        let mut extensions = Extensions::new();
        check_holder(&extensions, false, &member).expect("without TLS nobody shows who it is");
        check_holder(&extensions, true, &member).expect_err("with TLS everybody does");
        let mut shown = |holder| {
            let connection = TcpConnectInfo { local_addr: None, remote_addr: None };
            extensions.insert(Shown { holder, connection });
            check_holder(&extensions, true, &member)
        };
        shown(Holder::node("central-1")).unwrap();
        let refused = shown(Holder::node("central-2")).unwrap_err();
        assert_eq!(refused.code(), tonic::Code::PermissionDenied);
        assert!(refused.message().contains("central-1") && refused.message().contains("central-2"));
    }
}
