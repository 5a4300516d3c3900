//! The four read modes at a leader, a follower and a provincial node, and what they do when the centre is cut off.

use std::time::{Duration, Instant};

use dancu::proto::registry::{Consistency, PatchPerson, Person, ReadOptions, ResponseMeta};
use tonic::Code;

use crate::harness::people::{citizen, residence};
use crate::harness::{Cluster, PATIENCE, api, eventually};

struct Written {
    uid: u64,
    created: u64,
    patched: u64,
}

/// A person, created at one revision and moved at a later one.
async fn write(cluster: &Cluster) -> Written {
    let client = cluster.client(0);
    let create = api::create("unused", citizen(1)).create.unwrap();
    let created = client.create(client.context(), create).await.unwrap().written.unwrap();
    let patch = PatchPerson {
        key: Some(api::by_uid(created.person_uid)),
        person: Some(Person { permanent_residence: Some(residence("moved")), ..Person::default() }),
        update_mask: Some(prost_types::FieldMask { paths: vec!["permanent_residence".to_owned()] }),
        expected_record_revision: created.record_revision,
    };
    let patched = client.patch(client.context(), patch).await.unwrap().written.unwrap();
    Written { uid: created.person_uid, created: created.record_revision, patched: patched.record_revision }
}

/// The residence that a read finds, and what the answer says of itself.
async fn read(
    address: &str,
    uid: u64,
    options: ReadOptions,
) -> Result<(String, ResponseMeta), tonic::Status> {
    let request = api::within(Duration::from_secs(2), api::read(api::by_uid(uid), options));
    let answer = api::registry(address).read_person(request).await?.into_inner();
    Ok((answer.person.unwrap().permanent_residence.unwrap().detail, answer.meta.unwrap()))
}

#[tokio::test(flavor = "multi_thread")]
async fn cluster_modes_at_every_role() {
    let cluster = Cluster::start(3, 1).await;
    let written = write(&cluster).await;
    let leader = cluster.leader().await;
    let follower = (0..3).find(|i| *i != leader).unwrap();
    for i in [leader, follower, cluster.named("province-1")] {
        let node = &cluster.fleet.nodes[i];
        let (address, name) = (node.client_address(), node.name());
        let uid = written.uid;

        let (detail, meta) = read(&address, uid, ReadOptions::default()).await.unwrap();
        assert_eq!((detail.as_str(), meta.consistency_served()), ("moved", Consistency::Linearizable));
        assert_eq!((meta.staleness_bound_ms, meta.served_by.as_str()), (0, name));
        assert_eq!((meta.revision, meta.record_revision), (written.patched, written.patched));

        let at_least = api::at(Consistency::AtLeast, written.patched);
        let (detail, meta) = read(&address, uid, at_least).await.unwrap();
        assert_eq!((detail.as_str(), meta.consistency_served()), ("moved", Consistency::AtLeast));

        let (detail, meta) = read(&address, uid, api::stale(10_000)).await.unwrap();
        assert_eq!((detail.as_str(), meta.consistency_served()), ("moved", Consistency::BoundedStale));
        assert!(meta.staleness_bound_ms <= 10_000);

        let as_of = |revision| api::at(Consistency::AsOf, revision);
        let (detail, meta) = read(&address, uid, as_of(written.created)).await.unwrap();
        assert_eq!((detail.as_str(), meta.consistency_served()), ("house 1", Consistency::AsOf));
        assert_eq!((meta.revision, meta.record_revision), (written.created, written.created));
        let (detail, _) = read(&address, uid, as_of(written.patched)).await.unwrap();
        assert_eq!(detail, "moved");

        let future = api::refusal(read(&address, uid, as_of(written.patched + 1000)).await);
        assert_eq!((future.0, future.1.as_str()), (Code::OutOfRange, "REVISION_FUTURE"));
        let future = api::refusal(read(&address, uid, api::at(Consistency::AtLeast, u64::MAX)).await);
        assert_eq!(
            (future.0, future.1.as_str()),
            (Code::OutOfRange, "REVISION_FUTURE"),
            "at least, at {name}"
        );
        let wrong = api::refusal(read(&address, uid, api::stale(0)).await);
        assert_eq!((wrong.0, wrong.1.as_str()), (Code::InvalidArgument, "FIELD_INVALID"));
    }
    cluster.assert_no_errors();
}

#[tokio::test(flavor = "multi_thread")]
async fn cluster_modes_of_a_province_cut_off_from_the_centre() {
    let cluster = Cluster::start(3, 1).await;
    let written = write(&cluster).await;
    let address = cluster.fleet.nodes[cluster.named("province-1")].client_address();
    let uid = written.uid;
    let at_least = || api::at(Consistency::AtLeast, written.patched);
    read(&address, uid, at_least()).await.unwrap();
    for i in 0..3 {
        cluster.fleet.nodes[i].pause().unwrap();
    }

    // Stale answers go on and say how old they are, older each time.
    let (detail, first) = read(&address, uid, api::stale(60_000)).await.unwrap();
    assert_eq!(detail, "moved");
    let older = eventually("the bound to grow", PATIENCE, async || {
        let (_, meta) = read(&address, uid, api::stale(60_000)).await.unwrap();
        (meta.staleness_bound_ms > first.staleness_bound_ms + 500).then_some(meta.staleness_bound_ms)
    })
    .await;
    println!("cut off: a stale answer said at most {} ms, a later one {older} ms", first.staleness_bound_ms);
    let refused = api::refusal(read(&address, uid, api::stale(300)).await);
    assert_eq!((refused.0, refused.1.as_str()), (Code::Unavailable, "STALENESS_EXCEEDED"));

    // What needs no centre is answered, what needs it is refused in time.
    read(&address, uid, at_least()).await.unwrap();
    read(&address, uid, api::at(Consistency::AsOf, written.created)).await.unwrap();
    let begun = Instant::now();
    let refused = api::refusal(read(&address, uid, ReadOptions::default()).await);
    let took = begun.elapsed();
    println!("cut off: a linearizable read was refused after {took:.1?} of its 2 s");
    assert_eq!((refused.0, refused.1.as_str()), (Code::Unavailable, "NO_QUORUM"));
    assert!(took < Duration::from_secs(2) + Duration::from_millis(500));
    let begun = Instant::now();
    let write = api::within(Duration::from_secs(2), api::create("cut-off", citizen(2)));
    let refused = api::refusal(api::registry(&address).create_person(write).await);
    assert_eq!((refused.0, refused.1.as_str()), (Code::Unavailable, "NO_QUORUM"));
    assert!(begun.elapsed() < Duration::from_secs(2) + Duration::from_millis(500));

    for i in 0..3 {
        cluster.fleet.nodes[i].resume().unwrap();
    }
    eventually("linearizable reads to come back", PATIENCE, async || {
        read(&address, uid, ReadOptions::default()).await.ok()
    })
    .await;
    cluster.assert_no_errors();
}
