//! From bytes, as they come, to a history.

use super::assemble::{Assembler, Batch, Order};
use super::jepsen::{self, Around};
use super::{Format, detect, etcd, native, pieces};
use crate::history::{Log, ReadError};
use memchr::{memchr, memrchr};

/// How much is read at once, so that what it holds does not take more memory than the history.
const BLOCK_BYTES: usize = 16 << 20;
/// How long a line, or an operation that goes over several, may be.
const FORM_BYTES_MAX: usize = 64 << 20;
/// How much may come before anything by which a format is told.
const BLANK_BYTES_MAX: usize = 1 << 20;
/// What editors on Windows put before a text, to say that it is UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Reads a history from blocks of bytes of any size, as they come from a file. Memory is what the history takes, and a block.
#[derive(Debug)]
pub struct LogReader {
    /// Whether it is known that no byte-order mark is to come; one at the beginning is skipped.
    is_past_mark: bool,
    /// `None` until it is told by the first bytes.
    format: Option<Format>,
    /// Whether the caller named it.
    is_named: bool,
    /// What is not read yet, since its end is still to come.
    rest: Vec<u8>,
    /// How much of that there must be before it is tried again: what is long is not tried at each of its lines.
    retry_at: usize,
    assembler: Assembler,
    around: Around,
}

impl LogReader {
    /// A reader for a history in `format`; `None`: the history tells.
    pub fn new(format: Option<Format>) -> LogReader {
        let mut reader = LogReader {
            is_past_mark: false,
            format: None,
            is_named: format.is_some(),
            rest: Vec::new(),
            retry_at: 0,
            assembler: Assembler::new(Log::default(), Order::Times),
            around: Around::default(),
        };
        if let Some(format) = format {
            reader.set_format(format);
        }
        reader
    }

    fn set_format(&mut self, format: Format) {
        self.format = Some(format);
        let order = match format {
            Format::Native => Order::Times,
            Format::Jepsen | Format::PorcupineEtcd | Format::PorcupineKv => Order::Lines { timed: None },
        };
        let log = Log {
            format,
            timed: format == Format::Native,
            ..Log::default()
        };
        self.assembler = Assembler::new(log, order);
    }

