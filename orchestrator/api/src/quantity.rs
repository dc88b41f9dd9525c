//! `resource.Quantity`: decimal numbers with SI or binary suffixes.

use std::fmt;
use std::str::FromStr;

const NANOS: i128 = 1_000_000_000;
/// What is more is taken for this, as Kubernetes does.
const MAX_NANOS: i128 = i64::MAX as i128 * NANOS;
/// Digits of it in the smallest unit; a number with more of them before its point is more.
const MAX_WHOLE_DIGITS: usize = 28;
/// Digits that are computed with: all that an i128 holds, but one for rounding.
const MAX_DIGITS: usize = 37;

/// The suffix family that a quantity was written with and is printed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    DecimalSi,
    BinarySi,
    DecimalExponent,
}

/// An amount, exact to a thousand-millionth, rounded up beyond that as Kubernetes does.
#[derive(Clone, Copy, Debug)]
pub struct Quantity {
    nanos: i128,
    format: Format,
}

/// Why a text is no quantity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")]
pub struct NoQuantity;

impl Quantity {
    /// In units, rounded up.
    pub fn value(&self) -> i64 {
        clamp(divide_up(self.nanos, NANOS))
    }

    /// In thousandths, rounded up.
    pub fn milli(&self) -> i64 {
        clamp(divide_up(self.nanos, NANOS / 1000))
    }

    /// A whole number of units in decimal form.
    pub fn whole(value: i64) -> Quantity {
        Quantity { nanos: i128::from(value) * NANOS, format: Format::DecimalSi }
    }

    /// So many thousandths, in decimal form.
    pub fn millis(milli: i64) -> Quantity {
        Quantity { nanos: i128::from(milli) * (NANOS / 1000), format: Format::DecimalSi }
    }

    /// So many bytes, in binary form.
    pub fn bytes(bytes: i64) -> Quantity {
        Quantity { nanos: i128::from(bytes) * NANOS, format: Format::BinarySi }
    }

    /// The sum of both, in the form of the first; nothing has no form of its own.
    pub fn plus(self, other: Quantity) -> Quantity {
        let format = if self.nanos == 0 { other.format } else { self.format };
        Quantity { nanos: self.nanos.saturating_add(other.nanos), format }
    }

    /// The difference, in the form in which [`Quantity::plus`] would give the sum.
    pub fn minus(self, other: Quantity) -> Quantity {
        self.plus(Quantity { nanos: other.nanos.saturating_neg(), format: other.format })
    }

    /// Whether it is below zero.
    pub fn is_negative(&self) -> bool {
        self.nanos < 0
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Quantity) -> bool {
        self.nanos == other.nanos
    }
}
impl Eq for Quantity {}
impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Quantity) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Quantity {
    fn cmp(&self, other: &Quantity) -> std::cmp::Ordering {
        self.nanos.cmp(&other.nanos)
    }
}

fn divide_up(n: i128, by: i128) -> i128 {
    n.div_euclid(by) + i128::from(n.rem_euclid(by) != 0)
}

fn clamp(n: i128) -> i64 {
    i64::try_from(n).unwrap_or(if n < 0 { i64::MIN } else { i64::MAX })
}

const BINARY: [&str; 6] = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
const DECIMAL: [(&str, i32); 10] =
    [("n", -9), ("u", -6), ("m", -3), ("", 0), ("k", 3), ("M", 6), ("G", 9), ("T", 12), ("P", 15), ("E", 18)];

impl FromStr for Quantity {
    type Err = NoQuantity;

    fn from_str(text: &str) -> Result<Quantity, NoQuantity> {
        let (negative, unsigned) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        let end = unsigned.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(unsigned.len());
        let (number, suffix) = unsigned.split_at(end);
        let (scale, format) = scale(suffix).ok_or(NoQuantity)?;
        let nanos = scaled(number, scale).ok_or(NoQuantity)?;
        Ok(Quantity { nanos: if negative { -nanos } else { nanos }, format })
    }
}

/// Factor as (power of two, power of ten).
fn scale(suffix: &str) -> Option<((u32, i32), Format)> {
    if let Some(index) = BINARY.iter().position(|b| *b == suffix) {
        return Some(((10 * (index as u32 + 1), 0), Format::BinarySi));
    }
    if let Some((_, power)) = DECIMAL.iter().find(|(name, _)| *name == suffix) {
        return Some(((0, *power), Format::DecimalSi));
    }
    let exponent = suffix.strip_prefix(['e', 'E'])?.parse::<i32>().ok()?;
    (-27..=27).contains(&exponent).then_some(((0, exponent), Format::DecimalExponent))
}

