//! The loop: see the crate's documentation for its shape.

mod accept;
mod clients;
mod handshake;
mod inbox;
mod peers;
mod request;
mod shared;
mod status;

use crate::cli::Address;
use crate::disk::DataFolder;
use crate::logging::EventLog;
use clients::{Client, Places};
use handshake::Membership;
use inbox::{Inbox, Input};
use peers::Peers;
use raft::NodeId;
use replica::{Fatal, Outbox, Refusal, Replica, Ticket};
use request::Task;
use shared::Shared;
use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::time::MissedTickBehavior;
use wire::client::{Error, Leader, Reply, Request, Response};

/// How often the replica's wheel is turned before anybody else has a turn. It stands still after a few turns, but for a node that has
/// much to apply: one that starts again applies all of its log.
const WHEEL_TURNS_MAX: usize = 8;

/// What the server is given.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) id: NodeId,
    pub(crate) cluster_id: String,
    /// This node included.
    pub(crate) members: BTreeMap<NodeId, Address>,
    pub(crate) client_address: String,
    pub(crate) tick: Duration,
    pub(crate) replica: Replica<DataFolder, EventLog>,
    pub(crate) listener: TcpListener,
}

/// A node that serves.
#[derive(Debug)]
pub(crate) struct Server {
    shared: Rc<Shared>,
    replica: Replica<DataFolder, EventLog>,
    tick: Duration,
    /// Requests that the replica has and has not answered; as many as all clients together may have in flight.
    asked: HashMap<Ticket, (Rc<Client>, u64)>,
    last_ticket: u64,
    /// Clients that were answered since the last flush; one may be here several times.
    answered: Vec<Rc<Client>>,
    /// Empty between turns; kept for its memory.
    inputs: Vec<Input>,
    /// Empty between turns; kept for its memory.
    out: Outbox,
}

impl Server {
    /// Begins to accept and to dial. Must be called on the runtime's thread.
    pub(crate) fn begin(parts: Parts) -> Server {
        let Parts {
            id,
            cluster_id,
            mut members,
            client_address,
            tick,
            replica,
            listener,
        } = parts;
        let incarnation = replica.incarnation();
        let membership = Membership::new(id, incarnation, cluster_id, members.keys().copied());
        members.remove(&id);
        let shared = Rc::new(Shared {
            membership,
            client_address,
            incarnation,
            inbox: Inbox::default(),
            peers: Peers::new(members),
            clients: Places::default(),
        });
        tokio::task::spawn_local(accept::accept(listener, Rc::clone(&shared)));
        for peer in shared.peers.ids() {
            tokio::task::spawn_local(peers::keep_connected(Rc::clone(&shared), peer));
        }
        Server {
            shared,
            replica,
            tick,
            asked: HashMap::new(),
            last_ticket: 0,
            answered: Vec::new(),
            inputs: Vec::new(),
            out: Outbox::default(),
        }
    }

    /// Serves until `stop`, or until the node can't go on.
    pub(crate) async fn run(&mut self, stop: impl Future<Output = ()>) -> Result<(), Fatal> {
        let mut stop = std::pin::pin!(stop);
        let mut ticks = tokio::time::interval(self.tick);
        // A node that was stopped for a while has heard nobody meanwhile: it must not conclude from ticks that nobody spoke.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let shared = Rc::clone(&self.shared);
        loop {
            tokio::select! {
                biased;
                () = &mut stop => return Ok(()),
                _ = ticks.tick() => self.replica.tick(),
                () = shared.inbox.arrived() => {}
            }
            self.take_in();
            if !self.turn_wheel()? {
                self.shared.inbox.poke();
                // There is always something to do then: without this, nobody would read, no timer run and no signal be heard.
                tokio::task::yield_now().await;
            }
        }
    }

    /// Feeds the replica what came in.
    fn take_in(&mut self) {
        let mut inputs = std::mem::take(&mut self.inputs);
        self.shared.inbox.take(&mut inputs);
        for input in inputs.drain(..) {
            match input {
                Input::Request { client, request } => self.ask(client, request),
                Input::Packet(packet) => self.replica.step(packet),
                Input::Unreachable(node) => self.replica.unreachable(node),
            }
        }
        self.inputs = inputs;
    }

    fn ask(&mut self, client: Rc<Client>, Request { id, body }: Request) {
        match request::task(body) {
            Ok(Task::Read { key }) => {
                let ticket = self.ticket(client, id);
                self.replica.read(ticket, key);
            }
            Ok(Task::Write(command)) => {
                let ticket = self.ticket(client, id);
                self.replica.command(ticket, &command);
            }
            Ok(Task::Status) => {
                let own = &self.shared.membership;
                let status = status::to_wire(own.id, &own.cluster_id, self.replica.status());
                self.answer(client, id, Ok(Reply::Status(status)));
            }
            Err(error) => self.answer(client, id, Err(error)),
        }
    }

