//! Puts what was measured into a page of the documentation, between two markers.

use anyhow::Context;

/// The page with this between the markers of a name, and all else as it was; fails where they are missing.
pub fn put(page: &str, name: &str, content: &str) -> anyhow::Result<String> {
    let [begin, end] = ["begin", "end"].map(|side| format!("<!-- {name}: {side} -->"));
    let unmarked = || format!("no line {begin} and {end} after it");
    let (before, rest) = page.split_once(&begin).with_context(unmarked)?;
    let (_, after) = rest.split_once(&end).with_context(unmarked)?;
    Ok(format!("{before}{begin}\n{}\n{end}{after}", content.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "a\n<!-- x: begin -->\nold\n<!-- x: end -->\nb\n";

    #[test]
    fn text_between_markers_is_replaced_and_twice_is_as_once() {
        let once = put(PAGE, "x", "new\n").unwrap();
        assert_eq!(once, "a\n<!-- x: begin -->\nnew\n<!-- x: end -->\nb\n");
        assert_eq!(put(&once, "x", "new\n").unwrap(), once);
    }

    #[test]
    fn a_page_without_the_markers_is_left_alone() {
        let error = put(PAGE, "y", "").unwrap_err();
        assert!(error.to_string().contains("<!-- y: begin -->"), "{error}");
        assert!(put("<!-- x: end --> <!-- x: begin -->", "x", "").is_err());
    }
}
