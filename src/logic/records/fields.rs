//! The fields of a record in the kinds that their readers expect.

use crate::model::record::{Record, Value};

/// A field holds another kind of value than its reader expects: the program that wrote it is much newer, or broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}: another kind of value is expected")]
pub struct WrongKind(pub &'static str);

/// A text; `None` if the field was never written or has been cleared.
pub fn text(record: &Record, field: &'static str) -> Result<Option<String>, WrongKind> {
    match record.value(field) {
        None => Ok(None),
        Some(Value::Text(text)) => Ok(Some(text.clone())),
        Some(_) => Err(WrongKind(field)),
    }
}

/// A whole number; `None` if the field was never written or has been cleared.
pub fn number(record: &Record, field: &'static str) -> Result<Option<i64>, WrongKind> {
    match record.value(field) {
        None => Ok(None),
        Some(Value::Number(number)) => Ok(Some(*number)),
        Some(_) => Err(WrongKind(field)),
    }
}

/// Yes or no; `None` if the field was never written or has been cleared.
pub fn flag(record: &Record, field: &'static str) -> Result<Option<bool>, WrongKind> {
    match record.value(field) {
        None => Ok(None),
        Some(Value::Flag(flag)) => Ok(Some(*flag)),
        Some(_) => Err(WrongKind(field)),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::node::NodeName;
    use crate::model::stamp::Stamp;

    #[test]
    fn a_field_is_read_as_what_it_is_and_as_nothing_else() {
        let stamp = Stamp {
            time_ms: 1,
            node: NodeName::try_from("a").unwrap(),
        };
        let fields = [
            ("text", Value::Text("x".to_owned())),
            ("number", Value::Number(7)),
            ("flag", Value::Flag(true)),
            ("cleared", Value::Nothing),
        ];
        let fields: BTreeMap<_, _> = fields.map(|(name, value)| (name.to_owned(), value)).into();
        let record = Record::written(fields, &stamp);
        assert_eq!(text(&record, "text"), Ok(Some("x".to_owned())));
        assert_eq!(number(&record, "number"), Ok(Some(7)));
        assert_eq!(flag(&record, "flag"), Ok(Some(true)));
        assert_eq!(text(&record, "cleared"), Ok(None));
        assert_eq!(flag(&record, "missing"), Ok(None));
        assert_eq!(number(&record, "text"), Err(WrongKind("text")));
    }
}
