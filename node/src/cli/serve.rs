//! What `node serve` is told, by flags and by a file, and whether it can work.

use super::address::{Address, Members};
use super::ticks::{self, ElectionTicks};
use super::{config_file, positive_duration};
use crate::exit::Failure;
use clap::{Args, ValueEnum};
use raft::{NodeId, Timing};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;
use wire::limits::CLUSTER_ID_BYTES_MAX;

const TICK: Duration = Duration::from_millis(10);
const TICK_MAX: Duration = Duration::from_secs(10);
/// A node that looks for longer would hardly ever sleep: its clock ticks.
const SPIN_MAX: Duration = Duration::from_millis(10);
const SESSION_LIFETIME: Duration = Duration::from_secs(60 * 60);
const SESSION_LIFETIME_MIN: Duration = Duration::from_secs(1);
/// Least and most of both sizes of the log.
const LOG_BYTES: std::ops::RangeInclusive<u64> = 64 << 10..=1 << 30;

/// The flags of `node serve`; also, but for `--config`, the keys of its configuration file.
#[derive(Clone, Debug, Default, Args, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct ServeArgs {
    /// A TOML file that sets the same as the flags; flags win.
    ///
    /// Its keys are the flags' long names, its values what the flags take: `tick = "10ms"`, `cluster = "1=a:7001,2=b:7001"`.
    #[arg(long, value_name = "FILE")]
    #[serde(skip)]
    pub(crate) config: Option<PathBuf>,
    /// This node's id, from 1 on. Required.
    #[arg(long)]
    pub(crate) id: Option<u64>,
    /// The name of the cluster. Required.
    ///
    /// Nodes refuse connections that mean another cluster, and data folders that belong to one.
    #[arg(long, value_name = "NAME")]
    pub(crate) cluster_id: Option<String>,
    /// Where to listen, for clients and for the other nodes. Required.
    ///
    /// Port 0 takes a free one; the ready line says which. Other addresses than loopback need `--insecure`.
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) listen: Option<Address>,
    /// Where clients reach this node, if that is not where it listens.
    ///
    /// Other nodes name it to clients when this node leads.
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) client_address: Option<Address>,
    /// Founds a cluster: its members, this node included, and where the others reach them: `ID=HOST:PORT,…`. This or `--join` is required.
    ///
    /// It is only the beginning, for which all of them must be up once: a data folder knows better who takes part since, and where; see
    /// `node help members`.
    #[arg(long, value_name = "ID=HOST:PORT,…", conflicts_with = "join")]
    pub(crate) cluster: Option<Members>,
    /// Joins a cluster that is there: a node with a fresh data folder waits until `node add` names it, and founds nothing.
    #[arg(long)]
    pub(crate) join: bool,
    /// Where this node reaches others, if that is not where the configuration has them: `ID=HOST:PORT,…`.
    ///
    /// For nodes behind proxies or translated addresses, and such as will be added later, too. It concerns this node alone.
    #[arg(long, value_name = "ID=HOST:PORT,…")]
    pub(crate) peers: Option<Members>,
    /// Where monitoring systems ask how this node is: `GET /metrics`, in the text format of Prometheus [default: nowhere]
    ///
    /// Port 0 takes a free one; the ready line says which. Other addresses than loopback need `--insecure`.
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) metrics: Option<Address>,
    /// The data folder; made if there is none. Required.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// How long a tick of the protocol's clock is [default: 10ms]
    #[arg(long, value_name = "DURATION")]
    pub(crate) tick: Option<Period>,
    /// After how many ticks without a leader a node stands for election: drawn anew each time from MIN..MAX, both included
    /// [default: 15..30]
    #[arg(long, value_name = "MIN..MAX")]
    pub(crate) election_ticks: Option<ElectionTicks>,
    /// Every how many ticks a leader lets itself be heard; less than the MIN of `--election-ticks` [default: 4]
    #[arg(long, value_name = "TICKS")]
    pub(crate) heartbeat_ticks: Option<u32>,
    /// Decides the random election time-outs, together with the id [default: drawn at random]
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// Answer reads by leases: a leader that a majority has just heard from asks nobody. A setting of the cluster: give it to every node,
    /// or to none.
    ///
    /// It rests on clocks: if those of two nodes run apart by more than a tenth, a read may miss what was just written. A node that starts
    /// votes for nobody until the least election time-out has passed.
    #[arg(long)]
    pub(crate) lease_reads: bool,
    /// Answer reads while following, too, instead of naming the leader: the node asks the leader what it must have applied, and answers
    /// from its own state when it has. Such reads are linearizable like the leader's.
    ///
    /// It costs a message to the leader and back for all reads that come in at once, and takes the reading itself off the leader. The leader
    /// needs no setting for it.
    #[arg(long)]
    pub(crate) follower_reads: bool,
    /// How long to look whether something comes before the node sleeps, up to 10ms, or `never`; it uses all of a processor then that
    /// nobody else wants. One client alone gets its answers sooner [default: 50us after it did something, unless it owes clients answers]
    #[arg(long, value_name = "DURATION")]
    pub(crate) spin: Option<Spin>,
    /// How the node stands to whatever else the processors have to do [default: batch]
    #[arg(long, value_name = "POLICY")]
    pub(crate) scheduling: Option<Scheduling>,
    /// How long a client's session lives unused; from 1s to 1day [default: 1h]
    ///
    /// A setting of the cluster: give it to every node. Time is leaders' time, which stands still while nobody leads. Each session keeps the
    /// lifetime that it was opened with, whoever leads later; a command in a session that has expired is refused, and has no effect.
    #[arg(long, value_name = "DURATION")]
    pub(crate) session_lifetime: Option<Period>,
    /// How many bytes a segment of the log has; segments are made full of zeros, and used again [default: 33554432]
    #[arg(long, value_name = "BYTES")]
    pub(crate) segment_bytes: Option<u64>,
    /// By how many bytes the log grows before a snapshot is taken and what it covers is dropped; at least by as many as the state has
    /// [default: 33554432]
    #[arg(long, value_name = "BYTES")]
    pub(crate) snapshot_log_bytes: Option<u64>,
    /// Listen on other addresses than loopback. Connections are neither encrypted nor authenticated.
    #[arg(long)]
    pub(crate) insecure: bool,
    /// How much to log to stderr [default: info]
    #[arg(long, value_name = "LEVEL")]
    pub(crate) log_level: Option<LogLevel>,
    /// Seeds a bug into this node, for testing the tests.
    #[cfg(feature = "mutants")]
    #[arg(long, value_name = "NAME")]
    pub(crate) mutant: Option<String>,
}

