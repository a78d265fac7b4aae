//! Sources that speak Shoutcast: the password first, and the headers once it is right.
//!
//! The headers behind the password are those of an old encoder's request. So they are read as one, behind a request
//! line that was never sent, and all that follows is as for any other source.

use bytes::{Bytes, BytesMut};
use tracing::field::display;
use tracing::{Instrument as _, debug, info, info_span};

use super::broadcast::Broadcast;
use super::filler::Offer;
use super::http_source::HttpSource;
use super::refusal::{Refusal, answer_and_drain, refuse};
use super::{Ingest, close, keep_little};
use crate::io::door::{self, NoHead, Visitor};
use crate::io::{answer, clock};
use crate::model::mount::MountSpec;
use crate::model::source::SourceOrigin;
use crate::model::source_priority::SourcePriority;
use crate::service::logins::{Caller, SourceRight};
use crate::service::sources::{SourcePlace, SourceProtocol};
use crate::wire::http::head::Head;
use crate::wire::http::reply;
use crate::wire::http::reply::Reply;
use crate::wire::icecast::shoutcast;
use crate::wire::icecast::shoutcast::ShoutcastLogin;

impl Ingest {
    /// Takes a Shoutcast source from its password to its end. `begun` is what it has already sent behind that.
    pub async fn serve_shoutcast(
        &self,
        mut visitor: Visitor,
        login: ShoutcastLogin,
        begun: BytesMut,
    ) {
        let (spec, right, _place) = match self.admit_shoutcast(&login, Caller::of(&visitor)).await {
            Ok(admitted) => admitted,
            Err(refusal) => return refuse_shoutcast(&mut visitor, refusal).await,
        };
        let client = visitor.behind_proxy().map(display);
        let span = info_span!("source", peer = %visitor.peer, client, path = %spec.path);
        self.welcome(&mut visitor, spec, right.priority, begun)
            .instrument(span)
            .await;
    }

    /// Checks the login, and whether this node takes sources.
    async fn admit_shoutcast(
        &self,
        login: &ShoutcastLogin,
        caller: Caller,
    ) -> Result<(MountSpec, SourceRight, SourcePlace), Refusal> {
        self.check_taking()?;
        let usual = self.0.shoutcast_mount.as_ref();
        let (spec, right) = self.0.logins.shoutcast(login, usual, caller).await?;
        self.check_is_for_encoders(&spec)?;
        let origin = SourceOrigin::new(caller.client, &spec);
        let place = self.find_place(&spec, &origin).await?;
        Ok((spec, right, place))
    }

    /// Carries a source whose password is right.
    async fn welcome(
        &self,
        visitor: &mut Visitor,
        spec: MountSpec,
        priority: SourcePriority,
        begun: BytesMut,
    ) {
        keep_little(visitor);
        if let Some(record) = self.0.logs.begin_shoutcast(&spec.path, visitor.client) {
            visitor.stream.begin_request(record);
        }
        let sent = answer::send(&mut visitor.stream, shoutcast::ACCEPTED).await;
        if let Err(error) = sent {
            return debug!(%error, "gone behind its password");
        }
        let Some(RequestBehind { head, begun }) = self.read_headers(visitor, &spec, begun).await
        else {
            return;
        };
        if let Some(record) = visitor.stream.request() {
            record.is_of(head.header("user-agent").unwrap_or_default());
        }
        let origin = SourceOrigin::new(visitor.client.ip, &spec);
        let offer = Offer::of(&head, spec, origin, SourceProtocol::Shoutcast, priority);
        let mount = offer.spec.path.clone();
        match Broadcast::begin(&self.0, offer).await {
            Ok(broadcast) => {
                let source = HttpSource::new(&mut visitor.stream, &head, Bytes::new(), begun);
                broadcast.run(source).await;
                close(&mut visitor.stream).await;
            }
            Err(refused) => {
                let reply = Reply::to(&head, clock::unix_s()).and_close();
                refuse(&mut visitor.stream, &reply, Refusal::of(refused, &mount)).await;
            }
        }
    }

    /// Reads the headers up to the empty line. A source whose headers are invalid, or too slow, is closed.
    async fn read_headers(
        &self,
        visitor: &mut Visitor,
        spec: &MountSpec,
        begun: BytesMut,
    ) -> Option<RequestBehind> {
        let mut request = BytesMut::from(format!("SOURCE {} HTTP/1.0\r\n", spec.path).as_bytes());
        request.unsplit(begun);
        let reading = door::read_head(visitor, &mut request);
        let error = match self.0.visitors.until_end(reading).await? {
            Ok(read) => {
                let begun = request.split_off(read.len);
                let head = read.head;
                return Some(RequestBehind { head, begun });
            }
            Err(error) => error,
        };
        let told = match error {
            NoHead::Refused(why) => {
                info!("closed: the headers of the Shoutcast source are invalid: {why}");
                reply::head_refused(why, &request, clock::unix_s())
            }
            NoHead::TooSlow => {
                info!("closed: the headers of the Shoutcast source took too long");
                None
            }
            NoHead::Left => {
                debug!("gone before its headers were complete");
                None
            }
        };
        answer_and_drain(&mut visitor.stream, &told.unwrap_or_default()).await;
        None
    }
}

/// The bytes of a Shoutcast source behind its password.
struct RequestBehind {
    head: Head,
    /// The audio that has come with the headers.
    begun: BytesMut,
}

/// Tells a source whose password is not accepted so.
async fn refuse_shoutcast(visitor: &mut Visitor, refusal: Refusal) {
    if refusal == Refusal::Unauthorized {
        answer_and_drain(&mut visitor.stream, shoutcast::REFUSED).await;
    } else {
        let reply = Reply::without_head(b"", clock::unix_s());
        refuse(&mut visitor.stream, &reply, refusal).await;
    }
}
