//! Playlists, answers without a stream, files, and headers that an operator adds.

use crate::encoder::Encoder;
use crate::media::frames::mp3;
use crate::player::Player;
use crate::row::{Level, Needs, Outcome, Prepared, Row, deviates, want};
use crate::server::{HELLO, MISSING_HEADER};
use crate::target::Target;

/// The rows of this file.
pub(super) const ROWS: &[Row] = &[
    Row {
        number: 60,
        level: Level::Must,
        expected: "a path that is nothing: 404 `The file you requested could not be found`",
        needs: Needs::NOTHING,
        check: |target| {
            let reply = target.get("/nothing-at-all", "")?;
            reply.want(404, "The file you requested could not be found")
        },
    },
    Row {
        number: 61,
        level: Level::Must,
        expected: "`/a.m3u` with a `Host` that has a port: audio/x-mpegurl, and in it `http://HOST/a`",
        needs: Needs::NOTHING,
        check: a_playlist_names_the_host,
    },
    Row {
        number: 62,
        level: Level::Should,
        expected: "`/a.xspf`, `/a.pls` and `/a.vclt`: well formed, with the address of the mount",
        needs: Needs::NOTHING,
        check: other_playlists_are_well_formed,
    },
    Row {
        number: 63,
        level: Level::Must,
        expected: "`HEAD` of a mount: 200 with the headers of the stream, closed, and no listener is counted",
        needs: Needs::NOTHING,
        check: a_head_is_no_listener,
    },
    Row {
        number: 64,
        level: Level::Must,
        expected: "`OPTIONS` with an Origin: 204, and the CORS headers allow Icy-MetaData and Range, and expose Icy-MetaInt; the stream itself and a 404 allow the origin too",
        needs: Needs::NOTHING,
        check: players_in_browsers_may_ask,
    },
    Row {
        number: 65,
        level: Level::Must,
        expected: "`Range: bytes=0-` and `bytes=0-1` on a stream: 200, not 206",
        needs: Needs::NOTHING,
        check: a_stream_has_no_ranges,
    },
    Row {
        number: 66,
        level: Level::Must,
        expected: "`Range` 6-8, -4 and 4000- of a file of 17 bytes: 206 with 3 bytes, 206 with 4 bytes, 416",
        needs: Needs::NOTHING.in_server(Prepared::Files),
        check: a_file_has_ranges,
    },
    Row {
        number: 67,
        level: Level::Must,
        expected: "`http_headers`: one for the status 404 is on that answer only, one of a mount on that mount only",
        needs: Needs {
            others: &[("b", &[])],
            ..Needs::mount(&[("http_headers", "X-Station: yes")]).in_server(Prepared::Files)
        },
        check: headers_are_added_where_they_belong,
    },
];

fn a_playlist_names_the_host(target: &Target<'_>) -> Outcome {
    let _encoder = Encoder::start(target, mp3())?;
    let mount = target.mount();
    let reply = target.ask(format!(
        "GET {mount}.m3u HTTP/1.0\r\nHost: radio.example:8000\r\n\r\n"
    ))?;
    let url = format!("http://radio.example:8000{mount}");
    reply.want(200, &url)?;
    reply.head.want_header("content-type", "audio/x-mpegurl")?;
    let only = reply
        .text()
        .lines()
        .all(|line| line == url || line.starts_with('#'));
    want(only, || format!("the playlist is {:?}", reply.text()))
}

fn other_playlists_are_well_formed(target: &Target<'_>) -> Outcome {
    let _encoder = Encoder::start(target, mp3())?;
    let mount = target.mount();
    let xspf = target.get(&format!("{mount}.xspf"), "")?;
    xspf.head.want(200)?;
    let text = xspf.text();
    let read = roxmltree::Document::parse(&text)
        .map_err(|error| deviates(format!("the xspf is no XML: {error}")))?;
    let mut places = read
        .descendants()
        .filter(|node| node.has_tag_name(("http://xspf.org/ns/0/", "location")));
    let found = places.any(|node| node.text().is_some_and(|url| url.ends_with(&mount)));
    want(found, || format!("the xspf is {text:?}"))?;
    let vclt = target.get(&format!("{mount}.vclt"), "")?;
    vclt.want(200, "==")?;
    let line = |line: &str| line.starts_with("STREAMURL=http://") && line.ends_with(&mount);
    want(vclt.text().lines().any(line), || {
        format!("the vclt is {:?}", vclt.text())
    })?;
    let pls = target.get(&format!("{mount}.pls"), "")?;
    pls.want(200, "NumberOfEntries=1")?;
    let line = |line: &str| line.starts_with("File1=http://") && line.ends_with(&mount);
    let first = pls.text().to_lowercase().starts_with("[playlist]");
    want(first && pls.text().lines().any(line), || {
        format!("the pls is {:?}", pls.text())
    })
}

