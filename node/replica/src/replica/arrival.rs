//! Snapshots that travel: pieces that go out to followers, and pieces that come from the leader, until the whole is in the place of the log.

use super::{Outbox, Replica};
use crate::disk::Disk;
use crate::snapshot::Stored;
use crate::transfer::{Arrived, CheckError, Incoming, Pieces};
use bytes::Bytes;
use raft::{Envelope, LogPosition, Logger, NodeId, SnapshotMeta, SnapshotStatus};
use wire::peer::Packet;

impl<D: Disk, L: Logger> Replica<D, L> {
    /// The leader has a snapshot for this node: asks for its file.
    pub(super) fn snapshot_is_offered(&mut self, offer: Envelope<Bytes>, meta: &SnapshotMeta) {
        // There is room for one that arrives or one that is taken, and the leader's has more.
        let given_up = self.give_own_snapshot_up();
        let disk = self.node.storage_mut().disk_mut();
        let offered = given_up.and_then(|()| Incoming::offered(disk, self.incoming.take(), offer, meta));
        match offered {
            Ok(incoming) => {
                self.parcels.push((incoming.leader(), incoming.wants()));
                self.incoming = Some(incoming);
            }
            Err(error) => self.failure = Some(error),
        }
    }

    pub(super) fn piece_came(&mut self, from: NodeId, piece: (LogPosition, u64, u64), bytes: &[u8]) {
        let Some(incoming) = self
            .incoming
            .as_mut()
            .filter(|incoming| incoming.leader() == from)
        else {
            return;
        };
        let disk = self.node.storage_mut().disk_mut();
        let whole = match incoming.take(disk, piece, bytes) {
            Ok(whole) => whole,
            Err(error) => {
                self.failure = Some(error);
                return;
            }
        };
        self.parcels.push((from, incoming.wants()));
        let Some(incoming) = self.incoming.take_if(|_| whole) else {
            return;
        };
        self.snapshot_came(incoming);
    }

    /// All of a snapshot is there: the core may put it in the place of the log, if it is what was offered and still needed.
    fn snapshot_came(&mut self, incoming: Incoming) {
        let needed = incoming
            .meta()
            .is_some_and(|meta| self.node.raft().lacks(incoming.offer().term, meta));
        let (from, last) = (incoming.leader(), incoming.last());
        let disk = self.node.storage_mut().disk_mut();
        let result = if needed {
            incoming.check(disk)
        } else {
            incoming.give_up(disk)
        };
        match result {
            Ok((offer, arrived)) => {
                self.arrived.extend(arrived);
                self.node.step(offer);
            }
            // The leader will hear that this node lacks it still, and send it again.
            Err(CheckError::Damaged) => self.node.report_damaged_snapshot(last, Some(from)),
            Err(CheckError::Disk(error)) => self.failure = Some(error),
        }
    }

    /// Tells the core what became of the snapshots that it had carried over.
    pub(super) fn report_snapshots(&mut self) {
        let (given_up, delivered) = self.carrier.take_outcomes();
        for node in given_up {
            self.node.report_snapshot(node, SnapshotStatus::Failed);
        }
        for node in delivered {
            self.node.report_snapshot(node, SnapshotStatus::Delivered);
        }
    }

    pub(super) fn send_parcels(&mut self, out: &mut Outbox) {
        let from = self.node.raft().id();
        match self.carrier.pieces(self.node.raft().storage().disk()) {
            Ok(Pieces { parcels, damaged }) => {
                self.parcels.extend(parcels);
                if let Some(damaged) = damaged {
                    self.snapshot_is_damaged(&damaged);
                }
            }
            Err(error) => self.failure = Some(error),
        }
        let packets = self.parcels.drain(..);
        out.messages
            .extend(packets.map(|(to, parcel)| Packet::Parcel { from, to, parcel }));
    }

    /// A snapshot was to be carried over, and turns out to be damaged. If it is the latest, another one is taken, of the state in memory, as soon
    /// as that can be; until then there is none at hand.
    fn snapshot_is_damaged(&mut self, damaged: &Stored) {
        self.node.report_damaged_snapshot(damaged.meta.last, None);
        self.node.storage_mut().snapshot_is_damaged(damaged);
        self.report_snapshots();
    }

    /// The snapshot that the core has put in the place of its log; what arrived before it is needless.
    pub(super) fn take_arrived(&mut self, snapshot: Option<&SnapshotMeta>) -> Option<Arrived> {
        let snapshot = snapshot?;
        let place = self
            .arrived
            .iter()
            .position(|arrived| *arrived.stored.meta == *snapshot);
        let place = place.expect("the core is handed a snapshot when its file is there");
        let arrived = self.arrived.remove(place);
        let earlier = self.arrived.drain(..place);
        self.replaced.extend(earlier.map(|arrived| arrived.stored));
        Some(arrived)
    }
}
