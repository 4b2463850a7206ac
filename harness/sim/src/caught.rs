//! Panics of production code, which are its way to say that its state contradicts itself: caught here, and told as broken promises.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    /// Whether a panic of this thread is caught here.
    static CATCHES: Cell<bool> = const { Cell::new(false) };
}

/// Runs production code; a panic comes back as its words. What it worked on is in no state to be used again.
///
/// Such a panic is not printed: a world that is made smaller has hundreds of them. Any other panic is told as ever, also by a thread
/// beside this one.
pub(crate) fn caught<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    hush();
    let outer = CATCHES.replace(true);
    let result = catch_unwind(AssertUnwindSafe(run));
    CATCHES.set(outer);
    result.map_err(|panic| words(&*panic))
}

/// The hook belongs to the whole process: it is set once, keeps the one before it, and asks the thread that panics.
fn hush() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let tell = take_hook();
        set_hook(Box::new(move |panic| {
            if !CATCHES.get() {
                tell(panic);
            }
        }));
    });
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| String::from(*text));
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| String::from("a panic without words"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_comes_back_as_its_words_and_what_follows_is_told_again() {
        assert_eq!(caught(|| 3), Ok(3));
        let term = 7;
        assert_eq!(
            caught(|| panic!("term {term} regresses")),
            Err::<(), _>(String::from("term 7 regresses"))
        );
        assert_eq!(
            caught(|| panic!("no votes")),
            Err::<(), _>(String::from("no votes"))
        );
        assert!(!CATCHES.get());
    }

    #[test]
    fn what_is_caught_within_what_is_caught_leaves_the_outer_one_quiet() {
        let quiet = caught(|| {
            assert!(caught(|| panic!("inside")).is_err());
            CATCHES.get()
        });
        assert_eq!(quiet, Ok(true));
    }
}
