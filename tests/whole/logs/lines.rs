//! A line of `access.log`, read as strictly as any tool would.

/// The fields of a line in the combined format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AccessLine {
    pub(super) client: String,
    pub(super) user: String,
    /// The method, the path and the protocol.
    pub(super) request: String,
    pub(super) status: u16,
    pub(super) bytes: usize,
    pub(super) referer: String,
    pub(super) agent: String,
    pub(super) seconds: u64,
}

impl AccessLine {
    /// Panics at a line that is not of this format.
    pub(super) fn read(line: &str) -> Self {
        let read = Self::try_read(line);
        read.unwrap_or_else(|| panic!("this is no line of access.log: {line}"))
    }

    fn try_read(line: &str) -> Option<Self> {
        let (who, rest) = line.split_once(" [")?;
        let (time, rest) = rest.split_once("] \"")?;
        let is_time = time.len() == "20/Nov/2026:08:22:36 +0000".len() && time.ends_with(" +0000");
        let (client, user) = who.split_once(" - ")?;
        let fields: Vec<&str> = rest.split('"').collect();
        let [request, numbers, referer, " ", agent, seconds] = fields[..] else {
            return None;
        };
        let (status, bytes) = numbers.trim().split_once(' ')?;
        is_time.then_some(Self {
            client: client.to_owned(),
            user: user.to_owned(),
            request: request.to_owned(),
            status: status.parse().ok()?,
            bytes: bytes.parse().ok()?,
            referer: referer.to_owned(),
            agent: agent.to_owned(),
            seconds: seconds.trim().parse().ok()?,
        })
    }

    /// The fields that are the same at every server: all but the client, its user, and the length of pages.
    pub(super) fn asked(&self) -> (String, u16, String, String) {
        let (referer, agent) = (self.referer.clone(), self.agent.clone());
        (self.request.clone(), self.status, referer, agent)
    }
}