/// How much is logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogLevel {
    /// What stops or endangers the node.
    Error,
    /// Also what someone should look into.
    Warn,
    /// Also elections and connections.
    #[default]
    Info,
    /// Also what helps to find a fault.
    Debug,
    /// Everything.
    Trace,
}

/// How the scheduler treats the node's threads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Scheduling {
    /// They take a processor from nobody who is at work, and find more to do at once when their turn comes: requests cost less. Only where
    /// the node was started with the ordinary policy.
    #[default]
    Batch,
    /// As the node was started.
    Inherit,
}

/// A duration above zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Period(pub(crate) Duration);

impl FromStr for Period {
    type Err = String;

    fn from_str(text: &str) -> Result<Period, String> {
        positive_duration(text).map(Period)
    }
}

impl TryFrom<String> for Period {
    type Error = String;

    fn try_from(text: String) -> Result<Period, String> {
        text.parse()
    }
}

/// How long a node looks whether something comes before it sleeps; nothing for `never`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Spin(pub(crate) Duration);

impl FromStr for Spin {
    type Err = String;

    fn from_str(text: &str) -> Result<Spin, String> {
        match text {
            "never" => Ok(Spin(Duration::ZERO)),
            _ => positive_duration(text)
                .map(Spin)
                .map_err(|reason| format!("{reason}; or `never`")),
        }
    }
}

impl TryFrom<String> for Spin {
    type Error = String;

    fn try_from(text: String) -> Result<Spin, String> {
        text.parse()
    }
}

