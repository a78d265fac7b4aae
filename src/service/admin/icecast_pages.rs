//! `/status.xsl`, `/7.xsl` and `/7.html`: the public facts of streams as the pages of Icecast, Icecast-KH and Shoutcast have
//! them, for programs that read those.

use hyper::{Response, StatusCode};
use serde_json::{Map, Value};

use super::Admin;
use super::call::{Answer, Call};
use super::icecast::named_mount;
use super::icecast_status::Figures;
use super::reply;
use super::reply::Body;
use crate::model::mount::MountName;
use crate::model::status::MountStatus;
use crate::service::status::Viewer;
use crate::wire::xml::{Element, escaped};

/// The facts in the table of a stream: Icecast's words, and the figure behind each.
const ROWS: [(&str, &str); 11] = [
    ("Stream Name:", "server_name"),
    ("Stream Description:", "server_description"),
    ("Content Type:", "server_type"),
    ("Stream started:", "stream_start"),
    ("Bitrate:", "bitrate"),
    ("Quality:", "quality"),
    ("Listeners (current):", "listeners"),
    ("Listeners (peak):", "listener_peak"),
    ("Genre:", "genre"),
    ("Stream URL:", "server_url"),
    ("Currently playing:", "title"),
];

/// The line before the numbers of `/7.xsl`.
const SEVEN_XSL: &str = "<!DOCTYPE html PUBLIC \"-//W3C//DTD XHTML 1.0 Strict//EN\" \
                         \"http://www.w3.org/TR/xhtml1/DTD/xhtml1-strict.dtd\">\n";

/// Answers `/status.xsl`, for one stream with `?mount=…`.
pub(super) fn status_page(admin: &Admin, call: &Call) -> Answer {
    let status = admin.0.statuses.status(Viewer::Public);
    let figures = Figures::of(admin, call, &status);
    Ok(reply::html(StatusCode::OK, page(&figures)))
}

/// Answers `/7.xsl?mount=…`, as Icecast-KH does.
pub(super) fn seven_xsl(admin: &Admin, call: &Call) -> Answer {
    let page = |line: String| format!("{SEVEN_XSL}{}\n", escaped(&line));
    Ok(seven(admin, call, page))
}

/// Answers `/7.html?mount=…`, as a Shoutcast server does.
pub(super) fn seven_html(admin: &Admin, call: &Call) -> Answer {
    let page = |line| {
        let body = Element::of("body", line);
        Element::new("html").with(body).to_string()
    };
    Ok(seven(admin, call, page))
}

/// The seven values of the stream that is asked for, or of the only one that can be meant.
fn seven(admin: &Admin, call: &Call, page: impl FnOnce(String) -> String) -> Response<Body> {
    let status = admin.0.statuses.status(Viewer::Public);
    let asked = named_mount(call, "mount").or_else(|| admin.0.shoutcast_mount.clone());
    match meant(&status.mounts, asked.as_ref()) {
        Some(mount) => {
            let spec = admin.0.mesh.documents.mount(&mount.path);
            let most = spec.and_then(|spec| spec.max_listeners);
            reply::html(StatusCode::OK, page(line(mount, most)))
        }
        None => reply::text(
            StatusCode::NOT_FOUND,
            "name a mount: write ?mount=/radio.mp3\n",
        ),
    }
}

/// The mount of this name; without a name the only one that is on air.
fn meant<'a>(mounts: &'a [MountStatus], asked: Option<&MountName>) -> Option<&'a MountStatus> {
    if let Some(asked) = asked {
        return mounts.iter().find(|mount| mount.path == *asked);
    }
    let mut on_air = mounts.iter().filter(|mount| mount.source.is_some());
    on_air.next().filter(|_| on_air.next().is_none())
}

/// Listeners, whether it is on air, the peak, the most, listeners again, the bitrate, and the title, in which commas stand as
/// they are. Listeners are not counted by their address, so unique ones are all.
fn line(mount: &MountStatus, most: Option<u32>) -> String {
    let listeners = mount.listeners;
    let on_air = u8::from(mount.source.is_some());
    let most = most.map_or("unlimited".to_owned(), |most| most.to_string());
    let (peak, bitrate) = (mount.listener_peak, mount.bitrate_kbps);
    let title = &mount.title;
    format!("{listeners},{on_air},{peak},{most},{listeners},{bitrate},{title}")
}

fn page(figures: &Figures) -> String {
    let sources = figures.sources.iter();
    let body = Element::new("body")
        .with(Element::of("h1", "Icecast2 Status").with_attribute("id", "header"))
        .with_all(sources.map(|(mount, figures)| stream(mount, figures)));
    let head = Element::new("head").with(Element::of("title", "Icecast Streaming Media Server"));
    let page = Element::new("html").with(head).with(body);
    format!("<!DOCTYPE html>\n{page}\n")
}

/// The block of a stream on the page, in the classes by which programs find it.
fn stream(mount: &MountName, figures: &Map<String, Value>) -> Element {
    let link = |ending: &str, words| {
        let address = format!("{mount}.{ending}");
        Element::of("a", words).with_attribute("href", address)
    };
    let title = Element::of("h3", format!("Mount Point {mount}"));
    let head = Element::new("div").with_attribute("class", "mounthead");
    let head = head
        .with(title.with_attribute("class", "mount"))
        .with(link("m3u", "M3U"))
        .with(link("xspf", "XSPF"));
    let rows = ROWS.iter().filter_map(|(words, key)| {
        let figure = match key {
            &"title" => playing(figures),
            key => figures.get(*key).map(in_words),
        };
        let cell = Element::of("td", figure?).with_attribute("class", "streamstats");
        Some(Element::new("tr").with(Element::of("td", words)).with(cell))
    });
    let table = Element::new("table").with_attribute("class", "yellowkeys");
    let table = table.with(Element::new("tbody").with_all(rows));
    let block = Element::new("div").with_attribute("class", "roundbox");
    block.with(head).with(table)
}

/// Artist and title in one, as the page shows them.
fn playing(figures: &Map<String, Value>) -> Option<String> {
    let title = figures.get("title").map(in_words)?;
    let artist = figures.get("artist").map(in_words);
    Some(artist.map_or(title.clone(), |artist| format!("{artist} - {title}")))
}

fn in_words(figure: &Value) -> String {
    figure
        .as_str()
        .map_or_else(|| figure.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_page_has_icecasts_words_and_no_tags_of_strangers() {
        let source =
            json!({"listeners": 3, "server_name": "<b>x</b>", "artist": "A", "title": "T&"});
        let figures = Figures {
            server: Map::new(),
            sources: vec![(
                "/a.mp3".parse().unwrap(),
                source.as_object().unwrap().clone(),
            )],
        };
        let page = page(&figures);
        for part in [
            "<h3 class=\"mount\">Mount Point /a.mp3</h3>",
            "<td>Listeners (current):</td><td class=\"streamstats\">3</td>",
            "<td>Currently playing:</td><td class=\"streamstats\">A - T&amp;</td>",
            "<a href=\"/a.mp3.m3u\">M3U</a>",
            "&lt;b&gt;x&lt;/b&gt;",
        ] {
            assert!(page.contains(part), "{part} in {page}");
        }
        assert!(!page.contains("Bitrate"), "what is not known is left out");
    }
}
