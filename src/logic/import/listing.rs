//! Reads a list of streams: `/admin/streamlist.txt` of Icecast, one path or address on each line.

use std::collections::BTreeMap;

use crate::model::mount::MountName;
use crate::model::outside_relay::RelayAddress;

/// The most streams of one list: more than one Icecast carries, and few enough for the document.
pub const MAX_STREAMS: usize = 100;
/// The longest list that is read: that many addresses of the longest kind.
pub const MAX_LIST_BYTES: usize = 64 << 10;
/// The path of the list, if the address names none.
pub const USUAL_PATH: &str = "/admin/streamlist.txt";
/// The beginning of the lines of Icecast-KH that name a stream by the address at which slaves get it.
const KH_LINE: &str = "/admin/streams?mount=";
/// The longest part of a line that is shown.
const MAX_SHOWN_BYTES: usize = 80;

/// The address that is asked for the list that an operator names: of a server alone it is the usual one.
pub fn list_address(named: &RelayAddress) -> String {
    match named.path() {
        "/" => named.place().trim_end_matches('/').to_owned() + USUAL_PATH,
        _ => named.place(),
    }
}

/// The streams of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The address of the stream of each mount, by the path here.
    pub streams: BTreeMap<MountName, RelayAddress>,
    /// The lines that are left out, with the reasons.
    pub left_out: Vec<String>,
}

/// Why an answer is no list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoList {
    /// The answer is a web page.
    #[error(
        "it answers with a web page and not with a list: name the address of /admin/streamlist.txt, and look whether it wants a login"
    )]
    Page,
    /// The answer is JSON.
    #[error(
        "it answers with JSON and not with a list: name the address of /admin/streamlist.txt, or the server alone"
    )]
    Json,
    /// The answer is no text.
    #[error("it answers with something that is no text: name the address of /admin/streamlist.txt")]
    Binary,
}

/// Reads the answer of a server that was asked for its list. `prefix` stands before the paths of mounts here.
pub fn read(answer: &[u8], list: &RelayAddress, prefix: &str) -> Result<Listing, NoList> {
    let text = std::str::from_utf8(answer).map_err(|_| NoList::Binary)?;
    if text.trim_start().starts_with('<') {
        return Err(NoList::Page);
    }
    if text.trim_start().starts_with(['{', '[']) {
        return Err(NoList::Json);
    }
    let mut listing = Listing::default();
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    for line in lines {
        match stream(line, list, prefix) {
            Ok((mount, _)) if listing.streams.contains_key(&mount) => {
                listing.leave_out(line, "it is there twice");
            }
            Ok(_) if listing.streams.len() >= MAX_STREAMS => {
                let why = format!("there are {MAX_STREAMS} already, which is the most");
                listing.leave_out(line, &why);
            }
            Ok((mount, address)) => drop(listing.streams.insert(mount, address)),
            Err(why) => listing.leave_out(line, &why),
        }
    }
    Ok(listing)
}

/// The mount and the address of one line.
fn stream(
    line: &str,
    list: &RelayAddress,
    prefix: &str,
) -> Result<(MountName, RelayAddress), String> {
    let path = line.strip_prefix(KH_LINE).unwrap_or(line);
    let address = match path.starts_with('/') {
        true => list.at_path(path),
        false => path.parse(),
    };
    let address = address.map_err(|_| "it is neither a path nor an address".to_owned())?;
    let path = address.path();
    if !prefix.is_empty() && path.starts_with(&format!("{prefix}/")) {
        return Err(
            "it begins with import_prefix, so it was imported from there to here".to_owned(),
        );
    }
    let mount = MountName::try_from(format!("{prefix}{path}")).map_err(|why| why.to_string())?;
    Ok((mount, address))
}

impl Listing {
    fn leave_out(&mut self, line: &str, why: &str) {
        let cut = &line[..line.floor_char_boundary(MAX_SHOWN_BYTES)];
        // A login in an address is for nobody's eyes.
        let shown = cut.rsplit_once('@').map_or(cut, |(_, host)| host);
        self.left_out
            .push(format!("`{}`: {why}", shown.escape_debug()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list() -> RelayAddress {
        "http://relay:pw@a:8000/admin/streamlist.txt"
            .parse()
            .unwrap()
    }

    fn streams(listing: &Listing) -> Vec<(String, String)> {
        let pairs = listing.streams.iter();
        pairs
            .map(|(mount, address)| (mount.to_string(), address.kept()))
            .collect()
    }

    #[test]
    fn each_line_is_a_stream_of_that_server_or_of_another() {
        let text = "/one.mp3\r\n\r\nhttp://b:9000/two\r\n/admin/streams?mount=/three\n";
        let listing = read(text.as_bytes(), &list(), "").unwrap();
        let expected = [
            ("/one.mp3", "http://a:8000/one.mp3"),
            ("/three", "http://a:8000/three"),
            ("/two", "http://b:9000/two"),
        ];
        let expected = expected.map(|(mount, url)| (mount.to_owned(), url.to_owned()));
        assert_eq!(streams(&listing), expected);
        assert!(listing.left_out.is_empty());
        assert_eq!(read(b"", &list(), ""), Ok(Listing::default()));
    }

    #[test]
    fn a_prefix_stands_before_every_path_and_ends_circles() {
        let text = "/one\n/partner/one\n";
        let listing = read(text.as_bytes(), &list(), "/partner").unwrap();
        let expected = [("/partner/one".to_owned(), "http://a:8000/one".to_owned())];
        assert_eq!(streams(&listing), expected);
        assert!(listing.left_out[0].contains("import_prefix"));
    }

    #[test]
    fn odd_lines_are_left_out_with_their_reason() {
        let many: String = (0..=MAX_STREAMS).map(|it| format!("/s{it}\n")).collect();
        for (text, why) in [
            ("radio", "neither a path nor an address"),
            ("/my radio", "neither a path nor an address"),
            ("/admin/x", ""),
            ("/a\n/a", "it is there twice"),
            ("http://u:secret@/", "neither a path nor an address"),
            (&many, "which is the most"),
        ] {
            let listing = read(text.as_bytes(), &list(), "").unwrap();
            assert_eq!(listing.left_out.len(), 1, "{text}");
            let told = &listing.left_out[0];
            assert!(told.contains(why) && !told.contains("secret"), "{told}");
        }
    }

    #[test]
    fn a_page_is_no_list() {
        let page = b" <html>\n/one\n</html>";
        assert_eq!(read(page, &list(), ""), Err(NoList::Page));
        for json in [&b"{\"icestats\": {}}"[..], b"\n [\"/a\"]"] {
            assert_eq!(read(json, &list(), ""), Err(NoList::Json));
        }
        assert_eq!(read(b"\xff\xfb\x90", &list(), ""), Err(NoList::Binary));
    }
}
