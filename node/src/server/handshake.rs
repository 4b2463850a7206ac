//! Whether a connection is accepted: the listener's half of the handshake, without its sockets.
//!
//! Who is a member changes, and a node may be behind. What it goes by itself, the configuration in force here, decides about a dialler
//! only if the dialler does not go by a later one: otherwise a node that was away could not be helped by whoever has come since.

use raft::{Configuration, Index, NodeId};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use wire::limits::{ADDRESS_BYTES_MAX, CLUSTER_ID_BYTES_MAX};
use wire::record::Member;
use wire::{Hello, Refusal, Role, Welcome};

/// Whom this node takes for whom.
#[derive(Debug)]
pub(crate) struct Membership {
    pub(crate) id: NodeId,
    pub(crate) cluster_id: String,
    /// The identity of this node's data folder.
    pub(crate) incarnation: u128,
    /// Whether nodes are told apart by their data folders. They always are, but for a seeded bug.
    pub(crate) knows_folders: bool,
    known: RefCell<Known>,
}

/// What this node goes by.
#[derive(Debug, Default)]
struct Known {
    /// That of the applied state and those behind it, by index; the last is in force.
    configurations: Vec<(Index, Arc<Configuration>)>,
    /// The identities of members' data folders as first heard of, where no configuration has them yet.
    heard: BTreeMap<NodeId, u128>,
}

/// Who was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Guest {
    Client,
    Peer(Introduction),
}

/// What another node said of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Introduction {
    pub(crate) node: NodeId,
    /// The identity of its data folder.
    pub(crate) incarnation: u128,
    /// Where clients reach it.
    pub(crate) client_address: String,
    /// Where other nodes reach it, it says; may be empty.
    pub(crate) address: String,
    /// Where the configuration stands that it goes by.
    pub(crate) configuration: Index,
}

impl Membership {
    /// The cluster `cluster_id` as `id` sees it, whose data folder is `incarnation`. Nobody is a member before [`Membership::go_by`] says so.
    pub(crate) fn new(id: NodeId, cluster_id: String, incarnation: u128) -> Membership {
        Membership {
            id,
            cluster_id,
            incarnation,
            knows_folders: true,
            known: RefCell::default(),
        }
    }

    /// From here on these are the configurations that decide: that of the applied state and those behind it.
    pub(crate) fn go_by(&self, configurations: &[(Index, Arc<Configuration>)]) {
        let mut known = self.known.borrow_mut();
        known.configurations = configurations.to_vec();
        let Known {
            configurations,
            heard,
        } = &mut *known;
        let latest = configurations.last();
        // Whoever comes back under an id was not heard of before.
        heard.retain(|node, _| latest.is_some_and(|(_, latest)| latest.is_member(*node)));
    }

    /// Whether these are the configurations that decide.
    pub(crate) fn goes_by(&self, configurations: &[(Index, Arc<Configuration>)]) -> bool {
        let known = self.known.borrow();
        let same = |((at, one), (other_at, other)): (&(Index, _), &(Index, _))| {
            at == other_at && Arc::ptr_eq(one, other)
        };
        known.configurations.len() == configurations.len()
            && known.configurations.iter().zip(configurations).all(same)
    }

    /// Everybody who takes part in a configuration that decides, with what the latest of those says.
    pub(crate) fn members(&self) -> BTreeMap<NodeId, Member> {
        let known = self.known.borrow();
        let each = known.configurations.iter().flat_map(|(_, configuration)| {
            let members = configuration.members().iter();
            members.map(|node| (*node, Member::of(configuration, *node)))
        });
        each.collect()
    }

    /// Where the configuration in force stands.
    pub(crate) fn latest_index(&self) -> Index {
        self.known.borrow().latest_index()
    }

    /// The data folder of the member `node`, as the configuration has it, or as was first heard of.
    pub(crate) fn folder(&self, node: NodeId) -> Option<u128> {
        let known = self.known.borrow();
        let configured = known.member(node)?.incarnation;
        configured.or_else(|| known.heard.get(&node).copied())
    }

