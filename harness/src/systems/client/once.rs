//! Appends that are sent until they are answered. That each takes effect once is up to the system: it is asked to tell that it has done one
//! already.

use super::SiteClient;
use std::time::Duration;
use workloads::{Completion, Op};

/// How often one is sent, at most.
const SENT_MAX: usize = 6;
/// How long a client waits before it sends one again.
const PAUSE: Duration = Duration::from_millis(50);

impl SiteClient {
    /// Sends `op` until it is answered, to one node after the other; if it is answered and `is_doubled`, as a network may do, once more.
    pub(super) async fn call_once(&mut self, op: &Op, is_doubled: bool) -> Completion {
        let home = self.nodes.iter().position(|node| *node == self.home);
        let turns = self.nodes.iter().copied().cycle().skip(home.unwrap_or_default());
        let turns: Vec<_> = turns.take(SENT_MAX).collect();
        let (mut open, mut failed) = (None, String::from("there are no nodes"));
        for (sent, node) in turns.into_iter().enumerate() {
            if sent > 0 {
                tokio::time::sleep(PAUSE).await;
            }
            match self.call_at(node, op).await {
                Completion::Ok(ret) => {
                    if is_doubled {
                        // Whatever is said of the second one, the first was carried out.
                        self.call_at(node, op).await;
                    }
                    return Completion::Ok(ret);
                }
                Completion::Info(reason) => open = Some(reason),
                Completion::Fail(reason) => failed = reason,
            }
        }
        // Once one may have been carried out, what is said of later ones is no answer to that.
        open.map_or(Completion::Fail(failed), Completion::Info)
    }
}
