//! Argument vectors with placeholders, so that no shell is needed.

use super::Place;
use crate::node_number::NodeNumber;
use std::fmt::Write as _;

/// What may stand between braces.
const NAMES: [&str; 8] = [
    "id",
    "nodes",
    "data",
    "client_port",
    "peer_port",
    "peers",
    "links",
    "clients",
];

/// A program and its arguments, as a file has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Template {
    arguments: Vec<Vec<Part>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Placeholder(&'static str),
}

impl Template {
    /// # Errors
    /// There is no program, or something between braces that is no placeholder; in words.
    pub(super) fn new(words: &[String]) -> Result<Template, String> {
        if words.is_empty() {
            return Err(String::from("a command has a program at least"));
        }
        let arguments: Result<Vec<Vec<Part>>, String> = words.iter().map(|word| parts(word)).collect();
        Ok(Template {
            arguments: arguments?,
        })
    }

    /// Whether a placeholder of that name is among them.
    pub(super) fn mentions(&self, name: &str) -> bool {
        let mut parts = self.arguments.iter().flatten();
        parts.any(|part| matches!(part, Part::Placeholder(placeholder) if *placeholder == name))
    }

    /// The words for `node`, one of those at `places`.
    pub(super) fn words(&self, node: NodeNumber, places: &[Place]) -> Vec<String> {
        let words = self.arguments.iter().map(|parts| {
            let values = parts.iter().map(|part| match part {
                Part::Text(text) => text.clone(),
                Part::Placeholder(name) => value(name, node, places),
            });
            values.collect()
        });
        words.collect()
    }
}

/// A word's parts. Braces stand for themselves where they are doubled.
fn parts(word: &str) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut text = String::new();
    let mut rest = word;
    while let Some(at) = rest.find(['{', '}']) {
        text.push_str(&rest[..at]);
        let braces = &rest[at..];
        if braces.starts_with("{{") || braces.starts_with("}}") {
            text.push_str(&braces[..1]);
            rest = &braces[2..];
            continue;
        }
        let inside = braces.strip_prefix('{').and_then(|inside| inside.split_once('}'));
        let Some((name, behind)) = inside else {
            return Err(format!("a brace is alone in {word:?}; for itself it is doubled"));
        };
        let Some(known) = NAMES.iter().find(|known| **known == name) else {
            let names: Vec<String> = NAMES.iter().map(|name| format!("{{{name}}}")).collect();
            return Err(format!(
                "{{{name}}} is no placeholder; there are {}",
                names.join(", ")
            ));
        };
        parts.push(Part::Text(std::mem::take(&mut text)));
        parts.push(Part::Placeholder(known));
        rest = behind;
    }
    text.push_str(rest);
    parts.push(Part::Text(text));
    Ok(parts)
}

fn value(name: &str, node: NodeNumber, places: &[Place]) -> String {
    let place = &places[super::place::index(node, places)];
    let listed = |address: &dyn Fn(&Place) -> std::net::SocketAddr| {
        let mut list = String::new();
        for place in places {
            let separator = if list.is_empty() { "" } else { "," };
            let _ = write!(list, "{separator}{}={}", place.node, address(place));
        }
        list
    };
    match name {
        "id" => node.to_string(),
        "nodes" => places.len().to_string(),
        "data" => place.data.display().to_string(),
        "client_port" => place.client().port().to_string(),
        "peer_port" => place.peer().port().to_string(),
        "peers" => listed(&Place::peer),
        // To itself there is none.
        "links" => listed(&|other| place.link_to(other.node).unwrap_or_else(|| other.peer())),
        "clients" => listed(&Place::client),
        _ => unreachable!("{name} was not among the names"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::{Folders, Links, Reach};

    fn template(words: &[&str]) -> Result<Template, String> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        Template::new(&words)
    }

    #[tokio::test]
    async fn placeholders_stand_for_what_a_node_has() {
        let dir = tempfile::tempdir().unwrap();
        let links = Links::open(&[1, 2], Reach::BothWays).await.unwrap();
        let places = (1..=2).map(|node| {
            let mut place = Place::hold(node, &Folders::below(dir.path(), node)).unwrap();
            place.link(&[1, 2], &links);
            place
        });
        let places: Vec<Place> = places.collect();
        let words = template(&[
            "serve",
            "--id={id}/{nodes}",
            "{peers}",
            "{links}",
            "a{{b}}",
            "{client_port}",
        ])
        .unwrap();
        assert!(words.mentions("links") && !words.mentions("data"));
        let expected = [
            String::from("serve"),
            String::from("--id=2/2"),
            format!("1={},2={}", places[0].peer(), places[1].peer()),
            format!("1={},2={}", links.address(2, 1).unwrap(), places[1].peer()),
            String::from("a{b}"),
            places[1].client().port().to_string(),
        ];
        assert_eq!(words.words(2, &places), expected);
    }

    #[test]
    fn what_is_no_placeholder_is_an_error_that_says_what_is() {
        let error = template(&["serve", "--port={port}"]).unwrap_err();
        assert!(
            error.starts_with("{port} is no placeholder; there are {id}, "),
            "{error}"
        );
        for alone in ["{id", "id}", "{"] {
            assert!(template(&[alone]).unwrap_err().contains("alone"), "{alone}");
        }
        assert!(template(&[]).is_err());
    }
}
