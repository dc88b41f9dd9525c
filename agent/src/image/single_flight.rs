//! One piece of work per key at a time: who comes second waits, and then finds the work done.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::OwnedMutexGuard;

/// Locks by key. An entry lives as long as somebody holds or awaits it.
#[derive(Debug, Default, Clone)]
pub struct SingleFlight {
    locks: Arc<Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>>,
}

/// The right to work on a key, until it is dropped.
#[derive(Debug)]
pub struct Flight {
    flights: SingleFlight,
    key: String,
    guard: Option<OwnedMutexGuard<()>>,
}

impl SingleFlight {
    /// Waits until nobody else works on `key`.
    pub async fn enter(&self, key: &str) -> Flight {
        let lock = self.locks.lock().entry(key.to_owned()).or_default().clone();
        // Made before waiting, so that one who gives up waiting still clears the entry.
        let mut flight = Flight { flights: self.clone(), key: key.to_owned(), guard: None };
        flight.guard = Some(lock.lock_owned().await);
        flight
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.guard = None;
        let mut locks = self.flights.locks.lock();
        if locks.get(&self.key).is_some_and(|lock| Arc::strong_count(lock) == 1) {
            locks.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    #[tokio::test]
    async fn one_at_a_time_and_nothing_left_behind() {
        let flights = SingleFlight::default();
        let inside = Arc::new(AtomicUsize::new(0));
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..50 {
            let (flights, inside) = (flights.clone(), inside.clone());
            tasks.spawn(async move {
                let _flight = flights.enter("a").await;
                assert_eq!(inside.fetch_add(1, SeqCst), 0);
                tokio::task::yield_now().await;
                inside.fetch_sub(1, SeqCst);
            });
        }
        let _other = flights.enter("b").await;
        while let Some(outcome) = tasks.join_next().await {
            outcome.unwrap();
        }
        assert_eq!(flights.locks.lock().len(), 1);
    }
}
