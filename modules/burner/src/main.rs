//! Burns CPU without a pause and says, about once a second, how many loops it managed: `burner [SECONDS]`.
//!
//! Under a CPU limit the figure falls in proportion. Without SECONDS it never ends.

use std::{env, hint::black_box, process::ExitCode, time::Duration, time::Instant};

/// Loops between two looks at the clock: well below a millisecond.
const BATCH: u64 = 100_000;

fn main() -> ExitCode {
    let seconds = match env::args().nth(1).map(|seconds| seconds.parse()) {
        None => u64::MAX,
        Some(Ok(seconds)) => seconds,
        Some(Err(_)) => {
            eprintln!("usage: burner [SECONDS]");
            return ExitCode::from(2);
        }
    };
    let mut state = 1;
    for _ in 0..seconds {
        let (begin, mut loops) = (Instant::now(), 0);
        while begin.elapsed() < Duration::from_secs(1) {
            state = burn(state);
            loops += BATCH;
        }
        println!("{:.0} loops/s", loops as f64 / begin.elapsed().as_secs_f64());
    }
    ExitCode::SUCCESS
}

/// A batch of steps of a xorshift generator: each depends on the one before.
fn burn(mut state: u64) -> u64 {
    for _ in 0..BATCH {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
    }
    black_box(state)
}
