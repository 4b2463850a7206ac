//! Configurations and their quorums, compared with counting.

use super::*;
use alloc::string::ToString;
use alloc::vec;

fn nodes(ids: &[u64]) -> Vec<NodeId> {
    ids.iter().copied().map(NodeId).collect()
}

/// Every set of voters out of `0..count`, the empty one left out.
fn sets(count: u64) -> impl Iterator<Item = Vec<NodeId>> {
    (1..1_u64 << count).map(move |set| (0..count).filter(|id| set >> id & 1 == 1).map(NodeId).collect())
}

fn majority(voters: &[NodeId], set: u64) -> bool {
    2 * voters.iter().filter(|voter| set >> voter.0 & 1 == 1).count() > voters.len()
}

/// All pairs of configurations of up to four servers, and every set of servers, against counting.
#[test]
fn a_joint_quorum_is_a_majority_of_both_sides() {
    for voters in sets(4) {
        for outgoing in sets(4) {
            let parts = (voters.clone(), outgoing.clone());
            let joint = Configuration::from_parts(parts.0, parts.1, vec![], vec![]).unwrap();
            let alone = Configuration::of_voters(voters.clone());
            for set in 0..16_u64 {
                let is_in = |node: NodeId| set >> node.0 & 1 == 1;
                let both = majority(&voters, set) && majority(&outgoing, set);
                assert_eq!(joint.has_quorum(is_in), both, "{joint} {set:b}");
                assert_eq!(alone.has_quorum(is_in), majority(&voters, set), "{alone} {set:b}");
            }
        }
    }
}

#[test]
fn a_joint_index_is_the_highest_that_a_joint_quorum_has_reached() {
    for voters in sets(4) {
        for outgoing in sets(4) {
            let parts = (voters.clone(), outgoing);
            let joint = Configuration::from_parts(parts.0, parts.1, vec![], vec![]).unwrap();
            for code in 0..4_u64.pow(4) {
                let reached = |node: NodeId| Index(code / 4_u64.pow(u32::try_from(node.0).unwrap()) % 4);
                let by_search = (0..4)
                    .rev()
                    .map(Index)
                    .find(|index| joint.has_quorum(|node| reached(node) >= *index));
                assert_eq!(Some(joint.quorum_index(reached)), by_search, "{joint} {code}");
            }
        }
    }
}

#[test]
fn a_joint_election_is_won_lost_or_pending_as_every_completion_says() {
    for voters in sets(4) {
        for outgoing in sets(4) {
            let parts = (voters.clone(), outgoing);
            let joint = Configuration::from_parts(parts.0, parts.1, vec![], vec![]).unwrap();
            for code in 0..3_u64.pow(4) {
                let answer = |node: NodeId| match code / 3_u64.pow(u32::try_from(node.0).unwrap()) % 3 {
                    0 => None,
                    1 => Some(true),
                    _ => Some(false),
                };
                let best = joint.has_quorum(|node| answer(node) != Some(false));
                let worst = joint.has_quorum(|node| answer(node) == Some(true));
                let expected = match (best, worst) {
                    (_, true) => VoteResult::Won,
                    (false, false) => VoteResult::Lost,
                    (true, false) => VoteResult::Pending,
                };
                assert_eq!(joint.vote_result(answer), expected, "{joint} {code}");
            }
        }
    }
}

/// A server's part, where every part but two is one in a joint configuration.
#[derive(Clone, Copy, PartialEq)]
enum Part {
    Stranger,
    Joining,
    Staying,
    Leaving,
    Learner,
    LeavingToLearn,
}

const PARTS: [Part; 6] = [
    Part::Stranger,
    Part::Joining,
    Part::Staying,
    Part::Leaving,
    Part::Learner,
    Part::LeavingToLearn,
];

