//! Handshakes under way: so many at once, and the oldest gives way to a new one when there are more.
//!
//! Whoever connects and says nothing has a place for as long as a handshake may take. If all places were taken that way and
//! newcomers waited, a few hundred silent connections would keep everybody out for seconds. One that means it is done within
//! milliseconds, long before it is the oldest of so many.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

/// The handshakes of a listener.
pub(super) struct Pending {
    most: usize,
    places: Mutex<Places>,
}

#[derive(Default)]
struct Places {
    next: u64,
    /// In the order in which they began.
    taken: BTreeMap<u64, CancellationToken>,
}

/// The place of one handshake, until it is dropped.
pub(super) struct Place {
    number: u64,
    gives_way: CancellationToken,
    pending: Arc<Pending>,
}

impl Pending {
    /// Room for so many.
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, places: Mutex::default() })
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for one that begins now.
    pub fn begin(self: &Arc<Self>) -> Place {
        let mut places = self.places();
        while places.taken.len() >= self.most
            && let Some((_, oldest)) = places.taken.pop_first()
        {
            oldest.cancel();
        }
        let number = places.next;
        places.next += 1;
        let gives_way = CancellationToken::new();
        places.taken.insert(number, gives_way.clone());
        Place { number, gives_way, pending: self.clone() }
    }
}

impl Place {
    /// Waits for the handshake as long as it has its place.
    ///
    /// # Errors
    /// That of the handshake; that it gave way.
    pub async fn hold<T>(self, handshake: impl Future<Output = io::Result<T>>) -> io::Result<T> {
        tokio::select! {
            biased;
            done = handshake => done,
            () = self.gives_way.cancelled() => Err(io::Error::other("it gave way to newer connections")),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.pending.places().taken.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_oldest_gives_way_and_the_others_stay() {
        let pending = Pending::new(2);
        let silent = || std::future::pending::<io::Result<()>>();
        let first = pending.begin();
        let second = pending.begin();
        let third = pending.begin();
        first.hold(silent()).await.unwrap_err();
        second.hold(async { Ok(()) }).await.unwrap();
        let fourth = pending.begin();
        third.hold(async { Ok(()) }).await.unwrap();
        fourth.hold(async { Ok(()) }).await.unwrap();
        assert!(pending.places().taken.is_empty());
    }
}
