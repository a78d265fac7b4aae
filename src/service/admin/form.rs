//! Forms in which encoders say what is on air, in any charset.

use hyper::HeaderMap;
use percent_encoding::percent_decode;

use crate::model::caption::caption;
use crate::model::charset::Charset;
use crate::model::title::TitleInfo;

/// The fields of a form, in order, as bytes.
pub(super) struct FormFields(Vec<(String, Vec<u8>)>);

impl FormFields {
    /// Reads `key=value&key=value`; what has no `=` is no field.
    pub(super) fn parse(form: &[u8]) -> Self {
        let pairs = form.split(|&byte| byte == b'&').filter_map(|pair| {
            let equals = pair.iter().position(|&byte| byte == b'=')?;
            let key = String::from_utf8_lossy(&pair[..equals]).into_owned();
            Some((key, unescape(&pair[equals + 1..])))
        });
        Self(pairs.collect())
    }

    fn bytes(&self, key: &str) -> Option<&[u8]> {
        let (_, bytes) = self.0.iter().find(|(name, _)| name == key)?;
        Some(bytes)
    }

    /// A field that is a word of the protocol, which all charsets have alike.
    pub(super) fn text(&self, key: &str) -> Option<String> {
        Some(Charset::default().read(self.bytes(key)?))
    }

    /// The title on air: artist and title before the song, because encoders that send all three have a stale song.
    /// Fields that are empty say that nothing is on air; without any of them nothing is said.
    ///
    /// The text is in the charset that was named (`spoken`). Otherwise it is UTF-8 if it is valid, and in the charset
    /// `of_mount` if not. An address and an album may stand beside.
    pub(super) fn title(&self, spoken: Option<Charset>, of_mount: Charset) -> Option<TitleInfo> {
        let text = |key| {
            let bytes = self.bytes(key)?;
            let text = match spoken {
                Some(named) => of_mount.read_as(named, bytes),
                None => of_mount.read(bytes),
            };
            Some(caption(&text))
        };
        let filled = |key| text(key).filter(|text| !text.is_empty());
        let _said = ["song", "title", "artist"].into_iter().find_map(text)?;
        let said = match (filled("artist"), filled("title"), filled("song")) {
            (_, None, Some(song)) => TitleInfo::plain(&song),
            (artist, title, _) => {
                TitleInfo::joined(&artist.unwrap_or_default(), &title.unwrap_or_default())
            }
        };
        let beside = |key| text(key).unwrap_or_default();
        Some(said.with_album(&beside("album")).with_url(&beside("url")))
    }
}

/// The charset that a form was posted in, if its type says so.
pub(super) fn declared_charset(headers: &HeaderMap) -> Option<String> {
    let said = headers.get("content-type")?.to_str().ok()?;
    let mut parameters = said
        .split(';')
        .skip(1)
        .filter_map(|part| part.split_once('='));
    let (_, name) = parameters.find(|(key, _)| key.trim().eq_ignore_ascii_case("charset"))?;
    Some(name.trim().trim_matches('"').to_owned())
}

