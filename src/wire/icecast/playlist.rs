//! Playlists that name a stream: the small files that players open.

use crate::model::caption::caption;
use crate::wire::xml::escaped;

/// A kind of playlist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Playlist {
    /// `.m3u`: one address per line, with its title above it.
    M3u,
    /// `.pls`: addresses and titles, numbered.
    Pls,
    /// `.xspf`: the same as XML.
    Xspf,
    /// `.vclt`: a list of Vorbis comments for each address.
    Vclt,
}

/// A stream in a playlist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlaylistEntry<'a> {
    /// The absolute URL.
    pub url: &'a str,
    /// The title that players show; may be empty.
    pub title: &'a str,
}

impl Playlist {
    /// Reads `/radio.mp3.m3u` as a kind of playlist and the path of a mount.
    pub fn of_path(path: &str) -> Option<(Self, &str)> {
        let kinds = [
            (".m3u", Self::M3u),
            (".pls", Self::Pls),
            (".xspf", Self::Xspf),
            (".vclt", Self::Vclt),
        ];
        kinds.into_iter().find_map(|(ending, kind)| {
            let mount = path.strip_suffix(ending)?;
            (mount.len() > "/".len()).then_some((kind, mount))
        })
    }

    /// The media type of the playlist.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::M3u => "audio/x-mpegurl",
            Self::Pls => "audio/x-scpls",
            Self::Xspf => "application/xspf+xml; charset=UTF-8",
            Self::Vclt => "audio/x-vclt",
        }
    }

    /// The text of the playlist. Nothing in an entry can begin a line or a tag of its own.
    pub fn write(self, entries: &[PlaylistEntry<'_>]) -> String {
        match self {
            Self::M3u => m3u(entries),
            Self::Pls => pls(entries),
            Self::Xspf => xspf(entries),
            Self::Vclt => vclt(entries),
        }
    }
}

/// Writes a `.m3u`. Lines with `#` are comments to players that know addresses only. -1 is a stream, which has no
/// length.
fn m3u(entries: &[PlaylistEntry<'_>]) -> String {
    let mut text = String::from("#EXTM3U\r\n");
    for entry in entries {
        text += &format!("#EXTINF:-1,{}\r\n", line(entry.title));
        text += &format!("{}\r\n", url(entry.url));
    }
    text
}

fn pls(entries: &[PlaylistEntry<'_>]) -> String {
    let mut text = format!("[playlist]\r\nNumberOfEntries={}\r\n", entries.len());
    for (number, entry) in (1..).zip(entries) {
        text += &format!("File{number}={}\r\n", url(entry.url));
        if !entry.title.is_empty() {
            text += &format!("Title{number}={}\r\n", line(entry.title));
        }
        text += &format!("Length{number}=-1\r\n");
    }
    text + "Version=2\r\n"
}

fn xspf(entries: &[PlaylistEntry<'_>]) -> String {
    let mut text = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <playlist version=\"1\" xmlns=\"http://xspf.org/ns/0/\">\n  <trackList>\n",
    );
    for entry in entries {
        text += "    <track>\n";
        text += &format!("      <location>{}</location>\n", escaped(&url(entry.url)));
        if !entry.title.is_empty() {
            text += &format!("      <title>{}</title>\n", escaped(&line(entry.title)));
        }
        text += "    </track>\n";
    }
    text + "  </trackList>\n</playlist>\n"
}

/// Writes a `.vclt`, with the names that Icecast gives the comments. `==` ends an entry.
fn vclt(entries: &[PlaylistEntry<'_>]) -> String {
    let mut text = String::new();
    for entry in entries {
        text += &format!("STREAMURL={}\n", url(entry.url));
        if !entry.title.is_empty() {
            text += &format!("SERVER_NAME={}\n", line(entry.title));
        }
        text += "==\n";
    }
    text
}

/// A URL without characters that could end it early.
fn url(text: &str) -> String {
    line(text).replace(' ', "%20")
}

/// Text in one line, with only characters that XML can have.
fn line(text: &str) -> String {
    caption(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ONE: PlaylistEntry<'_> = PlaylistEntry {
        url: "http://radio.example:8000/a.mp3?x=1&y=2",
        title: "Rock & <Roll>",
    };

    #[test]
    fn an_ending_names_a_kind() {
        let of_path = Playlist::of_path;
        assert_eq!(of_path("/a.mp3.m3u"), Some((Playlist::M3u, "/a.mp3")));
        assert_eq!(of_path("/a.pls"), Some((Playlist::Pls, "/a")));
        assert_eq!(of_path("/a/b.xspf"), Some((Playlist::Xspf, "/a/b")));
        assert_eq!(of_path("/a.vclt"), Some((Playlist::Vclt, "/a")));
        for none in ["/a.mp3", "/.m3u", ".m3u", "/a.m3u8", ""] {
            assert_eq!(of_path(none), None, "{none}");
        }
    }

    #[test]
    fn an_m3u_has_a_line_for_each_title_and_address() {
        let text = Playlist::M3u.write(&[ONE, ONE]);
        let one = format!("#EXTINF:-1,Rock & <Roll>\r\n{}\r\n", ONE.url);
        assert_eq!(text, format!("#EXTM3U\r\n{one}{one}"));
        assert_eq!(Playlist::M3u.content_type(), "audio/x-mpegurl");
    }

    #[test]
    fn a_pls_counts_its_entries() {
        let untitled = PlaylistEntry { title: "", ..ONE };
        let text = Playlist::Pls.write(&[ONE, untitled]);
        assert!(text.starts_with("[playlist]\r\nNumberOfEntries=2\r\nFile1=http://radio"));
        assert!(text.contains("\r\nTitle1=Rock & <Roll>\r\nLength1=-1\r\nFile2=http"));
        assert!(!text.contains("Title2"));
    }

    #[test]
    fn an_xspf_is_escaped() {
        let text = Playlist::Xspf.write(&[ONE]);
        assert!(text.contains("<location>http://radio.example:8000/a.mp3?x=1&amp;y=2</location>"));
        assert!(text.contains("<title>Rock &amp; &lt;Roll&gt;</title>"));
    }

    #[test]
    fn a_vclt_has_comments_for_each_address() {
        let untitled = PlaylistEntry { title: "", ..ONE };
        let text = Playlist::Vclt.write(&[ONE, untitled]);
        let url = ONE.url;
        let expected =
            format!("STREAMURL={url}\nSERVER_NAME=Rock & <Roll>\n==\nSTREAMURL={url}\n==\n");
        assert_eq!(text, expected);
    }

    proptest! {
        #[test]
        fn no_entry_breaks_out_of_its_place(
            address in "[\\x00-\\x20\\x7f-\\x9f\u{2028}a</>\"&]{0,20}",
            title in "[\\x00-\\x20\\x7f-\\x9f\u{2028}a</>\"&]{0,20}",
        ) {
            let entry = PlaylistEntry { url: &address, title: &title };
            let m3u = Playlist::M3u.write(&[entry]);
            prop_assert_eq!(m3u.matches(['\r', '\n']).count(), 6);
            let last = m3u.lines().last().unwrap_or_default();
            prop_assert!(!last.contains(' '));
            let titled = usize::from(!title.is_empty());
            prop_assert_eq!(Playlist::Pls.write(&[entry]).lines().count(), 5 + titled);
            prop_assert_eq!(Playlist::Vclt.write(&[entry]).lines().count(), 2 + titled);
            let xspf = Playlist::Xspf.write(&[entry]);
            prop_assert_eq!(xspf.matches('<').count(), 9 + 2 * titled);
        }
    }
}
