//! The bodies of requests to the API: JSON objects whose fields are settings.

use std::error::Error;
use std::fmt;

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::Request;
use hyper::body::{Body as HttpBody, Incoming};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value};

/// The longest body of a request: every text of a mount at its longest, several times.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// The longest part of a field's name that is repeated.
const MAX_SHOWN_LETTERS: usize = 64;

/// Why a body is not read.
#[derive(Debug, thiserror::Error)]
pub(super) enum BadBody {
    #[error("the body broke off")]
    BrokenOff,
    #[error("the body is longer than {MAX_BODY_BYTES} bytes")]
    TooLong,
    #[error("the body is longer than {} MiB", .0 >> 20)]
    FileTooLong(usize),
    #[error("the body is no JSON object: {0}")]
    Json(#[from] serde_json::Error),
    #[error("`{0}` is given twice")]
    Twice(String),
    #[error("`{0}` must be a text, a number, true or false")]
    Kind(String),
    #[error("`{0}` must be a text, in quotes")]
    NoText(&'static str),
    #[error("the number for `{0}` is too long to be kept as it is: write it as a text, in quotes")]
    Number(String),
}

/// The JSON object that is the body of a request.
pub(super) async fn object(request: Request<Incoming>) -> Result<Map<String, Value>, BadBody> {
    let body = whole(request.into_body()).await?;
    fields(&body)
}

/// The body of a request as it is, if it has so many bytes at most.
pub(super) async fn bytes(request: Request<Incoming>, most: usize) -> Result<Bytes, BadBody> {
    let is_too_long = |stated: u64| usize::try_from(stated).is_ok_and(|it| it > most);
    if request.body().size_hint().exact().is_some_and(is_too_long) {
        return Err(BadBody::FileTooLong(most));
    }
    match Limited::new(request.into_body(), most).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(BadBody::FileTooLong(most)),
        Err(_) => Err(BadBody::BrokenOff),
    }
}

/// The fields of a JSON object. One that is given twice is refused: one of its values would be lost.
fn fields(body: &[u8]) -> Result<Map<String, Value>, BadBody> {
    let Pairs(pairs) = serde_json::from_slice(body)?;
    let mut fields = Map::new();
    for (key, value) in pairs {
        if fields.contains_key(&key) {
            return Err(BadBody::Twice(
                key.chars().take(MAX_SHOWN_LETTERS).collect(),
            ));
        }
        fields.insert(key, value);
    }
    Ok(fields)
}

/// The fields of a JSON object as they stand there.
struct Pairs(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(PairsVisitor)
    }
}

struct PairsVisitor;

impl<'de> Visitor<'de> for PairsVisitor {
    type Value = Pairs;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(Pairs(pairs))
    }
}

/// The value of a field as an operator would have typed it; cleared is empty.
pub(super) fn typed(field: &str, value: Value) -> Result<String, BadBody> {
    match value {
        Value::String(text) => Ok(text),
        Value::Null => Ok(String::new()),
        // JSON numbers beyond those of 64 bits have lost digits by now: they are written with an exponent.
        Value::Number(number) => match number.to_string() {
            long if number.is_f64() && long.contains('e') => Err(BadBody::Number(field.to_owned())),
            number => Ok(number),
        },
        Value::Bool(flag) => Ok(flag.to_string()),
        Value::Array(_) | Value::Object(_) => Err(BadBody::Kind(field.to_owned())),
    }
}

/// A field that names what a request is about.
pub(super) fn name(field: &'static str, value: Value) -> Result<String, BadBody> {
    match value {
        Value::String(text) => Ok(text),
        _ => Err(BadBody::NoText(field)),
    }
}

/// The whole body, if it is no longer than [`MAX_BODY_BYTES`].
async fn whole<B>(body: B) -> Result<Bytes, BadBody>
where
    B: HttpBody<Error: Into<Box<dyn Error + Send + Sync>>>,
{
    match Limited::new(body, MAX_BODY_BYTES).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(BadBody::TooLong),
        Err(_) => Err(BadBody::BrokenOff),
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::Full;

    use super::*;

    #[test]
    fn a_field_that_is_given_twice_is_named() {
        let read = fields(br#"{"name": "a", "genre": null}"#).unwrap();
        assert_eq!((read.len(), &read["name"]), (2, &"a".into()));
        for (bad, why) in [
            (
                r#"{"name": "a", "genre": "b", "name": "a"}"#,
                "`name` is given twice",
            ),
            ("[]", "the body is no JSON object: "),
            ("{} {}", "the body is no JSON object: "),
        ] {
            let error = fields(bad.as_bytes()).unwrap_err().to_string();
            assert!(error.starts_with(why), "{error}");
        }
    }

    #[test]
    fn a_number_is_kept_as_it_is_or_refused() {
        let typed = |json: &str| {
            let value = serde_json::from_str(json).unwrap();
            typed("name", value).map_err(|bad| bad.to_string())
        };
        assert_eq!(
            typed("18446744073709551615").unwrap(),
            "18446744073709551615"
        );
        assert_eq!(typed("-2").unwrap(), "-2");
        assert_eq!(typed("0.5").unwrap(), "0.5");
        for long in ["18446744073709551616", "-1e99"] {
            assert!(typed(long).unwrap_err().contains("in quotes"), "{long}");
        }
        assert_eq!(name("path", "/a".into()).unwrap(), "/a");
        let bad = name("path", 1.into()).unwrap_err().to_string();
        assert_eq!(bad, "`path` must be a text, in quotes");
    }

    #[tokio::test]
    async fn a_body_over_the_bound_is_called_too_long() {
        let longest = whole(Full::<Bytes>::from(vec![b'x'; MAX_BODY_BYTES])).await;
        assert_eq!(longest.unwrap().len(), MAX_BODY_BYTES);
        let bad = whole(Full::<Bytes>::from(vec![b'x'; MAX_BODY_BYTES + 1])).await;
        let bad = bad.unwrap_err();
        assert_eq!(bad.to_string(), "the body is longer than 65536 bytes");
    }
}
