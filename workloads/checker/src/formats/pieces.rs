//! Large inputs in pieces, parsed in parallel where the caller wants that (feature `rayon`).

use memchr::memchr;

/// How large a piece is, in bytes, about.
const PIECE_BYTES: usize = 256 << 10;
/// How many pieces are parsed before the first of them is taken.
#[cfg(feature = "rayon")]
const PIECES_AT_ONCE: usize = 32;

/// Cuts `bytes` into pieces that end where lines do; `is_cut` says of what follows the end of a line whether a piece may begin there.
pub(crate) fn pieces(mut bytes: &[u8], is_cut: impl Fn(&[u8]) -> bool) -> Vec<&[u8]> {
    let mut pieces = Vec::new();
    while bytes.len() > 2 * PIECE_BYTES {
        let mut at = PIECE_BYTES;
        let cut = loop {
            match memchr(b'\n', &bytes[at..]) {
                Some(end) if is_cut(&bytes[at + end + 1..]) => break Some(at + end + 1),
                Some(end) => at += end + 1,
                None => break None,
            }
        };
        let Some(cut) = cut else { break };
        let (piece, rest) = bytes.split_at(cut);
        pieces.push(piece);
        bytes = rest;
    }
    if !bytes.is_empty() {
        pieces.push(bytes);
    }
    pieces
}

/// Parses each piece, and takes what they hold in their order, up to the first error. While some are taken the next ones are parsed.
#[cfg(feature = "rayon")]
pub(crate) fn each<'a, T: Send, E: Send>(
    pieces: &[&'a [u8]],
    parse: impl Fn(&'a [u8]) -> T + Sync,
    mut take: impl FnMut(usize, T) -> Result<(), E> + Send,
) -> Result<(), E> {
    use rayon::prelude::*;
    let mut parsed: Vec<T> = Vec::new();
    let mut first = 0;
    for group in pieces.chunks(PIECES_AT_ONCE) {
        let before = std::mem::take(&mut parsed);
        let count = before.len();
        let (taken, next) = rayon::join(
            || {
                before
                    .into_iter()
                    .enumerate()
                    .try_for_each(|(place, piece)| take(first + place, piece))
            },
            || group.par_iter().map(|piece| parse(piece)).collect(),
        );
        taken?;
        first += count;
        parsed = next;
    }
    parsed
        .into_iter()
        .enumerate()
        .try_for_each(|(place, piece)| take(first + place, piece))
}

/// Parses each piece, and takes what they hold in their order, up to the first error.
#[cfg(not(feature = "rayon"))]
pub(crate) fn each<'a, T: Send, E: Send>(
    pieces: &[&'a [u8]],
    parse: impl Fn(&'a [u8]) -> T + Sync,
    mut take: impl FnMut(usize, T) -> Result<(), E> + Send,
) -> Result<(), E> {
    pieces
        .iter()
        .enumerate()
        .try_for_each(|(place, piece)| take(place, parse(piece)))
}
