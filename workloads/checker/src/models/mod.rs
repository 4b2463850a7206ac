//! The objects that histories are held against.
//!
//! Those that hold values are generic over them: numbers (`CasRegister`, which is `CasRegister<u64>`) are fast, any
//! [`Value`](crate::history::Value) is possible.

mod bank;
mod container;
mod counter;
mod kv;
mod lock;
mod plain;
mod register;
mod set;
pub mod stateright;
mod store;
mod text;
mod unique_ids;

pub use bank::{Bank, BankOp, BankRet};
pub(crate) use container::compare_alike;
pub use container::{
    Container, ContainerOp, ContainerRet, Discipline, Fifo, FifoQueue, LeastFirst, Lifo, PriorityQueue,
    Stack, Unordered, UnorderedQueue,
};
pub use counter::{Counter, CounterOp, CounterRet};
pub use kv::{KvAppend, KvOp, KvRet};
pub use lock::{FencedLock, LockOp, LockRet, Mutex, MutexOp};
pub use plain::Register;
pub use register::{CasRegister, RegisterOp, RegisterRet};
pub use set::{Set, SetOp, SetRet};
pub use store::{Cells, ListAppend, Lists, MultiRegister, Registers, Store, StoreStep};
pub use text::{Piece, Text, Whole};
pub use unique_ids::{Generate, UniqueIds};
