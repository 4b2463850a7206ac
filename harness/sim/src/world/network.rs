//! The links between nodes: each loses, doubles and delays messages by a stream of its own.

use super::{Event, World};
use crate::chance::odds;
use crate::options::{Blow, Broken, Invariant};
use crate::server::Input;
use bytes::Bytes;
use raft::NodeId;
use rand::RngExt;
use wire::peer::{Packet, Parcel};

impl World {
    pub(super) fn place(&self, id: NodeId) -> Result<usize, Broken> {
        let place = self.servers.iter().position(|server| server.id == id);
        place.ok_or_else(|| Broken {
            invariant: Invariant::Assertion,
            what: format!("a message is addressed to {id}, whom nobody knows"),
        })
    }

    /// Has the script tell of all that leaves at once, before it tells what becomes of each: there, all of it is on its way by then. The
    /// number of the first message; the others follow. Without a script there are none.
    pub(super) fn tell_sent(&mut self, from: usize, packets: &[Packet]) -> Result<Option<u64>, Broken> {
        let mut first = None;
        for packet in packets {
            if !self.script.is_on() {
                return Ok(None);
            }
            let to = self.place(packet.to())?;
            match packet {
                Packet::Message(_) => {
                    let number = self.script.sent(from, to);
                    first.get_or_insert(number);
                }
                Packet::Parcel { .. } => self.script.end("a snapshot is carried over"),
            }
        }
        Ok(first)
    }

    /// Sends what the script knows by the number `message`.
    pub(super) fn send(&mut self, from: usize, to: usize, packet: &Packet, message: u64) {
        let network = self.plan.network;
        let receiver = packet.to();
        let payload = wire::peer::Message::from(packet).to_payload();
        let random = &mut self.links[from][to];
        // As many draws whatever becomes of it.
        let (is_lost, is_doubled) = (odds(random, network.drop), odds(random, network.duplicate));
        let delays = [(); 2].map(|()| {
            let late = if odds(random, network.late) {
                random.random_range(0..=network.late_max)
            } else {
                0
            };
            random.random_range(network.delay_min..=network.delay_max) + late
        });
        if self.cuts[from][to] > 0 || is_lost {
            self.counts.lost += 1;
            self.script.taken("drop", from, to, message);
            return;
        }
        if self.servers[to].running().is_none() && self.links[from][to].random() {
            // A connection that breaks is noticed, sometimes.
            self.servers[from].post(Input::Unreachable(receiver));
        }
        let (copies, second) = if is_doubled {
            self.counts.duplicated += 1;
            (2, self.script.doubled(from, to, message))
        } else {
            (1, 0)
        };
        let slower = self.slow[from][to];
        // A script's copies are two new messages, the second of which is known here.
        let numbers = [if second > 0 { second - 1 } else { message }, second];
        for (delay, message) in delays.into_iter().zip(numbers).take(copies) {
            let payload = payload.clone();
            let event = Event::Deliver {
                from,
                to,
                payload,
                message,
            };
            self.schedule(delay + slower, event);
        }
    }

    pub(super) fn deliver(
        &mut self,
        from: usize,
        to: usize,
        payload: &Bytes,
        number: u64,
    ) -> Result<(), Broken> {
        if self.cuts[from][to] > 0 || self.servers[to].running().is_none() {
            self.counts.lost += 1;
            self.script.taken("drop", from, to, number);
            return Ok(());
        }
        let (sender, receiver) = (self.servers[from].id, self.servers[to].id);
        let message = Packet::from_payload(payload, sender, receiver).map_err(|error| Broken {
            invariant: Invariant::Assertion,
            what: format!("{sender} sent {receiver} a message that can't be decoded: {error}"),
        })?;
        self.counts.delivered += 1;
        // The payload begins with its checksum.
        let checksum = payload
            .iter()
            .take(4)
            .fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        self.story
            .note(self.now, &[1, to as u64, checksum], || message.to_string());
        if let Packet::Parcel {
            parcel: Parcel::Piece { .. },
            ..
        } = &message
        {
            self.may_die_in_install(to);
        }
        self.servers[to].post(Input::Packet {
            packet: message,
            from,
            message: number,
        });
        self.turn(to)
    }

    pub(crate) fn cut(&mut self, links: Vec<(usize, usize)>, lasts: u64) -> Blow {
        self.counts.cuts += links.len() as u64;
        for (from, to) in &links {
            self.cuts[*from][*to] += 1;
        }
        let ids = links
            .iter()
            .map(|(from, to)| (self.servers[*from].id.0, self.servers[*to].id.0));
        let blow = Blow::Cut(ids.collect());
        self.schedule(lasts, Event::Mend { links });
        blow
    }

    pub(crate) fn mend(&mut self, links: &[(usize, usize)]) {
        for (from, to) in links {
            // When faults are over, all links are mended at once.
            self.cuts[*from][*to] = self.cuts[*from][*to].saturating_sub(1);
        }
    }

    pub(crate) fn slow_down(&mut self, links: Vec<(usize, usize)>, by: u64, lasts: u64) {
        self.counts.slow_links += links.len() as u64;
        for (from, to) in &links {
            self.slow[*from][*to] += by;
        }
        self.schedule(lasts, Event::Quicken { links, by });
    }

    pub(crate) fn quicken(&mut self, links: &[(usize, usize)], by: u64) {
        for (from, to) in links {
            self.slow[*from][*to] = self.slow[*from][*to].saturating_sub(by);
        }
    }
}
