//! etcd, asked over its JSON gateway: its errors come in words there, and the words decide what is definite.
//!
//! Reads are linearizable ones. Members ask each other through proxies of the harness, which they are told of as any program is, by
//! `HTTP_PROXY`.

mod answer;
mod launch;
mod operations;
mod request;
mod session;

pub(crate) use launch::Launch;

use super::profile::{Packaged, all_workloads};
use super::{Adapter, ETCD_HINT, Later, Place, Profile, Session, SystemError, Tells};
use crate::cluster::Reach;
use crate::nemesis::Kind;
use crate::node_number::NodeNumber;
use session::EtcdSession;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How often a leader lets itself be heard.
const HEARTBEAT: Duration = Duration::from_millis(50);
/// After how long without a leader there is an election: a few times in each fault.
const ELECTION: Duration = Duration::from_millis(500);

/// Not its clocks: a program in Go asks the kernel what time it is, and nobody in between.
const NEMESES: [Kind; 10] = [
    Kind::Kill,
    Kind::Pause,
    Kind::Partition,
    Kind::Slow,
    Kind::Flaky,
    Kind::Power,
    Kind::CrashPoint,
    Kind::Full,
    Kind::IoError,
    Kind::Stall,
];

/// Which node has which member id, as far as they have told.
type MemberIds = Arc<Mutex<BTreeMap<u64, NodeNumber>>>;

/// etcd whose program is there.
#[derive(Debug)]
pub(super) struct Etcd {
    profile: Profile,
    members: MemberIds,
}

impl Etcd {
    pub(super) fn find() -> Result<Etcd, SystemError> {
        let packaged = Packaged {
            program: "etcd",
            hint: ETCD_HINT,
            version_prefix: "etcd Version: ",
        };
        let (program, version) = packaged.find()?;
        Ok(Etcd {
            profile: Profile {
                program,
                version,
                workloads: all_workloads(),
                nemeses: NEMESES.to_vec(),
                reach: Reach::Proxies,
                tells: Tells::Progress,
                elects: true,
            },
            members: MemberIds::default(),
        })
    }
}

impl Adapter for Etcd {
    fn profile(&self) -> &Profile {
        &self.profile
    }

    fn command(&self, node: NodeNumber, places: &[Place]) -> Command {
        let member = super::place::index(node, places);
        let peers: Vec<SocketAddr> = places.iter().map(Place::alias).collect();
        let mut command = Launch {
            program: &self.profile.program,
            member,
            peers: &peers,
            listen: places[member].peer(),
            client: places[member].client(),
            data: &places[member].data,
            token: "harness",
            heartbeat: HEARTBEAT,
            election: ELECTION,
        }
        .command();
        for other in ["http_proxy", "NO_PROXY", "no_proxy"] {
            command.env_remove(other);
        }
        if let Some(proxy) = places[member].proxy {
            command.env("HTTP_PROXY", format!("http://{proxy}"));
        }
        command
    }

    fn dial<'a>(
        &'a self,
        node: NodeNumber,
        places: &'a [Place],
    ) -> Later<'a, Result<Box<dyn Session>, String>> {
        Box::pin(async move {
            let address = places[super::place::index(node, places)].client();
            let session = EtcdSession::open(node, address, Arc::clone(&self.members)).await?;
            Ok(Box::new(session) as Box<dyn Session>)
        })
    }
}

#[cfg(test)]
mod tests;