fn unescape(value: &[u8]) -> Vec<u8> {
    let blank = |&byte: &u8| if byte == b'+' { b' ' } else { byte };
    let value: Vec<u8> = value.iter().map(blank).collect();
    percent_decode(&value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn title(form: &str) -> Option<String> {
        title_of(form.as_bytes(), "windows-1252")
    }

    fn title_of(form: &[u8], of_mount: &str) -> Option<String> {
        let form = FormFields::parse(form);
        let spoken = form.text("charset").and_then(|name| name.parse().ok());
        let title = form.title(spoken, of_mount.parse().unwrap());
        title.map(|title| title.text)
    }

    #[test]
    fn a_title_is_read_as_encoders_send_it() {
        assert_eq!(title("song=It's+on"), Some("It's on".into()));
        assert_eq!(title("song="), Some(String::new()), "cleared");
        assert_eq!(title("artist=AA&title=TT"), Some("AA - TT".into()));
        assert_eq!(title("song=old&artist=AA&title=TT"), Some("AA - TT".into()));
        assert_eq!(title("title=TT"), Some("TT".into()));
        assert_eq!(title("artist=AA"), Some("AA".into()));
        assert_eq!(title("artist=&title="), Some(String::new()), "cleared");
        assert_eq!(title("artist=&title=&song=S"), Some("S".into()));
        assert_eq!(title("artist=%00&title=%0a&song=S"), Some("S".into()));
        assert_eq!(title("mount=/a"), None);
    }

    #[test]
    fn artist_and_title_stay_apart_with_address_and_album() {
        let title = |form: &str| {
            let title = FormFields::parse(form.as_bytes()).title(None, Charset::default());
            title.unwrap()
        };
        let both = title("artist=A&title=T&url=http%3A//a%0d%0ab&album=%E9&song=stale");
        let expected = TitleInfo::joined("A", "T");
        let expected = expected.with_url("http://a b").with_album("é");
        assert_eq!(both, expected);
        assert_eq!(title("song=S&url=").artist, "");
        assert_eq!(title("song=S&url="), TitleInfo::plain("S"));
        assert!(title("song=&artist=").is_empty(), "cleared");
        let long = title(&format!("song={}", "%C3%A9".repeat(32 << 10)));
        assert_eq!(long.text.len(), TitleInfo::MAX_TEXT_BYTES);
    }

    #[test]
    fn line_ends_become_blanks() {
        assert_eq!(title("song=A%0d%0aB"), Some("A B".into()));
        assert_eq!(title("song=A%0dB%0aC%09D%00E"), Some("A B C D E".into()));
        assert_eq!(title("song=%0d%0aA%0a"), Some("A".into()));
        assert_eq!(title("song=A%E2%80%AEB%E2%80%A8C"), Some("AB C".into()));
        assert_eq!(title("song=<\">|^{}"), Some("<\">|^{}".into()));
        assert_eq!(title("song=100%&mode=x"), Some("100%".into()));
    }

    #[test]
    fn a_titles_charset_is_named_or_utf8_or_the_mounts() {
        assert_eq!(title("song=%C3%A9t%C3%A9"), Some("été".into()));
        assert_eq!(title("song=%E9t%E9"), Some("été".into()));
        assert_eq!(title("song=%93%E9%94"), Some("“é”".into()));
        assert_eq!(title("charset=ISO-8859-1&song=%E9t%E9"), Some("été".into()));
        let russian = "song=%CF%F0%E8%E2%E5%F2";
        let named = format!("{russian}&charset=windows-1251");
        assert_eq!(title(&named), Some("Привет".into()));
        let of_mount = |form: &[u8]| title_of(form, "windows-1251");
        assert_eq!(of_mount(russian.as_bytes()), Some("Привет".into()));
        assert_eq!(
            of_mount(b"song=\xcf\xf0\xe8"),
            Some("При".into()),
            "a raw form"
        );
        assert_eq!(of_mount("song=Привет".as_bytes()), Some("Привет".into()));
        let unknown = format!("{russian}&charset=klingon");
        assert_eq!(of_mount(unknown.as_bytes()), Some("Привет".into()));
        let both = "artist=%8B%E3&title=%8A%4F&charset=Shift_JIS";
        assert_eq!(title(both), Some("九 - 外".into()));
    }

    #[test]
    fn a_posted_form_may_say_its_charset_in_its_type() {
        let declared = |said: &str| {
            let headers = [("content-type", said)]
                .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
            declared_charset(&HeaderMap::from_iter(headers))
        };
        let form = "application/x-www-form-urlencoded; Charset=\"koi8-r\"";
        assert_eq!(declared(form).as_deref(), Some("koi8-r"));
        assert_eq!(declared("application/x-www-form-urlencoded"), None);
    }
}
