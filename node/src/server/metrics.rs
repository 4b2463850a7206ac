//! What a node tells a monitoring system, in the text format of Prometheus
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>).

use crate::logging::EventCounts;
use std::fmt::{Display, Write as _};
use wire::client::{MemberRole, NodeRole, PeerStatus, StageTimes, Status};

/// What everything here is called by.
const PREFIX: &str = "rustyraft";

/// The quantiles of each stage, in thousandths.
const QUANTILES: [u64; 3] = [500, 990, 999];

/// What is told.
#[derive(Debug)]
pub(super) struct Metrics<'a> {
    pub(super) status: &'a Status,
    pub(super) stages: &'a [StageTimes],
    pub(super) events: &'a EventCounts,
    /// How many clients are connected.
    pub(super) clients: usize,
    /// How many requests are in flight.
    pub(super) requests: usize,
}

impl Metrics<'_> {
    /// The text.
    pub(super) fn text(&self) -> String {
        let mut text = Text::default();
        self.protocol(&mut text);
        self.log(&mut text);
        self.members(&mut text);
        self.events(&mut text);
        text.gauge("clients", "Clients that are connected.", self.clients);
        text.gauge(
            "requests_in_flight",
            "Requests that are not answered.",
            self.requests,
        );
        self.stages(&mut text);
        text.0
    }

    fn protocol(&self, text: &mut Text) {
        let Status {
            node,
            cluster_id,
            role,
            term,
            leader,
            ..
        } = self.status;
        text.describe("info", "gauge", "Which node this is; always 1.");
        let (node, version) = (node.to_string(), env!("CARGO_PKG_VERSION"));
        text.sample(
            "info",
            &[("node", &node), ("cluster", cluster_id), ("version", version)],
            1,
        );
        text.describe("role", "gauge", "1 for the node's role, 0 for the others.");
        for (name, known) in [
            ("follower", NodeRole::Follower),
            ("pre-candidate", NodeRole::PreCandidate),
            ("candidate", NodeRole::Candidate),
            ("leader", NodeRole::Leader),
        ] {
            text.sample("role", &[("role", name)], u8::from(*role == known));
        }
        text.gauge("term", "Its current term.", term);
        text.gauge(
            "leader",
            "The id of the leader that it knows; 0 if it knows none.",
            leader.unwrap_or(0),
        );
    }

    fn log(&self, text: &mut Text) {
        let Status {
            first_index,
            last_index,
            commit_index,
            applied_index,
            snapshot_index,
            ..
        } = self.status;
        text.gauge("log_first_index", "The first index of its log.", first_index);
        text.gauge("log_last_index", "The last index of its log.", last_index);
        text.gauge(
            "commit_index",
            "The highest index that it knows to be committed.",
            commit_index,
        );
        text.gauge(
            "applied_index",
            "The highest index that it has applied.",
            applied_index,
        );
        text.gauge(
            "snapshot_index",
            "The last index that its latest snapshot covers; 0 if it has none.",
            snapshot_index,
        );
    }

    fn members(&self, text: &mut Text) {
        let count = |wanted: &[MemberRole]| {
            let members = self.status.members.iter();
            members.filter(|member| wanted.contains(&member.role)).count()
        };
        text.describe(
            "members",
            "gauge",
            "Members of the configuration in force, by their part.",
        );
        text.sample("members", &[("part", "voter")], count(&[MemberRole::Voter]));
        text.sample("members", &[("part", "learner")], count(&[MemberRole::Learner]));
        let in_change = [MemberRole::Joining, MemberRole::Leaving, MemberRole::Demoting];
        text.sample("members", &[("part", "in-change")], count(&in_change));
        type Value = fn(&PeerStatus) -> u64;
        let values: [(&str, &str, Value); 5] = [
            (
                "peer_matched_index",
                "On the leader: the highest index known to be durable at a peer.",
                |peer| peer.matched,
            ),
            (
                "peer_next_index",
                "On the leader: the next index that is sent to a peer.",
                |peer| peer.next,
            ),
            (
                "peer_in_flight",
                "On the leader: appends to a peer that are not acknowledged.",
                |peer| peer.in_flight.into(),
            ),
            (
                "peer_active",
                "On the leader: 1 if a peer was heard since the last quorum check.",
                |peer| peer.active.into(),
            ),
            (
                "peer_snapshot",
                "On the leader: 1 while a snapshot is on its way to a peer.",
                |peer| u64::from(peer.state == "snapshot"),
            ),
        ];
        for (name, help, value) in values {
            if !self.status.progress.is_empty() {
                text.describe(name, "gauge", help);
            }
            for peer in &self.status.progress {
                text.sample(name, &[("peer", &peer.node.to_string())], value(peer));
            }
        }
    }

    fn events(&self, text: &mut Text) {
        let EventCounts {
            candidacies,
            elections_won,
            leader_changes,
            snapshots_installed,
            configurations,
        } = self.events;
        for (name, help, count) in [
            (
                "candidacies_total",
                "How often it stood for election.",
                candidacies,
            ),
            ("elections_won_total", "How often it was elected.", elections_won),
            (
                "leader_changes_total",
                "How often it learned of a leader of another term.",
                leader_changes,
            ),
            (
                "snapshots_installed_total",
                "Snapshots from a leader that took the place of its log.",
                snapshots_installed,
            ),
            (
                "configurations_total",
                "How often another configuration came into force.",
                configurations,
            ),
        ] {
            text.describe(name, "counter", help);
            text.sample(name, &[], count.get());
        }
    }

    fn stages(&self, text: &mut Text) {
        const NAME: &str = "stage_seconds";
        text.describe(
            NAME,
            "summary",
            "How long the stages of a commit took, since the node started.",
        );
        let seconds = |nanoseconds: u64| nanoseconds as f64 / 1e9;
        for times in self.stages {
            let stage = times.stage.name();
            for per_mille in QUANTILES {
                let quantile = (per_mille as f64 / 1e3).to_string();
                let value = times.quantile(per_mille).map_or(f64::NAN, seconds);
                text.sample(NAME, &[("stage", stage), ("quantile", &quantile)], value);
            }
            let each = times.times.iter();
            let sum: f64 = each
                .map(|time| seconds(time.nanoseconds) * time.count as f64)
                .sum();
            text.sample("stage_seconds_sum", &[("stage", stage)], sum);
            text.sample("stage_seconds_count", &[("stage", stage)], times.count());
        }
    }
}

