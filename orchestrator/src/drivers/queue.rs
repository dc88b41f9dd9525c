//! Which keys wait to be reconciled: each at most once, none while it is being worked on, failures with back-off.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::hash::Hash;
use std::time::Duration;
use tokio::time::Instant;

/// The first delay after a failure; it doubles with each further one.
const BACKOFF_FIRST: Duration = Duration::from_millis(5);
/// The longest delay after failures.
const MAX_BACKOFF: Duration = Duration::from_secs(60);

/// A work queue of keys.
pub(super) struct Queue<K> {
    ready: VecDeque<K>,
    queued: HashSet<K>,
    busy: HashSet<K>,
    /// Wanted again while busy.
    dirty: HashSet<K>,
    timers: BTreeSet<(Instant, K)>,
    due: HashMap<K, Instant>,
    failures: HashMap<K, u32>,
}

impl<K: Clone + Eq + Hash + Ord> Queue<K> {
    pub(super) fn new() -> Queue<K> {
        Queue {
            ready: VecDeque::new(),
            queued: HashSet::new(),
            busy: HashSet::new(),
            dirty: HashSet::new(),
            timers: BTreeSet::new(),
            due: HashMap::new(),
            failures: HashMap::new(),
        }
    }

    /// Wants `key` to be worked on.
    pub(super) fn add(&mut self, key: K) {
        if self.busy.contains(&key) {
            self.dirty.insert(key);
        } else if self.queued.insert(key.clone()) {
            self.ready.push_back(key);
        }
    }

    /// Takes the next key; it is busy until [`Queue::done`] or [`Queue::failed`].
    pub(super) fn take(&mut self) -> Option<K> {
        let key = self.ready.pop_front()?;
        self.queued.remove(&key);
        self.busy.insert(key.clone());
        Some(key)
    }

    /// The work on `key` succeeded; `again_at` replaces an earlier timer of the key.
    pub(super) fn done(&mut self, key: &K, again_at: Option<Instant>) {
        self.failures.remove(key);
        self.finish(key);
        self.set_timer(key, again_at);
    }

    /// The work on `key` failed: it comes back after a delay.
    pub(super) fn failed(&mut self, key: &K, now: Instant) {
        let count = self.failures.entry(key.clone()).or_default();
        let delay = BACKOFF_FIRST.saturating_mul(1 << (*count).min(16)).min(MAX_BACKOFF);
        *count += 1;
        self.finish(key);
        self.set_timer(key, Some(now + delay));
    }

    fn finish(&mut self, key: &K) {
        self.busy.remove(key);
        if self.dirty.remove(key) {
            self.add(key.clone());
        }
    }

    fn set_timer(&mut self, key: &K, at: Option<Instant>) {
        if let Some(old) = self.due.remove(key) {
            self.timers.remove(&(old, key.clone()));
        }
        if let Some(at) = at {
            self.due.insert(key.clone(), at);
            self.timers.insert((at, key.clone()));
        }
    }

    /// When the earliest timer ends.
    pub(super) fn next_timer(&self) -> Option<Instant> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Adds the keys whose timers have ended.
    pub(super) fn expire(&mut self, now: Instant) {
        while let Some((at, key)) = self.timers.first().cloned().filter(|(at, _)| *at <= now) {
            self.timers.remove(&(at, key.clone()));
            self.due.remove(&key);
            self.add(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_worked_on_once_at_a_time() {
        let mut queue = Queue::new();
        queue.add("a");
        queue.add("a");
        assert_eq!(queue.take(), Some("a"));
        queue.add("a");
        assert_eq!(queue.take(), None, "busy");
        queue.done(&"a", None);
        assert_eq!(queue.take(), Some("a"), "wanted again while it was busy");
        queue.done(&"a", None);
        assert_eq!(queue.take(), None);
    }

    #[test]
    fn failures_back_off_and_success_forgets_them() {
        let (mut queue, now) = (Queue::new(), Instant::now());
        let mut delays = Vec::new();
        for _ in 0..3 {
            queue.add("a");
            queue.take();
            queue.failed(&"a", now);
            delays.push((queue.next_timer().unwrap() - now).as_millis());
        }
        assert_eq!(delays, [5, 10, 20]);
        queue.expire(now + MAX_BACKOFF);
        assert_eq!(queue.take(), Some("a"));
        queue.done(&"a", Some(now + MAX_BACKOFF));
        assert_eq!(queue.next_timer(), Some(now + MAX_BACKOFF));
        queue.add("a");
        queue.take();
        queue.failed(&"a", now);
        assert_eq!(queue.next_timer().unwrap() - now, BACKOFF_FIRST);
    }
}
