//! A fault of this machine that takes the node out of service for good: declared once, seen by everyone.

use tokio::sync::watch;

/// Shared between all parts of a node. Cheap to clone.
#[derive(Clone)]
pub struct Fault(watch::Sender<Option<String>>);

impl Default for Fault {
    fn default() -> Self {
        Self(watch::Sender::new(None))
    }
}

impl Fault {
    /// Declares the fault. The first one counts.
    pub fn declare(&self, what: impl Into<String>) {
        let what = what.into();
        self.0.send_if_modified(|declared| {
            if declared.is_some() {
                return false;
            }
            tracing::error!("this node is out of service: {what}");
            *declared = Some(what);
            true
        });
    }

    /// Whether one was declared.
    pub fn is_declared(&self) -> bool {
        self.0.borrow().is_some()
    }

    /// What it is.
    pub fn what(&self) -> Option<String> {
        self.0.borrow().clone()
    }

    /// Returns what was declared, once something is.
    pub async fn declared(&self) -> String {
        let mut watch = self.0.subscribe();
        match watch.wait_for(Option::is_some).await.map(|what| what.clone()) {
            Ok(Some(what)) => what,
            // The sender is this very value: it is not gone while this runs.
            _ => std::future::pending().await,
        }
    }
}
