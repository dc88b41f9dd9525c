//! How much history the log keeps. Pure: time comes in as a parameter, and only writes ask.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// What may be forgotten: changes older than `age`, and the oldest of more than `rows` or `bytes`.
#[derive(Clone, Copy, Debug)]
pub struct HistoryLimits {
    /// Changes are kept at least so long, unless there are too many.
    pub age: Duration,
    /// Changes.
    pub rows: u64,
    /// Bytes of values.
    pub bytes: u64,
}

/// History is forgotten in so many steps a lifetime, not change by change: each step is a transaction.
const STEPS: u32 = 5;

/// Remembers when which revision was reached.
#[derive(Debug)]
pub(super) struct Retention {
    limits: HistoryLimits,
    marks: VecDeque<Mark>,
    rows: u64,
    bytes: u64,
}

#[derive(Clone, Copy, Debug)]
struct Mark {
    at: Instant,
    revision: u64,
    rows: u64,
    bytes: u64,
}

impl Retention {
    /// What is in the log already counts as written now, at `revision`.
    pub(super) fn new(limits: HistoryLimits, revision: u64, now: Instant) -> Retention {
        let marks = VecDeque::from([Mark { at: now, revision, rows: 0, bytes: 0 }]);
        Retention { limits, marks, rows: 0, bytes: 0 }
    }

    /// Notes that `rows` changes of `bytes` were logged, the last at `revision`, and returns the revision up to which
    /// history may be forgotten, if that moved on.
    pub(super) fn note(&mut self, revision: u64, rows: u64, bytes: u64, now: Instant) -> Option<u64> {
        self.rows += rows;
        self.bytes += bytes;
        let last = self.marks.back().copied();
        if last.is_none_or(|last| self.is_step(&last, now)) {
            self.marks.push_back(Mark { at: now, revision, rows: self.rows, bytes: self.bytes });
        }
        let mut forget = None;
        while let Some(oldest) = self.marks.front().filter(|oldest| self.is_old(oldest, now)) {
            forget = Some(oldest.revision);
            self.marks.pop_front();
        }
        forget
    }

    fn is_step(&self, last: &Mark, now: Instant) -> bool {
        let steps = u64::from(STEPS);
        now.duration_since(last.at) >= self.limits.age / STEPS
            || self.rows - last.rows >= self.limits.rows.div_ceil(steps)
            || self.bytes - last.bytes >= self.limits.bytes.div_ceil(steps)
    }

    fn is_old(&self, mark: &Mark, now: Instant) -> bool {
        now.duration_since(mark.at) >= self.limits.age
            || self.rows - mark.rows > self.limits.rows
            || self.bytes - mark.bytes > self.limits.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: HistoryLimits = HistoryLimits { age: Duration::from_secs(300), rows: 1000, bytes: 10_000 };

    #[test]
    fn history_is_kept_for_its_time_and_no_longer_than_a_step_more() {
        let start = Instant::now();
        let mut retention = Retention::new(LIMITS, 7, start);
        let at = |seconds| start + Duration::from_secs(seconds);
        let forgotten: Vec<Option<u64>> = (1..=40).map(|i| retention.note(7 + i, 1, 1, at(i * 10))).collect();
        assert!(forgotten[..29].iter().all(Option::is_none));
        assert_eq!(forgotten[29], Some(7));
        assert_eq!(forgotten[35], Some(13));
        assert_eq!(forgotten.iter().flatten().count(), 2);
    }

    #[test]
    fn too_many_rows_or_bytes_shorten_it() {
        let now = Instant::now();
        let mut retention = Retention::new(LIMITS, 0, now);
        let forgotten: Vec<u64> = (1..=2000).filter_map(|r| retention.note(r, 1, 1, now)).collect();
        assert_eq!(forgotten, [0, 200, 400, 600, 800]);
        let mut retention = Retention::new(LIMITS, 0, now);
        assert_eq!(retention.note(1, 1, 10_001, now), Some(0));
        assert_eq!(retention.note(2, 1, 10_001, now), Some(1));
    }
}
