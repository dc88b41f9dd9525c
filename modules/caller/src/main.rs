//! Calls a URL again and again and logs each answer: `caller [URL [SECONDS [COUNT]]]`.
//!
//! Without arguments URL and SECONDS come from the environment, else they are `http://hello` and 1. Without COUNT it
//! never ends.

use std::{env, process::ExitCode, thread, time::Duration};

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    let mut setting = |name: &str, default: &str| {
        let given = arguments.next().or_else(|| env::var(name).ok());
        given.unwrap_or_else(|| default.into())
    };
    let url = setting("URL", "http://hello");
    let seconds: Option<f64> = setting("SECONDS", "1").parse().ok();
    let count: Option<u64> = setting("COUNT", &u64::MAX.to_string()).parse().ok();
    let (Some(pause), Some(count)) = (seconds.and_then(|s| Duration::try_from_secs_f64(s).ok()), count)
    else {
        eprintln!("usage: caller [URL [SECONDS [COUNT]]]");
        return ExitCode::from(2);
    };
    for call in 0..count {
        if call > 0 {
            thread::sleep(pause);
        }
        match guest::http::get(&url) {
            Ok((200, body)) => println!("{}", String::from_utf8_lossy(&body).trim_end()),
            Ok((status, _)) => println!("{url} answered with status {status}"),
            Err(error) => println!("{url} cannot be reached: {error}"),
        }
    }
    ExitCode::SUCCESS
}
