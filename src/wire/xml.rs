//! XML as Icecast's tools read it: elements without white space between them.

use std::fmt;

/// An element with what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element {
    name: String,
    attributes: Vec<(&'static str, String)>,
    held: Vec<Held>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Held {
    Text(String),
    Element(Element),
}

impl Element {
    /// An element that holds nothing.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            attributes: Vec::new(),
            held: Vec::new(),
        }
    }

    /// An element that holds a text.
    pub fn of(name: impl Into<String>, text: impl fmt::Display) -> Self {
        let mut element = Self::new(name);
        element.held.push(Held::Text(text.to_string()));
        element
    }

    /// The same with an attribute more.
    pub fn with_attribute(mut self, name: &'static str, value: impl fmt::Display) -> Self {
        self.attributes.push((name, value.to_string()));
        self
    }

    /// The same with an element more in it.
    pub fn with(mut self, element: Self) -> Self {
        self.held.push(Held::Element(element));
        self
    }

    /// The same with these elements in it, too.
    pub fn with_all(self, elements: impl IntoIterator<Item = Self>) -> Self {
        elements.into_iter().fold(self, Self::with)
    }

    /// The document whose root it is, with the line that Icecast has before it.
    pub fn document(&self) -> String {
        format!("<?xml version=\"1.0\"?>\n{self}\n")
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}", self.name)?;
        for (name, value) in &self.attributes {
            write!(f, " {name}=\"{}\"", escaped(value))?;
        }
        f.write_str(">")?;
        for held in &self.held {
            match held {
                Held::Text(text) => f.write_str(&escaped(text))?,
                Held::Element(element) => element.fmt(f)?,
            }
        }
        write!(f, "</{}>", self.name)
    }
}

/// A text between two tags, or between quotation marks. XML has no way to write control characters: they become spaces.
pub fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            '\'' => escaped += "&apos;",
            _ if letter.is_control() || matches!(letter, '\u{fffe}' | '\u{ffff}') => {
                escaped.push(' ')
            }
            _ => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use roxmltree::Document;

    use super::*;

    #[test]
    fn elements_are_written_one_in_another() {
        let source = Element::new("source").with_attribute("mount", "/a\"b");
        let source = source.with(Element::of("listeners", 3));
        let stats = Element::new("icestats").with_all([source, Element::of("host", "a<b>&c")]);
        assert_eq!(
            stats.document(),
            "<?xml version=\"1.0\"?>\n<icestats><source mount=\"/a&quot;b\"><listeners>3</listeners></source>\
             <host>a&lt;b&gt;&amp;c</host></icestats>\n"
        );
    }

    proptest! {
        #[test]
        fn any_text_is_read_as_it_was_but_for_control_characters(text in ".*") {
            let element = Element::of("a", &text).with_attribute("b", &text).document();
            let read = Document::parse(&element).unwrap();
            let root = read.root_element();
            let legible = |letter: char| match letter.is_control() || matches!(letter, '\u{fffe}' | '\u{ffff}') {
                true => ' ',
                false => letter,
            };
            let expected: String = text.chars().map(legible).collect();
            prop_assert_eq!(root.text().unwrap_or_default(), &expected);
            prop_assert_eq!(root.attribute("b").unwrap(), &expected);
        }
    }
}
