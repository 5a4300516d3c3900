//! A GET to a node's HTTP listener, which speaks in the clear and says how long its answers are by closing.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// The largest answer that is read, in bytes.
const MAX_BYTES: u64 = 64 << 20;

/// Body of the answer to a GET at `address` (host:port).
///
/// # Errors
/// When nobody answers in time, or with anything but 200.
pub async fn get(address: &str, path: &str) -> io::Result<String> {
    let ask = async {
        let mut stream = TcpStream::connect(address).await?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.take(MAX_BYTES).read_to_string(&mut answer).await?;
        io::Result::Ok(answer)
    };
    let answer = timeout(PATIENCE, ask).await??;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    if head.split(' ').nth(1) == Some("200") {
        return Ok(body.to_owned());
    }
    Err(io::Error::other(format!("it answered: {} {}", head.lines().next().unwrap_or_default(), body.trim())))
}