    /// Whether a node whose data folder is `known` can't be the one whose folder is `said`.
    fn is_another(&self, known: u128, said: u128) -> bool {
        self.knows_folders && known != said
    }

    /// What is answered to the payload of a connection's first frame, and who is on the other side.
    pub(crate) fn judge(&self, first_payload: &[u8]) -> Result<(Welcome, Guest), Refusal> {
        let hello: Hello = wire::decode(first_payload).map_err(|_| Refusal::NotHello)?;
        if hello.magic != wire::MAGIC || hello.cluster_id.len() > CLUSTER_ID_BYTES_MAX {
            return Err(Refusal::NotHello);
        }
        let version = hello.version_max.min(wire::VERSION_MAX);
        if version < hello.version_min.max(wire::VERSION_MIN) {
            return Err(Refusal::Version {
                min: wire::VERSION_MIN,
                max: wire::VERSION_MAX,
            });
        }
        let any_will_do = hello.role == Role::Client && hello.cluster_id.is_empty();
        if hello.cluster_id != self.cluster_id && !any_will_do {
            return Err(Refusal::Cluster {
                actual: self.cluster_id.clone(),
            });
        }
        let guest = match hello.role {
            Role::Client => Guest::Client,
            Role::Peer {
                node,
                to,
                incarnation,
                to_incarnation,
                client_address,
                address,
                configuration,
            } => {
                if client_address.len() > ADDRESS_BYTES_MAX || address.len() > ADDRESS_BYTES_MAX {
                    return Err(Refusal::NotHello);
                }
                if NodeId(to) != self.id {
                    return Err(Refusal::Node { actual: self.id.0 });
                }
                // What is said to a node that had promised something is not for one that knows nothing of that.
                let is_meant = to_incarnation.is_none_or(|known| !self.is_another(known, self.incarnation));
                if !is_meant && Index(configuration) >= self.latest_index() {
                    return Err(Refusal::Incarnation { node: self.id.0 });
                }
                let peer = Introduction {
                    node: NodeId(node),
                    incarnation,
                    client_address,
                    address,
                    configuration: Index(configuration),
                };
                self.judge_peer(&peer)?;
                Guest::Peer(peer)
            }
        };
        let welcome = Welcome::Accepted {
            version,
            node: self.id.0,
            cluster_id: self.cluster_id.clone(),
        };
        Ok((welcome, guest))
    }

    /// Whether what a peer said of itself still holds, as far as this node knows.
    pub(crate) fn judge_peer(&self, peer: &Introduction) -> Result<(), Refusal> {
        let node = peer.node.0;
        // Whoever comes under this node's own id has a copy of its data folder, or was given a wrong id.
        if peer.node == self.id {
            return Err(Refusal::Incarnation { node });
        }
        let mut known = self.known.borrow_mut();
        let latest = known.latest_index();
        match known.member(peer.node) {
            None => {
                let applied = known.configurations.first().map(|(index, _)| *index);
                let is_later = applied.is_none_or(|applied| peer.configuration > applied);
                is_later.then_some(()).ok_or(Refusal::NotMember { node })
            }
            Some(member) => {
                let folder = match member.incarnation {
                    Some(folder) => folder,
                    None => *known.heard.entry(peer.node).or_insert(peer.incarnation),
                };
                let may_be = !self.is_another(folder, peer.incarnation) || peer.configuration > latest;
                may_be.then_some(()).ok_or(Refusal::Incarnation { node })
            }
        }
    }
}

impl Known {
    fn latest_index(&self) -> Index {
        self.configurations.last().map_or(Index(0), |(index, _)| *index)
    }

    /// What the latest configuration says of `node` in which it takes part.
    fn member(&self, node: NodeId) -> Option<Member> {
        let mut configurations = self.configurations.iter().rev();
        let (_, configuration) = configurations.find(|(_, configuration)| configuration.is_member(node))?;
        Some(Member::of(configuration, node))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The folder of the node that judges.
    const OWN_FOLDER: u128 = 1;

    /// Where a configuration stands, its voters, and their folders.
    type Given<'a> = (u64, &'a [(u64, Option<u128>)]);

