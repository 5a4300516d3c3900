//! What an answer says about itself.

use super::read::View;
use crate::domain::matching::PROFILE;
use crate::proto::registry::{Consistency, ResponseMeta};
use crate::raft::About;

/// The answer to a write that made, or found, `revision`. `record_revision` is 0 when no one person is concerned.
pub(super) fn of_write(about: About, revision: u64, record_revision: u64) -> ResponseMeta {
    ResponseMeta {
        cluster_id: about.cluster_id,
        revision,
        record_revision,
        consistency_served: Consistency::Unspecified.into(),
        staleness_bound_ms: 0,
        served_by: about.name,
        raft_term: about.term,
        normalization_profile: PROFILE.to_owned(),
    }
}

/// A linearizable answer that is about nobody.
pub(super) fn linearizable(about: About, revision: u64) -> ResponseMeta {
    ResponseMeta { consistency_served: Consistency::Linearizable.into(), ..of_write(about, revision, 0) }
}

/// The answer to a read of `view`. `record_revision` is 0 when no one person is concerned.
pub(super) fn of_read(about: About, view: &View, record_revision: u64) -> ResponseMeta {
    ResponseMeta {
        consistency_served: view.served.into(),
        staleness_bound_ms: view.staleness_bound_ms,
        ..of_write(about, view.revision(), record_revision)
    }
}
