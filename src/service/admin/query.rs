//! The parameters of a query. One that is there twice, or has no value, is refused: a part of the question would be lost.

use percent_encoding::percent_decode_str;

/// Why a parameter is not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadParameter {
    /// The parameter is there, and nothing behind it.
    #[error("`{0}` has no value: write {0}=VALUE")]
    NoValue(&'static str),
    /// The parameter is there more than once.
    #[error("`{0}` is given twice: give it once")]
    Twice(&'static str),
}

/// The value of a parameter, decoded; `None` if it is not there.
pub(super) fn parameter(query: &str, key: &'static str) -> Result<Option<String>, BadParameter> {
    let mut found = None;
    for pair in query.split('&') {
        let (name, value) = match pair.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (pair, None),
        };
        if name != key {
            continue;
        }
        let value = value.ok_or(BadParameter::NoValue(key))?;
        let value = percent_decode_str(value).decode_utf8_lossy().into_owned();
        if found.replace(value).is_some() {
            return Err(BadParameter::Twice(key));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_there_once_with_a_value_or_not_at_all() {
        let read = |query| parameter(query, "mount");
        assert_eq!(read(""), Ok(None));
        assert_eq!(read("amount=1&from=x"), Ok(None));
        assert_eq!(read("a&mount=%2Fa&b=1"), Ok(Some("/a".to_owned())));
        assert_eq!(read("mount="), Ok(Some(String::new())));
        assert_eq!(read("mount"), Err(BadParameter::NoValue("mount")));
        assert_eq!(read("mount=/a&mount"), Err(BadParameter::NoValue("mount")));
        assert_eq!(read("mount=/a&mount=/a"), Err(BadParameter::Twice("mount")));
    }
}