    fn ticket(&mut self, client: Rc<Client>, id: u64) -> Ticket {
        self.last_ticket += 1;
        let ticket = Ticket(self.last_ticket);
        self.asked.insert(ticket, (client, id));
        ticket
    }

    /// Carries out what the replica has to do, and passes on what comes of it. Returns whether nothing is left to do.
    fn turn_wheel(&mut self) -> Result<bool, Fatal> {
        for _ in 0..WHEEL_TURNS_MAX {
            if !self.replica.has_work() {
                self.flush_clients();
                return Ok(true);
            }
            self.replica.send(&mut self.out);
            self.pass_on();
            self.replica.carry_out(&mut self.out)?;
            self.pass_on();
        }
        Ok(false)
    }

    fn pass_on(&mut self) {
        for packet in self.out.messages.drain(..) {
            let to = packet.to();
            if !self.shared.peers.post(packet) {
                self.replica.unreachable(to);
            }
        }
        self.shared.peers.flush();
        let mut replies = std::mem::take(&mut self.out.replies);
        for (ticket, result) in replies.drain(..) {
            let (client, id) = self.asked.remove(&ticket).expect("a ticket is answered once");
            let result = match result {
                Ok(answer) => Ok(request::reply(answer)),
                Err(refusal) => Err(self.error(refusal)),
            };
            self.answer(client, id, result);
        }
        self.out.replies = replies;
        self.flush_clients();
    }

    fn answer(&mut self, client: Rc<Client>, id: u64, result: Result<Reply, Error>) {
        client.answer(Response { id, result });
        self.answered.push(client);
    }

    fn flush_clients(&mut self) {
        for client in self.answered.drain(..) {
            client.flush();
        }
    }

    fn error(&self, refusal: Refusal) -> Error {
        match refusal {
            Refusal::NotLeader { leader } => Error::NotLeader {
                leader: leader.map(|node| Leader {
                    node: node.0,
                    client_address: self.client_address(node),
                }),
            },
            Refusal::LeadershipLost => Error::LeadershipLost,
            Refusal::ReadAborted => Error::ReadAborted,
            Refusal::Busy => Error::Busy,
        }
    }

    fn client_address(&self, node: NodeId) -> String {
        if node == self.shared.membership.id {
            self.shared.client_address.clone()
        } else {
            self.shared.peers.client_address(node)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use replica::Options;
    use std::path::Path;
    use wire::record::Command;

    fn replica(data: &Path, apply_bytes_max: usize) -> Replica<DataFolder, EventLog> {
        let disk = DataFolder::lock(data).unwrap();
        let mut options = Options::new(NodeId(1), "test".to_string(), vec![NodeId(1)]);
        options.raft.apply_bytes_max = apply_bytes_max;
        Replica::open(disk, &options, EventLog).unwrap()
    }

    /// Leaves a log of `commands` commands that are known to be committed.
    fn write_log(data: &Path, commands: u64) {
        let mut replica = replica(data, usize::MAX);
        let mut out = Outbox::default();
        let mut turn = |replica: &mut Replica<DataFolder, EventLog>| {
            while replica.has_work() {
                replica.send(&mut out);
                replica.carry_out(&mut out).unwrap();
            }
        };
        replica.campaign();
        turn(&mut replica);
        for number in 0..commands {
            let key = Bytes::copy_from_slice(&number.to_be_bytes());
            replica.command(Ticket(number), &Command::Delete { key });
        }
        turn(&mut replica);
        // What is committed is written with the next entry.
        replica.command(Ticket(commands), &Command::Delete { key: Bytes::new() });
        turn(&mut replica);
    }

    #[test]
    fn others_have_their_turn_while_a_long_log_is_applied() {
        const TURNS: u64 = 20;
        let dir = tempfile::tempdir().unwrap();
        write_log(dir.path(), 1000);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build_local(tokio::runtime::LocalOptions::default())
            .unwrap();
        let status = runtime.block_on(async {
            let mut server = Server::begin(Parts {
                id: NodeId(1),
                cluster_id: "test".to_string(),
                members: BTreeMap::from([(NodeId(1), "127.0.0.1:1".parse().unwrap())]),
                client_address: String::new(),
                tick: Duration::from_secs(3600),
                // An entry a turn.
                replica: replica(dir.path(), 1),
                listener: TcpListener::bind("127.0.0.1:0").await.unwrap(),
            });
            // Somebody else on this thread, who must have had some turns before the node is told to stop.
            let somebody = tokio::task::spawn_local(async {
                for _ in 0..TURNS {
                    tokio::task::yield_now().await;
                }
            });
            // The wheel is turned from the beginning, not from the first tick.
            server.shared.inbox.poke();
            server.run(async { somebody.await.unwrap() }).await.unwrap();
            server.replica.status()
        });
        assert!(status.commit_index.0 > 1000, "{status:?}");
        let applied = status.applied_index.0;
        assert!(
            applied <= 2 * TURNS * WHEEL_TURNS_MAX as u64,
            "{applied} were applied before somebody else had {TURNS} turns"
        );
    }
}
