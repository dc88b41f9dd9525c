//! The query of `/containerLogs`: PodLogOptions.

use crate::logs::LogOptions;
use jiff::Timestamp;
use std::time::Duration;

/// Reads the options. Errors: a value that is none, in words.
pub(super) fn log_options(query: &str) -> Result<LogOptions, String> {
    let mut options = LogOptions::default();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, "true"));
        let bad = || format!("invalid value {value:?} for {name}");
        let number = || value.parse::<u64>().map_err(|_| bad());
        match name {
            "follow" => options.follow = flag(value).ok_or_else(bad)?,
            "previous" => options.previous = flag(value).ok_or_else(bad)?,
            "timestamps" => options.timestamps = flag(value).ok_or_else(bad)?,
            "tailLines" => options.tail_lines = Some(number()?),
            "limitBytes" => options.limit_bytes = Some(number()?),
            "sinceSeconds" => {
                options.since = Some(Timestamp::now() - Duration::from_secs(number()?.min(1 << 32)))
            }
            "sinceTime" => options.since = Some(decode(value).parse().map_err(|_| bad())?),
            _ => {}
        }
    }
    Ok(options)
}

fn flag(value: &str) -> Option<bool> {
    match value {
        "true" | "1" => Some(true),
        "false" | "0" | "" => Some(false),
        _ => None,
    }
}

/// Percent-decodes a value; a time holds nothing but ASCII.
fn decode(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    let mut rest = value;
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        let Some(byte) = after.get(..2).and_then(|hex| u8::from_str_radix(hex, 16).ok()) else {
            return value.into();
        };
        out.push(char::from(byte));
        rest = &after[2..];
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_and_nonsense_is_refused() {
        let options =
            log_options("follow=true&tailLines=5&sinceTime=2026-01-01T00%3A00%3A00Z&timestamps=true")
                .unwrap();
        assert!(options.follow && options.timestamps && !options.previous);
        assert_eq!(options.tail_lines, Some(5));
        assert_eq!(options.since.unwrap().to_string(), "2026-01-01T00:00:00Z");
        for bad in ["tailLines=-1", "follow=maybe", "sinceTime=yesterday", "limitBytes=x"] {
            assert!(log_options(bad).is_err(), "{bad}");
        }
    }
}
