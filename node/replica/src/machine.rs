//! The state machine: a map from keys to values, and the sessions of those who change it.

use crate::map::Map;
use crate::operation::Draft;
use crate::sessions::{NotNow, Reply, Sessions, Verdict};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use bytes::Bytes;
use raft::Index;
use wire::limits::TRANSACTION_ANSWER_BYTES_MAX;
use wire::record::{
    Answer, Command, Condition, Invocation, Once, Operation, OperationAnswer, Transaction, Unfit,
};

/// Why an entry changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// What is stored does not fit the command.
    Unfit(Unfit),
    /// There is no such session.
    SessionExpired,
    /// The command was carried out before, and its answer is kept no more.
    ReplyForgotten,
    /// The command is too far ahead of those to which its client has the answers.
    BeyondWindow,
}

/// What the operations of a transaction make of what their keys hold.
type Drafts<'a> = BTreeMap<&'a [u8], Draft>;

/// The state that the entries of the log come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StateMachine {
    pub(crate) map: Map,
    pub(crate) sessions: Sessions,
}

impl StateMachine {
    /// Carries out what the entry at `index` carries.
    ///
    /// # Errors
    /// Nothing was changed.
    pub fn invoke<B: AsRef<[u8]>>(
        &mut self,
        index: Index,
        invocation: Invocation<B>,
    ) -> Result<Answer, Rejection> {
        self.invoke_counted(index, invocation, &mut 0)
    }

    /// As [`StateMachine::invoke`]. What is read of values and made of them is added to `work`, in bytes: the same on every node, and about
    /// what takes the time. What the command itself has is not in it.
    pub(crate) fn invoke_counted<B: AsRef<[u8]>>(
        &mut self,
        index: Index,
        invocation: Invocation<B>,
        work: &mut u64,
    ) -> Result<Answer, Rejection> {
        match invocation {
            Invocation::Plain(command) => self.apply_counted(command, work).map_err(Rejection::Unfit),
            Invocation::OpenSession { time, lifetime } => {
                self.sessions.time_is(time);
                self.sessions.open(index.0, lifetime);
                let session = index.0;
                Ok(Answer::SessionOpened { session, lifetime })
            }
            Invocation::CloseSession { session, time } => {
                self.sessions.time_is(time);
                self.sessions.close(session);
                Ok(Answer::SessionClosed)
            }
            Invocation::Once { once, time, command } => {
                self.sessions.time_is(time);
                self.apply_once(index, once, command, work)
            }
        }
    }

    /// Looks at what carrying out all of these will need, which takes less time than to do so at each of them. It changes nothing.
    pub(crate) fn look_ahead<'a, B: AsRef<[u8]> + 'a>(
        &self,
        invocations: impl Iterator<Item = &'a Invocation<B>>,
    ) {
        let keys = invocations.filter_map(|invocation| match invocation {
            Invocation::Plain(command) | Invocation::Once { command, .. } => command.key(),
            Invocation::OpenSession { .. } | Invocation::CloseSession { .. } => None,
        });
        self.map.look_ahead(keys.map(AsRef::as_ref));
    }

    fn apply_once<B: AsRef<[u8]>>(
        &mut self,
        index: Index,
        once: Once,
        command: Command<B>,
        work: &mut u64,
    ) -> Result<Answer, Rejection> {
        let reply: Reply = match self.sessions.judge(index.0, once) {
            Verdict::CarryOut => {
                let reply = self.apply_counted(command, work);
                self.sessions.keep(once, &reply);
                reply
            }
            Verdict::Done(reply) => reply,
            Verdict::Not(NotNow::Expired) => return Err(Rejection::SessionExpired),
            Verdict::Not(NotNow::Forgotten) => return Err(Rejection::ReplyForgotten),
            Verdict::Not(NotNow::BeyondWindow) => return Err(Rejection::BeyondWindow),
        };
        reply.map_err(Rejection::Unfit)
    }

    /// Carries out a command.
    ///
    /// # Errors
    /// What is stored does not fit it, and nothing was changed.
    pub fn apply<B: AsRef<[u8]>>(&mut self, command: Command<B>) -> Result<Answer, Unfit> {
        self.apply_counted(command, &mut 0)
    }

