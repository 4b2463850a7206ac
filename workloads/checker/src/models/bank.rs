//! A bank: what is transferred between accounts neither comes nor goes.

use crate::history::{Call, End, Value};
use crate::model::Model;
use crate::vocabulary::{Dialect, Meaning, Vocabulary, unknown_operation};
use stateright::semantics::SequentialSpec;
use std::collections::BTreeMap;

/// Accounts with their balances. An account that is not named holds nothing.
///
/// Where nobody says what the accounts hold at the beginning, the first read tells it: until then the balances are the changes since.
/// Whether an account may be overdrawn is for the bank to decide, which refuses a transfer by failing; but no account begins in debt, and
/// no read may show one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Bank {
    /// Balances other than zero. Sums of more numbers than memory holds don't overflow.
    pub balances: BTreeMap<Value, i128>,
    /// Whether these are all that accounts hold, rather than the changes since the beginning.
    pub is_open: bool,
}

/// A call of a [`Bank`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BankOp {
    /// Moves an amount from one account to another.
    Transfer {
        /// The account that it is taken from.
        from: Value,
        /// The account that gets it.
        to: Value,
        /// How much.
        amount: i64,
    },
    /// Reads the balances of all accounts.
    Read,
}

/// What a call of a [`Bank`] returned.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BankRet {
    /// To a transfer.
    Done,
    /// To a read: balances, in the order of the accounts, those of zero left out.
    Balances(Vec<(Value, i128)>),
}

impl Bank {
    fn add(&mut self, account: &Value, amount: i128) {
        let balance = self.balances.entry(account.clone()).or_default();
        *balance += amount;
        if *balance == 0 {
            self.balances.remove(account);
        }
    }

    fn read(&self) -> BankRet {
        let balances = self.balances.iter();
        BankRet::Balances(
            balances
                .map(|(account, balance)| (account.clone(), *balance))
                .collect(),
        )
    }
}

impl SequentialSpec for Bank {
    type Op = BankOp;
    type Ret = BankRet;

    fn invoke(&mut self, op: &BankOp) -> BankRet {
        match op {
            BankOp::Transfer { from, to, amount } => {
                self.add(from, -i128::from(*amount));
                self.add(to, i128::from(*amount));
                BankRet::Done
            }
            BankOp::Read => self.read(),
        }
    }

    fn is_valid_step(&mut self, op: &BankOp, ret: &BankRet) -> bool {
        match (op, ret) {
            (BankOp::Read, BankRet::Balances(seen)) => {
                if seen.iter().any(|(_, balance)| *balance < 0) {
                    return false;
                }
                if !self.is_open {
                    let now: BTreeMap<Value, i128> = seen.iter().cloned().collect();
                    let at_first = |account| now.get(account).copied().unwrap_or(0) - self.balances[account];
                    if self.balances.keys().any(|account| at_first(account) < 0) {
                        return false;
                    }
                    (self.balances, self.is_open) = (now, true);
                    return true;
                }
                let held = self.balances.iter();
                held.eq(seen.iter().map(|(account, balance)| (account, balance)))
            }
            (BankOp::Transfer { .. } | BankOp::Read, _) => self.invoke(op) == *ret,
        }
    }
}

impl Model for Bank {
    fn is_read_only(op: &BankOp, _: &BankRet) -> bool {
        // The first read is, but it tells what the accounts hold.
        match op {
            BankOp::Transfer { from, to, amount } => from == to || *amount == 0,
            BankOp::Read => false,
        }
    }

    fn is_always_legal(op: &BankOp, ret: &BankRet) -> bool {
        matches!((op, ret), (BankOp::Transfer { .. }, BankRet::Done))
    }

    fn heap_bytes(&self) -> usize {
        self.balances.len() * (size_of::<Value>() + size_of::<i128>())
    }

    fn describe_op(op: &BankOp) -> String {
        match op {
            BankOp::Transfer { from, to, amount } => format!("transfer {amount} from {from} to {to}"),
            BankOp::Read => String::from("read"),
        }
    }

    fn describe_ret(ret: &BankRet) -> String {
        match ret {
            BankRet::Done => String::from("ok"),
            BankRet::Balances(balances) => {
                words(balances.iter().map(|(account, balance)| (account, balance)))
            }
        }
    }

    fn describe_state(&self) -> String {
        let words = words(self.balances.iter());
        if self.is_open {
            words
        } else {
            format!("what it held at the beginning and {words}")
        }
    }
}

fn words<'a>(balances: impl Iterator<Item = (&'a Value, &'a i128)>) -> String {
    let (mut total, mut held) = (0, Vec::new());
    for (account, balance) in balances {
        total += balance;
        held.push(format!("{account}: {balance}"));
    }
    format!("{{{}}}, in total {total}", held.join(", "))
}

impl Vocabulary for Bank {
    const NAME: &'static str = "bank";

    fn initial(init: Option<&Value>) -> Result<Self, String> {
        let mut bank = Bank::default();
        if let Some(init) = init {
            bank.balances = balances(init, "a bank begins with")?.into_iter().collect();
            bank.is_open = true;
        }
        Ok(bank)
    }

    fn call(call: &Call, dialect: Dialect) -> Result<Meaning<Self>, String> {
        let op = match &*call.f {
            "transfer" => transfer(&call.argument)?,
            "read" => BankOp::Read,
            other => return Err(unknown_operation(Self::NAME, other, &["transfer", "read"])),
        };
        Ok(match (call.end, &op) {
            (End::Fail, _) | (End::Info, BankOp::Read) => None,
            (End::Info, BankOp::Transfer { .. }) => Some((op, None)),
            // It was refused, and says so.
            (End::Ok, BankOp::Transfer { .. }) if call.result.as_bool() == Some(false) => None,
            (End::Ok, BankOp::Transfer { .. }) => Some((op, Some(BankRet::Done))),
            (End::Ok, BankOp::Read) if call.result.is_null() && dialect.nil_says_nothing() => None,
            (End::Ok, BankOp::Read) => {
                let balances = balances(&call.result, "a read of a bank returns")?;
                Some((op, Some(BankRet::Balances(balances))))
            }
        })
    }
}

fn transfer(value: &Value) -> Result<BankOp, String> {
    let wrong = || format!("a transfer is a map {{from: a, to: b, amount: n}}, not {value}");
    let Value::Map(fields) = value else {
        return Err(wrong());
    };
    let field = |name: &str| {
        let field = fields.iter().find(|(key, _)| key.as_name() == Some(name));
        field.map(|(_, value)| value).ok_or_else(wrong)
    };
    Ok(BankOp::Transfer {
        from: field("from")?.clone(),
        to: field("to")?.clone(),
        amount: field("amount")?.as_int().ok_or_else(wrong)?,
    })
}

/// Balances in the order of the accounts, those of zero left out.
fn balances(value: &Value, what: &str) -> Result<Vec<(Value, i128)>, String> {
    let wrong = || format!("{what} a map of accounts and whole numbers, not {value}");
    let Value::Map(accounts) = value else {
        return Err(wrong());
    };
    let mut balances: Vec<(Value, i128)> = Vec::new();
    for (account, balance) in accounts {
        let balance = balance.as_int().ok_or_else(wrong)?;
        if balances.last().is_some_and(|(last, _)| last == account) {
            return Err(format!("{what} each account once, not {value}"));
        }
        if balance != 0 {
            balances.push((account.clone(), i128::from(balance)));
        }
    }
    Ok(balances)
}