    /// Reads what comes next.
    ///
    /// # Errors
    /// Something can't stand where it stands; see [`Log::read`].
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), ReadError> {
        bytes
            .chunks(BLOCK_BYTES)
            .try_for_each(|block| self.push_block(block))
    }

    fn push_block(&mut self, mut bytes: &[u8]) -> Result<(), ReadError> {
        if !self.is_past_mark {
            return self.push_first(bytes);
        }
        if self.format.is_none() {
            if self.rest.is_empty()
                && let Some(format) = detect(bytes, false)
            {
                self.set_format(format);
                return self.push_block(bytes);
            }
            self.rest.extend_from_slice(bytes);
            let Some(format) = detect(&self.rest, false) else {
                if self.rest.len() > BLANK_BYTES_MAX {
                    return Err(self.too_long());
                }
                return Ok(());
            };
            self.set_format(format);
            let whole = std::mem::take(&mut self.rest);
            return self.push_block(&whole);
        }
        while !bytes.is_empty() {
            if self.rest.is_empty() {
                let read = self.read(bytes, false)?;
                self.rest.extend_from_slice(&bytes[read..]);
                self.retry_at = 0;
                return Ok(());
            }
            let wanted = self.retry_at.saturating_sub(self.rest.len()).min(bytes.len());
            let end = memchr(b'\n', &bytes[wanted..]).map_or(bytes.len(), |end| wanted + end + 1);
            self.rest.extend_from_slice(&bytes[..end]);
            bytes = &bytes[end..];
            if self.rest.len() < self.retry_at {
                continue;
            }
            let mut rest = std::mem::take(&mut self.rest);
            let read = self.read(&rest, false)?;
            self.retry_at = if read == 0 { 2 * rest.len() } else { 0 };
            rest.drain(..read);
            self.rest = rest;
            if self.rest.len() > FORM_BYTES_MAX {
                return Err(self.too_long());
            }
        }
        Ok(())
    }

    /// Skips a byte-order mark, if there is one, as soon as that can be told.
    fn push_first(&mut self, bytes: &[u8]) -> Result<(), ReadError> {
        let begun = std::mem::take(&mut self.rest);
        let joined;
        let bytes = if begun.is_empty() {
            bytes
        } else {
            joined = [&begun[..], bytes].concat();
            &joined
        };
        if bytes.len() < BYTE_ORDER_MARK.len() && BYTE_ORDER_MARK.starts_with(bytes) {
            self.rest = bytes.to_vec();
            return Ok(());
        }
        self.is_past_mark = true;
        self.push_block(bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes))
    }

    fn too_long(&self) -> ReadError {
        ReadError {
            line: self.assembler.lines + 1,
            reason: String::from("what begins here is too long to be an operation of a history"),
        }
    }

    /// Nothing more comes.
    ///
    /// # Errors
    /// What came last is not whole; a torn last line of a native history is only a warning.
    pub fn finish(mut self) -> Result<Log, ReadError> {
        let rest = std::mem::take(&mut self.rest);
        match self.format.or_else(|| detect(&rest, true)) {
            None => return Ok(self.assembler.log),
            Some(format) if self.format.is_none() => self.set_format(format),
            Some(_) => {}
        }
        // Also where nothing is left: what surrounds the operations may be open.
        self.read(&rest, true)?;
        Ok(self.assembler.finish())
    }

    /// Reads as much as is whole, or with `last` all of it; how many bytes that was.
    fn read(&mut self, bytes: &[u8], last: bool) -> Result<usize, ReadError> {
        match self.format {
            Some(Format::Jepsen | Format::PorcupineKv) => self.read_edn(bytes, last),
            Some(Format::PorcupineEtcd) => {
                let whole = whole_lines(bytes, last);
                self.read_lines(&bytes[..whole], etcd::parse)?;
                Ok(whole)
            }
            Some(Format::Native) => {
                let whole = whole_lines(bytes, false);
                self.read_native(&bytes[..whole])?;
                if last && whole < bytes.len() {
                    self.read_torn(&bytes[whole..])?;
                }
                Ok(if last { bytes.len() } else { whole })
            }
            None => Ok(0),
        }
    }

    fn read_native(&mut self, mut bytes: &[u8]) -> Result<(), ReadError> {
        while self.assembler.log.header.is_none() && !bytes.is_empty() {
            let end = memchr(b'\n', bytes).unwrap_or(bytes.len());
            self.read_header(&bytes[..end])?;
            bytes = bytes.get(end + 1..).unwrap_or_default();
        }
        self.read_lines(bytes, native::parse)
    }

    fn read_header(&mut self, line: &[u8]) -> Result<(), ReadError> {
        let number = self.assembler.lines + 1;
        if !line.trim_ascii().is_empty() {
            let is_of_any = self.is_named || native::begins_as_header(line);
            let header = native::header(line).map_err(|reason| ReadError {
                line: number,
                reason: if is_of_any { reason } else { super::of_no_format() },
            })?;
            self.assembler.log.header = Some(header);
        }
        self.assembler.lines += 1;
        Ok(())
    }

    /// Reads the last line of a native history, which lacks its end: where it is the beginning of a record or a header, and not all of
    /// one, the run was interrupted.
    fn read_torn(&mut self, bytes: &[u8]) -> Result<(), ReadError> {
        let is_header = self.assembler.log.header.is_none();
        if is_header && !native::is_torn_header(bytes) {
            return self.read_header(bytes);
        }
        let batch = native::parse(bytes);
        if !is_header && (batch.problem.is_none() || !native::is_torn(bytes)) {
            return self.assembler.take(batch);
        }
        let line = self.assembler.lines + 1;
        let warning = format!("line {line}: the last line is torn; the run was interrupted");
        self.assembler.log.warnings.push(warning);
        Ok(())
    }

    fn read_lines(&mut self, bytes: &[u8], parse: fn(&[u8]) -> Batch<'_>) -> Result<(), ReadError> {
        let pieces = pieces::pieces(bytes, |_| true);
        pieces::each(&pieces, parse, |_, batch| self.assembler.take(batch))
    }

    /// Reads maps of EDN, in parallel where each piece turns out to be whole; from the first one on that is not, one after the other.
    fn read_edn(&mut self, bytes: &[u8], last: bool) -> Result<usize, ReadError> {
        let (mut read, lines, around) = jepsen::open(bytes, self.around);
        self.around = around;
        self.assembler.lines += lines;
        let mut pieces = pieces::pieces(&bytes[read..], begins_a_map);
        if pieces.len() == 1 {
            pieces.clear();
        }
        let all = pieces::each(
            &pieces,
            |piece| jepsen::parse(piece, around, false),
            |place, piece: jepsen::Piece<'_>| {
                let whole = piece.read == pieces[place].len() && piece.around == around;
                if !whole || piece.batch.problem.is_some() {
                    return Err(None);
                }
                read += piece.read;
                self.assembler.take(piece.batch).map_err(Some)
            },
        );
        if let Err(Some(error)) = all {
            return Err(error);
        }
        let piece = jepsen::parse(&bytes[read..], self.around, last);
        self.around = piece.around;
        let read = read + piece.read;
        self.assembler.take(piece.batch)?;
        Ok(read)
    }
}

fn whole_lines(bytes: &[u8], last: bool) -> usize {
    if last {
        bytes.len()
    } else {
        memrchr(b'\n', bytes).map_or(0, |end| end + 1)
    }
}

/// Whether an operation may begin here.
fn begins_a_map(rest: &[u8]) -> bool {
    matches!(rest.trim_ascii_start().first(), Some(b'{' | b'#'))
}
