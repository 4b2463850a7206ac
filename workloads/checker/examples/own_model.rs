//! A model of one's own: a dispenser of tickets, which hands out each number once, one after the other.
//!
//! ```text
//! cargo run -p rustyraft-checker --example own_model
//! ```

use checker::{Limits, Model, ObjectVerdict, Operation, SequentialSpec, check_object, explain};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Tickets {
    next: u64,
}

impl SequentialSpec for Tickets {
    type Op = &'static str;
    type Ret = u64;

    /// Whatever is asked, a ticket is drawn.
    fn invoke(&mut self, _: &Self::Op) -> u64 {
        self.next += 1;
        self.next - 1
    }
}

impl Model for Tickets {}

fn main() {
    // Times are in milliseconds here, and in nanoseconds for the checker.
    let draw = |process, ret, invoked: u64, returned: u64| {
        let (invoked, returned) = (invoked * 1_000_000, returned * 1_000_000);
        let (node, op) = (None, "draw");
        Operation::<Tickets> {
            process,
            node,
            op,
            ret,
            invoked,
            returned,
        }
    };
    let history = [
        draw(0, Some(1), 0, 3),
        draw(1, None, 1, 0), // Nobody learned what it drew, if it did.
        draw(2, Some(1), 5, 6),
    ];
    let (init, limits) = (Tickets { next: 1 }, Limits::default());
    if let ObjectVerdict::Violation { operation, states } = check_object(&init, &history, limits) {
        let found = explain(&init, "the dispenser", &history, operation, &states, &[], limits);
        println!("{}", found.text);
    } else {
        println!("some order explains it, or it could not be told");
    }
}
