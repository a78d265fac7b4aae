//! Imports: servers whose lists of streams are read, so that each of those streams is a relayed mount here.

use serde::{Deserialize, Serialize};

use super::node::NodeName;
use super::outside_relay::RelayAddresses;

/// The settings of imports; the same on every node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportSettings {
    /// The lists that are read.
    #[serde(rename = "import_streamlist")]
    pub lists: RelayAddresses,
    /// The beginning of the paths of imported mounts, such as `/partner`; empty: their paths are those of the list.
    #[serde(rename = "import_prefix")]
    pub prefix: String,
    /// Whether imported mounts get their streams only while somebody listens.
    #[serde(rename = "import_on_demand")]
    pub on_demand: bool,
    /// Seconds from one reading of a list to the next.
    #[serde(rename = "import_interval_s")]
    pub interval_s: u32,
    /// Seconds for which a mount is kept that its list does not name any more.
    #[serde(rename = "import_keep_s")]
    pub keep_s: u32,
}

impl ImportSettings {
    /// Seconds between two readings: a new stream is here within a minute, and the server answers sixty short questions an
    /// hour.
    pub const DEFAULT_INTERVAL_S: u32 = 60;
    /// Seconds that a mount outlasts its place in the list. Icecast lists a stream only while its source is connected: ten
    /// minutes are more than an encoder needs to come back.
    pub const DEFAULT_KEEP_S: u32 = 600;
}

impl Default for ImportSettings {
    /// Nothing is imported.
    fn default() -> Self {
        Self {
            lists: RelayAddresses::default(),
            prefix: String::new(),
            on_demand: false,
            interval_s: Self::DEFAULT_INTERVAL_S,
            keep_s: Self::DEFAULT_KEEP_S,
        }
    }
}

/// The words of the node that reads the lists.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ImportReport {
    /// Each list, in the order of the settings.
    pub lists: Vec<ListReport>,
}

/// How the last reading of one list went.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ListReport {
    /// The address, without its secrets.
    pub address: String,
    /// The mounts that are here because of it.
    pub mounts: u32,
    /// When it was read last, unix seconds by that node's clock; `None`: not yet by that node.
    pub read_unix_s: Option<u64>,
    /// When it is read again.
    pub next_unix_s: u64,
    /// Why it could not be read, and what to do.
    pub trouble: Option<String>,
    /// How many of its lines are left out, or cannot be followed.
    pub left_out: u32,
    /// The first of these, with the reason; empty if there is none.
    pub first_left_out: String,
}

impl ListReport {
    /// A line on it for people.
    pub fn in_words(&self, now_unix_s: u64) -> String {
        let mounts = match self.mounts {
            1 => "1 mount".to_owned(),
            mounts => format!("{mounts} mounts"),
        };
        let mut words = format!("{mounts} from {}", self.address);
        match self.read_unix_s {
            Some(at) => words += &format!(", read {} s ago", now_unix_s.saturating_sub(at)),
            None => words += ", not read yet",
        }
        let in_s = self.next_unix_s.saturating_sub(now_unix_s);
        words += &format!(", next in {in_s} s");
        if self.left_out > 0 {
            words += &format!(
                "; {} left out, such as {}",
                self.left_out, self.first_left_out
            );
        }
        if let Some(why) = &self.trouble {
            words += &format!(": {why}");
        }
        words
    }
}

/// The imports of the mesh, as a node sees them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportStatus {
    /// The node that reads the lists; `None` while no node does.
    pub node: Option<NodeName>,
    /// The words of that node.
    #[serde(flatten)]
    pub report: ImportReport,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_told_of_in_one_line() {
        let report = ListReport {
            address: "http://***@a/x".to_owned(),
            mounts: 1,
            read_unix_s: Some(90),
            next_unix_s: 150,
            trouble: Some("it hangs".to_owned()),
            left_out: 2,
            first_left_out: "`x`: no path".to_owned(),
        };
        assert_eq!(
            report.in_words(100),
            "1 mount from http://***@a/x, read 10 s ago, next in 50 s; 2 left out, such as `x`: no path: it hangs"
        );
        let unread = ListReport::default().in_words(0);
        assert_eq!(unread, "0 mounts from , not read yet, next in 0 s");
    }
}
