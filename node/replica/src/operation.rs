//! What operations make of the values that they meet.

use alloc::format;
use bytes::{BufMut, Bytes, BytesMut};
use wire::limits::VALUE_BYTES_MAX;
use wire::list;
use wire::record::{End, Operation, OperationAnswer, Unfit};

/// What a key holds afterwards.
pub(crate) enum Effect {
    Unchanged,
    Set(Option<Bytes>),
}

/// Carries `operation` out, whose key holds `old`.
///
/// # Errors
/// It can't be, and changes nothing.
pub(crate) fn carry_out<B: AsRef<[u8]>>(
    operation: &Operation<B>,
    old: Option<&Bytes>,
) -> Result<(Effect, OperationAnswer), Unfit> {
    Ok(match operation {
        Operation::Get { .. } => (Effect::Unchanged, OperationAnswer::Value(old.cloned())),
        Operation::Put { value, .. } => (
            Effect::Set(Some(Bytes::copy_from_slice(value.as_ref()))),
            OperationAnswer::Written,
        ),
        Operation::Delete { .. } => (Effect::Set(None), OperationAnswer::Deleted(old.is_some())),
        Operation::Append { suffix, .. } => {
            let value = joined(old.map_or(&[], |old| old), suffix.as_ref())?;
            let length = value.len() as u64;
            (Effect::Set(Some(value)), OperationAnswer::Length(length))
        }
        Operation::Add { amount, .. } => {
            let sum = number(old)?.checked_add(*amount).ok_or(Unfit::Overflow)?;
            (
                Effect::Set(Some(Bytes::from(format!("{sum}")))),
                OperationAnswer::Sum(sum),
            )
        }
        Operation::Push { item, end, .. } => {
            let value = pushed(old, item.as_ref(), *end)?;
            (Effect::Set(Some(value)), OperationAnswer::Written)
        }
        Operation::Pop { end, .. } => match old {
            None => (Effect::Unchanged, OperationAnswer::Value(None)),
            Some(list) => {
                let (item, rest) = popped(list, *end)?;
                (Effect::Set(rest), OperationAnswer::Value(Some(item)))
            }
        },
    })
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

fn pushed(list: Option<&Bytes>, item: &[u8], end: End) -> Result<Bytes, Unfit> {
    let item = list::of_one(item);
    let empty = Bytes::new();
    let list = list.unwrap_or(&empty);
    if !list::is_list(list) {
        return Err(Unfit::NotList);
    }
    match end {
        End::Front => joined(&item, list),
        End::Back => joined(list, &item),
    }
}

/// The item, and the list without it, if anything is left of it. Both are copies: they must not keep the memory of the whole.
fn popped(list: &Bytes, end: End) -> Result<(Bytes, Option<Bytes>), Unfit> {
    let split = match end {
        End::Front => list::split_first(list),
        End::Back => list::split_last(list),
    };
    let (item, rest) = split
        .filter(|(_, rest)| list::is_list(rest))
        .ok_or(Unfit::NotList)?;
    let copy = |bytes: Bytes| Bytes::copy_from_slice(&bytes);
    Ok((copy(item), (!rest.is_empty()).then(|| copy(rest))))
}