    fn apply_counted<B: AsRef<[u8]>>(
        &mut self,
        command: Command<B>,
        work: &mut u64,
    ) -> Result<Answer, Unfit> {
        Ok(match command {
            Command::Put { key, value } => {
                self.map.put(key.as_ref(), value.as_ref());
                Answer::Written
            }
            Command::Cas { key, expected, value } => {
                let matches = self.holds(key.as_ref(), expected.as_ref());
                if matches {
                    self.map.put(key.as_ref(), value.as_ref());
                }
                Answer::Swapped(matches)
            }
            Command::Delete { key } => Answer::Deleted(self.map.remove(key.as_ref())),
            Command::Operation(operation) => {
                let key = operation.key().as_ref();
                let mut draft = Draft::of(self.map.get(key));
                let answer = draft.carry_out(&operation, work)?;
                self.write(key, &draft, work);
                answer.into()
            }
            Command::Transaction(transaction) => self.transact(&transaction, work)?,
        })
    }

    /// Writes what operations made of what the key holds, if they made anything of it.
    fn write(&mut self, key: &[u8], draft: &Draft, work: &mut u64) {
        if let Some(value) = draft.written() {
            *work += value.map_or(0, <[u8]>::len) as u64;
            self.map.set(key, value);
        }
    }

    /// Either branch is carried out beside the map first: where one of its operations can't be, none is.
    fn transact<B: AsRef<[u8]>>(
        &mut self,
        transaction: &Transaction<B>,
        work: &mut u64,
    ) -> Result<Answer, Unfit> {
        let Transaction {
            conditions,
            then,
            otherwise,
        } = transaction;
        let held = conditions.iter().all(|condition| match condition {
            Condition::Holds { key, value } => self.holds(key.as_ref(), value.as_ref()),
            Condition::HoldsNot { key, value } => !self.holds(key.as_ref(), value.as_ref()),
        });
        let branch = if held { then } else { otherwise };
        let (answers, drafts) = self.draft(branch, work)?;
        for (key, draft) in drafts {
            self.write(key, &draft, work);
        }
        Ok(Answer::Transaction { held, answers })
    }

    /// What the operations of a branch answer, and what they make of what their keys hold.
    fn draft<'a, B: AsRef<[u8]>>(
        &self,
        branch: &'a [Operation<B>],
        work: &mut u64,
    ) -> Result<(Vec<OperationAnswer>, Drafts<'a>), Unfit> {
        let mut drafts = Drafts::new();
        let (mut answers, mut bytes) = (Vec::new(), 0);
        for operation in branch {
            let key = operation.key().as_ref();
            let draft = drafts.entry(key).or_insert_with(|| Draft::of(self.map.get(key)));
            let answer = draft.carry_out(operation, work)?;
            if let OperationAnswer::Value(Some(value)) = &answer {
                bytes += value.len();
            }
            if bytes > TRANSACTION_ANSWER_BYTES_MAX {
                return Err(Unfit::AnswerTooLong);
            }
            answers.push(answer);
        }
        Ok((answers, drafts))
    }

    /// Whether the key holds just this; nothing, where it is `None`.
    fn holds<B: AsRef<[u8]>>(&self, key: &[u8], value: Option<&B>) -> bool {
        self.map.get(key).map(|held| &held[..]) == value.map(AsRef::as_ref)
    }

    /// The value at `key`.
    pub fn get(&self, key: &[u8]) -> Option<Bytes> {
        self.map.get(key).cloned()
    }

    /// A hash of the whole state: equal states have equal hashes.
    pub fn state_hash(&self) -> u64 {
        self.map.hash().wrapping_add(self.sessions.hash())
    }

    /// Leaders' time, in milliseconds.
    pub(crate) fn time(&self) -> u64 {
        self.sessions.time()
    }

    /// How many sessions are open.
    pub fn sessions(&self) -> usize {
        self.sessions.count()
    }

    /// How many keys there are.
    pub(crate) fn pairs(&self) -> u64 {
        self.map.pairs()
    }

    /// How many bytes all of it has, about.
    pub(crate) fn bytes(&self) -> u64 {
        self.map.bytes() + self.sessions.bytes()
    }
}

#[cfg(test)]
mod tests;