/// Nanos, at most [`MAX_NANOS`].
fn scaled(number: &str, (two, ten): (u32, i32)) -> Option<i128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let whole = whole.trim_start_matches('0');
    if whole.len() > MAX_WHOLE_DIGITS {
        return Some(MAX_NANOS);
    }
    // Of digits further behind only matters whether there is anything to round up.
    let (near, far) = fraction.split_at(fraction.len().min(MAX_DIGITS - whole.len()));
    let rest = if far.bytes().any(|digit| digit != b'0') { "1" } else { "" };
    let digits: i128 = format!("0{whole}{near}{rest}").parse().ok()?;
    let power = ten + 9 - i32::try_from(near.len() + rest.len()).ok()?;
    let factor = 10i128.checked_pow(power.unsigned_abs())?;
    let scaled = digits.checked_mul(1i128 << two);
    let nanos = match power {
        0.. => scaled.and_then(|scaled| scaled.checked_mul(factor)),
        _ => scaled.map(|scaled| divide_up(scaled, factor)),
    };
    Some(nanos.unwrap_or(MAX_NANOS).min(MAX_NANOS))
}

/// The canonical form: no fraction, the largest suffix that keeps the number whole.
impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = self.nanos % NANOS == 0;
        if self.format == Format::BinarySi && whole && (self.nanos / NANOS).abs() >= 1024 {
            let (mut n, mut suffix) = (self.nanos / NANOS, "");
            for name in BINARY {
                if n % 1024 != 0 {
                    break;
                }
                (n, suffix) = (n / 1024, name);
            }
            return write!(f, "{n}{suffix}");
        }
        let (mut n, mut power) = (self.nanos, -9);
        while n != 0 && n % 1000 == 0 && power < 18 {
            (n, power) = (n / 1000, power + 3);
        }
        if n == 0 {
            return f.write_str("0");
        }
        let suffix = DECIMAL.iter().find(|(_, p)| *p == power).map_or("", |(name, _)| name);
        match self.format {
            Format::DecimalExponent if power != 0 => write!(f, "{n}e{power}"),
            _ => write!(f, "{n}{suffix}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(text: &str) -> String {
        text.parse::<Quantity>().unwrap().to_string()
    }

    #[test]
    fn canonical_forms() {
        for (text, expected) in [
            ("1000m", "1"),
            ("0.5", "500m"),
            ("1.5Gi", "1536Mi"),
            ("1024Ki", "1Mi"),
            ("1000", "1k"),
            ("128Mi", "128Mi"),
            ("0", "0"),
            ("1e3", "1e3"),
            ("100n", "100n"),
            ("-1", "-1"),
            ("0.1Ki", "102400m"),
            (".5", "500m"),
            ("1500M", "1500M"),
            ("12345678901234567890123456789n", "9223372036854775807"),
            ("-99999999999999999999", "-9223372036854775807"),
            ("0.0000000000000000000000000000000000000001", "1n"),
            ("0.000000000000000000000000001E", "1n"),
            ("00000000000000000000000000000000000000001", "1"),
            ("16Ei", "9223372036854775807"),
        ] {
            assert_eq!(canonical(text), expected, "{text}");
        }
    }

    #[test]
    fn amounts_round_up() {
        let q: Quantity = "1.0001".parse().unwrap();
        assert_eq!((q.value(), q.milli()), (2, 1001));
        assert_eq!("64Mi".parse::<Quantity>().unwrap().value(), 64 << 20);
    }

    #[test]
    fn sums_keep_the_form_of_what_came_first() {
        let read = |text: &str| text.parse::<Quantity>().unwrap();
        let sum = Quantity::whole(0).plus(read("64Mi")).plus(read("1000000"));
        assert_eq!(sum.minus(read("1000000")).to_string(), "64Mi");
        assert_eq!(read("1").minus(read("300m")).to_string(), "700m");
        assert_eq!(read("64Mi").minus(read("64Mi")).plus(read("1500m")).to_string(), "1500m");
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", ".", "-", "1.2.3", "1Zi", "abc", "1e", "1e99", "1 Gi", "0x1"] {
            assert_eq!(text.parse::<Quantity>(), Err(NoQuantity), "{text}");
        }
    }
}
