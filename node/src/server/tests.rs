use super::*;
use crate::testing::block_on;
use bytes::Bytes;
use replica::Options;
use std::path::Path;
use wire::record::Command;

fn replica(data: &Path, apply_bytes_max: usize) -> Replica<DataFolder, EventLog> {
    let disk = DataFolder::lock(data).unwrap();
    let mut options = Options::new(NodeId(1), "test".to_string(), vec![NodeId(1)]);
    options.raft.apply_bytes_max = apply_bytes_max;
    Replica::open(disk, &options, EventLog::default()).unwrap()
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
        replica.command(Ticket(number), Command::Delete { key });
    }
    turn(&mut replica);
    // What is committed is written with the next entry.
    replica.command(Ticket(commands), Command::Delete { key: Bytes::new() });
    turn(&mut replica);
}

/// Serves `replica`, with nobody beside it.
async fn begin(replica: Replica<DataFolder, EventLog>) -> Server {
    Server::begin(Parts {
        id: NodeId(1),
        cluster_id: "test".to_string(),
        address: String::new(),
        fixed_peers: BTreeMap::new(),
        client_address: String::new(),
        tick: Duration::from_secs(3600),
        replica,
        disk_account: DiskAccount::default(),
        written: Arc::default(),
        spin: None,
        events: EventCounts::default(),
        capacity: Capacity::default(),
        metrics: None,
        listener: TcpListener::bind("127.0.0.1:0").await.unwrap(),
    })
}

#[test]
fn others_have_their_turn_while_a_long_log_is_applied() {
    const TURNS: u64 = 20;
    let dir = tempfile::tempdir().unwrap();
    write_log(dir.path(), 1000);
    let status = block_on(async {
        // An entry a turn.
        let mut server = begin(replica(dir.path(), 1)).await;
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

#[test]
fn what_came_is_taken_in_by_bounded_pieces_and_none_of_it_is_left() {
    let dir = tempfile::tempdir().unwrap();
    block_on(async {
        let mut server = begin(replica(dir.path(), usize::MAX)).await;
        let come = |server: &Server, count: usize| {
            for _ in 0..count {
                server.shared.inbox.push(Input::Unreachable(NodeId(9)), 0);
            }
        };
        come(&server, TAKEN_IN_MAX + 1);
        assert!(!server.take_in(), "there is one more");
        // They come while that one is left.
        come(&server, 2);
        assert!(!server.take_in(), "there are two more");
        assert!(server.take_in());
        assert!(server.inputs.is_empty() && server.shared.inbox.is_empty());
        come(&server, TAKEN_IN_MAX);
        assert!(server.take_in());
    });
}
