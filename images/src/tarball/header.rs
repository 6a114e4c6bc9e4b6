//! The fields of a member's header.

use tar::{EntryType, Header};

use super::MemberError;

pub(super) fn is_extension(kind: EntryType) -> bool {
    matches!(kind, EntryType::GNULongName | EntryType::GNULongLink | EntryType::XHeader | EntryType::XGlobalHeader)
}

pub(super) fn device(header: &Header) -> Result<(u32, u32), MemberError> {
    let wrong = MemberError::Field("invalid device number");
    let (major, minor) = match (header.as_ustar(), header.as_gnu()) {
        (Some(ustar), _) => (ustar.dev_major, ustar.dev_minor),
        (_, Some(gnu)) => (gnu.dev_major, gnu.dev_minor),
        _ => return Err(wrong),
    };
    let part = |field: &[u8]| number(field).and_then(|n| u32::try_from(n).ok());
    part(&major).zip(part(&minor)).ok_or(wrong)
}

pub(super) fn checksum_is_right(header: &Header) -> bool {
    let bytes = header.as_bytes();
    let blanked = bytes.iter().enumerate().map(|(at, byte)| if (148..156).contains(&at) { b' ' } else { *byte });
    let unsigned: i64 = blanked.clone().map(i64::from).sum();
    // Some old writers summed signed characters.
    let signed: i64 = blanked.map(|byte| i64::from(byte.cast_signed())).sum();
    signed_number(&header.as_old().cksum).is_some_and(|sum| sum == unsigned || sum == signed)
}

pub(super) fn is_zero(block: &[u8]) -> bool {
    block.iter().all(|byte| *byte == 0)
}

/// A header's number that can't be negative.
pub(super) fn number(field: &[u8]) -> Option<u64> {
    u64::try_from(signed_number(field)?).ok()
}

/// A header's number: octal digits, or GNU's binary form where the first bit is set. An empty field is zero.
pub(super) fn signed_number(field: &[u8]) -> Option<i64> {
    match field.first() {
        Some(first) if first & 0x80 != 0 => binary_number(field),
        _ => {
            let text = field.split(|byte| *byte == 0).next().unwrap_or_default();
            let text = std::str::from_utf8(text).ok()?.trim_matches(' ');
            match text {
                "" => Some(0),
                _ if text.starts_with(['+', '-']) => None,
                digits => i64::from_str_radix(digits, 8).ok(),
            }
        }
    }
}

/// Two's complement, big endian; the first bit marks the form and the second is the sign.
fn binary_number(field: &[u8]) -> Option<i64> {
    let inverted = if field[0] & 0x40 != 0 { 0xff } else { 0 };
    let mut magnitude: u64 = 0;
    for (at, byte) in field.iter().enumerate() {
        let mask = if at == 0 { 0x7f } else { 0xff };
        magnitude = magnitude.checked_mul(256)? | u64::from((byte ^ inverted) & mask);
    }
    let value = i64::try_from(magnitude).ok()?;
    Some(if inverted == 0 { value } else { !value })
}
