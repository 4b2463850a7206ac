//! What programs read of a status and of the members: see `node help json`.

use super::status::{Line, role};
use serde_json::{Value, json};
use wire::client::{Member, StageTimes};

/// What `node status --json` prints.
pub(super) fn statuses(lines: &[Line]) -> String {
    array(lines.iter().map(status))
}

/// What `node members --json` prints.
pub(super) fn members(members: &[Member]) -> String {
    array(members.iter().map(member))
}

fn array(values: impl Iterator<Item = Value>) -> String {
    let values: Vec<Value> = values.collect();
    let mut text = serde_json::to_string_pretty(&values).expect("numbers and texts are always JSON");
    text.push('\n');
    text
}

fn status(
    Line {
        endpoint,
        answer,
        stages,
    }: &Line,
) -> Value {
    let known = match answer {
        Ok(known) => known,
        Err(reason) => return json!({ "endpoint": endpoint.as_str(), "error": reason }),
    };
    let progress = |peer: &wire::client::PeerStatus| {
        json!({
            "node": peer.node,
            "matched": peer.matched,
            "next": peer.next,
            "state": peer.state,
            "in_flight": peer.in_flight,
            "active": peer.active,
            "caught_up": peer.caught_up,
        })
    };
    json!({
        "endpoint": endpoint.as_str(),
        "node": known.node,
        "cluster_id": known.cluster_id,
        "role": role(known.role),
        "term": known.term,
        "leader": known.leader,
        "last_index": known.last_index,
        "commit_index": known.commit_index,
        "applied_index": known.applied_index,
        // A text: not every reader of JSON keeps 64 bits.
        "state_hash": format!("{:016x}", known.state_hash),
        "first_index": known.first_index,
        "snapshot_index": known.snapshot_index,
        "voters": known.voters,
        "members": known.members.iter().map(member).collect::<Vec<Value>>(),
        "progress": known.progress.iter().map(progress).collect::<Vec<Value>>(),
        "stages": stages.as_deref().map(stage_times),
    })
}

/// A member as JSON has it.
fn member(member: &Member) -> Value {
    json!({
        "node": member.node,
        "part": member.role.name(),
        "address": member.address,
        "data_folder": member.incarnation.map(|incarnation| format!("{incarnation:032x}")),
    })
}

/// Each stage's times in microseconds: how many, some quantiles, and all of them as pairs of a time and how often.
fn stage_times(stages: &[StageTimes]) -> Value {
    let microseconds = |nanoseconds: u64| nanoseconds as f64 / 1e3;
    let stage = |times: &StageTimes| {
        let quantile = |per_mille| times.quantile(per_mille).map(microseconds);
        let counted = times
            .times
            .iter()
            .map(|time| json!([microseconds(time.nanoseconds), time.count]));
        let value = json!({
            "count": times.count(),
            "p50_us": quantile(500),
            "p99_us": quantile(990),
            "max_us": quantile(1000),
            "times": counted.collect::<Vec<Value>>(),
        });
        (times.stage.name().to_string(), value)
    };
    Value::Object(stages.iter().map(stage).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::JSON_HELP;
    use wire::client::{MemberRole, NodeRole, PeerStatus, Stage, Status, TimeCount};

    fn a_member() -> Member {
        Member {
            node: 1,
            role: MemberRole::Voter,
            address: "a:1".to_string(),
            incarnation: Some(0xab),
        }
    }

    /// Of a node that has everything, and of one that did not answer.
    fn lines() -> [Line; 2] {
        let status = Status {
            node: 1,
            cluster_id: "c".to_string(),
            role: NodeRole::Leader,
            term: 2,
            leader: Some(1),
            last_index: 9,
            commit_index: 8,
            applied_index: 7,
            state_hash: 0xff,
            voters: vec![1, 2],
            progress: vec![PeerStatus {
                node: 2,
                matched: 8,
                next: 10,
                state: "replicate".to_string(),
                in_flight: 1,
                active: true,
                caught_up: false,
            }],
            first_index: 4,
            snapshot_index: 3,
            members: vec![a_member()],
        };
        let stages = Stage::ALL.map(|stage| StageTimes {
            stage,
            times: Vec::new(),
        });
        let mut stages = stages.to_vec();
        stages[0].times = [(1500, 2), (20_000, 1)]
            .map(|(nanoseconds, count)| TimeCount { nanoseconds, count })
            .to_vec();
        let answered = Line {
            endpoint: "a:1".parse().unwrap(),
            answer: Ok(status),
            stages: Some(stages),
        };
        let silent = Line {
            endpoint: "b:1".parse().unwrap(),
            answer: Err("refused".to_string()),
            stages: None,
        };
        [answered, silent]
    }

    #[test]
    fn the_shape_of_a_status_is_what_programs_rely_on() {
        insta::assert_snapshot!(statuses(&lines()));
    }

    #[test]
    fn the_shape_of_a_member_is_what_programs_rely_on() {
        let unheard_of = Member {
            incarnation: None,
            ..a_member()
        };
        insta::assert_snapshot!(members(&[a_member(), unheard_of]));
    }

    /// The names of all fields, at any depth.
    fn fields(value: &Value, names: &mut Vec<String>) {
        match value {
            Value::Object(object) => {
                names.extend(object.keys().cloned());
                object.values().for_each(|value| fields(value, names));
            }
            Value::Array(array) => array.iter().for_each(|value| fields(value, names)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    #[test]
    fn every_field_is_explained() {
        let mut names = Vec::new();
        for text in [statuses(&lines()), members(&[a_member()])] {
            fields(&serde_json::from_str(&text).unwrap(), &mut names);
        }
        assert!(names.len() > 40, "{names:?}");
        let is_part_of_name = |char: char| char.is_alphanumeric() || char == '_';
        let words: Vec<&str> = JSON_HELP.split(|char| !is_part_of_name(char)).collect();
        for name in names {
            assert!(words.contains(&name.as_str()), "{name} is not explained");
        }
    }
}
