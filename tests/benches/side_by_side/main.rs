//! dancu and its yardsticks side by side: in one run on one machine, taking turns, so that what the machine does meanwhile
//! hits all of them alike. `scripts/bench` builds and runs it; README.md beside this folder has the method and figures.
//!
//! ```text
//! main      the command line, the order of things, the results
//! contest   all of them set up; rounds of turns: A B C, A B C ...
//! dancu     three nodes (and learners), loaded by `dancu bench`       grpc     closed loops of bare calls
//! etcd      three nodes                                               machine  processes and what they cost
//! postgres  a primary and two standbys, loaded by pgbench             sample   figures and their medians
//! ceiling   a bare tonic service over one RocksDB                     goals    the table
//!                                                                     plot     latency against throughput
//! ```
//!
//! All of them stand on one disk, with values of 600 bytes under as many keys, and each waits for its disks as it does by
//! default. Exit code 0 says that it was measured, not that the goals are met.

#![allow(clippy::unwrap_used)]

mod ceiling;
mod contest;
mod dancu;
mod etcd;
mod goals;
mod grpc;
mod machine;
mod plot;
mod postgres;
mod sample;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, Subcommand};
use comfy_table::{Table, presets};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use self::contest::{Contest, Pace, step};
use self::dancu::Dancu;
use self::sample::{Results, System, Work};

/// Measures dancu and its yardsticks side by side.
#[derive(Parser)]
struct Args {
    #[command(subcommand)]
    part: Option<Part>,
    /// At most three minutes: two rounds of one second, fewer people, without what needs a large cluster
    #[arg(long)]
    quick: bool,
    /// Turns of each; 5, with --quick 2
    #[arg(long)]
    rounds: Option<usize>,
    /// Seconds of each turn; 4, with --quick 1
    #[arg(long)]
    seconds: Option<f64>,
    /// People and keys
    #[arg(long, default_value_t = 20_000)]
    people: u64,
    /// People to import into fresh nodes; 1000000, with --quick 30000
    #[arg(long)]
    import: Option<u64>,
    /// Where all data goes meanwhile, on a real disk; the system's folder for temporary files when absent
    #[arg(long)]
    data: Option<PathBuf>,
    /// Where summary.json and the plots go
    #[arg(long, default_value = "target/bench")]
    output: PathBuf,
    /// Given by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Subcommand)]
enum Part {
    /// The server of the ceiling
    #[command(hide = true)]
    ServeCeiling {
        #[arg(long)]
        folder: PathBuf,
        #[arg(long)]
        keys: u64,
        #[arg(long)]
        size: usize,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let outcome = match &args.part {
        Some(Part::ServeCeiling { folder, keys, size }) => ceiling::serve(folder, *keys, *size).await,
        // `cargo test --benches` starts it too, without the flag.
        None if !args.bench => {
            println!("nothing to test here; scripts/bench measures");
            Ok(())
        }
        None => tokio::select! {
            outcome = measure(&args) => outcome,
            // What was started ends with what is dropped here.
            () = stopped() => Err("interrupted".to_owned()),
        },
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("side_by_side: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Returns at the first SIGINT or SIGTERM.
async fn stopped() {
    let mut terminate = signal(SignalKind::terminate()).expect("signals can be listened to");
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

async fn measure(args: &Args) -> Result<(), String> {
    let begun = Instant::now();
    let place = args.data.clone().unwrap_or_else(std::env::temp_dir);
    let made = std::fs::create_dir_all(&place).and_then(|()| tempfile::tempdir_in(&place));
    let folder = made.map_err(|e| format!("{}: {e}", place.display()))?;
    let folder = folder.path();
    // PostgreSQL runs as a user of its own when this one is root.
    let open = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(folder, open).map_err(|e| format!("{}: {e}", folder.display()))?;
    let mut results = Results::default();
    let pace = Pace::new(args.quick, args.rounds, args.seconds);
    let versions = {
        let mut contest = Contest::set_up(folder, args.people).await?;
        contest.rounds(&pace, &mut results).await;
        contest.learners(&pace, &mut results).await;
        contest.versions
    };
    import(args, folder, &mut results).await;
    report(args, (&pace, begun), &versions, &results)
}

/// Many people into three fresh nodes.
async fn import(args: &Args, folder: &Path, results: &mut Results) {
    let count = args.import.unwrap_or(if args.quick { 30_000 } else { 1_000_000 });
    step(&format!("importing {count} people into three fresh nodes"));
    let found = match Dancu::start(&folder.join("import"), 1_000).await {
        Ok(dancu) => dancu.import(count).await,
        Err(why) => Err(why),
    };
    results.add(System::Dancu, Work::Import, found);
}

fn report(
    args: &Args,
    (pace, begun): (&Pace, Instant),
    versions: &[String],
    results: &Results,
) -> Result<(), String> {
    let rows = goals::rows(results);
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(["goal", "dancu", "yardstick", "ratio", ""]);
    table.add_rows(rows.iter().map(goals::Row::cells));
    println!("{}\n", table.trim_fmt());
    for trouble in &results.troubles {
        println!("FAILED: {trouble}");
    }
    #[expect(clippy::disallowed_methods, reason = "says when it was measured")]
    let at = jiff::Timestamp::now();
    let seconds = begun.elapsed().as_secs();
    let (machine, rounds) = (machine::description(), pace.rounds);
    let how = format!("medians of {rounds} turns of {} s, taken in turns", pace.measure.as_secs_f64());
    println!("{}\n{machine}\n{how}; {at}; took {seconds} s", versions.join(", "));
    let summary = json!({
        "at": at.to_string(),
        "machine": machine,
        "systems": versions,
        "quick": args.quick,
        "rounds": rounds,
        "seconds_a_turn": pace.measure.as_secs_f64(),
        "keys": args.people,
        "value_bytes": contest::VALUE,
        "goals": rows.iter().map(goals::Row::json).collect::<Vec<_>>(),
        "figures": results.json(),
        "troubles": results.troubles,
        "took_seconds": seconds,
    });
    let reads =
        plot::svg(results, "linearizable reads of one person or key: latency against throughput", |work| {
            match work {
                Work::Read(clients) => Some(clients),
                _ => None,
            }
        });
    let writes =
        plot::svg(results, "writes of one person or key: latency against throughput", |work| match work {
            Work::Write(clients) => Some(clients),
            _ => None,
        });
    let folder = &args.output;
    std::fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    for (name, text) in
        [("summary.json", format!("{summary:#}\n")), ("reads.svg", reads), ("writes.svg", writes)]
    {
        let file = folder.join(name);
        std::fs::write(&file, text).map_err(|e| format!("{}: {e}", file.display()))?;
        println!("{}", file.display());
    }
    Ok(())
}
