//! By when a request must be answered.
//!
//! gRPC sends the caller's time as `grpc-timeout`, counted from when the caller began. The answer needs a moment to
//! travel, so the server works against a slightly earlier deadline: the caller then reads why its request failed.

use std::time::Duration;

use tokio::time::Instant;
use tonic::Status;
use tonic::metadata::MetadataMap;

use super::status;
use crate::config::LimitsConfig;
use crate::proto::grpc_timeout;

/// The part of the caller's time that is left for the answer's way back ...
const MARGIN_DIVISOR: u32 = 10;
/// ... and the most of it.
const LONGEST_MARGIN: Duration = Duration::from_millis(100);

/// The deadline of a request that arrived now.
///
/// # Errors
/// `FIELD_INVALID` when `grpc-timeout` is not of the form that gRPC defines.
pub fn of(metadata: &MetadataMap, limits: &LimitsConfig) -> Result<Instant, Status> {
    let Some(value) = metadata.get("grpc-timeout") else {
        return Ok(Instant::now() + Duration::from_millis(limits.default_deadline_ms));
    };
    let named = value.to_str().ok().and_then(grpc_timeout).ok_or_else(|| {
        status::invalid("metadata.grpc-timeout", "must be 1 to 8 digits and one of H, M, S, m, u, n")
    })?;
    Ok(Instant::now() + work_time(named, Duration::from_millis(limits.max_deadline_ms)))
}

/// How long the server works for a caller that waits `named`.
fn work_time(named: Duration, longest: Duration) -> Duration {
    let margin = (named / MARGIN_DIVISOR).min(LONGEST_MARGIN);
    (named - margin).min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_time_for_the_answer_and_is_bounded() {
        let longest = Duration::from_secs(60);
        assert_eq!(work_time(Duration::from_millis(200), longest), Duration::from_millis(180));
        assert_eq!(work_time(Duration::from_secs(5), longest), Duration::from_millis(4900));
        assert_eq!(work_time(Duration::from_secs(3600), longest), longest);
        assert_eq!(work_time(Duration::ZERO, longest), Duration::ZERO);
    }

    #[test]
    fn defaults_and_refuses() {
        let limits = LimitsConfig::default();
        let mut metadata = MetadataMap::new();
        let left = of(&metadata, &limits).unwrap() - Instant::now();
        assert!(left > Duration::from_secs(4) && left <= Duration::from_secs(5), "{left:?}");
        metadata.insert("grpc-timeout", "soon".parse().unwrap());
        assert_eq!(of(&metadata, &limits).unwrap_err().code(), tonic::Code::InvalidArgument);
    }
}
