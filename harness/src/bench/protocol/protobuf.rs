//! As much of Protocol Buffers as etcd's requests and answers need: fields of bytes.

use super::Garbled;

const BYTES: u64 = 2;

/// Appends the field `number`, which is below 16.
pub(super) fn append_bytes(number: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(number << 3 | 2);
    let mut length = bytes.len();
    while length >= 0x80 {
        out.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend_from_slice(bytes);
}

/// The first field `number` of a message that holds bytes.
pub(super) fn find_bytes(message: &[u8], number: u64) -> Result<Option<&[u8]>, Garbled> {
    let mut rest = message;
    while !rest.is_empty() {
        let tag = varint(&mut rest)?;
        let skipped = match tag & 7 {
            0 => {
                varint(&mut rest)?;
                continue;
            }
            1 => 8,
            BYTES => usize::try_from(varint(&mut rest)?).unwrap_or(usize::MAX),
            5 => 4,
            _ => return Err(malformed()),
        };
        let (field, behind) = rest.split_at_checked(skipped).ok_or_else(malformed)?;
        if tag == number << 3 | BYTES {
            return Ok(Some(field));
        }
        rest = behind;
    }
    Ok(None)
}

fn varint(rest: &mut &[u8]) -> Result<u64, Garbled> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, behind) = rest.split_first().ok_or_else(malformed)?;
        *rest = behind;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(malformed())
}

fn malformed() -> Garbled {
    Garbled(String::from("a malformed message"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_behind_others_of_any_type() {
        let long = vec![7; 300];
        // 1: varint 300, 3: 64 bits, 4: 32 bits.
        let mut message = vec![0x08, 0xac, 0x02, 0x19, 1, 2, 3, 4, 5, 6, 7, 8, 0x25, 1, 2, 3, 4];
        append_bytes(2, b"ab", &mut message);
        append_bytes(5, &long, &mut message);
        assert_eq!(find_bytes(&message, 2), Ok(Some(&b"ab"[..])));
        assert_eq!(find_bytes(&message, 5), Ok(Some(&long[..])));
        assert_eq!(find_bytes(&message, 1), Ok(None));
        for end in 1..message.len() {
            // Wherever it is cut, it is an error or ends between fields; it is never a shorter field.
            let found = find_bytes(&message[..end], 5);
            assert!(matches!(found, Ok(None) | Err(_)), "{end}: {found:?}");
        }
        assert!(find_bytes(&[0xff; 11], 1).is_err());
    }
}
