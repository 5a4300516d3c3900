//! Tests of `http` over a real socket.

use std::sync::Mutex;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use super::*;

struct Node(Mutex<Result<(), String>>);

impl StatusSource for Node {
    fn ready(&self) -> Result<(), String> {
        self.0.lock().unwrap().clone()
    }

    fn status_json(&self) -> serde_json::Value {
        serde_json::json!({"name": "central-1"})
    }

    fn receipt_keys(&self) -> BoxFuture<'_, Result<serde_json::Value, String>> {
        let keys = self.ready().map(|()| serde_json::json!({"keys": []}));
        Box::pin(std::future::ready(keys))
    }
}

/// The whole answer to one GET, headers included.
async fn get(address: std::net::SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn http_answers_every_path_and_stops_when_told() {
    let node = Arc::new(Node(Mutex::new(Err("no leader is known".to_string()))));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let shutdown = async move { drop(stopped.await) };
    let server = tokio::spawn(serve(listener, node.clone(), Arc::new(Metrics::new()), shutdown));

    let metrics = get(address, "/metrics").await;
    assert!(metrics.contains("content-type: application/openmetrics-text; version=1.0.0"), "{metrics}");
    assert!(metrics.contains("dancu_applied_index 0") && metrics.trim_end().ends_with("# EOF"), "{metrics}");
    let not_ready = get(address, "/readyz").await;
    assert!(
        not_ready.starts_with("HTTP/1.1 503") && not_ready.ends_with("no leader is known\n"),
        "{not_ready}"
    );
    assert!(get(address, "/.well-known/jwks.json").await.starts_with("HTTP/1.1 503"));
    // A node that cannot serve is still alive: restarting it would not help.
    assert!(get(address, "/healthz").await.starts_with("HTTP/1.1 200"));
    *node.0.lock().unwrap() = Ok(());
    assert!(get(address, "/readyz").await.starts_with("HTTP/1.1 200"));
    assert!(get(address, "/status").await.ends_with("{\"name\":\"central-1\"}"));
    let keys = get(address, "/.well-known/jwks.json").await;
    assert!(keys.contains("application/jwk-set+json") && keys.ends_with("{\"keys\":[]}"), "{keys}");
    assert!(get(address, "/").await.contains("/readyz"));
    assert!(get(address, "/else").await.starts_with("HTTP/1.1 404"));

    stop.send(()).unwrap();
    server.await.unwrap().unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}
