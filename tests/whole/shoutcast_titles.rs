//! Titles in the way of Shoutcast: `/admin.cgi`, with a password and mostly without a mount.

use crate::support::http::{Answer, Connection, ask, basic, get};
use crate::support::mesh::TestMesh;
use crate::support::node::TestNode;
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::source::KnownSource;

const RADIO: &str = "/radio.mp3";
const OTHER: &str = "/other.mp3";
const PASSWORD: &str = "hackme-not";
const DONE: &str = "<html><head><title>Admin request successful</title></head>\
                    <body><p>Metadata update successful</p></body></html>";

fn get_cgi(node: &TestNode, query: &str) -> Answer {
    get(&node.address(), &format!("/admin.cgi?mode=updinfo&{query}")).unwrap()
}

fn post_cgi(node: &TestNode, form: &str) -> Answer {
    let length = form.len();
    let request =
        format!("POST /admin/admin.cgi HTTP/1.0\r\nContent-Length: {length}\r\n\r\n{form}");
    ask(&node.address(), &request).unwrap()
}

#[test]
fn a_title_is_set_by_the_password_in_the_query() {
    let mesh = TestMesh::start(2);
    mesh.create_mount(RADIO, PASSWORD);
    mesh.create_mount(OTHER, "another-one");
    let node = &mesh.nodes[0];
    let _source = KnownSource::start(node, RADIO, PASSWORD);
    mesh.wait_on_air(RADIO);
    let admin = "admin-pass-word";
    let set = node.api(
        "PATCH",
        "/api/v1/admin",
        &format!("{{\"password\":\"{admin}\"}}"),
    );
    assert_eq!(set.unwrap().head.status, 200);
    for (number, login) in [
        format!("mount={RADIO}&pass={PASSWORD}"),
        // The only mount on air with this password, wherever its source is.
        format!("pass={PASSWORD}"),
        format!("pass={RADIO}:{PASSWORD}"),
        format!("pass=source:{PASSWORD}&mount=radio.mp3"),
        format!("pass={admin}&mount={RADIO}"),
        format!("pass=admin:{admin}&mount={RADIO}"),
    ]
    .iter()
    .enumerate()
    {
        // Any node takes it, and the number of a stream does not matter.
        for (place, node) in mesh.nodes.iter().enumerate() {
            let title = format!("caf\u{e9} {number} {place}");
            let words = format!("{login}&sid=2&song=caf%E9+{number}+{place}");
            let answer = match place {
                0 => get_cgi(node, &words),
                _ => post_cgi(node, &format!("mode=updinfo&{words}")),
            };
            assert_eq!(answer.head.status, 200, "{words}: {answer:?}");
            assert_eq!(answer.text().trim_end(), DONE);
            mesh.wait_each_sees(RADIO, &title, |mount| mount.title == title);
        }
    }
    let with_head = format!(
        "GET /admin.cgi?mode=updinfo&mount={RADIO}&pass=x&song=head HTTP/1.0\r\n\
         User-Agent: (Mozilla Compatible)\r\nAuthorization: {}\r\n\r\n",
        basic("source", PASSWORD)
    );
    assert_eq!(ask(&node.address(), &with_head).unwrap().head.status, 200);
    for (query, status) in [
        (format!("mode=updinfo&mount={RADIO}&pass=wrong&song=x"), 401),
        (
            format!("mode=updinfo&mount={OTHER}&pass={PASSWORD}&song=x"),
            401,
        ),
        (format!("mode=updinfo&mount={RADIO}&song=x"), 400),
        (format!("mode=updinfo&mount={RADIO}&pass={PASSWORD}"), 400),
        (
            format!("mode=updinfo&mount=/../x&pass={PASSWORD}&song=x"),
            400,
        ),
        ("mode=updinfo&pass=another-one&song=x".to_owned(), 401),
        (format!("mode=viewxml&mount={RADIO}&pass={PASSWORD}"), 400),
        (
            format!("mode=updinfo&mount={OTHER}&pass=another-one&song=x"),
            400,
        ),
        // Strangers are not told which mounts there are; the admin is.
        (
            format!("mode=updinfo&mount=/nope&pass={PASSWORD}&song=x"),
            401,
        ),
        (format!("mode=updinfo&pass=/nope:{PASSWORD}&song=x"), 401),
        (format!("mode=updinfo&mount=/nope&pass={admin}&song=x"), 400),
        (format!("mode=updinfo&pass=/nope:{admin}&song=x"), 400),
        (String::new(), 400),
    ] {
        let answer = get(&node.address(), &format!("/admin.cgi?{query}")).unwrap();
        assert_eq!(answer.head.status, status, "{query}: {answer:?}");
        assert!(!answer.text().contains(PASSWORD), "{answer:?}");
    }
    mesh.wait_each_sees(RADIO, "the last title", |mount| mount.title == "head");
    for (query, login, status, words) in [
        (
            "mode=updinfo&mount=/nope&song=x",
            "",
            401,
            "the mount's source",
        ),
        (
            "mode=updinfo&mount=/nope&song=x",
            PASSWORD,
            401,
            "the mount's source",
        ),
        (
            "mode=updinfo&mount=/nope&song=x",
            admin,
            400,
            "there is no mount /nope",
        ),
        ("mode=updinfo&song=x", "", 400, "Missing parameter: mount"),
        (
            "mount=radio.mp3&song=x",
            PASSWORD,
            400,
            "Missing parameter: mode",
        ),
        (
            "mount=radio.mp3&mode=updinfo",
            PASSWORD,
            400,
            "Missing parameter: song",
        ),
        (
            "mount=radio.mp3&mode=updinfo&song=head",
            PASSWORD,
            200,
            "successful",
        ),
    ] {
        let user = if login == admin { "admin" } else { "source" };
        let login = match login {
            "" => String::new(),
            password => format!("Authorization: {}\r\n", basic(user, password)),
        };
        let request = format!("GET /admin/metadata?{query} HTTP/1.0\r\n{login}\r\n");
        let answer = ask(&node.address(), &request).unwrap();
        assert_eq!(answer.head.status, status, "{query}: {answer:?}");
        assert!(answer.text().contains(words), "{query}: {}", answer.text());
    }
    let log = node.log();
    assert!(
        log.contains("mount=\"/nope\" why=\"there is no such mount\""),
        "{log}"
    );
    assert!(!node.log().contains(PASSWORD), "{}", node.log());

    // No mount has accounts of listeners; a name that could be none of one is called so.
    for (name, why) in [
        ("a%3Ab", "a username"),
        ("a%0Ab", "a username"),
        ("a", "Missing"),
    ] {
        let target =
            format!("/admin/manageauth?mount={RADIO}&action=add&username={name}&password=x");
        let refused = node.api("GET", &target, "").unwrap();
        assert_eq!(refused.head.status, 400, "{refused:?}");
        assert!(refused.text().contains(why), "{refused:?}");
    }
}

#[test]
fn a_shoutcast_source_needs_to_name_no_mount() {
    let mesh = TestMesh::start(2);
    mesh.create_mount(RADIO, PASSWORD);
    mesh.create_mount(OTHER, "another-one");
    let node = &mesh.nodes[0];
    let mut connection = Connection::open(&node.address()).unwrap();
    connection.send(format!("{RADIO}:{PASSWORD}\r\n")).unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.extend(connection.some(64).unwrap());
    }
    assert!(answer.starts_with(b"OK2\r\n"));
    connection.send("content-type:audio/mpeg\r\n\r\n").unwrap();
    let _source = KnownSource::behind(connection);
    mesh.wait_on_air(RADIO);
    // A source of another manner does not make it two.
    let _other = KnownSource::start(node, OTHER, "another-one");
    mesh.wait_on_air(OTHER);
    eventually(PATIENCE, "the title", || {
        let answer = get_cgi(node, &format!("pass={PASSWORD}&song=bare"));
        so(answer.head.status == 200, format!("{answer:?}"))
    });
    mesh.wait_each_sees(RADIO, "the title", |mount| mount.title == "bare");
    mesh.wait_each_sees(OTHER, "no title", |mount| mount.title.is_empty());
}
