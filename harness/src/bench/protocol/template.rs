//! A request that is encoded once and sent many times.

use super::Garbled;

/// How many bytes a key has.
pub(super) const KEY_BYTES: usize = 9;
/// How many bytes a stamp has: a number in hexadecimal digits.
pub(super) const STAMP_BYTES: usize = 16;

/// What stands in a template where the key will be. No other part of a request has these bytes.
pub(super) const KEY_MARK: [u8; KEY_BYTES] = *b"{--key--}";
const STAMP_MARK: [u8; STAMP_BYTES] = *b"{----stamp-----}";

/// A request, and where its key and its stamp belong.
#[derive(Clone, Debug)]
pub(super) struct Template {
    bytes: Vec<u8>,
    key_at: usize,
    stamp_at: Option<usize>,
}

/// A value of `bytes` bytes with a mark where the stamp will be. What follows the stamp does not repeat, so that no system
/// gains by compressing it.
pub(super) fn marked_value(bytes: usize) -> Vec<u8> {
    let mut value = STAMP_MARK.to_vec();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    while value.len() < bytes {
        // Marsaglia's xorshift: no more is asked of it than to look random.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        value.push(b'a' + u8::try_from(state >> 32 & 0xf).expect("four bits fit"));
    }
    value.truncate(bytes);
    value
}

impl Template {
    /// A template of an encoded request with [`KEY_MARK`] as its key and [`marked_value`] as its value, if it has one.
    ///
    /// # Panics
    /// There is no key in it.
    pub(super) fn new(mut bytes: Vec<u8>) -> Template {
        let find = |mark: &[u8]| bytes.windows(mark.len()).position(|window| window == mark);
        let key_at = find(&KEY_MARK).expect("every request has a key");
        let stamp_at = find(&STAMP_MARK);
        bytes[key_at] = b'k';
        Template {
            bytes,
            key_at,
            stamp_at,
        }
    }

    /// Appends the request to `out`; where it began.
    pub(super) fn append(&self, key: u32, stamp: u64, out: &mut Vec<u8>) -> usize {
        let begin = out.len();
        out.extend_from_slice(&self.bytes);
        let request = &mut out[begin..];
        write_digits(&mut request[self.key_at + 1..][..KEY_BYTES - 1], key.into(), 10);
        if let Some(stamp_at) = self.stamp_at {
            write_digits(&mut request[stamp_at..][..STAMP_BYTES], stamp, 16);
        }
        begin
    }
}

/// Fills `out` with a number, zeros before it. The load does this for each request, and takes its time from the systems that it measures: the
/// formatting of the standard library would be a sixth of all that it does by itself.
#[inline]
fn write_digits(out: &mut [u8], mut number: u64, base: u64) {
    for digit in out.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(number % base) as usize];
        number /= base;
    }
    assert_eq!(number, 0, "it has more digits than there is room for");
}

/// The stamp that a value begins with.
pub(super) fn stamp_of(value: &[u8]) -> Result<u64, Garbled> {
    value
        .get(..STAMP_BYTES)
        .and_then(|digits| std::str::from_utf8(digits).ok())
        .and_then(|digits| u64::from_str_radix(digits, 16).ok())
        .ok_or_else(|| Garbled(String::from("a value that nobody wrote")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_its_template_with_key_and_stamp() {
        let mut bytes = b"put ".to_vec();
        bytes.extend_from_slice(&KEY_MARK);
        bytes.push(b' ');
        bytes.extend_from_slice(&marked_value(STAMP_BYTES + 2));
        let filler = bytes[bytes.len() - 2..].to_vec();
        let template = Template::new(bytes);
        let mut out = b"before;".to_vec();
        assert_eq!(template.append(12, 0xab, &mut out), 7);
        assert_eq!(&out[..37], b"before;put k00000012 00000000000000ab");
        assert_eq!(&out[37..], filler);
        assert_eq!(stamp_of(&out[21..]), Ok(0xab));
        assert!(stamp_of(b"short").is_err());
    }
}
