//! The bodies of requests to the API: JSON objects whose fields are settings.

use std::error::Error;

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::Request;
use hyper::body::{Body as HttpBody, Incoming};
use serde_json::{Map, Value};

/// The longest body of a request: every text of a mount at its longest, several times.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// Why a body is not read.
#[derive(Debug, thiserror::Error)]
pub(super) enum BadBody {
    #[error("the body broke off")]
    BrokenOff,
    #[error("the body is longer than {MAX_BODY_BYTES} bytes")]
    TooLong,
    #[error("the body is no JSON object: {0}")]
    Json(#[from] serde_json::Error),
    #[error("`{0}` must be a text, a number, true or false")]
    Kind(String),
}

/// The JSON object that is the body of a request.
pub(super) async fn object(request: Request<Incoming>) -> Result<Map<String, Value>, BadBody> {
    let body = whole(request.into_body()).await?;
    Ok(serde_json::from_slice(&body)?)
}

/// The value of a field as an operator would have typed it; cleared is empty.
pub(super) fn typed(field: &str, value: Value) -> Result<String, BadBody> {
    match value {
        Value::String(text) => Ok(text),
        Value::Null => Ok(String::new()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(flag) => Ok(flag.to_string()),
        Value::Array(_) | Value::Object(_) => Err(BadBody::Kind(field.to_owned())),
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

    #[tokio::test]
    async fn a_body_over_the_bound_is_called_too_long() {
        let longest = whole(Full::<Bytes>::from(vec![b'x'; MAX_BODY_BYTES])).await;
        assert_eq!(longest.unwrap().len(), MAX_BODY_BYTES);
        let bad = whole(Full::<Bytes>::from(vec![b'x'; MAX_BODY_BYTES + 1])).await;
        let bad = bad.unwrap_err();
        assert_eq!(bad.to_string(), "the body is longer than 65536 bytes");
    }
}
