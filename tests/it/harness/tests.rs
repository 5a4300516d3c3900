//! The harness can fail: what it would have to find is found.

use dancu::cli::fleet::readback::read_back;

use super::people::{citizen, residence};
use super::{Cluster, api};

#[tokio::test(flavor = "multi_thread")]
async fn harness_lost_doubled_and_changed_people_are_found() {
    let cluster = Cluster::start(1, 0).await;
    let mut registry = api::registry(&cluster.fleet.nodes[0].client_address());
    for n in 1..=3 {
        registry.create_person(api::create(&format!("person-{n}"), citizen(n))).await.unwrap();
    }
    let node = cluster.only(0);
    let expected = |n| (api::by_id(&citizen(n).personal_id), citizen(n));

    let all = read_back(&node, (1..=3).map(expected)).await.unwrap();
    assert_eq!((all.lost(), all.doubled()), (0, 0));
    let missing = read_back(&node, (1..=4).map(expected)).await.unwrap();
    assert_eq!((missing.found, missing.lost()), (3, 1));
    let unaccounted = read_back(&node, (1..=2).map(expected)).await.unwrap();
    assert_eq!((unaccounted.lost(), unaccounted.doubled()), (0, 1));
    let changed = (1..=3).map(expected).map(|(key, mut person)| {
        person.permanent_residence = Some(residence("elsewhere"));
        (key, person)
    });
    assert_eq!(read_back(&node, changed).await.unwrap().lost(), 3);
}

#[tokio::test(flavor = "multi_thread")]
#[should_panic(expected = "logged an error")]
async fn harness_an_error_in_a_log_is_found() {
    let cluster = Cluster::start(1, 0).await;
    std::fs::write(
        cluster.fleet.nodes[0].log_file(),
        "2026-01-01T00:00:00Z ERROR dancu: a person must look\n",
    )
    .unwrap();
    cluster.assert_no_errors();
}

#[tokio::test(flavor = "multi_thread")]
#[should_panic(expected = "central-1 logged \"cluster\"")]
async fn harness_a_forbidden_text_in_a_log_is_found() {
    let cluster = Cluster::start(1, 0).await;
    cluster.assert_not_logged(&["nobody says this", "cluster"]);
}
