//! How systems are called on the command line, and in what a run records of itself.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// How a file that describes a system is called.
const FILE_EXTENSION: &str = "toml";

/// A system by its name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum SystemName {
    /// The project's own node.
    #[default]
    Node,
    /// etcd.
    Etcd,
    /// Redis: one primary, and replicas that follow asynchronously.
    Redis,
    /// The one that the file describes.
    File(PathBuf),
}

/// A name that is no system's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no system {0:?}; there are node, etcd, redis, and whatever a file PATH.toml describes")]
pub struct UnknownSystem(String);

impl FromStr for SystemName {
    type Err = UnknownSystem;

    fn from_str(name: &str) -> Result<SystemName, UnknownSystem> {
        match name {
            "node" => Ok(SystemName::Node),
            "etcd" => Ok(SystemName::Etcd),
            "redis" => Ok(SystemName::Redis),
            _ if Path::new(name)
                .extension()
                .is_some_and(|extension| extension == FILE_EXTENSION) =>
            {
                Ok(SystemName::File(PathBuf::from(name)))
            }
            _ => Err(UnknownSystem(name.to_owned())),
        }
    }
}

impl fmt::Display for SystemName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SystemName::Node => f.write_str("node"),
            SystemName::Etcd => f.write_str("etcd"),
            SystemName::Redis => f.write_str("redis"),
            SystemName::File(path) => path.display().fmt(f),
        }
    }
}

impl From<SystemName> for String {
    fn from(name: SystemName) -> String {
        name.to_string()
    }
}

impl TryFrom<String> for SystemName {
    type Error = UnknownSystem;

    fn try_from(name: String) -> Result<SystemName, UnknownSystem> {
        name.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_is_known_by_its_name_or_by_the_file_that_describes_it() {
        for name in ["node", "etcd", "redis", "/some/where/store.toml"] {
            let system: SystemName = name.parse().unwrap();
            assert_eq!(system.to_string(), name);
            let json = serde_json::to_string(&system).unwrap();
            assert_eq!(serde_json::from_str::<SystemName>(&json).unwrap(), system);
        }
        for name in ["", "zookeeper", "store.json", "toml"] {
            let error = name.parse::<SystemName>().unwrap_err().to_string();
            assert!(error.contains("node, etcd, redis"), "{error}");
        }
    }
}
