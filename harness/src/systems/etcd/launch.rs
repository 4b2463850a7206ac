//! The command that starts a member of etcd.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// How a member is started.
pub(crate) struct Launch<'a> {
    /// The program.
    pub(crate) program: &'a Path,
    /// The member's place among them.
    pub(crate) member: usize,
    /// Where each member is reached by the others.
    pub(crate) peers: &'a [SocketAddr],
    /// Where the member listens to them.
    pub(crate) listen: SocketAddr,
    /// Where it is reached by clients.
    pub(crate) client: SocketAddr,
    /// Where its data lies.
    pub(crate) data: &'a Path,
    /// Names the cluster.
    pub(crate) token: &'a str,
    /// How often a leader lets itself be heard.
    pub(crate) heartbeat: Duration,
    /// After how long without a leader there is an election.
    pub(crate) election: Duration,
}

impl Launch<'_> {
    /// The command.
    pub(crate) fn command(&self) -> Command {
        let name = |place: usize| format!("etcd-{}", place + 1);
        let members: Vec<String> = (0..)
            .zip(self.peers)
            .map(|(place, at)| format!("{}=http://{at}", name(place)))
            .collect();
        let (peer, client) = (self.peers[self.member], self.client);
        let mut command = Command::new(self.program);
        command
            .arg(format!("--name={}", name(self.member)))
            .arg(format!("--data-dir={}", self.data.display()))
            .arg(format!("--listen-peer-urls=http://{}", self.listen))
            .arg(format!("--initial-advertise-peer-urls=http://{peer}"))
            .arg(format!("--listen-client-urls=http://{client}"))
            .arg(format!("--advertise-client-urls=http://{client}"))
            .arg(format!("--initial-cluster={}", members.join(",")))
            .arg("--initial-cluster-state=new")
            .arg(format!("--initial-cluster-token={}", self.token))
            .arg(format!("--heartbeat-interval={}", self.heartbeat.as_millis()))
            .arg(format!("--election-timeout={}", self.election.as_millis()))
            .args(["--logger=zap", "--log-level=warn"]);
        command
    }
}
