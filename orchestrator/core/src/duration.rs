//! Durations as Go writes them: `1h0m0s`, `1.5s`, `100ms`.

/// The units that are read, with their nanoseconds.
const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// The nanoseconds of a duration with an optional sign; None for what is none, or longer than 64 bits hold.
pub fn parse(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut nanos = 0u64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(digits);
        let end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (_, unit) = UNITS.iter().find(|(name, _)| *name == &tail[..end])?;
        nanos = nanos.checked_add(part(number, *unit)?)?;
        rest = &tail[end..];
    }
    if negative { 0i64.checked_sub_unsigned(nanos) } else { i64::try_from(nanos).ok() }
}

/// The nanoseconds of so many units, `number` being digits with at most one point among them.
fn part(number: &str, unit: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let whole = if whole.is_empty() { 0 } else { whole.parse::<u64>().ok()? };
    let fraction = format!("0.{fraction}0").parse::<f64>().ok()? * unit as f64;
    whole.checked_mul(unit)?.checked_add(fraction.round() as u64)
}

/// The text of a number of nanoseconds.
pub fn text(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let n = nanos.unsigned_abs();
    match n {
        0 => "0s".into(),
        1..1_000 => format!("{sign}{n}ns"),
        1_000..1_000_000 => format!("{sign}{}µs", decimal(n, 1_000)),
        1_000_000..1_000_000_000 => format!("{sign}{}ms", decimal(n, 1_000_000)),
        _ => {
            let (minutes, seconds) = (n / 60_000_000_000, decimal(n % 60_000_000_000, 1_000_000_000));
            match (minutes / 60, minutes % 60) {
                (0, 0) => format!("{sign}{seconds}s"),
                (0, m) => format!("{sign}{m}m{seconds}s"),
                (h, m) => format!("{sign}{h}h{m}m{seconds}s"),
            }
        }
    }
}

/// `n` in units of a power of ten, with as many digits after the point as it takes.
fn decimal(n: u64, unit: u64) -> String {
    let fraction = format!("{:0width$}", n % unit, width = unit.ilog10() as usize);
    let fraction = fraction.trim_end_matches('0');
    let whole = n / unit;
    if fraction.is_empty() { whole.to_string() } else { format!("{whole}.{fraction}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_read_as_go_writes_them() {
        for (nanos, written) in [
            (0, "0s"),
            (3_600_000_000_000, "1h0m0s"),
            (1_500_000_000, "1.5s"),
            (100_000_000, "100ms"),
            (1_500, "1.5µs"),
            (-90_000_000_000, "-1m30s"),
            (i64::MIN, "-2562047h47m16.854775808s"),
        ] {
            assert_eq!(text(nanos), written);
            assert_eq!(parse(written), Some(nanos));
        }
        assert_eq!((parse("+1.s"), parse(".5s")), (Some(1_000_000_000), Some(500_000_000)));
        for text in ["5", "", "-", ".s", "1.2.3s", "1y", "s", "-+1s", "99999999999h"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_duration_survives(nanos: i64) {
            prop_assert_eq!(parse(&text(nanos)), Some(nanos));
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".{0,20}") {
            let _ = parse(&text);
        }
    }
}