fn a_head_is_no_listener(target: &Target<'_>) -> Outcome {
    let _encoder = Encoder::with(target, &target.mount(), mp3(), "ice-name: Known\r\n")?;
    let (mount, host) = (target.mount(), target.host());
    let mut socket = target.open()?;
    socket.send(format!(
        "HEAD {mount} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    ))?;
    let head = socket.head()?;
    head.want(200)?;
    head.want_header("content-type", "audio/mpeg")?;
    head.want_header("icy-name", "Known")?;
    let body = socket.rest(crate::socket::PATIENCE)?;
    want(body.is_empty(), || {
        format!("{} bytes behind the head", body.len())
    })?;
    target.wait_stat(&mount, "listeners", "0")
}

fn players_in_browsers_may_ask(target: &Target<'_>) -> Outcome {
    let _encoder = Encoder::start(target, mp3())?;
    let (mount, host) = (target.mount(), target.host());
    let reply = target.ask(format!(
        "OPTIONS {mount} HTTP/1.1\r\nHost: {host}\r\nOrigin: http://player.example\r\nConnection: close\r\n\
         Access-Control-Request-Method: GET\r\nAccess-Control-Request-Headers: icy-metadata\r\n\r\n"
    ))?;
    reply.head.want(204)?;
    let asked = "Origin: http://player.example\r\n";
    let stream = Player::tune_in(target, &target.mount(), asked)?.head;
    let missing = target.get("/nothing-at-all", asked)?.head;
    missing.want(404)?;
    for head in [&reply.head, &stream, &missing] {
        let origin = head.header("access-control-allow-origin");
        let is_allowed = ["*", "http://player.example"].map(|it| origin.as_deref() == Some(it));
        want(is_allowed.contains(&true), || format!("{head:?}"))?;
    }
    let said = |name: &str| reply.head.header(name).unwrap_or_default().to_lowercase();
    let allowed = said("access-control-allow-headers");
    let both = allowed.contains("icy-metadata") && allowed.contains("range");
    want(both, || {
        format!("the headers that are allowed are {allowed:?}")
    })?;
    let exposed = said("access-control-expose-headers");
    want(exposed.contains("icy-metaint"), || {
        format!("exposed is {exposed:?}")
    })
}

fn a_stream_has_no_ranges(target: &Target<'_>) -> Outcome {
    let _encoder = Encoder::start(target, mp3())?;
    for range in ["0-", "0-1"] {
        let asked = format!("Range: bytes={range}\r\n");
        let mut player = Player::tune_in(target, &target.mount(), &asked)?;
        let range = player.head.header("content-range");
        want(range.is_none(), || format!("{:?}", player.head))?;
        player.audio(1_000)?;
    }
    Ok(())
}

fn a_file_has_ranges(target: &Target<'_>) -> Outcome {
    let [name, text] = HELLO;
    target.get(&format!("/{name}"), "")?.want(200, text)?;
    for (range, part) in [("6-8", &text[6..9]), ("-4", &text[13..])] {
        let reply = target.get(&format!("/{name}"), &format!("Range: bytes={range}\r\n"))?;
        reply.head.want(206)?;
        want(reply.text() == part, || {
            format!("{range} is {:?}", reply.text())
        })?;
    }
    let reply = target.get(&format!("/{name}"), "Range: bytes=4000-\r\n")?;
    reply.head.want(416)
}

fn headers_are_added_where_they_belong(target: &Target<'_>) -> Outcome {
    let [name, value] = MISSING_HEADER;
    let missing = target.get("/nothing-at-all", "")?;
    missing.head.want_header(&name.to_lowercase(), value)?;
    let _first = Encoder::start(target, mp3())?;
    let _second = Encoder::with(target, &target.second(), mp3(), "")?;
    let own = Player::plain(target)?.head;
    own.want_header("x-station", "yes")?;
    want(own.header(name).is_none(), || format!("{own:?}"))?;
    let other = Player::tune_in(target, &target.second(), "")?.head;
    want(other.header("x-station").is_none(), || format!("{other:?}"))
}
