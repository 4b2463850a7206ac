//! The command line.

mod address;
mod config_file;
mod data;
mod json_help;
mod members_help;
mod serve;
mod ticks;
mod transactions_help;
mod usage;

pub(crate) use address::{Address, Members};
pub(crate) use data::DataCommand;
pub(crate) use json_help::JSON_HELP;
pub(crate) use members_help::MEMBERS_HELP;
pub(crate) use serve::{LogLevel, Scheduling, ServeArgs, Settings};
pub(crate) use transactions_help::TRANSACTIONS_HELP;
pub(crate) use usage::parse;

use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;
use std::time::Duration;
use wire::limits::CLUSTER_ID_BYTES_MAX;

/// A node of a small replicated key-value store, and the client for people.
#[derive(Debug, Parser)]
#[command(name = "node", version, disable_help_subcommand = true, max_term_width = 110)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs a node.
    ///
    /// When it serves, it prints one line to stdout: `ready` and a JSON object that says what was bound. Logs go to stderr.
    /// SIGTERM and SIGINT stop it.
    Serve(Box<ServeArgs>),
    #[command(flatten)]
    Data(DataCommand),
    /// Shows how each endpoint is.
    ///
    /// Every node answers from what it knows itself. Exits with 1 where an endpoint did not answer.
    Status {
        /// Print a JSON array instead of a table.
        ///
        /// It also says where each node's time went since it started; `node help json` has the fields.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        reach: ReachEach,
    },
    /// Shows who takes part, as the leader has it: voters and learners, where they are reached, and which data folder is whose.
    Members {
        /// Print a JSON array instead of a table; `node help json` has the fields.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        reach: Reach,
    },
    /// Adds nodes to the cluster.
    ///
    /// They are to run already, with `node serve --join`. Each is a learner first, which is sent everything and decides nothing, and votes
    /// as soon as it keeps up; several become voters at once. See `node help members`.
    Add {
        /// The nodes, and where the others reach them.
        #[arg(required = true, value_name = "ID=HOST:PORT", value_parser = Members::all_reachable)]
        nodes: Vec<Members>,
        /// Leave them as learners.
        #[arg(long, conflicts_with = "replacing")]
        learner: bool,
        /// Remove these nodes at the moment at which the new ones begin to vote.
        #[arg(long, value_name = "ID,…", value_delimiter = ',', value_parser = node_id)]
        replacing: Vec<u64>,
        /// How long to wait until they have caught up.
        #[arg(long, default_value = "10m", value_parser = positive_duration, value_name = "DURATION")]
        wait: Duration,
        #[command(flatten)]
        reach: Reach,
    },
    /// Removes nodes from the cluster; several at once.
    ///
    /// A node that was removed may be stopped, and its data folder deleted. The leader may be removed: it sees to that itself, and makes
    /// way for another.
    Remove {
        /// Their ids.
        #[arg(required = true, value_name = "ID", value_parser = node_id)]
        nodes: Vec<u64>,
        #[command(flatten)]
        reach: Reach,
    },
    /// Makes voters of learners that keep up; several at once.
    Promote {
        /// Their ids.
        #[arg(required = true, value_name = "ID", value_parser = node_id)]
        nodes: Vec<u64>,
        #[command(flatten)]
        reach: Reach,
    },
    /// Makes learners of voters; several at once.
    Demote {
        /// Their ids.
        #[arg(required = true, value_name = "ID", value_parser = node_id)]
        nodes: Vec<u64>,
        #[command(flatten)]
        reach: Reach,
    },
    /// Has the leader hand leadership over to another voter.
    ///
    /// Returns when that one leads. Commands are refused as busy meanwhile; where the other does not take over within an election
    /// time-out, all is as before.
    Transfer {
        /// Its id.
        #[arg(value_name = "ID", value_parser = node_id)]
        to: u64,
        #[command(flatten)]
        reach: Reach,
    },
    /// Has each of the endpoints take a snapshot now, and drop the log before it.
    ///
    /// Nodes do that by themselves when the log has grown by as much as the state holds; see the column SNAPSHOT of `node status`.
    Snapshot {
        #[command(flatten)]
        reach: ReachEach,
    },
    /// Looks at a node's write-ahead log and its snapshots.
    Wal {
        #[command(subcommand)]
        command: WalCommand,
    },
    /// Lets a node that is left of a cluster go on alone, when a majority is lost for good.
    ///
    /// The node must be stopped. It becomes the only member of a new cluster, with another id, so that members of the old one that come back
    /// are refused. Everything in its log counts from then on. What the lost nodes had beyond that is lost, acknowledged writes too; so
    /// take the node whose log ends last, as `node wal inspect` shows. While a majority can still be brought back, don't.
    Recover {
        /// The data folder.
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
        /// The name of the new cluster.
        #[arg(long, value_name = "NAME", value_parser = cluster_id)]
        cluster_id: String,
        /// Says that this is meant.
        #[arg(long)]
        force_new_cluster: bool,
    },
    /// Measures what this machine lets a commit cost at least.
    ///
    /// A sync of what a put takes in the log, round trips of clients and of nodes, and all of that as a commit must do it: a leader
    /// and a follower write at the same time, as two of three nodes must. With the node's own disk and connections, all on this
    /// machine, and without Raft.
    Probe {
        /// The folder on whose file system is written, in a folder of its own that is removed at the end.
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
        /// How long the value is, in bytes.
        #[arg(long, value_name = "BYTES", default_value = "256", value_parser = value_bytes)]
        value_size: usize,
        /// How often each is measured.
        #[arg(long, value_name = "N", default_value = "1000", value_parser = samples)]
        samples: usize,
        /// Print a JSON object, in one line.
        #[arg(long)]
        json: bool,
    },
    /// Prints the version of this program and of the protocol that it speaks.
    Version {
        /// Print a JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Explains a command, or a topic: `exit-codes`, `json`, `members`, `transactions`.
    Help {
        /// The command or topic; of one command under another, both: `wal inspect`.
        topic: Vec<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum WalCommand {
    /// Prints what the log and its snapshots hold, batch by batch, and checks that they hang together.
    ///
    /// Of a snapshot it shows the entry up to which it has the state, who takes part then, and what each of its parts has; and it checks each
    /// part's checksum, the order of the parts, and the hash of the whole state, for which it takes as much memory as a node does. Nothing is
    /// changed, and a node may be running on the folder. Exits with 1 where the log or a snapshot is corrupt, or where the log begins
    /// behind what the latest snapshot covers. What an interrupted write has left behind the last batch is no corruption, nor is a snapshot
    /// without an end that was being made or sent (`….part`).
    Inspect {
        /// The data folder.
        #[arg(value_name = "DIR")]
        folder: PathBuf,
        /// Print JSON lines.
        #[arg(long)]
        json: bool,
    },
}

/// How a client reaches the cluster.
#[derive(Clone, Debug, Args)]
pub(crate) struct Reach {
    /// Where nodes are reached: `HOST:PORT,…`.
    ///
    /// They are tried in turn; a node that does not lead says who does.
    #[arg(
        long,
        short,
        required = true,
        value_delimiter = ',',
        value_parser = endpoint,
        value_name = "HOST:PORT,…"
    )]
    pub(crate) endpoints: Vec<Address>,
    /// How long to try, all in all.
    #[arg(long, default_value = "5s", value_parser = positive_duration, value_name = "DURATION")]
    pub(crate) timeout: Duration,
}