/// What a node is to do: complete and consistent.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) id: NodeId,
    pub(crate) cluster_id: String,
    pub(crate) listen: SocketAddr,
    pub(crate) client_address: Option<Address>,
    pub(crate) metrics: Option<SocketAddr>,
    /// Whom the cluster begins with, this node included; nobody if it joins one.
    pub(crate) members: BTreeMap<NodeId, Address>,
    /// Where others are reached, whatever the configuration says.
    pub(crate) fixed_peers: BTreeMap<NodeId, Address>,
    pub(crate) data: PathBuf,
    pub(crate) tick: Duration,
    pub(crate) timing: Timing,
    pub(crate) seed: Option<u64>,
    pub(crate) session_lifetime: Duration,
    /// Both as the replica has it where `None`.
    pub(crate) segment_bytes: Option<u64>,
    pub(crate) snapshot_log_bytes: Option<u64>,
    /// For how long a leader that a majority has heard from answers reads by itself, if it does.
    pub(crate) lease: Option<Duration>,
    /// Whether it answers reads while it follows.
    pub(crate) follower_reads: bool,
    /// How long to look whether something comes before the node sleeps, if it was told.
    pub(crate) spin: Option<Duration>,
    pub(crate) scheduling: Scheduling,
    pub(crate) log_level: LogLevel,
    #[cfg(feature = "mutants")]
    pub(crate) mutant: Option<replica::Mutant>,
}

impl ServeArgs {
    /// These flags over the file that they name.
    pub(crate) fn settings(self) -> Result<Settings, Failure> {
        let file = match &self.config {
            Some(path) => config_file::read(path)?,
            None => ServeArgs::default(),
        };
        self.over(file).validated().map_err(Failure::Usage)
    }

    fn over(self, file: ServeArgs) -> ServeArgs {
        // Each excludes the other, so whoever gives one as a flag wants none of the file's.
        let (flags_found, flags_join) = (self.cluster.is_some(), self.join);
        ServeArgs {
            config: self.config,
            id: self.id.or(file.id),
            cluster_id: self.cluster_id.or(file.cluster_id),
            listen: self.listen.or(file.listen),
            client_address: self.client_address.or(file.client_address),
            cluster: self.cluster.or(file.cluster.filter(|_| !flags_join)),
            join: self.join || (file.join && !flags_found),
            peers: self.peers.or(file.peers),
            metrics: self.metrics.or(file.metrics),
            data: self.data.or(file.data),
            tick: self.tick.or(file.tick),
            election_ticks: self.election_ticks.or(file.election_ticks),
            heartbeat_ticks: self.heartbeat_ticks.or(file.heartbeat_ticks),
            seed: self.seed.or(file.seed),
            lease_reads: self.lease_reads || file.lease_reads,
            follower_reads: self.follower_reads || file.follower_reads,
            spin: self.spin.or(file.spin),
            scheduling: self.scheduling.or(file.scheduling),
            session_lifetime: self.session_lifetime.or(file.session_lifetime),
            segment_bytes: self.segment_bytes.or(file.segment_bytes),
            snapshot_log_bytes: self.snapshot_log_bytes.or(file.snapshot_log_bytes),
            insecure: self.insecure || file.insecure,
            log_level: self.log_level.or(file.log_level),
            #[cfg(feature = "mutants")]
            mutant: self.mutant.or(file.mutant),
        }
    }

