//! Times and durations between JSON's text and protobuf's numbers.

use jiff::Timestamp;
use peapod_api::meta;

const NANOS_PER_SECOND: i64 = 1_000_000_000;

/// RFC 3339 text of seconds and nanoseconds since 1970; None outside of what can be written.
pub(super) fn to_text(seconds: i64, nanos: i32, micros: bool) -> Option<String> {
    let at = Timestamp::new(seconds, if micros { nanos } else { 0 }).ok()?;
    Some(if micros { meta::micro_time(at) } else { meta::time(at) })
}

/// Seconds and nanoseconds since 1970 of RFC 3339 text.
pub(super) fn from_text(text: &str) -> Option<(i64, i32)> {
    let at = meta::parse_time(text)?;
    Some((at.as_second(), at.subsec_nanosecond()))
}

/// A duration as Go prints it: `1h0m0s`, `1.5s`, `100ms`.
pub(super) fn duration_to_text(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let n = nanos.unsigned_abs();
    let decimal = |unit: u64| {
        let fraction = format!("{:0width$}", n % unit, width = unit.ilog10() as usize);
        let fraction = fraction.trim_end_matches('0');
        let whole = n / unit;
        if fraction.is_empty() || unit == 1 { whole.to_string() } else { format!("{whole}.{fraction}") }
    };
    match n {
        0 => "0s".into(),
        1..1_000 => format!("{sign}{n}ns"),
        1_000..1_000_000 => format!("{sign}{}µs", decimal(1_000)),
        1_000_000..1_000_000_000 => format!("{sign}{}ms", decimal(1_000_000)),
        _ => {
            let minutes = n / 60_000_000_000;
            let seconds = n % 60_000_000_000;
            let whole = seconds / 1_000_000_000;
            let fraction = format!("{:09}", seconds % 1_000_000_000);
            let fraction = fraction.trim_end_matches('0');
            let dot = if fraction.is_empty() { "" } else { "." };
            match (minutes / 60, minutes % 60) {
                (0, 0) => format!("{sign}{whole}{dot}{fraction}s"),
                (0, m) => format!("{sign}{m}m{whole}{dot}{fraction}s"),
                (h, m) => format!("{sign}{h}h{m}m{whole}{dot}{fraction}s"),
            }
        }
    }
}

/// Nanoseconds of a duration in Go's notation.
pub(super) fn duration_from_text(text: &str) -> Option<i64> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    let mut total = 0i64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').filter(|at| *at > 0)?;
        let (number, tail) = rest.split_at(digits);
        let end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let unit = match &tail[..end] {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => NANOS_PER_SECOND,
            "m" => 60 * NANOS_PER_SECOND,
            "h" => 3600 * NANOS_PER_SECOND,
            _ => return None,
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let whole = if whole.is_empty() { 0 } else { whole.parse::<i64>().ok()? };
        let part = format!("0.{fraction}0").parse::<f64>().ok()? * unit as f64;
        total = total.checked_add(whole.checked_mul(unit)?)?.checked_add(part.round() as i64)?;
        rest = &tail[end..];
    }
    if text.trim_start_matches(['-', '+']).is_empty() {
        return None;
    }
    Some(if sign < 0.0 { total.checked_neg()? } else { total })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_read_as_go_writes_them() {
        for (nanos, text) in [
            (0, "0s"),
            (3_600_000_000_000, "1h0m0s"),
            (1_500_000_000, "1.5s"),
            (100_000_000, "100ms"),
            (1_500, "1.5µs"),
            (-90_000_000_000, "-1m30s"),
        ] {
            assert_eq!(duration_to_text(nanos), text);
            assert_eq!(duration_from_text(text), Some(nanos));
        }
        assert_eq!(duration_from_text("5"), None);
        assert_eq!(duration_from_text(""), None);
    }

    proptest! {
        #[test]
        fn any_duration_survives(nanos in -4_000_000_000_000_000i64..4_000_000_000_000_000) {
            prop_assert_eq!(duration_from_text(&duration_to_text(nanos)), Some(nanos));
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".{0,20}") {
            let _ = duration_from_text(&text);
        }
    }
}