/// How a client reaches nodes that it asks each for itself.
#[derive(Clone, Debug, Args)]
pub(crate) struct ReachEach {
    /// The nodes that are asked, each of them: `HOST:PORT,…`.
    #[arg(
        long,
        short,
        required = true,
        value_delimiter = ',',
        value_parser = endpoint,
        value_name = "HOST:PORT,…"
    )]
    pub(crate) endpoints: Vec<Address>,
    /// How long to wait for each of them.
    #[arg(long, default_value = "5s", value_parser = positive_duration, value_name = "DURATION")]
    pub(crate) timeout: Duration,
}

fn endpoint(text: &str) -> Result<Address, String> {
    text.parse().and_then(Address::reachable)
}

fn cluster_id(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > CLUSTER_ID_BYTES_MAX {
        return Err(format!("it must have 1 to {CLUSTER_ID_BYTES_MAX} bytes"));
    }
    Ok(text.to_string())
}

fn node_id(text: &str) -> Result<u64, String> {
    let id = text.parse().ok().filter(|id| *id >= 1);
    id.ok_or_else(|| "ids are whole numbers from 1 on".to_string())
}

/// The most samples of a probe.
const SAMPLES_MAX: usize = 1_000_000;

fn samples(text: &str) -> Result<usize, String> {
    within(text, 1, SAMPLES_MAX)
}

fn value_bytes(text: &str) -> Result<usize, String> {
    within(text, 0, wire::limits::VALUE_BYTES_MAX)
}

fn within(text: &str, least: usize, most: usize) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| format!("it must be a whole number from {least} to {most}"))
}

/// The longest duration that a flag takes. Not every longer one can be added to the present time.
const DURATION_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// A duration such as `10ms` or `5s`, above zero and of a day at most.
pub(crate) fn positive_duration(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if duration.is_zero() {
        return Err("it must be more than zero".to_string());
    }
    if duration > DURATION_MAX {
        return Err("it must be at most a day".to_string());
    }
    Ok(duration)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_of_the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn endpoints_are_said_to_be_tried_in_turn_where_one_of_them_is_enough() {
        let mut command = Cli::command();
        command.build();
        for (name, in_turn) in [
            ("status", false),
            ("snapshot", false),
            ("get", true),
            ("members", true),
        ] {
            let subcommand = command.find_subcommand_mut(name).expect("it is there");
            let help = subcommand.render_long_help().to_string();
            assert_eq!(help.contains("tried in turn"), in_turn, "{name}: {help}");
            assert_eq!(help.contains("each of them"), !in_turn, "{name}: {help}");
        }
    }

    #[test]
    fn durations_carry_a_unit_and_are_neither_zero_nor_endless() {
        assert_eq!(positive_duration("10ms"), Ok(Duration::from_millis(10)));
        assert!(positive_duration("0s").is_err());
        assert!(positive_duration("10").is_err());
        assert_eq!(positive_duration("1day"), Ok(DURATION_MAX));
        assert!(positive_duration("25h").is_err());
    }
}
