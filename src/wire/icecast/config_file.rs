//! The parts of an `icecast.xml` that another Icecast was configured by, each with its line.

use roxmltree::{Document, Node, ParsingOptions};

/// The longest file that is read: one of a thousand mounts has a tenth of that.
pub const MAX_CONFIG_FILE_BYTES: usize = 4 * 1024 * 1024;
/// The most parts of a file: as many as fit into that in any sensible shape, and a bound on memory.
const MAX_XML_NODES: u32 = 200_000;

/// How deep elements stand in each other at most: those of any Icecast at six. What is deeper is left out.
const MAX_DEPTH: usize = 16;

/// Why a text is not the configuration of an Icecast.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadConfigFile {
    /// The text is not XML, or has entities of its own.
    #[error("not XML: {0}")]
    NotXml(String),
    /// The text is XML of something else.
    #[error("its first element is <{0}> and not <icecast>: name the icecast.xml of the server")]
    OtherFile(String),
}

/// One element.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigElement {
    /// The line at which it begins, from 1.
    pub line: u32,
    /// The name, such as `listen-socket`.
    pub name: String,
    /// The text in it, without the blanks around it.
    pub text: String,
    /// The attributes, in their order.
    pub attributes: Vec<(String, String)>,
    /// The elements in it, in their order.
    pub children: Vec<ConfigElement>,
}

impl ConfigElement {
    /// The last child of this name: Icecast, too, lets a later one count.
    pub fn child(&self, name: &str) -> Option<&ConfigElement> {
        self.children.iter().rfind(|child| child.name == name)
    }

    /// The text of the last child of this name, if it is not empty.
    pub fn text_of(&self, name: &str) -> Option<&str> {
        let text = self.child(name)?.text.as_str();
        Some(text).filter(|text| !text.is_empty())
    }

    /// The attribute of this name.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Whether a word of a switch means yes, as Icecast reads it.
    pub fn is_on(&self) -> bool {
        let text = self.text.to_ascii_lowercase();
        matches!(text.as_str(), "yes" | "true" | "on" | "all")
            || text.parse::<i64>().is_ok_and(|number| number != 0)
    }
}

/// Reads such a file, its outermost element. Comments are left out, and so are processing instructions.
pub fn read(text: &str) -> Result<ConfigElement, BadConfigFile> {
    let options = ParsingOptions {
        allow_dtd: false,
        nodes_limit: MAX_XML_NODES,
        ..ParsingOptions::default()
    };
    let text = text.trim_start_matches('\u{feff}');
    let document = Document::parse_with_options(text, options);
    let document = document.map_err(|error| BadConfigFile::NotXml(error.to_string()))?;
    let root = document.root_element();
    match root.tag_name().name() {
        "icecast" => Ok(element(root, MAX_DEPTH)),
        other => Err(BadConfigFile::OtherFile(other.to_owned())),
    }
}

/// An element with those in it, as deep as that.
fn element(node: Node<'_, '_>, depth: usize) -> ConfigElement {
    let attributes = node.attributes();
    let attributes = attributes.map(|it| (it.name().to_owned(), it.value().trim().to_owned()));
    let texts = node.children().filter(Node::is_text);
    let texts = texts.filter_map(|it| it.text());
    let within = node.children().filter(|it| it.is_element() && depth > 0);
    ConfigElement {
        line: node.document().text_pos_at(node.range().start).row,
        name: node.tag_name().name().to_owned(),
        text: texts.collect::<String>().trim().to_owned(),
        attributes: attributes.collect(),
        children: within
            .map(|it| element(it, depth.saturating_sub(1)))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_have_their_lines_texts_and_attributes() {
        let text = "<?xml version=\"1.0\"?>\n<icecast>\n <!-- a comment -->\n <mount type=\"normal\">\n  \
                    <mount-name> /a.mp3 </mount-name><hidden>1</hidden>\n </mount>\n <port>1</port><port>2</port>\n</icecast>";
        let root = read(text).unwrap();
        let mount = root.child("mount").unwrap();
        assert_eq!((mount.line, mount.attribute("type")), (4, Some("normal")));
        assert_eq!(mount.text_of("mount-name"), Some("/a.mp3"));
        assert_eq!(
            mount.child("hidden").map(|it| (it.line, it.is_on())),
            Some((5, true))
        );
        assert_eq!(root.text_of("port"), Some("2"), "the later one counts");
        assert_eq!(root.text_of("nothing"), None);
    }

    #[test]
    fn a_text_of_another_kind_is_refused() {
        for (text, why) in [
            ("", "not XML"),
            ("<icecast>", "not XML"),
            (
                "<!DOCTYPE a [<!ENTITY b \"c\">]><icecast>&b;</icecast>",
                "not XML",
            ),
            ("<icestats/>", "its first element is <icestats>"),
        ] {
            let said = read(text).unwrap_err().to_string();
            assert!(said.contains(why), "{text}: {said}");
        }
    }

    #[test]
    fn elements_that_are_too_deep_are_left_out() {
        let (depth, mut text) = (2_000, String::from("<icecast>"));
        text += &"<a>".repeat(depth);
        text += &"</a>".repeat(depth);
        let root = read(&(text + "</icecast>")).unwrap();
        let mut deepest = &root;
        let mut count = 0;
        while let Some(child) = deepest.child("a") {
            (deepest, count) = (child, count + 1);
        }
        assert_eq!(count, MAX_DEPTH);
    }
}
