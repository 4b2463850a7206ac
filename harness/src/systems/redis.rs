//! Redis: node 1 is the primary, the others replicate what it has done already.
//!
//! A write is acknowledged when it is on the primary's disk, and before any replica has it; a replica answers reads from what it has. So a
//! client of a replica may read what was overwritten long ago: the cluster is not linearizable, and is not meant to be.
//!
//! Reads are answered by the node that a client is pinned to. A write at a replica is refused, which is definite, and sent on to the primary.
//! Replicas reach the primary by links of the harness.

mod commands;
mod replication;
mod session;

use super::profile::{Packaged, all_workloads};
use super::{Adapter, Later, Place, Profile, REDIS_HINT, Session, SystemError, Tells};
use crate::cluster::Reach;
use crate::nemesis::Kind;
use crate::node_number::NodeNumber;
use commands::PRIMARY;
use session::RedisSession;
use std::net::SocketAddr;
use std::process::Command;

/// Has a server answer a write when it is durable, and write neither snapshots nor its log anew: both would fork.
pub(crate) const DURABLE: [&str; 8] = [
    "--appendonly",
    "yes",
    "--appendfsync",
    "always",
    "--save",
    "",
    "--auto-aof-rewrite-percentage",
    "0",
];

const NEMESES: [Kind; 11] = [
    Kind::Kill,
    Kind::Pause,
    Kind::Partition,
    Kind::Slow,
    Kind::Flaky,
    Kind::Clock,
    Kind::Power,
    Kind::CrashPoint,
    Kind::Full,
    Kind::IoError,
    Kind::Stall,
];

/// Redis whose program is there.
#[derive(Debug)]
pub(super) struct Redis {
    profile: Profile,
}

impl Redis {
    pub(super) fn find() -> Result<Redis, SystemError> {
        let packaged = Packaged {
            program: "redis-server",
            hint: REDIS_HINT,
            version_prefix: " v=",
        };
        let (program, version) = packaged.find()?;
        Ok(Redis {
            profile: Profile {
                program,
                version,
                workloads: all_workloads(),
                nemeses: NEMESES.to_vec(),
                reach: Reach::BothWays,
                tells: Tells::Progress,
                elects: false,
            },
        })
    }
}

impl Adapter for Redis {
    fn profile(&self) -> &Profile {
        &self.profile
    }

    fn command(&self, node: NodeNumber, places: &[Place]) -> Command {
        let place = &places[super::place::index(node, places)];
        let mut command = Command::new(&self.profile.program);
        command
            .args(["--bind", "127.0.0.1", "--port"])
            .arg(place.client().port().to_string())
            .arg("--dir")
            .arg(&place.data)
            .args(DURABLE)
            // A replica that comes back is not made to wait for others.
            .args(["--repl-diskless-sync-delay", "0"]);
        if let Some(primary) = place.link_to(PRIMARY) {
            command.args(["--replicaof", "127.0.0.1", &primary.port().to_string()]);
        }
        command
    }

    /// A replica asks as a client does.
    fn peer_address(&self, place: &Place) -> SocketAddr {
        place.client()
    }

    fn dial<'a>(
        &'a self,
        node: NodeNumber,
        places: &'a [Place],
    ) -> Later<'a, Result<Box<dyn Session>, String>> {
        Box::pin(async move {
            let address = places[super::place::index(node, places)].client();
            let session = RedisSession::open(node, places.len() - 1, address).await?;
            Ok(Box::new(session) as Box<dyn Session>)
        })
    }
}
