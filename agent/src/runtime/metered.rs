//! A guest's future, metered: charged for the time that it is polled, held back while its account is overdrawn.

use super::cpu::CpuAccount;
use super::ticker::{SLICE, Slice, Ticker};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// CPU time that a guest may use at once and still count as interactive.
const CREDIT: Duration = SLICE;
/// A resting guest earns its credit back at this fraction of the time that passes: one that uses less of a core than
/// this in the long run stays interactive.
const EARNED: u32 = 10;
/// The most that a guest can owe.
const DEBT: Duration = Duration::from_millis(10);
/// What one that owes that rests for before it counts as interactive again.
#[cfg(test)]
pub(super) const LONGEST_REST: Duration = CREDIT.saturating_add(DEBT).saturating_mul(EARNED);

/// Runs a guest's future on an account: charges each poll, and waits (without holding a worker) while the account is
/// overdrawn. It also tells the ticker that a guest is running, which is what makes time slices end.
pub(super) struct Metered<F> {
    inner: F,
    account: Arc<CpuAccount>,
    ticker: Arc<Ticker>,
    throttle: Option<Throttle>,
    credit: Credit,
}

struct Throttle {
    since: Instant,
    until: Pin<Box<tokio::time::Sleep>>,
}

impl<F: Future + Unpin> Metered<F> {
    pub(super) fn new(inner: F, account: Arc<CpuAccount>, ticker: Arc<Ticker>) -> Metered<F> {
        Metered { inner, account, ticker, throttle: None, credit: Credit::new(Instant::now()) }
    }

    /// Whether it has used up its credit: it is no longer one that answers and waits, but one that computes.
    pub(super) fn is_busy(&self) -> bool {
        self.credit.is_used_up()
    }

    /// Whether it had rested for long enough to have all of its credit again when it was woken; it has waited for its turn
    /// until `now`. Neither that nor being throttled is rest.
    pub(super) fn has_rested(&mut self, woken: Instant, now: Instant) -> bool {
        if self.throttle.is_some() {
            return false;
        }
        self.credit.wait(woken, now);
        self.credit.is_full(now)
    }

    /// Ready once the account lets guests run.
    fn poll_unthrottled(&mut self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            if let Some(throttle) = &mut self.throttle {
                if throttle.until.as_mut().poll(context).is_pending() {
                    return Poll::Pending;
                }
                self.account.note_throttled(throttle.since.elapsed());
                self.credit.forgo(Instant::now());
                self.throttle = None;
            }
            let now = Instant::now();
            let Some(until) = self.account.blocked_until(now) else { return Poll::Ready(()) };
            let until = Box::pin(tokio::time::sleep_until(until.into()));
            self.throttle = Some(Throttle { since: now, until });
        }
    }
}

impl<F: Future + Unpin> Future for Metered<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.get_mut();
        if this.account.is_limited() && this.poll_unthrottled(context).is_pending() {
            return Poll::Pending;
        }
        let slice = Slice::begin(&this.ticker);
        let outcome = Pin::new(&mut this.inner).poll(context);
        let (now, spent) = slice.end();
        this.account.charge(now, spent);
        this.credit.charge(now, spent);
        outcome
    }
}

/// How interactive a guest is: a token bucket, pure, the clock is a parameter.
struct Credit {
    nanos: i64,
    since: Instant,
}

impl Credit {
    fn new(now: Instant) -> Credit {
        Credit { nanos: nanos(CREDIT), since: now }
    }

    /// A slice that ended at `now` took `spent`.
    fn charge(&mut self, now: Instant, spent: Duration) {
        let left = self.at(now.checked_sub(spent).unwrap_or(now)) - nanos(spent);
        *self = Credit { nanos: left.max(-nanos(DEBT)), since: now };
    }

    /// Nothing is earned for the time from `woken` until `now`.
    fn wait(&mut self, woken: Instant, now: Instant) {
        *self = Credit { nanos: self.at(woken), since: now };
    }

    /// Nothing is earned for the time until `now`.
    fn forgo(&mut self, now: Instant) {
        self.since = now;
    }

    fn at(&self, now: Instant) -> i64 {
        let earned = nanos(now.saturating_duration_since(self.since) / EARNED);
        self.nanos.saturating_add(earned).min(nanos(CREDIT))
    }

    fn is_used_up(&self) -> bool {
        self.nanos <= 0
    }

    fn is_full(&self, now: Instant) -> bool {
        self.at(now) == nanos(CREDIT)
    }
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_guest_that_answers_and_waits_keeps_its_credit() {
        let mut now = Instant::now();
        let mut credit = Credit::new(now);
        for _ in 0..1_000 {
            now += MS;
            credit.charge(now, MS / 20);
        }
        assert!(!credit.is_used_up());
    }

    #[test]
    fn one_long_slice_or_many_short_ones_use_it_up() {
        let start = Instant::now();
        let mut credit = Credit::new(start);
        credit.charge(start + MS, MS);
        assert!(credit.is_used_up());

        let mut credit = Credit::new(start);
        for turn in 1..=3 {
            credit.charge(start + MS / 2 * turn, MS / 2);
        }
        assert!(credit.is_used_up());
    }

    #[test]
    fn it_is_earned_back_by_rest_alone_and_debts_are_bounded() {
        let start = Instant::now();
        let mut credit = Credit::new(start);
        credit.charge(start + 1_000 * MS, 1_000 * MS);
        let rested = start + 1_000 * MS + EARNED * (CREDIT + DEBT);
        assert!(!credit.is_full(rested - MS));
        assert!(credit.is_full(rested));
        credit.forgo(rested);
        assert!(!credit.is_full(rested + MS));
    }

    #[test]
    fn waiting_for_its_turn_is_no_rest() {
        let start = Instant::now();
        let mut credit = Credit::new(start);
        credit.charge(start + MS, MS);
        // Among many that compute the next turn comes late, each time.
        let mut now = start + MS;
        for _ in 0..10 {
            let woken = now;
            now += 100 * MS;
            credit.wait(woken, now);
            assert!(!credit.is_full(now));
            credit.charge(now + MS, MS);
            now += MS;
        }
        credit.wait(now + LONGEST_REST, now + LONGEST_REST + MS);
        assert!(credit.is_full(now + LONGEST_REST + MS), "what it rested for before it was woken counts");
    }
}
