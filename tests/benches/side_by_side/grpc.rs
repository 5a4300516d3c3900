//! gRPC without generated code: a call is a path and two messages. Closed loops of such calls.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use dancu::cli::bench::load::{Load, Plan};
use prost::Message;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};
use tonic_prost::ProstCodec;

use super::sample::Sample;

/// HTTP/2 connections that the clients share: as many as `dancu bench` opens.
const CONNECTIONS: usize = 6;

/// So many connections, shared out among servers at `host:port`, with the settings of dancu's own client.
pub fn channels(addresses: &[String]) -> Result<Vec<Channel>, String> {
    let addresses = addresses.iter().cycle().take(CONNECTIONS);
    addresses.map(|address| dancu::client::channel(address, None).map_err(|e| e.to_string())).collect()
}

/// Waits until a server accepts connections.
pub async fn wait_for(address: &str, limit: Duration) -> Result<(), String> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).map_err(|e| e.to_string())?;
    let deadline = tokio::time::Instant::now() + limit;
    while let Err(error) = endpoint.connect().await {
        if tokio::time::Instant::now() > deadline {
            return Err(format!("{address} does not answer: {error}"));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// One call.
pub async fn call<Req, Res>(channel: Channel, path: &'static str, message: Req) -> Result<Res, Status>
where
    Req: Message + 'static,
    Res: Message + Default + 'static,
{
    let mut grpc = Grpc::new(channel);
    grpc.ready().await.map_err(|e| Status::unavailable(e.to_string()))?;
    let codec = ProstCodec::<Req, Res>::default();
    Ok(grpc.unary(Request::new(message), PathAndQuery::from_static(path), codec).await?.into_inner())
}

/// How long, by how many.
#[derive(Clone, Copy)]
pub struct Loop {
    /// Logical clients.
    pub clients: u32,
    /// Before anything counts.
    pub warm_up: Duration,
    /// What counts.
    pub measure: Duration,
}

/// Calls in a closed loop; `ask` makes one from the client's number and the call's. `cpu_seconds` reads what the servers
/// have used so far.
pub async fn closed_loop<F>(
    plan: Loop,
    channels: &[Channel],
    cpu_seconds: impl Fn() -> f64,
    ask: impl Fn(Channel, usize, u64) -> F + Send + Sync + 'static,
) -> Result<Sample, String>
where
    F: Future<Output = Result<(), String>> + Send + 'static,
{
    let Loop { clients, warm_up, measure } = plan;
    let ask = Arc::new(ask);
    let plan = Plan { clients: clients as usize, rate: None, warm_up, measure };
    let load = Load::start(&plan, |number, seat| {
        let (ask, channel) = (ask.clone(), channels[number % channels.len()].clone());
        async move {
            let mut count = 0;
            while let Some(turn) = seat.next().await {
                count += 1;
                let answer = ask(channel.clone(), number, count).await;
                seat.settle("call", turn, answer.map(|()| 1)).await;
            }
        }
    });
    load.warm_up(&|_| {}).await;
    let before = cpu_seconds();
    let measured = load.finish(&|_| {}).await;
    let used = cpu_seconds() - before;
    if let Some((reason, count)) = measured.errors().into_iter().next() {
        return Err(format!("{count} calls failed: {reason}"));
    }
    let (operations, latency) = (measured.operations(), measured.latency());
    Ok(Sample {
        per_s: measured.per_second(operations),
        p50_us: Some(latency.value_at_quantile(0.5) as f64),
        p99_us: Some(latency.value_at_quantile(0.99) as f64),
        cpu_us: Some(used * 1e6 / operations.max(1) as f64),
        operations: operations as f64,
        ..Sample::default()
    })
}

/// A key of so many, different from call to call and alike in all runs.
pub fn some_key(client: usize, call: u64, keys: u64) -> u64 {
    let mixed =
        (client as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ call.wrapping_mul(0xd1b5_4a32_d192_ed03);
    (mixed ^ (mixed >> 29)).wrapping_mul(0x94d0_49bb_1331_11eb) % keys
}
