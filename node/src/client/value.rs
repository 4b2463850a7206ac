//! How a value is printed: its bytes, or, where it is a list, its items.

use bytes::Bytes;
use serde_json::{Value, json};
use wire::list::{self, is_list};

/// What of a value is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// Its bytes, whatever they are.
    Bytes,
    /// Its bytes, unless it is a list, whose bytes are nothing to look at.
    Unlisted,
    /// The items of a list, a line each.
    Items,
    /// The items of a list, as a JSON array.
    JsonItems,
}

impl Shown {
    /// What is printed of `value`.
    ///
    /// # Errors
    /// It is not what was asked for; in words.
    pub(super) fn text(self, value: &Bytes) -> Result<Vec<u8>, String> {
        match self {
            Shown::Bytes => Ok(line(value)),
            Shown::Unlisted if is_list(value) => Err(
                "the value is a list: `node items` prints its items, `node get --raw` its bytes".to_string(),
            ),
            Shown::Unlisted => Ok(line(value)),
            Shown::Items => Ok(items(value)?.iter().flat_map(|item| line(item)).collect()),
            Shown::JsonItems => Ok(line(json_items(&items(value)?).as_bytes())),
        }
    }
}

/// What a transaction read, in one line: the items of a list as JSON.
pub(super) fn in_one_line(value: &Bytes) -> Vec<u8> {
    match items(value) {
        Ok(items) => line(json_items(&items).as_bytes()),
        Err(_) => line(value),
    }
}

pub(super) fn line(value: &[u8]) -> Vec<u8> {
    let mut line = value.to_vec();
    line.push(b'\n');
    line
}

fn items(value: &Bytes) -> Result<Vec<Bytes>, String> {
    if !is_list(value) {
        return Err("the value is no list".to_string());
    }
    list::items(value).map_err(|error| error.to_string())
}

/// Texts are texts; of other bytes, JSON has none.
fn json_items(items: &[Bytes]) -> String {
    let item = |item: &Bytes| match std::str::from_utf8(item) {
        Ok(text) => Value::from(text),
        Err(_) => json!({ "hex": hex(item) }),
    };
    Value::Array(items.iter().map(item).collect()).to_string()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &[u8] = b"\0\0\0\x03a b\0\0\0\0\0\0\0\x02\xff\n";

    fn text(shown: Shown, value: &'static [u8]) -> Result<String, String> {
        let text = shown.text(&Bytes::from_static(value));
        text.map(|text| String::from_utf8_lossy(&text).into_owned())
    }

    #[test]
    fn a_list_is_printed_by_its_items_and_other_values_as_they_are() {
        assert_eq!(text(Shown::Items, LIST).unwrap(), "a b\n\n\u{fffd}\n\n");
        let json = "[\"a b\",\"\",{\"hex\":\"ff0a\"}]\n";
        assert_eq!(text(Shown::JsonItems, LIST).unwrap(), json);
        assert_eq!(in_one_line(&Bytes::from_static(LIST)), json.as_bytes());
        assert!(text(Shown::Unlisted, LIST).unwrap_err().contains("is a list"));
        assert_eq!(Shown::Bytes.text(&Bytes::from_static(LIST)).unwrap(), line(LIST));
        for plain in [&b""[..], b"text", b"\0\0"] {
            let value = Bytes::from_static(plain);
            assert_eq!(Shown::Unlisted.text(&value).unwrap(), line(plain));
            assert_eq!(Shown::Items.text(&value).unwrap_err(), "the value is no list");
            assert_eq!(in_one_line(&value), line(plain));
        }
    }
}