    /// Node 1 of the cluster `c`, which goes by these configurations.
    fn membership(configurations: &[Given<'_>]) -> Membership {
        let membership = Membership::new(NodeId(1), "c".to_string(), OWN_FOLDER);
        go_by(&membership, configurations);
        membership
    }

    fn go_by(membership: &Membership, configurations: &[Given<'_>]) {
        let configuration = |(index, members): &Given<'_>| {
            let contexts: Vec<_> = members
                .iter()
                .map(|(node, incarnation)| {
                    let member = Member {
                        incarnation: *incarnation,
                        ..Member::default()
                    };
                    (NodeId(*node), member.to_context())
                })
                .collect();
            let configuration = Configuration::of_voters(contexts.iter().map(|(node, _)| *node));
            let contexts = contexts.iter().map(|(node, context)| (*node, context));
            (Index(*index), Arc::new(configuration.with_contexts(contexts)))
        };
        let configurations: Vec<_> = configurations.iter().map(configuration).collect();
        membership.go_by(&configurations);
        assert!(membership.goes_by(&configurations));
    }

    fn two() -> Membership {
        membership(&[(0, &[(1, None), (2, None)])])
    }

    fn hello(role: Role) -> Hello {
        Hello {
            magic: wire::MAGIC,
            version_min: 1,
            version_max: 1,
            cluster_id: "c".to_string(),
            role,
        }
    }

    fn peer(node: u64, to: u64, incarnation: u128, configuration: u64) -> Hello {
        peer_that_means(None, node, to, incarnation, configuration)
    }

    /// One that knows the listener's folder, or doesn't.
    fn peer_that_means(
        to_incarnation: Option<u128>,
        node: u64,
        to: u64,
        incarnation: u128,
        configuration: u64,
    ) -> Hello {
        hello(Role::Peer {
            node,
            to,
            incarnation,
            to_incarnation,
            client_address: "a:1".to_string(),
            address: "b:1".to_string(),
            configuration,
        })
    }

    fn judged(membership: &Membership, hello: &Hello) -> Result<Guest, Refusal> {
        membership.judge(&wire::encode(hello)).map(|(_, guest)| guest)
    }

    #[test]
    fn clients_and_members_are_accepted() {
        let membership = two();
        assert_eq!(judged(&membership, &hello(Role::Client)), Ok(Guest::Client));
        let anywhere = Hello {
            cluster_id: String::new(),
            ..hello(Role::Client)
        };
        assert_eq!(judged(&membership, &anywhere), Ok(Guest::Client));
        let guest = Guest::Peer(Introduction {
            node: NodeId(2),
            incarnation: 5,
            client_address: "a:1".to_string(),
            address: "b:1".to_string(),
            configuration: Index(0),
        });
        assert_eq!(judged(&membership, &peer(2, 1, 5, 0)), Ok(guest));
    }

    #[test]
    fn a_newer_dialler_is_answered_with_the_newest_version_in_common() {
        let newer = Hello {
            version_max: 9,
            ..hello(Role::Client)
        };
        let (welcome, _) = two().judge(&wire::encode(&newer)).unwrap();
        assert!(matches!(
            welcome,
            Welcome::Accepted {
                version: wire::VERSION_MAX,
                node: 1,
                ..
            }
        ));
    }

    #[test]
    fn each_mismatch_is_refused_with_its_reason() {
        let membership = two();
        let cases = [
            (
                Hello {
                    magic: *b"GET ",
                    ..hello(Role::Client)
                },
                Refusal::NotHello,
            ),
            (
                Hello {
                    version_min: wire::VERSION_MAX + 1,
                    version_max: wire::VERSION_MAX + 2,
                    ..hello(Role::Client)
                },
                Refusal::Version {
                    min: wire::VERSION_MIN,
                    max: wire::VERSION_MAX,
                },
            ),
            (
                Hello {
                    cluster_id: "d".to_string(),
                    ..hello(Role::Client)
                },
                Refusal::Cluster {
                    actual: "c".to_string(),
                },
            ),
            (
                Hello {
                    cluster_id: String::new(),
                    ..peer(2, 1, 5, 0)
                },
                Refusal::Cluster {
                    actual: "c".to_string(),
                },
            ),
            (peer(2, 3, 5, 0), Refusal::Node { actual: 1 }),
            (peer(3, 1, 5, 0), Refusal::NotMember { node: 3 }),
            (peer(1, 1, 11, 0), Refusal::Incarnation { node: 1 }),
        ];
        for (hello, refusal) in cases {
            assert_eq!(judged(&membership, &hello), Err(refusal), "{hello:?}");
        }
        assert_eq!(
            membership.judge(b"GET / HTTP/1.1").unwrap_err(),
            Refusal::NotHello
        );
    }

    #[test]
    fn a_peer_keeps_its_data_folder() {
        let refused = Err(Refusal::Incarnation { node: 2 });
        let recorded = membership(&[(0, &[(1, None), (2, Some(5))])]);
        for membership in [two(), recorded] {
            assert!(judged(&membership, &peer(2, 1, 5, 0)).is_ok());
            assert!(judged(&membership, &peer(2, 1, 5, 0)).is_ok());
            assert_eq!(judged(&membership, &peer(2, 1, 6, 0)), refused);
        }
    }

    #[test]
    fn one_that_means_a_folder_that_is_gone_is_refused_unless_it_is_behind() {
        let wiped = membership(&[(10, &[(1, None), (2, Some(5))])]);
        let means = |folder, configuration| peer_that_means(Some(folder), 2, 1, 5, configuration);
        assert!(judged(&wiped, &means(OWN_FOLDER, 10)).is_ok());
        let refused = Err(Refusal::Incarnation { node: 1 });
        for configuration in [10, 11] {
            assert_eq!(judged(&wiped, &means(9, configuration)), refused);
        }
        // It has yet to hear that this node was added anew.
        assert!(judged(&wiped, &means(9, 9)).is_ok());
    }

    #[test]
    fn the_folder_of_a_member_is_the_configured_one_or_else_the_first_that_was_heard_of() {
        let membership = membership(&[(0, &[(1, None), (2, None), (3, Some(7))])]);
        assert!(judged(&membership, &peer(2, 1, 5, 0)).is_ok());
        let folders = [2, 3, 4].map(|node| membership.folder(NodeId(node)));
        assert_eq!(folders, [Some(5), Some(7), None]);
    }

    #[test]
    fn one_that_was_removed_and_added_anew_may_have_another_folder() {
        let membership = two();
        assert!(judged(&membership, &peer(2, 1, 5, 0)).is_ok());
        go_by(&membership, &[(4, &[(1, None)])]);
        assert_eq!(
            judged(&membership, &peer(2, 1, 5, 0)),
            Err(Refusal::NotMember { node: 2 })
        );
        go_by(&membership, &[(4, &[(1, None)]), (5, &[(1, None), (2, None)])]);
        assert!(judged(&membership, &peer(2, 1, 6, 0)).is_ok());
    }

    #[test]
    fn a_node_that_is_behind_is_helped_by_those_who_came_since() {
        let behind = membership(&[(10, &[(1, None), (2, Some(5))])]);
        assert!(judged(&behind, &peer(3, 1, 7, 20)).is_ok());
        assert!(judged(&behind, &peer(2, 1, 6, 20)).is_ok());
        // One that goes by what this node goes by has nothing to tell it.
        assert!(judged(&behind, &peer(3, 1, 7, 10)).is_err());
        assert!(judged(&behind, &peer(2, 1, 6, 10)).is_err());
        let fresh = membership(&[(0, &[])]);
        assert!(judged(&fresh, &peer(3, 1, 7, 1)).is_ok());
    }

    #[test]
    fn a_leader_that_commits_its_own_removal_is_still_heard() {
        let (before, after): (&[_], &[_]) = (&[(1, None), (2, Some(5))], &[(1, None)]);
        let membership = membership(&[(10, before), (20, after)]);
        assert!(judged(&membership, &peer(2, 1, 5, 20)).is_ok());
        go_by(&membership, &[(20, after)]);
        assert!(judged(&membership, &peer(2, 1, 5, 20)).is_err());
    }
}
