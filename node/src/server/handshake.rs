//! Whether a connection is accepted: the listener's half of the handshake, without its sockets.

use raft::NodeId;
use std::cell::RefCell;
use std::collections::BTreeMap;
use wire::limits::{ADDRESS_BYTES_MAX, CLUSTER_ID_BYTES_MAX};
use wire::{Hello, Refusal, Role, Welcome};

/// Whom this node takes for whom.
#[derive(Debug)]
pub(crate) struct Membership {
    pub(crate) id: NodeId,
    pub(crate) cluster_id: String,
    /// The identities of the members' data folders as first heard of, this node's own included. A member that isn't here was
    /// not heard of yet.
    incarnations: RefCell<BTreeMap<NodeId, Option<u128>>>,
}

/// Who was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Guest {
    Client,
    Peer { node: NodeId, client_address: String },
}

impl Membership {
    /// The cluster `cluster_id` of `members`, as `id` sees it.
    pub(crate) fn new(
        id: NodeId,
        incarnation: u128,
        cluster_id: String,
        members: impl Iterator<Item = NodeId>,
    ) -> Membership {
        let known = |member| (member, (member == id).then_some(incarnation));
        Membership {
            id,
            cluster_id,
            incarnations: RefCell::new(members.map(known).collect()),
        }
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
                client_address,
            } => self.judge_peer(node, to, incarnation, client_address)?,
        };
        let welcome = Welcome::Accepted {
            version,
            node: self.id.0,
            cluster_id: self.cluster_id.clone(),
        };
        Ok((welcome, guest))
    }

    fn judge_peer(
        &self,
        node: u64,
        to: u64,
        incarnation: u128,
        client_address: String,
    ) -> Result<Guest, Refusal> {
        if client_address.len() > ADDRESS_BYTES_MAX {
            return Err(Refusal::NotHello);
        }
        if NodeId(to) != self.id {
            return Err(Refusal::Node { actual: self.id.0 });
        }
        let mut incarnations = self.incarnations.borrow_mut();
        let known = incarnations
            .get_mut(&NodeId(node))
            .ok_or(Refusal::NotMember { node })?;
        // Whoever comes under this node's own id has a copy of its data folder, or was given a wrong id.
        let changed = known.is_some_and(|known| known != incarnation);
        if changed || NodeId(node) == self.id {
            return Err(Refusal::Incarnation { node });
        }
        *known = Some(incarnation);
        Ok(Guest::Peer {
            node: NodeId(node),
            client_address,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn membership() -> Membership {
        Membership::new(NodeId(1), 11, "c".to_string(), [NodeId(1), NodeId(2)].into_iter())
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

    fn peer(node: u64, to: u64, incarnation: u128) -> Hello {
        hello(Role::Peer {
            node,
            to,
            incarnation,
            client_address: "a:1".to_string(),
        })
    }

    fn judged(membership: &Membership, hello: &Hello) -> Result<Guest, Refusal> {
        membership.judge(&wire::encode(hello)).map(|(_, guest)| guest)
    }

    #[test]
    fn clients_and_members_are_accepted() {
        let membership = membership();
        assert_eq!(judged(&membership, &hello(Role::Client)), Ok(Guest::Client));
        let anywhere = Hello {
            cluster_id: String::new(),
            ..hello(Role::Client)
        };
        assert_eq!(judged(&membership, &anywhere), Ok(Guest::Client));
        let guest = Guest::Peer {
            node: NodeId(2),
            client_address: "a:1".to_string(),
        };
        assert_eq!(judged(&membership, &peer(2, 1, 5)), Ok(guest));
    }

    #[test]
    fn a_newer_dialler_is_answered_with_the_newest_version_in_common() {
        let newer = Hello {
            version_max: 9,
            ..hello(Role::Client)
        };
        let (welcome, _) = membership().judge(&wire::encode(&newer)).unwrap();
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
        let membership = membership();
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
                    version_min: 2,
                    version_max: 3,
                    ..hello(Role::Client)
                },
                Refusal::Version { min: 1, max: 1 },
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
                    ..peer(2, 1, 5)
                },
                Refusal::Cluster {
                    actual: "c".to_string(),
                },
            ),
            (peer(2, 3, 5), Refusal::Node { actual: 1 }),
            (peer(3, 1, 5), Refusal::NotMember { node: 3 }),
            (peer(1, 1, 11), Refusal::Incarnation { node: 1 }),
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
        let membership = membership();
        assert!(judged(&membership, &peer(2, 1, 5)).is_ok());
        assert!(judged(&membership, &peer(2, 1, 5)).is_ok());
        assert_eq!(
            judged(&membership, &peer(2, 1, 6)),
            Err(Refusal::Incarnation { node: 2 })
        );
    }
}
