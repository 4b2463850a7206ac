//! What operations make of the values that they meet.

use alloc::format;
use bytes::{BufMut, Bytes, BytesMut};
use wire::limits::VALUE_BYTES_MAX;
use wire::list::{List, is_list};
use wire::record::{End, Operation, OperationAnswer, Unfit};

/// What a key holds, and what operations make of it one after the other.
#[derive(Debug)]
pub(crate) struct Draft {
    held: Held,
    is_changed: bool,
}

#[derive(Debug)]
enum Held {
    Nothing,
    Value(Bytes),
    /// A value that was found to be a list: that is not looked at again.
    List(List),
}

impl Held {
    fn of(value: Option<Bytes>) -> Held {
        value.map_or(Held::Nothing, Held::Value)
    }

    fn value(&self) -> Option<&Bytes> {
        match self {
            Held::Nothing => None,
            Held::Value(value) => Some(value),
            Held::List(list) => Some(list.bytes()),
        }
    }

    fn len(&self) -> usize {
        self.value().map_or(0, Bytes::len)
    }
}

impl Draft {
    /// Begins with what the key holds.
    pub(crate) fn of(value: Option<&Bytes>) -> Draft {
        Draft {
            held: Held::of(value.cloned()),
            is_changed: false,
        }
    }

    /// What the key is to hold, if that is to be written. It may be a part of what the key held before: whoever keeps it, keeps a copy, and
    /// not the memory of the whole.
    pub(crate) fn written(&self) -> Option<Option<&[u8]>> {
        self.is_changed.then(|| self.held.value().map(|value| &value[..]))
    }

    /// Carries `operation` out. What is read of values and made of them is added to `work`, in bytes.
    ///
    /// # Errors
    /// It can't be, and nothing is to be written.
    pub(crate) fn carry_out<B: AsRef<[u8]>>(
        &mut self,
        operation: &Operation<B>,
        work: &mut u64,
    ) -> Result<OperationAnswer, Unfit> {
        Ok(match operation {
            Operation::Get { .. } => {
                *work += self.held.len() as u64;
                OperationAnswer::Value(self.read())
            }
            Operation::Put { value, .. } => {
                self.hold(Some(Bytes::copy_from_slice(value.as_ref())));
                OperationAnswer::Written
            }
            Operation::Delete { .. } => {
                let was_there = self.held.value().is_some();
                self.hold(None);
                OperationAnswer::Deleted(was_there)
            }
            Operation::Append { suffix, .. } => {
                let value = self.appended(suffix.as_ref(), work)?;
                let length = value.len() as u64;
                *work += length;
                self.hold(Some(value));
                OperationAnswer::Length(length)
            }
            Operation::Add { amount, .. } => {
                *work += self.held.len() as u64;
                let sum = number(self.held.value())?
                    .checked_add(*amount)
                    .ok_or(Unfit::Overflow)?;
                self.hold(Some(Bytes::from(format!("{sum}"))));
                OperationAnswer::Sum(sum)
            }
            Operation::Push { item, end, .. } => {
                self.push(item.as_ref(), *end, work)?;
                OperationAnswer::Written
            }
            Operation::Pop { end, .. } => OperationAnswer::Value(self.pop(*end, work)?),
        })
    }

    /// What the key holds, as an answer. A list may be a part of what was there before, the memory of which an answer must not keep.
    fn read(&self) -> Option<Bytes> {
        match &self.held {
            Held::Nothing => None,
            Held::Value(value) => Some(value.clone()),
            Held::List(list) => Some(Bytes::copy_from_slice(list.bytes())),
        }
    }

    fn hold(&mut self, value: Option<Bytes>) {
        self.held = Held::of(value);
        self.is_changed = true;
    }

    /// A list would be one no more, and nothing would tell that it was.
    fn appended(&self, suffix: &[u8], work: &mut u64) -> Result<Bytes, Unfit> {
        let held: &[u8] = self.held.value().map_or(&[], |held| held);
        if is_list(held) {
            *work += held.len() as u64;
            return Err(Unfit::IsList);
        }
        joined(held, suffix)
    }

    fn push(&mut self, item: &[u8], end: End, work: &mut u64) -> Result<(), Unfit> {
        let list = self.list(work)?;
        let length = list.bytes_with(item);
        if length > VALUE_BYTES_MAX {
            return Err(Unfit::ValueTooLong);
        }
        *work += length as u64;
        list.push(item, end);
        self.is_changed = true;
        Ok(())
    }

    /// The item is a copy: it must not keep the memory of the whole.
    fn pop(&mut self, end: End, work: &mut u64) -> Result<Option<Bytes>, Unfit> {
        if self.held.value().is_none() {
            return Ok(None);
        }
        let list = self.list(work)?;
        let item = list.pop(end).ok_or(Unfit::NotList)?;
        *work += item.len() as u64;
        let is_empty = list.bytes().is_empty();
        if is_empty {
            self.held = Held::Nothing;
        }
        self.is_changed = true;
        Ok(Some(Bytes::copy_from_slice(&item)))
    }

    /// What the key holds, as a list; where it is absent, an empty one.
    fn list(&mut self, work: &mut u64) -> Result<&mut List, Unfit> {
        if let Held::Nothing | Held::Value(_) = self.held {
            *work += self.held.len() as u64;
            let value = self.held.value().cloned().unwrap_or_default();
            self.held = Held::List(List::new(value).ok_or(Unfit::NotList)?);
        }
        match &mut self.held {
            Held::List(list) => Ok(list),
            Held::Nothing | Held::Value(_) => unreachable!("it has just become a list"),
        }
    }
}

fn joined(first: &[u8], second: &[u8]) -> Result<Bytes, Unfit> {
    let length = first.len() + second.len();
    if length > VALUE_BYTES_MAX {
        return Err(Unfit::ValueTooLong);
    }
    let mut value = BytesMut::with_capacity(length);
    value.put_slice(first);
    value.put_slice(second);
    Ok(value.freeze())
}

fn number(value: Option<&Bytes>) -> Result<i64, Unfit> {
    let Some(value) = value else { return Ok(0) };
    let digits = core::str::from_utf8(value)
        .ok()
        .filter(|text| !text.starts_with('+'));
    digits
        .and_then(|digits| digits.parse().ok())
        .ok_or(Unfit::NotNumber)
}
