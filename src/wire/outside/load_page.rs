//! `load.xsl`: the free slots of each mount. Read from other servers, and written for other balancers.
//!
//! ```xml
//! <load listeners="5" max_listeners="100">
//!   <mount name="/radio.mp3" listeners="4" max_listeners="unlimited">95</mount>
//! </load>
//! ```
//!
//! The text of a mount is the number of its free slots: older balancers read only this, and their own page has only
//! this. The attributes are an addition of antiphon; without them, only the free slots are known.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::{BadAnswer, MAX_MOUNTS_READ, ServerLoad, count, limit, parse};
use crate::model::mount::MountName;
use crate::model::outside::Slots;

/// The load page: the free places that this mesh tells other balancers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadPage {
    /// All listeners, and the most that the mesh takes.
    pub server: Slots,
    /// The mounts on air, and the limit of each.
    pub mounts: BTreeMap<MountName, Slots>,
}

pub(super) fn read(text: &str) -> Result<ServerLoad, BadAnswer> {
    let page = parse(text)?;
    let root = page.root_element();
    let mut load = ServerLoad {
        server: Slots {
            listeners: root.attribute("listeners").map_or(0, count),
            max_listeners: root.attribute("max_listeners").and_then(limit),
        },
        mounts: BTreeMap::new(),
    };
    let is_ours = root.has_tag_name("load");
    let mounts = root.descendants().filter(|node| node.has_tag_name("mount"));
    for mount in mounts.take(MAX_MOUNTS_READ) {
        let free = limit(mount.text().unwrap_or_default());
        let slots = match mount.attribute("listeners") {
            Some(listeners) => Slots {
                listeners: count(listeners),
                max_listeners: mount.attribute("max_listeners").and_then(limit),
            },
            None => Slots {
                listeners: 0,
                max_listeners: free,
            },
        };
        let name = mount.attribute("name").unwrap_or_default().to_owned();
        load.mounts.insert(name, slots);
    }
    match load.mounts.is_empty() && !is_ours {
        true => Err(BadAnswer::OtherPage("mount")),
        false => Ok(load),
    }
}

/// The page as text.
pub fn written(page: &LoadPage) -> String {
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let free = page.server.free();
    let mut put = |line: std::fmt::Arguments<'_>| {
        text.write_fmt(line).expect("a String takes everything");
    };
    put(format_args!("<load{}>\n", attributes(page.server)));
    for (name, slots) in &page.mounts {
        // Names of mounts have no characters that need escaping in XML.
        let (said, free) = (attributes(*slots), fewer_slots(slots.free(), free));
        put(format_args!(
            "  <mount name=\"{name}\"{said}>{free}</mount>\n"
        ));
    }
    put(format_args!("</load>\n"));
    text
}

fn attributes(slots: Slots) -> String {
    let most = slots.max_listeners;
    let most = most.map_or_else(|| "unlimited".to_owned(), |most| most.to_string());
    format!(
        " listeners=\"{}\" max_listeners=\"{most}\"",
        slots.listeners
    )
}

/// The fewer_slots of two numbers of free slots; `None` is unlimited.
fn fewer_slots(one: Option<u32>, other: Option<u32>) -> u32 {
    one.into_iter().chain(other).min().unwrap_or(BOUNDLESS)
}

/// The number that is written where there is no limit: older balancers read only digits there.
const BOUNDLESS: u32 = 100_000;

#[cfg(test)]
mod tests {
    use super::super::tests::slots;
    use super::*;

    #[test]
    fn the_old_page_tells_only_free_slots() {
        let text = "<?xml version=\"1.0\"?>\n<icecast><mount name=\"/fm4-hq.ogg\">32</mount>\
                    <mount name=\"/x\">NaN</mount><mount name=\"/y\">-4</mount></icecast>";
        let load = read(text).unwrap();
        assert_eq!(load.server, slots(0, None));
        assert_eq!(load.mounts["/fm4-hq.ogg"], slots(0, Some(32)));
        assert_eq!(
            load.mounts["/x"],
            slots(0, None),
            "unlimited minus a number"
        );
        assert_eq!(load.mounts["/y"], slots(0, Some(0)), "less than none");
    }

    #[test]
    fn our_page_is_read_by_us_and_by_digit_readers() {
        let mount = |path: &str| MountName::try_from(path).unwrap();
        let page = LoadPage {
            server: slots(5, Some(100)),
            mounts: BTreeMap::from([
                (mount("/a"), slots(4, None)),
                (mount("/b"), slots(7, Some(6))),
            ]),
        };
        let text = written(&page);
        let expected = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
            <load listeners=\"5\" max_listeners=\"100\">\n\
            \x20 <mount name=\"/a\" listeners=\"4\" max_listeners=\"unlimited\">95</mount>\n\
            \x20 <mount name=\"/b\" listeners=\"7\" max_listeners=\"6\">0</mount>\n</load>\n";
        assert_eq!(text, expected);
        let load = read(&text).unwrap();
        assert_eq!(load.server, page.server);
        assert_eq!(load.mounts["/a"], page.mounts[&mount("/a")]);
        assert_eq!(load.mounts["/b"], page.mounts[&mount("/b")]);
        let boundless = LoadPage {
            server: slots(5, None),
            mounts: BTreeMap::from([(mount("/a"), slots(4, None))]),
        };
        assert!(written(&boundless).contains(">100000</mount>"));
    }

    #[test]
    fn a_server_without_mounts_is_read_and_foreign_pages_refused() {
        assert_eq!(
            read("<load listeners=\"0\"/>").unwrap(),
            ServerLoad::default()
        );
        assert_eq!(read("<html/>"), Err(BadAnswer::OtherPage("mount")));
        assert!(matches!(read("not found"), Err(BadAnswer::Xml(_))));
    }
}
