//! A system's nodes at their places, and watching them.

use super::{Adapter, Place, Profile, Session, System, Tells};
use crate::cluster::node_client::{self, Kept};
use crate::cluster::{Folders, Links};
use crate::node_number::NodeNumber;
use std::io;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use wire::client::Status;

/// How long a node of another system may take to answer whether it serves, or how it is.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(1);

/// The nodes of another system: all that it takes to start them, and to ask them.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    adapter: Arc<dyn Adapter>,
    places: Arc<[Place]>,
}

impl Site {
    /// Places for nodes with these folders, from where they reach each other by `links`.
    ///
    /// # Errors
    /// The operating system has no ports, or the folders can't be made.
    pub(crate) fn new(
        adapter: Arc<dyn Adapter>,
        nodes: Vec<(NodeNumber, Folders)>,
        links: &Links,
    ) -> io::Result<Site> {
        let numbers: Vec<NodeNumber> = nodes.iter().map(|(node, _)| *node).collect();
        let places: io::Result<Vec<Place>> = nodes
            .into_iter()
            .map(|(node, folders)| {
                let mut place = Place::hold(node, &folders)?;
                place.link(&numbers, links);
                links.set_target(node, Some(adapter.peer_address(&place)));
                Ok(place)
            })
            .collect();
        Ok(Site {
            places: places?.into(),
            adapter,
        })
    }

    /// What is to be known of the system.
    pub(crate) fn profile(&self) -> &Profile {
        self.adapter.profile()
    }

    pub(super) fn adapter(&self) -> &dyn Adapter {
        self.adapter.as_ref()
    }

    /// Where clients reach a node while it is up.
    pub(crate) fn client_address(&self, node: NodeNumber) -> Option<SocketAddr> {
        let place = self.places.iter().find(|place| place.node == node);
        place.map(Place::client)
    }

    /// What starts a node.
    pub(crate) fn command(&self, node: NodeNumber) -> Command {
        self.adapter.command(node, &self.places)
    }

    /// A session with a node; why there is none, in words.
    pub(super) async fn dial(&self, node: NodeNumber) -> Result<Box<dyn Session>, String> {
        self.adapter.dial(node, &self.places).await
    }

    /// Whether a node serves, and those that depend on it.
    pub(crate) async fn serves(&self, node: NodeNumber) -> bool {
        let asking = async {
            match self.dial(node).await {
                Ok(mut session) => session.serves().await,
                Err(_) => false,
            }
        };
        let limit = self.adapter.dial_time_max(ANSWER_TIME_MAX);
        tokio::time::timeout(limit, asking).await.unwrap_or(false)
    }
}

/// Asks a node how it is, again and again.
pub(crate) enum Watcher {
    /// One of the project's own.
    Node(Kept),
    /// One of another system, on a session that is kept for the next time if all went well.
    Other(Site, Option<Box<dyn Session>>),
}

impl Watcher {
    /// A watcher of a node of the project's own, or of those at `site`.
    pub(crate) fn of(site: Option<Site>) -> Watcher {
        match site {
            None => Watcher::Node(None),
            Some(site) => Watcher::Other(site, None),
        }
    }

    /// How the node at `address` is; `None` if it does not say.
    pub(crate) async fn status(&mut self, node: NodeNumber, address: SocketAddr) -> Option<Status> {
        match self {
            Watcher::Node(kept) => node_client::status(node, address, kept).await,
            Watcher::Other(site, _) if site.profile().tells == Tells::Nothing => None,
            Watcher::Other(site, kept) => {
                let mut session = match kept.take() {
                    Some(session) => session,
                    None => {
                        let limit = site.adapter.dial_time_max(ANSWER_TIME_MAX);
                        let dialled = tokio::time::timeout(limit, site.dial(node)).await;
                        dialled.ok()?.ok()?
                    }
                };
                let status = tokio::time::timeout(ANSWER_TIME_MAX, session.status()).await;
                let status = status.ok()??;
                *kept = Some(session);
                Some(status)
            }
        }
    }
}

/// The nodes of `system` if that is another one than the project's own.
///
/// # Errors
/// As of [`Site::new`].
pub(crate) fn site_of(
    system: &System,
    nodes: Vec<(NodeNumber, Folders)>,
    links: &Links,
) -> io::Result<Option<Site>> {
    match system {
        System::Node(_) => Ok(None),
        System::Other(adapter) => Site::new(Arc::clone(adapter), nodes, links).map(Some),
    }
}
