//! One request on its way to the log: it is noted when its answer has ended, whichever way that goes.

use std::time::Instant;

use super::{LogEntry, LogQueue};
use crate::io::clock;
use crate::model::access_log::{AccessEntry, NotedRequest, noted};
use crate::model::mount::MountName;
use crate::wire::http::response::status_said;

/// A request that is being answered. Dropped, it is noted, unless nothing was answered.
#[derive(Debug)]
pub struct AccessRecord {
    queue: LogQueue,
    request: Option<NotedRequest>,
    begun: Instant,
    status: Option<u16>,
    sent_bytes: u64,
}

impl AccessRecord {
    /// A request that begins now.
    pub fn new(queue: &LogQueue, request: NotedRequest) -> Self {
        Self {
            queue: queue.clone(),
            request: Some(request),
            begun: clock::now(),
            status: None,
            sent_bytes: 0,
        }
    }

    /// Notes the mount that is asked for by another path, to which the listener was sent.
    pub fn is_for(&mut self, mount: &MountName) {
        if let Some(request) = &mut self.request {
            mount.as_str().clone_into(&mut request.path);
        }
    }

    /// Notes the name of the program, which came behind the request.
    pub fn is_of(&mut self, agent: &str) {
        if let Some(request) = &mut self.request {
            request.agent = Some(noted(agent));
        }
    }

    /// Notes bytes of the answer that the system has taken. The first ones say its status.
    pub fn note_sent(&mut self, bytes: &[u8]) {
        if self.status.is_none() {
            self.status = status_said(bytes);
        }
        self.sent_bytes += bytes.len() as u64;
    }

    /// Ends a stream that was sent elsewhere than where answers are, so many bytes with its head, and was good.
    pub fn end_stream(mut self, sent_bytes: u64) {
        if sent_bytes > 0 {
            self.status.get_or_insert(200);
            self.sent_bytes += sent_bytes;
        }
    }
}

impl Drop for AccessRecord {
    fn drop(&mut self) {
        let (Some(mut request), Some(status)) = (self.request.take(), self.status) else {
            return; // closed without an answer
        };
        if status == 401 {
            // Whose login is wrong may have typed the password in the place of the name.
            request.user = None;
        }
        self.queue.note(LogEntry::Access(AccessEntry {
            request,
            status,
            sent_bytes: self.sent_bytes,
            ended_unix_s: clock::unix_s(),
            took: clock::now().saturating_duration_since(self.begun),
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(queue: &LogQueue) -> AccessRecord {
        AccessRecord::new(
            queue,
            NotedRequest {
                client: [192, 0, 2, 1].into(),
                user: None,
                method: "GET".to_owned(),
                path: "/".to_owned(),
                protocol: "HTTP/1.1",
                referer: None,
                agent: None,
            },
        )
    }

    fn seen(with: impl FnOnce(AccessRecord)) -> Option<(u16, u64)> {
        let (queue, mut receiver) = super::super::queue();
        with(record(&queue));
        match receiver.take_now().pop() {
            Some(LogEntry::Access(entry)) => Some((entry.status, entry.sent_bytes)),
            other => {
                assert_eq!(other, None);
                None
            }
        }
    }

    #[test]
    fn a_request_is_noted_once_its_answer_has_ended() {
        let answered = seen(|mut record| {
            record.note_sent(b"HTTP/1.1 404 Not Found\r\n\r\n");
            record.note_sent(b"HTTP/1.1 500");
        });
        assert_eq!(answered, Some((404, 38)));
        assert_eq!(seen(|record| record.end_stream(99)), Some((200, 99)));
        assert_eq!(seen(drop), None, "no answer");
        assert_eq!(seen(|record| record.end_stream(0)), None);
    }
}
