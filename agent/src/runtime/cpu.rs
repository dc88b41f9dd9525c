//! CPU time: what guests have used, and the limit that throttles them.
//!
//! A guest only runs while its future is polled, so the time between entering and leaving `poll` is the CPU time that
//! it used (waiting costs nothing). The limit is the kernel's CFS quota in user space: each period of 100 ms grants
//! `limit / 1000` of a core's time, unused time is not saved up, overdrawn time is paid back in the next periods.

use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Length of one accounting period, as the kernel's `cpu.cfs_period_us` default.
pub(super) const PERIOD: Duration = Duration::from_millis(100);

/// The smallest limit that is enforced, in thousandths of a core (kubelet raises smaller ones to its own minimum, too).
pub(super) const MIN_LIMIT_MILLIS: u64 = 10;

/// CPU time of one container (or of all containers of a pod, when shared): counters and an optional limit.
#[derive(Debug)]
pub struct CpuAccount {
    used_nanos: AtomicU64,
    throttled_nanos: AtomicU64,
    throttled_periods: AtomicU64,
    quota: Option<Mutex<Quota>>,
}

/// A snapshot of an account's counters. All only ever grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CpuUsage {
    /// Time that guests have run.
    pub used: Duration,
    /// Time that guests stood ready to run but had to wait for the next period.
    pub throttled: Duration,
    /// How often a guest was made to wait.
    pub throttled_periods: u64,
}

impl CpuAccount {
    /// An account limited to `limit_millis` thousandths of a core; `None` is unlimited.
    pub fn new(limit_millis: Option<u64>) -> Arc<CpuAccount> {
        let now = Instant::now();
        Arc::new(CpuAccount {
            used_nanos: AtomicU64::new(0),
            throttled_nanos: AtomicU64::new(0),
            throttled_periods: AtomicU64::new(0),
            quota: limit_millis.map(|millis| Mutex::new(Quota::new(millis.max(MIN_LIMIT_MILLIS), now))),
        })
    }

    /// An account without a limit.
    pub fn unlimited() -> Arc<CpuAccount> {
        CpuAccount::new(None)
    }

    /// The counters as they stand.
    pub fn usage(&self) -> CpuUsage {
        CpuUsage {
            used: Duration::from_nanos(self.used_nanos.load(Relaxed)),
            throttled: Duration::from_nanos(self.throttled_nanos.load(Relaxed)),
            throttled_periods: self.throttled_periods.load(Relaxed),
        }
    }

    /// Whether there is a limit at all.
    pub(super) fn is_limited(&self) -> bool {
        self.quota.is_some()
    }

    pub(super) fn charge(&self, now: Instant, spent: Duration) {
        let nanos = u64::try_from(spent.as_nanos()).unwrap_or(u64::MAX);
        self.used_nanos.fetch_add(nanos, Relaxed);
        if let Some(quota) = &self.quota {
            quota.lock().charge(now, nanos);
        }
    }

    /// `None` when guests may run now, else when to ask again.
    pub(super) fn blocked_until(&self, now: Instant) -> Option<Instant> {
        self.quota.as_ref()?.lock().blocked_until(now)
    }

    pub(super) fn note_throttled(&self, waited: Duration) {
        self.throttled_periods.fetch_add(1, Relaxed);
        self.throttled_nanos.fetch_add(u64::try_from(waited.as_nanos()).unwrap_or(u64::MAX), Relaxed);
    }
}

/// The token bucket: pure, the clock is a parameter.
#[derive(Debug)]
struct Quota {
    grant_nanos: i64,
    balance_nanos: i64,
    period_start: Instant,
}

impl Quota {
    fn new(limit_millis: u64, now: Instant) -> Quota {
        let period_nanos = PERIOD.as_nanos() as u64;
        let grant = i64::try_from((period_nanos / 1000).saturating_mul(limit_millis)).unwrap_or(i64::MAX / 4);
        Quota { grant_nanos: grant, balance_nanos: grant, period_start: now }
    }

    fn refill(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.period_start).as_nanos();
        let periods = elapsed / PERIOD.as_nanos();
        if periods == 0 {
            return;
        }
        let granted = self.grant_nanos.saturating_mul(i64::try_from(periods).unwrap_or(i64::MAX));
        self.balance_nanos = self.balance_nanos.saturating_add(granted).min(self.grant_nanos);
        self.period_start += PERIOD * u32::try_from(periods).unwrap_or(u32::MAX);
    }

    fn charge(&mut self, now: Instant, spent_nanos: u64) {
        self.refill(now);
        self.balance_nanos =
            self.balance_nanos.saturating_sub(i64::try_from(spent_nanos).unwrap_or(i64::MAX));
    }

    fn blocked_until(&mut self, now: Instant) -> Option<Instant> {
        self.refill(now);
        if self.balance_nanos > 0 {
            return None;
        }
        let periods = self.balance_nanos.unsigned_abs() / self.grant_nanos.unsigned_abs().max(1) + 1;
        Some(self.period_start + PERIOD * u32::try_from(periods).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(start: Instant, millis: u64) -> Instant {
        start + Duration::from_millis(millis)
    }

    #[test]
    fn a_period_grants_its_share_and_no_more() {
        let start = Instant::now();
        let mut quota = Quota::new(500, start);
        assert_eq!(quota.blocked_until(start), None);
        quota.charge(at(start, 40), 40_000_000);
        assert_eq!(quota.blocked_until(at(start, 40)), None);
        quota.charge(at(start, 50), 10_000_000);
        assert_eq!(quota.blocked_until(at(start, 50)), Some(at(start, 100)));
        assert_eq!(quota.blocked_until(at(start, 100)), None);
    }

    #[test]
    fn overdrawn_time_is_paid_back() {
        let start = Instant::now();
        let mut quota = Quota::new(100, start);
        quota.charge(at(start, 35), 35_000_000);
        assert_eq!(quota.blocked_until(at(start, 35)), Some(at(start, 300)));
        assert_eq!(quota.blocked_until(at(start, 299)), Some(at(start, 300)));
        assert_eq!(quota.blocked_until(at(start, 300)), None);
    }

    #[test]
    fn unused_time_is_not_saved_up() {
        let start = Instant::now();
        let mut quota = Quota::new(1000, start);
        quota.charge(at(start, 10_000), 100_000_000);
        assert!(quota.blocked_until(at(start, 10_000)).is_some());
    }

    #[test]
    fn several_cores_are_a_larger_grant() {
        let start = Instant::now();
        let mut quota = Quota::new(2000, start);
        quota.charge(at(start, 99), 199_000_000);
        assert_eq!(quota.blocked_until(at(start, 99)), None);
    }
}
