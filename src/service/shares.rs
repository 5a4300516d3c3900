//! How many requests each agency has in flight on this node: none takes the places of all others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::caller::Caller;
use crate::tls::Holder;

/// The places of each agency that has called since the start. There are as many as have certificates.
pub(super) struct Shares {
    places: usize,
    agencies: Mutex<HashMap<Arc<str>, Arc<Semaphore>>>,
}

impl Shares {
    /// So many places for each.
    pub fn new(places: usize) -> Self {
        Self { places, agencies: Mutex::default() }
    }

    /// A place for a request, or `None` when its agency has them all. Who is no agency, or not known, is not counted.
    pub fn place(&self, caller: &Caller) -> Option<Option<OwnedSemaphorePermit>> {
        match self.of(caller) {
            Some(agency) => agency.try_acquire_owned().ok().map(Some),
            None => Some(None),
        }
    }

    /// The same, once there is one.
    pub async fn wait(&self, caller: &Caller) -> Option<OwnedSemaphorePermit> {
        self.of(caller)?.acquire_owned().await.ok()
    }

    fn of(&self, caller: &Caller) -> Option<Arc<Semaphore>> {
        let Caller::Known(Holder::Agency(id)) = caller else { return None };
        let mut agencies = self.agencies.lock().expect("nothing panics while it holds this lock");
        if let Some(agency) = agencies.get(id) {
            return Some(agency.clone());
        }
        let agency = Arc::new(Semaphore::new(self.places));
        agencies.insert(id.clone(), agency.clone());
        Some(agency)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::Right;

    #[test]
    fn one_agency_leaves_the_places_of_the_others() {
        let shares = Shares::new(2);
        let [busy, other] = ["busy", "other"].map(|id| Caller::Known(Holder::agency(id)));
        let held = [shares.place(&busy).unwrap(), shares.place(&busy).unwrap()];
        assert!(shares.place(&busy).is_none());
        assert!(shares.place(&other).unwrap().is_some());
        drop(held);
        assert!(shares.place(&busy).unwrap().is_some());
        let operator = Caller::Known(Holder::operator("busy", Right::Observe));
        for uncounted in [Caller::Unknown, operator] {
            let held: Vec<_> = (0..5).map(|_| shares.place(&uncounted)).collect();
            assert!(held.iter().all(|place| matches!(place, Some(None))));
        }
    }
}
