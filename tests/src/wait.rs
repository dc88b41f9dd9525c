//! Waiting for a condition: the one place where tests look again and again.

use std::time::{Duration, Instant};

/// Looks until `condition` gives something; fails the test with the condition's last words after `seconds`.
pub fn until<T>(what: &str, seconds: u64, mut condition: impl FnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + Duration::from_secs(seconds);
    loop {
        match condition() {
            Ok(value) => return value,
            Err(why) if Instant::now() > deadline => panic!("{what}: not within {seconds} s: {why}"),
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}
