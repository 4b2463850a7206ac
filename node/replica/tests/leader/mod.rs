//! A leader of three nodes over a disk that keeps nothing, for measuring what a command costs it.

use bytes::Bytes;
use raft::{Envelope, Message, NodeId, Silent};
use replica::{Disk, DiskError, FileId, Options, Outbox, Replica, Ticket};
use wire::peer::Packet;
use wire::record::{Command, Encoder};

/// A disk that takes everything and keeps nothing.
#[derive(Debug, Default)]
pub(crate) struct Void {
    files: usize,
}

impl Disk for Void {
    fn list(&self) -> Result<Vec<String>, DiskError> {
        Ok(Vec::new())
    }

    fn read_file(&self, _: &str) -> Result<Option<Vec<u8>>, DiskError> {
        Ok(None)
    }

    fn replace_file(&mut self, _: &str, _: &[u8]) -> Result<(), DiskError> {
        Ok(())
    }

    fn create(&mut self, _: &str, _: u64) -> Result<FileId, DiskError> {
        self.files += 1;
        Ok(FileId(self.files))
    }

    fn open(&mut self, _: &str) -> Result<(FileId, u64), DiskError> {
        unreachable!("there are no files at the start, and none is opened later")
    }

    fn rename(&mut self, _: FileId, _: &str) -> Result<(), DiskError> {
        Ok(())
    }

    fn remove(&mut self, _: &str) -> Result<(), DiskError> {
        Ok(())
    }

    fn read(&self, _: FileId, _: u64, _: &mut [u8]) -> Result<(), DiskError> {
        unreachable!("the end of the log is in memory")
    }

    fn write(&mut self, _: FileId, _: u64, _: &[u8]) -> Result<(), DiskError> {
        Ok(())
    }

    fn sync(&mut self, _: FileId) -> Result<(), DiskError> {
        Ok(())
    }
}

/// Node 1 of three, which leads; the others acknowledge what they are told to.
#[derive(Debug)]
pub(crate) struct Leader {
    node: Replica<Void, Silent>,
    out: Outbox,
    encoder: Encoder,
    tickets: u64,
    answered: usize,
}

impl Leader {
    /// It was elected, and its first entry is committed.
    pub(crate) fn elected() -> Leader {
        let voters = [1, 2, 3].map(NodeId).to_vec();
        let mut options = Options::new(NodeId(1), String::from("measured"), voters);
        // What is measured is a command, not a snapshot now and then.
        options.snapshot_log_bytes = u64::MAX;
        let mut leader = Leader {
            node: Replica::open(Void::default(), &options, Silent).expect("an empty disk is in order"),
            out: Outbox::default(),
            encoder: Encoder::default(),
            tickets: 0,
            answered: 0,
        };
        leader.node.campaign();
        leader.turn();
        let next_term = leader.node.core().raft().term().next();
        leader.hear(
            next_term,
            Message::PreVoteResponse {
                next_term,
                granted: true,
            },
        );
        leader.turn();
        let term = leader.node.core().raft().term();
        leader.hear(term, Message::VoteResponse { granted: true });
        leader.turn();
        leader.acknowledge();
        leader
    }

    /// Takes `commands` in at once, has them written and sent, and answers when one of the others has acknowledged them.
    pub(crate) fn commit(&mut self, commands: &[Command]) {
        for command in commands {
            self.tickets += 1;
            self.node
                .command(Ticket(self.tickets), self.encoder.encode(command));
        }
        let before = self.answered;
        self.turn();
        self.acknowledge();
        assert_eq!(
            self.answered - before,
            commands.len(),
            "all of them are committed"
        );
    }

    fn acknowledge(&mut self) {
        let raft = self.node.core().raft();
        let (term, matched) = (raft.term(), raft.last().index);
        self.hear(term, Message::AppendAccepted { matched });
        self.turn();
    }

    fn hear(&mut self, term: raft::Term, message: Message<Bytes>) {
        self.node.step(Packet::Message(Envelope {
            from: NodeId(2),
            to: NodeId(1),
            term,
            message,
        }));
    }

    fn turn(&mut self) {
        while self.node.has_work() {
            self.node.send(&mut self.out);
            self.node
                .apply(&mut self.out)
                .expect("what is committed is a command");
            self.node
                .carry_out(&mut self.out)
                .expect("the disk takes everything");
            self.out.messages.clear();
            self.answered += self
                .out
                .replies
                .drain(..)
                .filter(|(_, result)| result.is_ok())
                .count();
        }
    }
}

/// Puts of 256 bytes to different keys.
pub(crate) fn puts(count: u32) -> Vec<Command> {
    let put = |key: u32| Command::Put {
        key: Bytes::from(format!("key{key:06}")),
        value: Bytes::from(vec![7; 256]),
    };
    (0..count).map(put).collect()
}
