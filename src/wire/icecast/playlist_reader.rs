//! Playlists of other servers: the addresses of streams in the small files that players open.

use super::playlist::Playlist;

/// The longest playlist that is read: a list of addresses, not a library.
pub const MAX_PLAYLIST_BYTES: usize = 64 << 10;
/// The most addresses of it that count; the first that works is used.
pub const MAX_ENTRIES: usize = 8;

/// Why a playlist names no stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPlaylist {
    /// The playlist is one of HLS: a list of files, each some seconds long.
    #[error(
        "its playlist is one of HLS, whose pieces are not read: ask the station for its Icecast address"
    )]
    Hls,
    /// The playlist has no web address in it.
    #[error("its playlist has no address in it")]
    Empty,
}

impl Playlist {
    /// The kind of playlist that a server answers with, by its media type, and by the path where that says nothing.
    pub fn of_answer(media_type: Option<&str>, path: &str) -> Option<Self> {
        let media_type = media_type.unwrap_or_default();
        let media_type = media_type.split(';').next().unwrap_or_default().trim();
        match media_type.to_ascii_lowercase().as_str() {
            "audio/x-mpegurl"
            | "audio/mpegurl"
            | "audio/m3u"
            | "application/x-mpegurl"
            | "application/mpegurl"
            | "application/vnd.apple.mpegurl" => Some(Self::M3u),
            "audio/x-scpls" | "audio/scpls" | "application/pls+xml" => Some(Self::Pls),
            "" | "text/plain" | "application/octet-stream" => {
                let path = path
                    .split('?')
                    .next()
                    .unwrap_or_default()
                    .to_ascii_lowercase();
                let m3u = [".m3u", ".m3u8"].iter().any(|it| path.ends_with(it));
                let pls = path.ends_with(".pls");
                m3u.then_some(Self::M3u).or(pls.then_some(Self::Pls))
            }
            _ => None,
        }
    }

    /// The addresses in a playlist, in its order, as they stand there: perhaps paths on the same server.
    pub fn read(self, text: &str) -> Result<Vec<String>, BadPlaylist> {
        let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim);
        let entries: Vec<&str> = match self {
            Self::M3u => {
                if text.contains("#EXT-X-") {
                    return Err(BadPlaylist::Hls);
                }
                lines.filter(|line| !line.starts_with('#')).collect()
            }
            _ => lines.filter_map(file_of_pls).collect(),
        };
        let entries = entries.into_iter().filter(|it| is_address(it));
        let entries: Vec<String> = entries.take(MAX_ENTRIES).map(str::to_owned).collect();
        match entries.is_empty() {
            true => Err(BadPlaylist::Empty),
            false => Ok(entries),
        }
    }
}

/// The address in a line such as `File1=http://a/x`.
fn file_of_pls(line: &str) -> Option<&str> {
    let (key, value) = line.split_once('=')?;
    let key = key.trim().to_ascii_lowercase();
    let number = key.strip_prefix("file")?;
    let is_file = number.bytes().all(|byte| byte.is_ascii_digit());
    is_file.then(|| value.trim())
}

/// Whether a text may be a web address, or a path on the same server.
fn is_address(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let is_web = lower.starts_with("http://") || lower.starts_with("https://");
    let is_path = text.starts_with('/') && !text.starts_with("//");
    (is_web || is_path) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::playlist::PlaylistEntry;
    use super::*;

    #[test]
    fn addresses_are_found_in_what_servers_send() {
        let m3u = "\u{feff}#EXTM3U\r\n#EXTINF:-1,A radio\r\nhttp://a/x\r\n\r\n/y.mp3\r\nC:\\music.mp3\r\n//b/z\r\nmms://c\r\n";
        assert_eq!(Playlist::M3u.read(m3u).unwrap(), ["http://a/x", "/y.mp3"]);
        let pls = "[playlist]\nNumberOfEntries=2\nfile1 = HTTP://a/x?y=z\nTitle1=http://t/\nFile2=https://b/\nFiles=http://no/\n";
        assert_eq!(
            Playlist::Pls.read(pls).unwrap(),
            ["HTTP://a/x?y=z", "https://b/"]
        );
    }

    #[test]
    fn a_playlist_without_a_stream_says_why() {
        let hls = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nhttp://a/x.m3u8\n";
        assert_eq!(Playlist::M3u.read(hls), Err(BadPlaylist::Hls));
        for empty in ["", "#EXTM3U\n", "x", "http://a b"] {
            assert_eq!(Playlist::M3u.read(empty), Err(BadPlaylist::Empty));
            assert_eq!(Playlist::Pls.read(empty), Err(BadPlaylist::Empty));
        }
    }

    #[test]
    fn a_playlist_is_known_by_its_type_or_its_ending() {
        for (media_type, path, kind) in [
            (Some("audio/x-mpegurl"), "/x", Some(Playlist::M3u)),
            (
                Some("Audio/X-ScPls; charset=utf-8"),
                "/x",
                Some(Playlist::Pls),
            ),
            (Some("text/plain"), "/listen.M3U?x", Some(Playlist::M3u)),
            (None, "/listen.pls", Some(Playlist::Pls)),
            (Some("audio/mpeg"), "/listen.pls", None),
            (Some("text/html"), "/listen.pls", None),
            (None, "/listen", None),
        ] {
            assert_eq!(Playlist::of_answer(media_type, path), kind, "{path}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(hosts in prop::collection::vec("[a-z]{1,9}", 1..9)) {
            let urls: Vec<String> = hosts.iter().map(|host| format!("http://{host}/x")).collect();
            let entries: Vec<PlaylistEntry> =
                urls.iter().map(|url| PlaylistEntry { url, title: "A = b" }).collect();
            for kind in [Playlist::M3u, Playlist::Pls] {
                prop_assert_eq!(&kind.read(&kind.write(&entries)).unwrap(), &urls);
            }
        }

        #[test]
        fn no_text_is_too_strange(text in any::<String>()) {
            for kind in [Playlist::M3u, Playlist::Pls] {
                if let Ok(entries) = kind.read(&text) {
                    prop_assert!((1..=MAX_ENTRIES).contains(&entries.len()));
                }
            }
        }
    }
}
