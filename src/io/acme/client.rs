//! Carries the requests of the ACME library by our own HTTP client, within its bounds, and notes what only heads say.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::header::{CONTENT_TYPE, DATE, HeaderMap, RETRY_AFTER};
use hyper::{Request, Response, StatusCode};
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use parking_lot::Mutex;

use crate::io::clock;
use crate::io::http::{Answer, HttpError, Limits, Question, Trust, request_trusting};
use crate::model::http_date::read_http_date;

/// The bounds of a request. Authorities answer within a second or two, some within ten when they are busy; a chain is the
/// longest that they send.
const LIMITS: Limits = Limits {
    time: Duration::from_secs(20),
    answer_bytes: 256 * 1024,
    redirects: 0,
};

/// The words in the heads of answers.
#[derive(Clone, Debug, Default)]
pub(super) struct Notes(Arc<Mutex<HeadNotes>>);

/// The head of the last answer.
#[derive(Clone, Debug, Default)]
pub(super) struct HeadNotes {
    /// The status of the last answer.
    pub(super) status: Option<StatusCode>,
    /// The media type of the last answer.
    pub(super) content_type: String,
    /// How long the authority asks to wait, in the last answer.
    pub(super) retry_after: Option<Duration>,
    /// By how much this node's clock is ahead of the authority's, seconds.
    pub(super) clock_ahead_s: Option<i64>,
}

impl Notes {
    pub(super) fn last(&self) -> HeadNotes {
        self.0.lock().clone()
    }

    fn note(&self, answer: &Answer) {
        let text = |name| answer.headers.get(name).and_then(|it| it.to_str().ok());
        let now_unix_s = clock::unix_s();
        let date = text(DATE).and_then(read_http_date);
        *self.0.lock() = HeadNotes {
            status: Some(answer.status),
            content_type: text(CONTENT_TYPE).unwrap_or("no media type").to_owned(),
            retry_after: retry_after(&answer.headers, now_unix_s),
            clock_ahead_s: date.map(|date| now_unix_s.cast_signed() - date.as_secs().cast_signed()),
        };
    }
}

/// How long a server asks to wait: seconds, or a date.
fn retry_after(headers: &HeaderMap, now_unix_s: u64) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let seconds = text.parse().ok();
    let until = || Some(read_http_date(text)?.as_secs().saturating_sub(now_unix_s));
    seconds.or_else(until).map(Duration::from_secs)
}

/// The client that the library is given.
#[derive(Debug)]
pub(super) struct Client {
    /// The proof that the authority's server gives; `None`: that of every server.
    pub(super) trust: Option<Arc<Trust>>,
    pub(super) notes: Notes,
}

impl HttpClient for Client {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let (trust, notes) = (self.trust.clone(), self.notes.clone());
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let question = Question {
                method: head.method,
                url: head.uri,
                headers: head.headers,
                body: body
                    .collect()
                    .await
                    .map_or_else(|never| match never {}, |it| it.to_bytes()),
            };
            let trust = trust.as_deref().unwrap_or(Trust::system());
            let answer = request_trusting(question, LIMITS, trust).await;
            let answer = answer.map_err(|error: HttpError| Error::Other(Box::new(error)))?;
            notes.note(&answer);
            let mut response = Response::new(BodyWrapper::from(answer.body.to_vec()));
            *response.status_mut() = answer.status;
            *response.headers_mut() = answer.headers;
            Ok(BytesResponse::from(response))
        })
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    #[test]
    fn a_wait_is_seconds_or_a_date() {
        let asked = |text: &'static str| {
            let value = HeaderValue::from_static(text);
            retry_after(
                &HeaderMap::from_iter([(RETRY_AFTER, value)]),
                784_111_777 - 60,
            )
        };
        assert_eq!(asked("120"), Some(Duration::from_secs(120)));
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        assert_eq!(asked(date), Some(Duration::from_secs(60)));
        assert_eq!(asked("soon"), None);
        assert_eq!(retry_after(&HeaderMap::new(), 0), None);
    }
}
