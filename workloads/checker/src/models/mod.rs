//! The objects that histories are held against.

mod register;

pub use register::{CasRegister, RegisterOp, RegisterRet};