/// Every way in which five servers can have parts: learners, strangers, and those who leave count as what they are, and only as that, for
/// every set of servers that agrees.
#[test]
fn learners_and_strangers_count_for_nothing() {
    const SERVERS: u32 = 5;
    let mut looked_at = 0;
    for code in 0..6_u32.pow(SERVERS) {
        let part = |node: NodeId| PARTS[(code / 6_u32.pow(u32::try_from(node.0).unwrap()) % 6) as usize];
        let with = |parts: &[Part]| -> Vec<NodeId> {
            let servers = (0..u64::from(SERVERS)).map(NodeId);
            servers.filter(|node| parts.contains(&part(*node))).collect()
        };
        let voters = with(&[Part::Joining, Part::Staying]);
        let before = with(&[Part::Staying, Part::Leaving, Part::LeavingToLearn]);
        let is_joint = !before.is_empty() && before != voters;
        if voters.is_empty() || (!is_joint && before != voters) {
            continue;
        }
        let outgoing = if is_joint { before.clone() } else { Vec::new() };
        let learners = (with(&[Part::Learner]), with(&[Part::LeavingToLearn]));
        let configuration = Configuration::from_parts(voters.clone(), outgoing, learners.0, learners.1);
        let configuration = configuration.unwrap();
        for agree in 0..1_u64 << SERVERS {
            let agrees = |node: NodeId| agree >> node.0 & 1 == 1;
            let decides = majority(&voters, agree) && majority(&before, agree);
            let reached = |node| Index(u64::from(agrees(node)));
            let answer = |node| agrees(node).then_some(true);
            let all_said = |node| Some(agrees(node));
            let (undecided, decided) = if decides {
                (VoteResult::Won, VoteResult::Won)
            } else {
                (VoteResult::Pending, VoteResult::Lost)
            };
            assert_eq!(
                configuration.has_quorum(agrees),
                decides,
                "{configuration} {agree:b}"
            );
            assert_eq!(
                configuration.quorum_index(reached),
                Index(u64::from(decides)),
                "{configuration} {agree:b}"
            );
            assert_eq!(
                configuration.vote_result(answer),
                undecided,
                "{configuration} {agree:b}"
            );
            assert_eq!(
                configuration.vote_result(all_said),
                decided,
                "{configuration} {agree:b}"
            );
        }
        looked_at += 1;
    }
    assert!(looked_at > 5_000, "{looked_at}");
}

/// What a leader can do in one step, from every configuration of up to four voters: its quorums meet those before it.
#[test]
fn quorums_before_and_after_a_step_meet() {
    let meet = |one: &Configuration, next: &Configuration| {
        (0..16_u64).all(|set| {
            let (is_in, is_out) = (|n: NodeId| set >> n.0 & 1 == 1, |n: NodeId| set >> n.0 & 1 == 0);
            !(one.has_quorum(is_in) && next.has_quorum(is_out))
        })
    };
    let mut joint = 0;
    for before in sets(4).map(Configuration::of_voters) {
        for after in sets(4) {
            let comes = after.iter().filter(|node| !before.is_voter(**node));
            let goes = before.voters().iter().filter(|node| !after.contains(node));
            let changes: Vec<Change> = comes
                .map(|node| Change::AddVoter(*node))
                .chain(goes.map(|node| Change::Remove(*node)))
                .collect();
            let Ok(step) = before.changed(&changes) else {
                assert!(changes.is_empty(), "{before} {changes:?}");
                continue;
            };
            assert!(meet(&before, &step), "{before} → {step}");
            assert_eq!(step.is_joint(), changes.len() > 1, "{before} → {step}");
            if step.is_joint() {
                joint += 1;
                assert!(meet(&step, &step.left()), "{step} → {}", step.left());
            }
            assert_eq!(step.left().voters(), after);
        }
    }
    assert!(joint > 0);
}

#[test]
fn a_demoted_voter_learns_once_the_joint_configuration_is_left() {
    let before = Configuration::of_voters(nodes(&[1, 2, 3]));
    let changes = [Change::AddVoter(NodeId(4)), Change::AddLearner(NodeId(3))];
    let joint = before.changed(&changes).unwrap();
    assert_eq!(joint.to_string(), "1 2 4 & 1 2 3, then learners 3");
    assert_eq!(joint.left().to_string(), "1 2 4, learners 3");
    let alone = before.changed(&[Change::AddLearner(NodeId(3))]).unwrap();
    assert_eq!(alone.to_string(), "1 2, learners 3");
}

#[test]
fn a_members_context_stays_until_it_has_left() {
    let contexts = [1, 2, 3, 9].map(|id| (NodeId(id), Bytes::from(vec![u8::try_from(id).unwrap()])));
    let before = Configuration::of_voters(nodes(&[1, 2, 3]));
    let before = before.with_contexts(contexts.iter().map(|(node, context)| (*node, context)));
    assert_eq!(before.context(NodeId(9)), None, "it is no member");
    let changes = [Change::Remove(NodeId(3)), Change::AddVoter(NodeId(4))];
    let joint = before.changed(&changes).unwrap();
    assert_eq!(joint.context(NodeId(3)), Some(&contexts[2].1));
    let kept: Vec<NodeId> = joint.left().contexts().map(|(node, _)| node).collect();
    assert_eq!(kept, nodes(&[1, 2]));
    // One that comes back is not taken for the one that left.
    let back = joint.left().changed(&[Change::AddLearner(NodeId(3))]).unwrap();
    assert_eq!(back.context(NodeId(3)), None);
    let without = before.with_contexts([(NodeId(1), &Bytes::new())]);
    assert_eq!(without.context(NodeId(1)), None);
}