    fn validated(self) -> Result<Settings, String> {
        let id = NodeId(given(self.id, "id")?);
        let cluster_id = given(self.cluster_id, "cluster-id")?;
        let listen = given(self.listen, "listen")?;
        let members = match &self.cluster {
            Some(_) if self.join => {
                return Err("--cluster founds a cluster and --join joins one: give one of them".to_string());
            }
            Some(Members(members)) => members.clone(),
            None if self.join => BTreeMap::new(),
            None => {
                return Err("--cluster or --join is missing; `node help serve` explains them".to_string());
            }
        };
        let data = given(self.data, "data")?;
        if id.0 == 0 {
            return Err("--id must be at least 1".to_string());
        }
        if cluster_id.is_empty() || cluster_id.len() > CLUSTER_ID_BYTES_MAX {
            return Err(format!(
                "--cluster-id must have 1 to {CLUSTER_ID_BYTES_MAX} bytes"
            ));
        }
        if !self.join && !members.contains_key(&id) {
            return Err(format!("--cluster does not name this node, {}", id.0));
        }
        for (flag, members) in [("cluster", &self.cluster), ("peers", &self.peers)] {
            let reachable = members
                .as_ref()
                .map(|members| members.reachable_for(Some(id)))
                .transpose();
            reachable.map_err(|reason| format!("--{flag} {reason}"))?;
        }
        let listen = resolve("listen", &listen)?;
        let metrics = self
            .metrics
            .map(|address| resolve("metrics", &address))
            .transpose()?;
        for (flag, address) in [("listen", Some(listen)), ("metrics", metrics)] {
            if let Some(address) = address.filter(|address| !address.ip().is_loopback() && !self.insecure) {
                return Err(format!(
                    "--{flag} {address} is not loopback, and connections are neither encrypted nor authenticated: \
                     say --insecure if that is meant"
                ));
            }
        }
        if listen.ip().is_unspecified() && self.client_address.is_none() {
            return Err(format!(
                "--listen {listen} is no address that clients can reach: give --client-address"
            ));
        }
        let client_address = self.client_address.map(Address::reachable).transpose();
        let client_address = client_address.map_err(|reason| format!("--client-address {reason}"))?;
        let tick = self.tick.map_or(TICK, |period| period.0);
        if tick < Duration::from_millis(1) || tick > TICK_MAX {
            return Err("--tick must be from 1ms to 10s".to_string());
        }
        let spin = self.spin.map(|Spin(longest)| longest);
        if spin.is_some_and(|longest| longest > SPIN_MAX) {
            return Err("--spin must be 10ms or less, or never".to_string());
        }
        let timing = ticks::timing(self.election_ticks, self.heartbeat_ticks)?;
        let session_lifetime = self.session_lifetime.map_or(SESSION_LIFETIME, |period| period.0);
        if session_lifetime < SESSION_LIFETIME_MIN {
            return Err("--session-lifetime must be from 1s to 1day".to_string());
        }
        for (flag, bytes) in [
            ("segment-bytes", self.segment_bytes),
            ("snapshot-log-bytes", self.snapshot_log_bytes),
        ] {
            let block = replica::BLOCK_BYTES as u64;
            if bytes.is_some_and(|bytes| !LOG_BYTES.contains(&bytes) || !bytes.is_multiple_of(block)) {
                let (least, most) = (LOG_BYTES.start(), LOG_BYTES.end());
                return Err(format!(
                    "--{flag} must be a multiple of {block} from {least} to {most}"
                ));
            }
        }
        Ok(Settings {
            id,
            cluster_id,
            listen,
            client_address,
            metrics,
            members,
            fixed_peers: self.peers.map_or_else(BTreeMap::new, |Members(peers)| peers),
            data,
            tick,
            timing,
            seed: self.seed,
            session_lifetime,
            segment_bytes: self.segment_bytes,
            snapshot_log_bytes: self.snapshot_log_bytes,
            lease: self.lease_reads.then(|| lease(tick, timing)),
            follower_reads: self.follower_reads,
            spin,
            scheduling: self.scheduling.unwrap_or_default(),
            log_level: self.log_level.unwrap_or_default(),
            #[cfg(feature = "mutants")]
            mutant: self.mutant.as_deref().map(mutant).transpose()?,
        })
    }
}

/// How long a lease is: as long as a follower certainly refuses other candidates, if its clock runs faster than the leader's by no more
/// than a tenth. It counts ticks, and one may come right behind a heartbeat.
fn lease(tick: Duration, timing: Timing) -> Duration {
    tick * (timing.election_ticks_min - 1) * 9 / 10
}

fn given<T>(value: Option<T>, flag: &str) -> Result<T, String> {
    value.ok_or_else(|| format!("--{flag} is missing; `node help serve` explains it"))
}

fn resolve(flag: &str, address: &Address) -> Result<SocketAddr, String> {
    let mut resolved = address
        .as_str()
        .to_socket_addrs()
        .map_err(|error| format!("--{flag} {address}: {error}"))?;
    resolved
        .next()
        .ok_or_else(|| format!("--{flag} {address}: the name has no address"))
}