#[derive(Debug, Default)]
struct Text(String);

impl Text {
    fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.describe(name, "gauge", help);
        self.sample(name, &[], value);
    }

    fn describe(&mut self, name: &str, kind: &str, help: &str) {
        // Writing into a text does not fail.
        let _ = writeln!(
            self.0,
            "# HELP {PREFIX}_{name} {help}\n# TYPE {PREFIX}_{name} {kind}"
        );
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        let labels: Vec<String> = labels
            .iter()
            .map(|(label, value)| format!("{label}=\"{}\"", escaped(value)))
            .collect();
        let labels = labels.join(",");
        let labels = if labels.is_empty() {
            labels
        } else {
            format!("{{{labels}}}")
        };
        let _ = writeln!(self.0, "{PREFIX}_{name}{labels} {value}");
    }
}

/// A label's value: a cluster may be called anything.
fn escaped(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use wire::client::{Member, Stage, TimeCount};

    fn status(cluster_id: &str) -> Status {
        Status {
            node: 1,
            cluster_id: cluster_id.to_string(),
            role: NodeRole::Leader,
            term: 3,
            leader: Some(1),
            last_index: 9,
            commit_index: 8,
            applied_index: 7,
            state_hash: 5,
            voters: vec![1, 2],
            progress: vec![PeerStatus {
                node: 2,
                matched: 6,
                next: 9,
                state: "snapshot".to_string(),
                in_flight: 1,
                active: true,
                caught_up: true,
            }],
            first_index: 2,
            snapshot_index: 4,
            members: [1, 2]
                .map(|node| Member {
                    node,
                    role: MemberRole::Voter,
                    address: String::new(),
                    incarnation: None,
                })
                .to_vec(),
        }
    }

    fn text(cluster_id: &str) -> String {
        let stages = [StageTimes {
            stage: Stage::Commit,
            times: vec![TimeCount {
                nanoseconds: 2_000_000,
                count: 3,
            }],
        }];
        Metrics {
            status: &status(cluster_id),
            stages: &stages,
            events: &EventCounts::default(),
            clients: 4,
            requests: 5,
        }
        .text()
    }

    #[test]
    fn what_the_node_is_and_does_is_told() {
        let text = text("c");
        for line in [
            "rustyraft_info{node=\"1\",cluster=\"c\",version=\"0.1.0\"} 1",
            "rustyraft_role{role=\"leader\"} 1",
            "rustyraft_role{role=\"follower\"} 0",
            "rustyraft_term 3",
            "rustyraft_commit_index 8",
            "rustyraft_members{part=\"voter\"} 2",
            "rustyraft_peer_matched_index{peer=\"2\"} 6",
            "rustyraft_peer_snapshot{peer=\"2\"} 1",
            "rustyraft_elections_won_total 0",
            "rustyraft_clients 4",
            "rustyraft_stage_seconds{stage=\"commit\",quantile=\"0.5\"} 0.002",
            "rustyraft_stage_seconds_sum{stage=\"commit\"} 0.006",
            "rustyraft_stage_seconds_count{stage=\"commit\"} 3",
        ] {
            assert!(
                text.lines().any(|known| known == line),
                "{line} is missing in {text}"
            );
        }
    }

    #[test]
    fn each_name_is_described_once_and_before_its_samples() {
        let text = text("c");
        let mut described = BTreeSet::new();
        for line in text.lines() {
            let name = |line: &str| line.split([' ', '{']).next().unwrap_or_default().to_string();
            if let Some(description) = line.strip_prefix("# TYPE ") {
                assert!(described.insert(name(description)), "{line} comes twice");
            } else if !line.starts_with('#') {
                let name = name(line);
                let base = name.trim_end_matches("_sum").trim_end_matches("_count");
                assert!(described.contains(base), "{line} is not described");
                assert!(line.rsplit(' ').next().unwrap().parse::<f64>().is_ok(), "{line}");
            }
        }
    }

    #[test]
    fn no_name_of_a_cluster_breaks_a_line() {
        let text = text("a\"b\\c\nd");
        assert!(text.contains("cluster=\"a\\\"b\\\\c\\nd\""), "{text}");
    }
}
