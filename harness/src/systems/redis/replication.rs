//! What a server of redis says of its replication.

/// See the module's documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Replication {
    pub(super) is_primary: bool,
    /// Of a replica: whether it hears the primary.
    pub(super) is_linked: bool,
    /// Of the primary: how many replicas have all that was and hear the rest.
    pub(super) replicas: usize,
    /// How many bytes of commands it has carried out.
    pub(super) offset: u64,
}

impl Replication {
    /// What the answer to `INFO replication` says; `None` if that is something else.
    pub(super) fn of(info: &str) -> Option<Replication> {
        let field = |name: &str| {
            let line = info.lines().find_map(|line| line.strip_prefix(name))?;
            line.strip_prefix(':').map(str::trim)
        };
        let is_primary = field("role")? == "master";
        let offset = if is_primary {
            "master_repl_offset"
        } else {
            "slave_repl_offset"
        };
        Some(Replication {
            is_primary,
            is_linked: field("master_link_status") == Some("up"),
            replicas: info.matches(",state=online,").count(),
            offset: field(offset)?.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_says_how_far_its_replication_is() {
        let primary = "# Replication\r\nrole:master\r\nconnected_slaves:2\r\n\
            slave0:ip=127.0.0.1,port=1,state=online,offset=14,lag=0\r\n\
            slave1:ip=127.0.0.1,port=2,state=wait_bgsave,offset=0,lag=0\r\nmaster_repl_offset:14\r\n";
        let seen = Replication::of(primary).unwrap();
        assert!(
            seen.is_primary && seen.replicas == 1 && seen.offset == 14,
            "{seen:?}"
        );
        let replica =
            "role:slave\r\nmaster_link_status:up\r\nslave_repl_offset:9\r\nmaster_repl_offset:7\r\n";
        let seen = Replication::of(replica).unwrap();
        assert!(!seen.is_primary && seen.is_linked && seen.offset == 9, "{seen:?}");
        assert_eq!(Replication::of("loading"), None);
    }
}
