//! Waiting for a condition: the one place where tests look again and again.

use std::time::{Duration, Instant};

/// As much of the patience is used up by one look at most: a machine that stands still for longer, as virtual ones do at
/// times, has done nothing meanwhile that could be waited for.
const LONGEST_LOOK: Duration = Duration::from_secs(5);

/// Looks until `condition` gives something; fails the test with the condition's last words after `seconds`.
pub fn until<T>(what: &str, seconds: u64, mut condition: impl FnMut() -> Result<T, String>) -> T {
    let mut patience = Duration::from_secs(seconds);
    loop {
        let began = Instant::now();
        match condition() {
            Ok(value) => return value,
            Err(why) if patience.is_zero() => panic!("{what}: not within {seconds} s: {why}"),
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
        patience = patience.saturating_sub(began.elapsed().min(LONGEST_LOOK));
    }
}
