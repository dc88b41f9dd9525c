//! The server's time. A machine without a clock of its own wakes up years ago: what has to do with certificates goes by
//! the time that the server tells, and the difference is told to whoever runs the machine.

use http::HeaderMap;
use jiff::{SignedDuration, Timestamp};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::SystemTime;

/// A difference that is not worth a word.
const TOLERATED: SignedDuration = SignedDuration::from_mins(5);
/// A server of which nothing has been heard.
const UNKNOWN: i64 = i64::MIN;

/// How far the server's clock is ahead of this machine's, by its last answer.
#[derive(Debug)]
pub struct ServerClock {
    ahead_seconds: AtomicI64,
    told: AtomicBool,
}

impl Default for ServerClock {
    fn default() -> ServerClock {
        ServerClock { ahead_seconds: AtomicI64::new(UNKNOWN), told: AtomicBool::new(false) }
    }
}

impl ServerClock {
    /// Reads the `Date` of an answer.
    pub(super) fn hear(&self, headers: &HeaderMap) {
        let date = headers.get(http::header::DATE).and_then(|date| date.to_str().ok());
        let Some(date) = date.and_then(|date| httpdate::parse_http_date(date).ok()) else { return };
        if let Ok(date) = Timestamp::try_from(date) {
            self.set(date, Timestamp::try_from(SystemTime::now()).unwrap_or(Timestamp::UNIX_EPOCH));
        }
    }

    fn set(&self, server: Timestamp, local: Timestamp) {
        let ahead = server.duration_since(local);
        self.ahead_seconds.store(ahead.as_secs(), Ordering::Relaxed);
        let wrong = ahead.abs() > TOLERATED;
        if wrong && !self.told.swap(true, Ordering::Relaxed) {
            let direction = if ahead.is_positive() { "behind" } else { "ahead of" };
            tracing::warn!(
                "this machine's clock ({local:.0}) is {} {direction} the server's: certificates are judged by the \
                 server's time, but times in logs and in the status of pods are wrong until it is set",
                length(ahead.abs()),
            );
        } else if !wrong {
            self.told.store(false, Ordering::Relaxed);
        }
    }

    /// The server's time; none before its first answer.
    pub fn now(&self) -> Option<Timestamp> {
        let ahead = self.ahead()?;
        Timestamp::now().checked_add(ahead).ok()
    }

    /// How far this machine's clock is behind; negative: ahead. None before the server's first answer.
    pub fn ahead(&self) -> Option<SignedDuration> {
        let seconds = self.ahead_seconds.load(Ordering::Relaxed);
        (seconds != UNKNOWN).then(|| SignedDuration::from_secs(seconds))
    }
}

fn length(time: SignedDuration) -> String {
    match time.as_hours() {
        0..2 => format!("{} minutes", time.as_mins()),
        hours @ 2..48 => format!("{hours} hours"),
        hours => format!("{} days", hours / 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_time_is_what_it_said_last() {
        let clock = ServerClock::default();
        assert_eq!(clock.now(), None);
        let mut headers = HeaderMap::new();
        let next_year = SystemTime::now() + std::time::Duration::from_secs(365 * 86400);
        headers.insert(http::header::DATE, httpdate::fmt_http_date(next_year).parse().unwrap());
        clock.hear(&headers);
        let ahead = clock.now().unwrap().duration_since(Timestamp::now());
        assert!((364..=365).contains(&(ahead.as_hours() / 24)), "{ahead:?}");
        assert!(clock.told.load(Ordering::Relaxed));
        headers.insert(http::header::DATE, "yesterday".parse().unwrap());
        clock.hear(&headers);
        assert!(clock.ahead().unwrap().as_hours() > 8000);
        clock.set(Timestamp::now(), Timestamp::now());
        assert!(!clock.told.load(Ordering::Relaxed));
    }
}
