//! Annotations as the column `invitations.annotations` holds them: an object of texts. The table of the same name has them
//! as rows, to be searched.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::domain::Annotations;

pub(super) fn encode(annotations: &Annotations) -> Value {
    annotations.pairs().iter().map(|(key, value)| (key.clone(), Value::String(value.clone()))).collect()
}

/// What a newer version has written in another form is left out.
pub(super) fn decode(stored: Value) -> Annotations {
    let Value::Object(pairs) = stored else { return Annotations::default() };
    let text = |(key, value)| match value {
        Value::String(text) => Some((key, text)),
        _ => None,
    };
    Annotations::stored(pairs.into_iter().filter_map(text).collect::<BTreeMap<_, _>>())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_stored_is_read_again() {
        let pairs = [("example.com/ticket", "OPS-7"), ("quoted", "\"\\ü")];
        let pairs = pairs.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let annotations = Annotations::parse(pairs.into()).unwrap();
        assert_eq!(decode(encode(&annotations)), annotations);
        assert_eq!(encode(&Annotations::default()), json!({}));
        assert_eq!(decode(json!({})), Annotations::default());
    }

    #[test]
    fn what_is_no_text_is_left_out() {
        for (stored, left) in [(json!(null), 0), (json!(["a"]), 0), (json!({"a": 1, "b": {"c": "d"}, "e": "f"}), 1)] {
            assert_eq!(decode(stored.clone()).pairs().len(), left, "{stored}");
        }
    }
}