#[cfg(feature = "mutants")]
fn mutant(name: &str) -> Result<replica::Mutant, String> {
    replica::Mutant::by_name(name).ok_or_else(|| {
        let known: Vec<&str> = replica::Mutant::all().map(|(known, _)| known).collect();
        format!("--mutant {name:?} is unknown; there are {}", known.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complete() -> ServeArgs {
        ServeArgs {
            id: Some(1),
            cluster_id: Some("c".to_string()),
            listen: Some("127.0.0.1:0".parse().unwrap()),
            cluster: Some("1=127.0.0.1:1,2=127.0.0.1:2".parse().unwrap()),
            data: Some(PathBuf::from("d")),
            ..ServeArgs::default()
        }
    }

    #[test]
    fn flags_win_over_the_file() {
        let flags = ServeArgs {
            seed: Some(5),
            ..complete()
        };
        let file = ServeArgs {
            seed: Some(6),
            heartbeat_ticks: Some(2),
            ..ServeArgs::default()
        };
        let settings = flags.over(file).validated().unwrap();
        assert_eq!((settings.seed, settings.timing.heartbeat_ticks), (Some(5), 2));
    }

    #[test]
    fn a_flag_that_excludes_what_the_file_says_wins() {
        let cluster = complete().cluster;
        let joining = ServeArgs {
            join: true,
            cluster: None,
            ..complete()
        };
        let only = |join, cluster: &Option<Members>| ServeArgs {
            join,
            cluster: cluster.clone(),
            ..ServeArgs::default()
        };
        let joins = joining.over(only(false, &cluster)).validated().unwrap();
        let founds = complete().over(only(true, &None)).validated().unwrap();
        assert_eq!((joins.members.len(), founds.members.len()), (0, 2));
        assert!(
            ServeArgs::default()
                .over(only(true, &cluster))
                .validated()
                .is_err()
        );
    }

    #[test]
    fn a_node_spins_for_a_while_or_never() {
        let parse = |text: &str| text.parse::<Spin>();
        assert_eq!(parse("never"), Ok(Spin(Duration::ZERO)));
        assert_eq!(parse("100us"), Ok(Spin(Duration::from_micros(100))));
        for wrong in ["0s", "", "100", "2days", "Never"] {
            let error = parse(wrong).unwrap_err();
            assert!(error.ends_with("; or `never`"), "{wrong}: {error}");
        }
        let spin = |spin| {
            let args = ServeArgs { spin, ..complete() };
            args.validated().unwrap().spin
        };
        assert_eq!(spin(None), None);
        assert_eq!(spin(Some(Spin(Duration::ZERO))), Some(Duration::ZERO));
    }

    #[test]
    fn a_lease_is_shorter_than_what_followers_promise() {
        assert_eq!(complete().validated().unwrap().lease, None);
        let args = ServeArgs {
            lease_reads: true,
            tick: Some(Period(Duration::from_millis(100))),
            election_ticks: Some(ElectionTicks { min: 11, max: 20 }),
            ..complete()
        };
        let lease = args.validated().unwrap().lease;
        assert_eq!(lease, Some(Duration::from_millis(900)));
    }

    #[test]
    fn each_mistake_has_its_line() {
        type Mistake = fn(&mut ServeArgs);
        let mistakes: [(Mistake, &str); 16] = [
            (|args| args.id = None, "--id is missing"),
            (|args| args.id = Some(0), "at least 1"),
            (|args| args.id = Some(3), "does not name this node"),
            (|args| args.cluster_id = Some(String::new()), "1 to 64 bytes"),
            (|args| args.cluster_id = Some("x".repeat(65)), "1 to 64 bytes"),
            (|args| args.data = None, "--data is missing"),
            (|args| args.listen = "192.0.2.1:1".parse().ok(), "--insecure"),
            (
                |args| args.metrics = "192.0.2.1:1".parse().ok(),
                "--metrics 192.0.2.1:1 is not",
            ),
            (
                |args| {
                    args.listen = "0.0.0.0:1".parse().ok();
                    args.insecure = true;
                },
                "--client-address",
            ),
            (
                |args| args.peers = "1=a:1,2=b:0".parse().ok(),
                "--peers \"b:0\": nobody is reached at port 0",
            ),
            (|args| args.heartbeat_ticks = Some(15), "--heartbeat-ticks 15"),
            (|args| args.tick = Some(Period(Duration::from_nanos(1))), "--tick"),
            (|args| args.spin = Some(Spin(Duration::from_secs(1))), "--spin"),
            (
                |args| args.session_lifetime = Some(Period(Duration::from_millis(999))),
                "--session-lifetime",
            ),
            (|args| args.segment_bytes = Some(65_535), "--segment-bytes"),
            (
                |args| args.snapshot_log_bytes = Some((1 << 30) + 1),
                "--snapshot-log-bytes must be a multiple of 4096 from 65536 to 1073741824",
            ),
        ];
        assert!(complete().validated().is_ok());
        for (mistake, part) in mistakes {
            let mut args = complete();
            mistake(&mut args);
            let error = args.validated().unwrap_err();
            assert!(error.contains(part), "{error:?} does not say {part:?}");
            assert!(!error.contains('\n'), "{error:?} is more than one line");
        }
    }
}
