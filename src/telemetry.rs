//! The log of the process and what happens at a panic.
//!
//! Log lines go to standard error, as text or JSON, with the fields of the spans they were written in: a request id
//! given by a client is thus on every line about it, on every node. ERROR means that a person must look.
//!
//! A thread of its own writes them. When whoever reads standard error stops doing so, up to 16,384 lines wait for it and
//! further ones are dropped and counted: a log that nobody takes must not stop a node (etcd issue 22214).
//!
//! A panic stops the process. Without that, one in a request handler would reach the client as CANCELLED and leave a
//! node half alive. The hook prints where it happened and not what was said: the message of a panic may hold the
//! value that caused it, and that may be a citizen's.

use std::io::{self, IsTerminal, Write};
use std::panic::PanicHookInfo;
use std::sync::{Mutex, OnceLock, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::Registry;
use tracing_subscriber::{Layer, fmt};

use crate::config::{LogConfig, LogFormat, Problem};

/// Lines that wait for the thread that writes them; further ones are dropped.
const WAITING_LINES: usize = 16_384;

/// The thread that writes the log, while there is one.
static WRITER: Mutex<Option<WorkerGuard>> = Mutex::new(None);
/// Lines that were dropped.
static DROPPED: OnceLock<ErrorCounter> = OnceLock::new();

/// Sets up the log and the panic hook for the whole process. For `main`, once: a second call changes nothing.
///
/// # Errors
/// A [`Problem`] when the level is not understood.
pub fn init(log: &LogConfig) -> Result<(), Problem> {
    let filter = log.filter()?;
    let colours = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let builder = NonBlockingBuilder::default().lossy(true).buffered_lines_limit(WAITING_LINES);
    let (lines, writer) = builder.thread_name("log").finish(io::stderr());
    let dropped = lines.error_counter();
    let subscriber = Registry::default().with(layer(log.format, filter, colours, lines));
    // Fails only when a log is already set up: then that one stays.
    if tracing::subscriber::set_global_default(subscriber).is_ok() {
        let _ = DROPPED.set(dropped);
        *WRITER.lock().unwrap_or_else(PoisonError::into_inner) = Some(writer);
    }
    abort_on_panic();
    Ok(())
}

/// How long the end of the process waits for the last lines of the log.
const LAST_LINES: Duration = Duration::from_secs(2);

/// Waits until the lines of the log are written, for two seconds at most, and ends the thread that writes them: for the end
/// of the process.
pub fn flush() {
    // Another thread that holds the lock is doing the same.
    let Ok(writer) = WRITER.try_lock().map(|mut writer| writer.take()) else { return };
    let (done, flushed) = mpsc::channel::<()>();
    // Dropped elsewhere: where it waits in vain it says so on standard output, which may be what nobody reads.
    thread::spawn(move || {
        drop(writer);
        drop(done);
    });
    let _ = flushed.recv_timeout(LAST_LINES);
}

/// Lines of the log that were dropped because nobody took the ones before.
pub fn dropped_lines() -> u64 {
    DROPPED.get().map_or(0, |dropped| dropped.dropped_lines() as u64)
}

/// From here on a panic on any thread prints its place and ends the process with SIGABRT.
pub fn abort_on_panic() {
    std::panic::set_hook(Box::new(|info| {
        flush();
        // Not through the log: it may be what panicked.
        let _ = writeln!(io::stderr(), "{}", describe(info));
        #[expect(clippy::disallowed_methods, reason = "the one place")]
        std::process::abort();
    }));
}

fn describe(info: &PanicHookInfo<'_>) -> String {
    let thread = thread::current();
    let place = info.location().map_or("an unknown place".to_string(), ToString::to_string);
    format!(
        "dancu stopped: a defect at {place}, on thread '{}'. What was acknowledged is on disk; start the node again and \
         report this line.",
        thread.name().unwrap_or("unnamed")
    )
}

fn layer<W>(
    format: LogFormat,
    filter: Targets,
    colours: bool,
    writer: W,
) -> Box<dyn Layer<Registry> + Send + Sync>
where
    W: for<'a> fmt::MakeWriter<'a> + Send + Sync + 'static,
{
    let layer = fmt::layer().with_writer(writer);
    match format {
        LogFormat::Text => layer.with_ansi(colours).with_filter(filter).boxed(),
        LogFormat::Json => layer.json().flatten_event(true).with_filter(filter).boxed(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// Keeps what is written.
    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat, level: &str) -> String {
        let page = Page::default();
        let writer = page.clone();
        let filter = LogConfig { level: level.to_string(), format }.filter().unwrap();
        let subscriber = Registry::default().with(layer(format, filter, false, move || writer.clone()));
        tracing::subscriber::with_default(subscriber, || {
            let _span = tracing::info_span!("request", request_id = "r-7").entered();
            tracing::info!(node = 3, "applied");
            tracing::debug!("details");
        });
        String::from_utf8(page.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn telemetry_text_lines_carry_the_span_and_no_colours() {
        let text = logged(LogFormat::Text, "info");
        assert!(text.contains("request_id=\"r-7\"") && text.contains("applied node=3"), "{text}");
        assert!(!text.contains('\x1b') && !text.contains("details"), "{text}");
    }

    #[test]
    fn telemetry_json_lines_are_objects_with_the_span() {
        let text = logged(LogFormat::Json, "warn,dancu::telemetry=debug");
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0]["message"], "applied");
        assert_eq!(lines[0]["span"]["request_id"], "r-7");
    }

    #[test]
    fn telemetry_panic_line_holds_the_place_and_not_the_message() {
        let seen = Arc::new(Mutex::new(String::new()));
        let line = seen.clone();
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| *line.lock().unwrap() = describe(info)));
        let outcome = std::panic::catch_unwind(|| panic!("Nguyễn Thị Thúy"));
        std::panic::set_hook(before);
        assert!(outcome.is_err());
        let line = seen.lock().unwrap();
        assert!(line.contains("telemetry.rs:") && !line.contains("Nguyễn"), "{line}");
    }
}
