//! stateright's tester as an oracle.

use checker::{Model, Operation};
use stateright::semantics::{ConsistencyTester as _, LinearizabilityTester};

/// Whether stateright finds an order.
pub(crate) fn has_order<M: Model>(init: &M, operations: &[Operation<M>]) -> bool {
    let mut events: Vec<(u64, bool, usize)> = Vec::new();
    for (place, operation) in operations.iter().enumerate() {
        events.push((operation.invoked, false, place));
        if operation.ret.is_some() {
            events.push((operation.returned, true, place));
        }
    }
    events.sort_unstable();
    let mut tester = LinearizabilityTester::new(init.clone());
    for (_, is_return, place) in events {
        let operation = &operations[place];
        let event = match &operation.ret {
            Some(ret) if is_return => tester.on_return(place, ret.clone()),
            Some(_) | None => tester.on_invoke(place, operation.op.clone()),
        };
        event.expect("an operation is invoked once, and then returns once");
    }
    tester.is_consistent()
}
