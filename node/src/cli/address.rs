//! Addresses, and who is reached where.

use raft::NodeId;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::str::FromStr;
use wire::limits::ADDRESS_BYTES_MAX;

/// The largest number of voting members: more only make every commit wait longer.
const MEMBERS_MAX: usize = 31;

/// `HOST:PORT`; the host may be a name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Address(String);

impl Address {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The address, if somebody can be reached there.
    ///
    /// # Errors
    /// It has port 0, which lets the system choose where one listens, and leads to nobody.
    pub(crate) fn reachable(self) -> Result<Address, String> {
        match self.0.rsplit_once(':') {
            Some((_, port)) if port.parse() == Ok(0_u16) => {
                Err(format!("{:?}: nobody is reached at port 0", self.0))
            }
            Some(_) | None => Ok(self),
        }
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Address, String> {
        // First of all: what is longer is not quoted, as it may come from a stranger.
        if text.len() > ADDRESS_BYTES_MAX {
            return Err(format!("an address has at most {ADDRESS_BYTES_MAX} bytes"));
        }
        let (host, port) = text
            .rsplit_once(':')
            .ok_or_else(|| format!("{text:?} is not HOST:PORT"))?;
        if host.is_empty() || host.contains(char::is_whitespace) {
            return Err(format!("{text:?} is not HOST:PORT: it names no host"));
        }
        if host.contains('/') {
            return Err(format!("{text:?} is not HOST:PORT: no host has a slash in it"));
        }
        if port.parse::<u16>().is_err() {
            return Err(format!("{text:?} is not HOST:PORT: {port:?} is no port"));
        }
        Ok(Address(text.to_string()))
    }
}

impl TryFrom<String> for Address {
    type Error = String;

    fn try_from(text: String) -> Result<Address, String> {
        text.parse()
    }
}

impl Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The voting members, and where the others reach each of them: `ID=HOST:PORT,…`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Members(pub(crate) BTreeMap<NodeId, Address>);

impl Members {
    /// Makes sure that all but `own` can be reached where this says: a node does not reach itself, and where it listens at any free port,
    /// its own entry may say so.
    ///
    /// # Errors
    /// Somebody else has port 0.
    pub(crate) fn reachable_for(&self, own: Option<NodeId>) -> Result<(), String> {
        let others = self.0.iter().filter(|(id, _)| Some(**id) != own);
        for (_, address) in others {
            address.clone().reachable()?;
        }
        Ok(())
    }

    /// Members of whom each can be reached where `text` says.
    ///
    /// # Errors
    /// What is wrong with the text, or somebody has port 0.
    pub(crate) fn all_reachable(text: &str) -> Result<Members, String> {
        let members: Members = text.parse()?;
        members.reachable_for(None)?;
        Ok(members)
    }
}

impl FromStr for Members {
    type Err = String;

    fn from_str(text: &str) -> Result<Members, String> {
        let mut members = BTreeMap::new();
        for member in text.split(',') {
            let (id, address) = member
                .split_once('=')
                .ok_or_else(|| format!("{member:?} is not ID=HOST:PORT"))?;
            let id = id
                .parse()
                .ok()
                .filter(|id| *id >= 1)
                .ok_or_else(|| format!("{id:?} is no node id: ids are whole numbers from 1 on"))?;
            let address: Address = address.parse()?;
            let there = members.iter().find(|(_, other)| **other == address);
            if let Some((other, _)) = there.filter(|(other, _)| **other != NodeId(id)) {
                return Err(format!("{address} is said to be that of {other} and of n{id}"));
            }
            if members.insert(NodeId(id), address).is_some() {
                return Err(format!("node {id} is named twice"));
            }
        }
        if members.len() > MEMBERS_MAX {
            return Err(format!("a cluster has at most {MEMBERS_MAX} members"));
        }
        Ok(Members(members))
    }
}

impl TryFrom<String> for Members {
    type Error = String;

    fn try_from(text: String) -> Result<Members, String> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_read_from_pairs() {
        let members: Members = "2=b:2,1=[::1]:1".parse().unwrap();
        let read: Vec<_> = members.0.iter().map(|(id, at)| (id.0, at.as_str())).collect();
        assert_eq!(read, [(1, "[::1]:1"), (2, "b:2")]);
    }

    #[test]
    fn a_node_may_have_any_port_for_itself_alone() {
        let members: Members = "1=a:0,2=b:2".parse().unwrap();
        assert_eq!(members.reachable_for(Some(NodeId(1))), Ok(()));
        for own in [Some(NodeId(2)), None] {
            let error = members.reachable_for(own).unwrap_err();
            assert!(error.contains("nobody is reached at port 0"), "{error}");
        }
    }

    #[test]
    fn what_is_wrong_with_members_is_said() {
        for (text, part) in [
            ("", "ID=HOST:PORT"),
            ("1=a:1,", "ID=HOST:PORT"),
            ("0=a:1", "from 1 on"),
            ("x=a:1", "from 1 on"),
            ("1=a:1,1=b:1", "twice"),
            ("1=a:1,1=a:1", "twice"),
            ("1=a:1,2=a:1", "a:1 is said to be that of n1 and of n2"),
            ("1=a", "HOST:PORT"),
            ("1=:1", "names no host"),
            ("1=http://a:1", "no host has a slash"),
            ("1=a:65536", "no port"),
        ] {
            let error = text.parse::<Members>().unwrap_err();
            assert!(error.contains(part), "{text:?}: {error}");
        }
        let long = format!("1={}:1", "a".repeat(ADDRESS_BYTES_MAX));
        assert!(long.parse::<Members>().unwrap_err().contains("at most"));
        let many: Vec<String> = (1..=MEMBERS_MAX + 1).map(|id| format!("{id}=a:{id}")).collect();
        assert!(many.join(",").parse::<Members>().unwrap_err().contains("at most"));
    }
}
