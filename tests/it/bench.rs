//! `dancu bench` on a real cluster: every operation is counted, timed and charged to the nodes, and errors are told.
//! How fast anything is says nothing here: other tests may run beside it.

use serde_json::Value;

use crate::harness::Cluster;
use crate::harness::command::{dancu, ended};

/// Runs `dancu bench` on a cluster, with runs of half a second; returns the exit code and the runs.
fn bench(cluster: &Cluster, arguments: &[&str]) -> (i32, Vec<Value>) {
    let endpoints = cluster.fleet.client_addresses().join(",");
    let common = ["--json", "bench", "-e", &endpoints, "--people=1000", "--seconds=0.5", "--warm-up=0.1"];
    let (code, out, err) = ended(dancu(common.iter().chain(arguments)).output().unwrap());
    if out.is_empty() {
        println!("{err}");
        return (code, Vec::new());
    }
    let mut answer: Value = serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out}{err}"));
    let Value::Array(runs) = answer["runs"].take() else { panic!("no runs in {out}") };
    (code, runs)
}

fn number(run: &Value, path: &str) -> f64 {
    run.pointer(path).and_then(Value::as_f64).unwrap_or_else(|| panic!("no number {path} in {run:#}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn bench_counts_times_and_charges_every_operation() {
    const OPERATIONS: [&str; 8] =
        ["import", "verify", "batch-verify", "stream-verify", "read", "write", "batch-write", "mixed"];
    let cluster = Cluster::start(3, 1).await;
    let options = ["--clients=4", "--batch=8", "--write-share=50"];
    let (code, runs) = bench(&cluster, &[&OPERATIONS[..], &options].concat());
    assert_eq!((code, runs.len()), (0, OPERATIONS.len()), "{runs:#?}");
    for (run, operation) in runs.iter().zip(OPERATIONS) {
        assert_eq!((&run["operation"], &run["clients"]), (&operation.into(), &4.into()));
        assert_eq!(run["asked"].as_array().unwrap().len(), 4);
        assert_eq!((&run["errors"], &run["unsent"]), (&serde_json::json!({}), &0.into()), "{run:#}");
        let (operations, calls) = (number(run, "/operations"), number(run, "/calls"));
        assert!(calls > 0.0 && operations >= calls, "{run:#}");
        assert!(number(run, "/operations_per_s") > 0.0);
        let us: Vec<f64> =
            ["min", "p50", "p99", "max"].map(|at| number(run, &format!("/latency_us/{at}"))).into();
        assert!(us[0] > 0.0 && us.is_sorted(), "{run:#}");
        if operation.starts_with("batch") {
            assert_eq!(operations, calls * 8.0);
        }
        let processes = run.pointer("/server/processes").unwrap().as_array().unwrap();
        assert_eq!(processes.len(), 4, "each node is charged: {run:#}");
        let leads = processes.iter().filter(|process| process["state"] == "leader").count();
        assert_eq!(leads, 1);
        assert!(number(run, "/server/cpu_us_per_operation") > 0.0, "{run:#}");
        assert!(number(run, "/load_cpu_us_per_operation") > 0.0);
        if ["import", "write", "batch-write"].contains(&operation) {
            assert!(number(run, "/server/written_bytes_per_operation") > 0.0, "{run:#}");
        }
    }
    let kinds = runs[7]["kinds"].as_array().unwrap();
    assert_eq!(kinds.len(), 2, "reads and writes: {kinds:#?}");
    let sum: f64 = kinds.iter().map(|kind| number(kind, "/operations")).sum();
    assert_eq!(sum, number(&runs[7], "/operations"));

    // What was imported and written is in the registry, once for each.
    let leader = cluster.leader().await;
    let persons = cluster.only(leader).digest(0).await.unwrap().persons as f64;
    assert!(persons >= 1000.0 + number(&runs[0], "/operations"), "{persons} people");
    let calls = |method: &str| {
        cluster.metric(leader, &format!("grpc_requests_total{{method=\"{method}\",code=\"OK\"}}"))
    };
    assert!(calls("Verification/Verify") > 0.0 && calls("PopulationRegistry/PatchPerson") > 0.0);
    cluster.assert_no_errors();
}

#[tokio::test(flavor = "multi_thread")]
async fn bench_asks_whom_and_how_it_is_told_and_fails_on_errors() {
    let cluster = Cluster::start(1, 1).await;
    let (code, runs) = bench(&cluster, &["--existing"]);
    assert_eq!((code, runs.len()), (2, 0), "nobody is there yet");

    let open =
        ["--target=learner", "--rate=100", "--skew=zipf", "--consistency=stale=60000", "--clients=2,8"];
    let (code, runs) = bench(&cluster, &open);
    assert_eq!((code, runs.len()), (0, 2), "{runs:#?}");
    for run in &runs {
        assert_eq!(run["asked"], serde_json::json!(["province-1"]));
        // 60 are due, 50 of them after the warm-up, also when the machine is too busy for them.
        let all = number(run, "/operations") + number(run, "/unsent");
        assert!((50.0..=60.0).contains(&all), "{run:#}");
        assert_eq!(
            (&run["skew"], &run["consistency"]),
            (&"zipf=0.99".into(), &"CONSISTENCY_BOUNDED_STALE".into())
        );
    }

    let (code, runs) =
        bench(&cluster, &["verify", "stream-verify", "--existing", "--consistency=as-of=999999"]);
    assert_eq!((code, runs.len()), (1, 2), "{runs:#?}");
    for run in &runs {
        assert_eq!(number(run, "/operations"), 0.0);
        assert!(number(run, "/errors/REVISION_FUTURE") > 0.0, "{run:#}");
    }

    let import =
        ["import", "--existing", "--import-count=250", "--batch=100", "--clients=2", "--target=leader"];
    let (code, runs) = bench(&cluster, &import);
    assert_eq!((code, number(&runs[0], "/operations")), (0, 250.0), "{runs:#?}");
    assert_eq!(runs[0]["asked"], serde_json::json!(["central-1"]));
    assert_eq!(cluster.only(0).digest(0).await.unwrap().persons, 1250);
}

#[test]
fn bench_starts_and_ends_nodes_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let bench = || {
        let nodes = ["--json", "bench", "--fleet=1", "--provinces=1", "--data", data];
        let load = ["read", "--target=all", "--people=200", "--seconds=0.5", "--warm-up=0.1", "--clients=2"];
        ended(dancu(nodes.iter().chain(&load)).output().unwrap())
    };
    let (code, out, err) = bench();
    assert_eq!(code, 0, "{out}{err}");
    let answer: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(answer["runs"][0]["asked"], serde_json::json!(["central-1", "province-1"]));
    let config = dancu::config::NodeConfig::load(&folder.path().join("central-1.toml")).unwrap();
    let gone = std::net::TcpStream::connect(config.client_listen);
    assert!(gone.is_err(), "a node outlived the load");

    let (code, _, err) = bench();
    assert_eq!((code, err.contains("not empty")), (2, true), "{err}");
}
