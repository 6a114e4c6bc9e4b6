//! Amounts as people write them: sizes (`512m`, `1.5GiB`) and numbers of CPUs (`0.5`, `1/2`).

/// Bytes of a size with binary units, as in `10`, `64k`, `512mb`, `1.5 GiB`.
///
/// # Errors
/// What is wrong with it, in Docker's words.
pub(crate) fn bytes(text: &str) -> Result<i64, String> {
    let invalid = || format!("invalid size: '{text}'");
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number: f64 = text[..digits].parse().map_err(|_| invalid())?;
    let suffix = text[digits..].trim_start_matches(' ').to_lowercase();
    let power = match suffix.as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 1,
        "m" | "mb" | "mib" => 2,
        "g" | "gb" | "gib" => 3,
        "t" | "tb" | "tib" => 4,
        "p" | "pb" | "pib" => 5,
        _ => return Err(format!("invalid suffix: '{suffix}'")),
    };
    let bytes = number * 1024_f64.powi(power);
    // Floats above i64::MAX saturate when cast; a limit nobody asked for is worse than a refusal.
    if bytes >= i64::MAX as f64 { Err(invalid()) } else { Ok(bytes as i64) }
}

/// Billionths of a CPU.
///
/// # Errors
/// What is wrong with it, in Docker's words.
pub(crate) fn nano_cpus(text: &str) -> Result<i64, String> {
    let invalid = || format!("failed to parse {text} as a rational number");
    let (numerator, denominator) = text.split_once('/').unwrap_or((text, "1"));
    let (above, above_scale) = decimal(numerator).ok_or_else(invalid)?;
    let (below, below_scale) = decimal(denominator).ok_or_else(invalid)?;
    let dividend = above
        .checked_mul(1_000_000_000)
        .and_then(|value| value.checked_mul(10_i128.checked_pow(below_scale)?))
        .ok_or_else(invalid)?;
    let divisor = below.checked_mul(10_i128.checked_pow(above_scale).ok_or_else(invalid)?).ok_or_else(invalid)?;
    if divisor == 0 {
        return Err(invalid());
    }
    if dividend % divisor != 0 {
        return Err("value is too precise".to_owned());
    }
    i64::try_from(dividend / divisor).map_err(|_| invalid())
}

/// `1.25` as (125, 2): digits without the point, and how many stood behind it.
fn decimal(text: &str) -> Option<(i128, u32)> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let digits = if sign == 1 { digits.strip_prefix('+').unwrap_or(digits) } else { digits };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all = format!("{whole}{fraction}");
    if all.is_empty() || !all.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some((sign * all.parse::<i128>().ok()?, u32::try_from(fraction.len()).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_docker_reads_them() {
        for (text, expected) in [
            ("0", Ok(0)),
            ("32", Ok(32)),
            ("10k", Ok(10 << 10)),
            ("10kb", Ok(10 << 10)),
            ("10KiB", Ok(10 << 10)),
            ("10 mb", Ok(10 << 20)),
            ("1.5g", Ok(3 << 29)),
            ("2T", Ok(2 << 40)),
            ("10x", Err("invalid suffix: 'x'")),
            ("1e3", Err("invalid suffix: 'e3'")),
            ("", Err("invalid size: ''")),
            ("-5", Err("invalid size: '-5'")),
            ("abc", Err("invalid size: 'abc'")),
            (".", Err("invalid size: '.'")),
            ("1.2.3", Err("invalid size: '1.2.3'")),
            ("9999999p", Err("invalid size: '9999999p'")),
        ] {
            assert_eq!(bytes(text), expected.map_err(str::to_owned), "{text}");
        }
    }

    #[test]
    fn cpus_are_exact_fractions() {
        for (text, expected) in [
            ("1", Ok(1_000_000_000)),
            ("1.5", Ok(1_500_000_000)),
            (".25", Ok(250_000_000)),
            ("1/2", Ok(500_000_000)),
            ("0.000000001", Ok(1)),
            ("-1", Ok(-1_000_000_000)),
            ("0.0000000001", Err("value is too precise")),
            ("1/3", Err("value is too precise")),
            ("x", Err("failed to parse x as a rational number")),
            ("", Err("failed to parse  as a rational number")),
            ("1/0", Err("failed to parse 1/0 as a rational number")),
        ] {
            assert_eq!(nano_cpus(text), expected.map_err(str::to_owned), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_them_panic(text in ".{0,24}") {
            let _ = bytes(&text);
            let _ = nano_cpus(&text);
        }
    }
}
