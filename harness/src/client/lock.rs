//! A lock with fencing tokens, as users make one of compare-and-sets.
//!
//! The value at its key is `OWNER TOKEN`: who has it, or 0 where nobody has, and the last token that was given out. It is read,
//! and replaced if it is still the same. Each value is there once at most, since every acquisition makes the token greater; so where it
//! is not the same any more, somebody else had the lock in between, and to be refused is right.

use super::request::number;
use super::{Client, MISANSWERED};
use bytes::Bytes;
use wire::client::{Reply, RequestBody};
use workloads::{Completion, Op, Ret};

/// What a lock is at a moment; the owner 0 is nobody.
#[derive(Clone, Copy, Default)]
struct Held {
    owner: u64,
    token: u64,
}

impl Held {
    /// What the value at its key says.
    fn read(value: Option<&Bytes>) -> Option<Held> {
        let Some(value) = value else {
            return Some(Held::default());
        };
        let space = value.iter().position(|byte| *byte == b' ')?;
        let (owner, token) = (number(&value[..space]), number(&value[space + 1..]));
        let held = Held { owner, token };
        (held.written() == *value).then_some(held)
    }

    fn written(self) -> Bytes {
        Bytes::from(format!("{} {}", self.owner, self.token))
    }

    /// What it becomes by `op`, and what `op` returns then; `None` if it is refused.
    fn after(self, op: &Op, owner: u64) -> Option<(Held, Ret)> {
        if let Op::Release { .. } = op {
            let free = Held { owner: 0, ..self };
            return (self.owner == owner).then_some((free, Ret::Released(true)));
        }
        let token = self.token + 1;
        (self.owner == 0).then_some((Held { owner, token }, Ret::Token(Some(token))))
    }
}

impl Client {
    /// Acquires or releases the lock at `key` for `owner`, whichever `op` says.
    pub(super) async fn exchange_of_lock(&mut self, op: &Op, key: Bytes, owner: u64) -> Completion {
        let refused = if let Op::Release { .. } = op {
            Ret::Released(false)
        } else {
            Ret::Token(None)
        };
        let value = match self.ask(&RequestBody::Get { key: key.clone() }, false).await {
            Ok(Reply::Value(value)) => value,
            Ok(_) => return self.unanswered(op, MISANSWERED),
            Err(unanswered) => return self.unanswered(op, &unanswered.reason),
        };
        let Some(held) = Held::read(value.as_ref()) else {
            return self.unanswered(op, MISANSWERED);
        };
        let Some((then, ret)) = held.after(op, owner) else {
            return Completion::Ok(refused);
        };
        let cas = RequestBody::Cas {
            key,
            expected: value,
            value: then.written(),
        };
        match self.ask(&cas, false).await {
            Ok(Reply::Swapped(true)) => Completion::Ok(ret),
            Ok(Reply::Swapped(false)) => Completion::Ok(refused),
            Ok(_) => self.unanswered(op, MISANSWERED),
            Err(unanswered) => self.unanswered(op, &unanswered.reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_free_or_has_an_owner_who_alone_gives_it_back_and_tokens_grow() {
        let acquire = |owner| Op::Acquire { key: 1, owner };
        let release = |owner| Op::Release { key: 1, owner };
        let free = Held::read(None).unwrap();
        let (held, ret) = free.after(&acquire(5), 5).unwrap();
        assert_eq!(
            (held.written(), ret),
            (Bytes::from_static(b"5 1"), Ret::Token(Some(1)))
        );
        let held = Held::read(Some(&held.written())).unwrap();
        assert!(held.after(&acquire(6), 6).is_none() && held.after(&release(6), 6).is_none());
        let (free, ret) = held.after(&release(5), 5).unwrap();
        assert_eq!(
            (free.written(), ret),
            (Bytes::from_static(b"0 1"), Ret::Released(true))
        );
        let (_, ret) = free.after(&acquire(6), 6).unwrap();
        assert_eq!(ret, Ret::Token(Some(2)));
    }

    #[test]
    fn what_is_no_lock_is_told_from_one() {
        for value in ["", "5", "5 ", " 1", "5 1 2", "x 1", "05 1"] {
            assert!(
                Held::read(Some(&Bytes::from_static(value.as_bytes()))).is_none(),
                "{value:?}"
            );
        }
    }
}
