//! The commands that read and write what is stored.

use super::Reach;
use clap::Subcommand;
use std::ffi::OsString;

#[derive(Debug, Subcommand)]
pub(crate) enum DataCommand {
    /// Prints the value at a key.
    ///
    /// The read is linearizable. Exits with 1 where the key has no value, and where the value is a list: see `node items`.
    Get {
        /// The key.
        key: OsString,
        /// Print the bytes of a list, too.
        ///
        /// A value is a list if its bytes are one: before each item, its length in four bytes. No text is one; other bytes that begin with
        /// zeros may happen to be.
        #[arg(long)]
        raw: bool,
        #[command(flatten)]
        reach: Reach,
    },
    /// Writes a value.
    ///
    /// It is tried again until it is answered, and takes effect once. Exits with 2 where it was sent and no answer came in time.
    Put {
        /// The key.
        key: OsString,
        /// What it holds afterwards.
        #[arg(allow_negative_numbers = true)]
        value: OsString,
        #[command(flatten)]
        reach: Reach,
    },
    /// Writes a value if the key holds what is expected.
    ///
    /// Exits with 1 where it doesn't, and with 2 where it can't be known whether the write took effect.
    #[command(
        override_usage = "node cas [OPTIONS] --endpoints <HOST:PORT,…> <KEY> <EXPECTED> <NEW>\n       \
                                 node cas [OPTIONS] --endpoints <HOST:PORT,…> --absent <KEY> <NEW>"
    )]
    Cas {
        /// The key.
        key: OsString,
        /// What it must hold, unless `--absent`; then what it holds afterwards.
        #[arg(required = true, num_args = 1..=2, allow_negative_numbers = true, value_names = ["EXPECTED", "NEW"])]
        values: Vec<OsString>,
        /// Expect the key to have no value.
        #[arg(long)]
        absent: bool,
        #[command(flatten)]
        reach: Reach,
    },
    /// Removes a key.
    ///
    /// Exits with 1 where it had no value, and with 2 where it can't be known whether the removal took effect.
    Delete {
        /// The key.
        key: OsString,
        #[command(flatten)]
        reach: Reach,
    },
    /// Adds to the end of a value, and prints how many bytes it has then.
    ///
    /// A key without a value counts for an empty one. Exits with 1 where the value is a list: `node push` adds to that.
    Append {
        /// The key.
        key: OsString,
        /// What is added.
        #[arg(allow_negative_numbers = true)]
        suffix: OsString,
        #[command(flatten)]
        reach: Reach,
    },
    /// Adds to a number, and prints what it is then.
    ///
    /// A number is decimal digits, after a minus sign where it is negative, of 64 bits; a key without a value counts for 0. (`node add` adds
    /// nodes.) Exits with 1 where the value is no number, or the sum would not be one.
    Incr {
        /// The key.
        key: OsString,
        /// What is added; may be negative.
        #[arg(default_value = "1", allow_negative_numbers = true)]
        amount: i64,
        #[command(flatten)]
        reach: Reach,
    },
    /// Prints the items of a list, first to last, a line each.
    ///
    /// The read is linearizable. Exits with 1 where the key has no value, as when all items were taken, and where the value is no list.
    Items {
        /// The key.
        key: OsString,
        /// Print a JSON array, in one line: of texts, and of `{"hex":…}` where an item is none.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        reach: Reach,
    },
    /// Adds an item to the end of a list.
    ///
    /// A key without a value counts for an empty list. Exits with 1 where the value is no list.
    Push {
        /// The key.
        key: OsString,
        /// The item.
        #[arg(allow_negative_numbers = true)]
        item: OsString,
        /// Add it to the front instead.
        #[arg(long)]
        front: bool,
        #[command(flatten)]
        reach: Reach,
    },
    /// Takes the first item from a list, and prints it.
    ///
    /// Exits with 1 where there is none, and where the value is no list.
    Pop {
        /// The key.
        key: OsString,
        /// Take the last one instead.
        #[arg(long)]
        back: bool,
        #[command(flatten)]
        reach: Reach,
    },
    /// Does several things at once, or others if a condition does not hold.
    ///
    /// What each operation returned is printed in a line of its own, a list as a JSON array. Exits with 1 where a condition did not hold; what stands behind
    /// `--else` is done then. Exits with 1, too, where an operation can't be carried out; nothing is done then. See `node help transactions`.
    Txn {
        /// What must hold; several are given one by one, and all of them must: `holds KEY VALUE`, `differs KEY VALUE`, `absent KEY`, `present KEY`.
        #[arg(long = "if", value_name = "CONDITION")]
        conditions: Vec<OsString>,
        /// What is done then, in order: `put KEY VALUE`, `get KEY`, `delete KEY`, `append KEY SUFFIX`, `incr KEY AMOUNT`, `push KEY ITEM`,
        /// `push-front KEY ITEM`, `pop KEY`, `pop-back KEY`.
        #[arg(long, value_name = "OPERATION")]
        then: Vec<OsString>,
        /// What is done where a condition does not hold.
        #[arg(long = "else", value_name = "OPERATION")]
        otherwise: Vec<OsString>,
        #[command(flatten)]
        reach: Reach,
    },
}
