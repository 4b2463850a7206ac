//! TiKV's `raft` crate on the same schedules, as an oracle.
//!
//! A schedule is a list of phases. A phase has its weather (links that are cut, double, reverse or delay what they carry; disks that complete
//! no writes) and things that are done in it: time-outs, commands, reads, changes of who takes part, transfers, snapshots, crashes. Then
//! leaders beat until nothing moves, and of every server the role, term, vote, leader, log, commit index and configuration are compared,
//! and the reads that were confirmed, at leaders and at followers. What is *said* is not: appends, probes and heartbeats differ by design.
//!
//! # Where the two differ, and why
//!
//! What differs by design is evened out where it arises, on TiKV's side and as narrowly as can be, so that everything behind it still counts:
//!
//! | here | there | evened out |
//! |---|---|---|
//! | a configuration is in force when it is in the log (Raft §6) | when it is applied | the configuration of what is committed is compared, and changes are made where quorums of before and after are in touch |
//! | a removed leader hands over | it goes on without progress of its own, and its crate's users are to prevent that | no leader removes itself |
//! | a server is no more sent anything from its removal on | until that is applied | who was removed is gone |
//! | several learners at once are added directly | any two changes make a joint configuration | such changes are left out |
//! | a change that changes nothing is refused | is accepted | left out |
//! | requests of an older term are answered, so that their sender learns of the new one (Raft §5.1, figure 2) | some are dropped | they are answered |
//! | a sticky follower refuses a pre-vote | is silent | it refuses |
//! | a pre-vote is for a term above the voter's | may be for the voter's own | that is refused |
//! | a pre-vote counts for the term that was asked about | for whichever is asked about now | late ones are dropped |
//! | a pre-candidate that gives its vote is a follower again | stays a pre-candidate | it is made one |
//! | a pre-candidate obeys its leader's TimeoutNow (dissertation §3.10) | ignores it | it hears from its leader first |
//! | votes are of logs only | they carry a commit index as well | that is taken out |
//! | what waits for the disk is dropped with its term | is sent | it is dropped |
//! | heartbeat answers, pre-votes and refusals promise nothing, and wait for no disk | everything that a follower says waits | they are sent at once |
//! | a candidate does not stand again before its candidacy is durable | it does | nobody's time-out passes meanwhile |
//! | the only voter leads when its vote is durable | at once | the only voter has a fast disk when it stands |
//! | a snapshot is that to which the log was compacted | its maker's choice: it has to name its receiver | made anew where the compacted one does not name the receiver |
//! | a transfer that is under way is not replaced by another | it is | no other one is begun |
//! | a read waits for the term's first commit | is dropped | every read that is open is asked for again with each heartbeat |
//! | a follower asks again about reads that nobody answered | leaves that to its users | asked for again, by the same name, likewise |
//! | a follower that does not hear its leader takes no reads in, and gives those up that it has | goes on asking | it refuses them, and forgets those that it has |
//! | reads end with the leadership that they were asked of; an older term's question is dropped | whoever leads next answers, also by way of who led before | the question carries its term, and what is confirmed of an older one is forgotten |
//! | a read waits for the round in flight | joins the queue with the index of when it came | compared where no other read was open at that leader |
//! | a follower is answered when it is known to hold what it must apply | at once | compared where its disk is not slow |
//! | a follower whose answer was lost is told the same again | another round is begun | compared in the phase in which it was asked |
//!
//! Where reads are not compared one by one, each must see, here and there, what anybody knew to be committed when it came in. In calm weather
//! none may be left open at who is in touch with its leader.
//!
//! What is durable of the commit index, and when followers learn of it, is nobody's promise: both sides remember what they applied, and it is
//! compared where a server and its leader hear each other.
//!
//! Where one message more or less decides (what a leader has sent when it is deposed or dies, what of a half-open link was delivered, what a
//! slow disk has taken in), no oracle can tell right from wrong: elections, transfers and crashes come to rest before the next thing is done,
//! links are cut both ways, no leader dies while another's slow disk lags, a leader brings its followers up to date before somebody with a
//! later term comes back or pre-votes that were asked for before come in, and what a crash leaves of writes lands only where it is the same
//! on both sides.

mod cluster;
mod compare;
mod disk;
mod ours;
mod party;
mod reads;
mod schedule;
mod theirs;

use crate::properties::quietly;
use compare::{Difference, Pair, Seen};
use schedule::{Schedule, shorten};
use std::ops::Range;

/// Schedules in a normal test run.
const SCHEDULES: u64 = 200;

/// A panic, on either side, is a difference like any other.
fn play(schedule: &Schedule) -> Result<Seen, Difference> {
    quietly(|| Pair::play(schedule)).unwrap_or_else(|panic| {
        Err(Difference {
            what: format!("a panic: {panic}"),
            story: String::new(),
        })
    })
}

fn assert_no_difference(seeds: Range<u64>) -> Seen {
    let mut seen = Seen::default();
    for seed in seeds {
        let schedule = Schedule::of_seed(seed);
        match play(&schedule) {
            Ok(more) => seen.add(more),
            Err(_) => {
                let schedule = shorten(schedule, |schedule| play(schedule).is_err());
                let Err(Difference { what, story }) = play(&schedule) else {
                    panic!("a shortened schedule still fails")
                };
                panic!(
                    "seed {seed} (RAFT_SEEDS={seed}..{} plays it again): {what}\n{story}\n{schedule:?}",
                    seed + 1
                );
            }
        }
    }
    seen
}

#[test]
fn both_implementations_agree_on_random_schedules() {
    let seen = assert_no_difference(0..SCHEDULES);
    println!("{seen:?}");
    // Schedules in which nothing happens would prove nothing.
    assert!(
        seen.phases as u64 >= 20 * SCHEDULES && seen.committed > 2 * SCHEDULES,
        "{seen:?}"
    );
    assert!(
        seen.reads > 500 && seen.reads_at_followers > 200 && seen.transfers > 50 && seen.compactions > 50,
        "{seen:?}"
    );
    assert!(seen.changes > 50 && seen.joint_changes > 10, "{seen:?}");
    assert!(seen.crashes_with_writes_pending > 10, "{seen:?}");
}

/// As many as one has patience for: `RAFT_SEEDS=0..100000 cargo test --release -p rustyraft-raft --test it -- --ignored both`.
#[test]
#[ignore = "for a long run"]
fn both_implementations_agree_on_schedules_of_given_seeds() {
    let seeds = std::env::var("RAFT_SEEDS").unwrap_or("0..10000".to_owned());
    let (from, to) = seeds.split_once("..").expect("RAFT_SEEDS is from..to");
    let number = |word: &str| word.parse::<u64>().expect("RAFT_SEEDS is two numbers");
    println!("{:?}", assert_no_difference(number(from)..number(to)));
}
