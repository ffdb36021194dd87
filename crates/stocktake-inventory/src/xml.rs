//! Writes small XML documents: elements that hold elements or text, indented.

use std::fmt::Write;

use stocktake_core::{Error, Result};

/// A document being written.
pub(crate) struct Xml {
    text: String,
    /// The names of the elements that are open.
    open: Vec<&'static str>,
}

impl Xml {
    pub(crate) fn new() -> Self {
        Self { text: "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".into(), open: Vec::new() }
    }

    /// Opens an element; attributes may stand behind its name.
    pub(crate) fn open(&mut self, element: &'static str) {
        self.line(&format!("<{element}>"));
        self.open.push(element.split(' ').next().unwrap_or(element));
    }

    /// Closes the element that was opened last.
    pub(crate) fn close(&mut self) {
        if let Some(element) = self.open.pop() {
            self.line(&format!("</{element}>"));
        }
    }

    /// An element that holds text.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] for a control character, which XML 1.0 can't hold in any form.
    pub(crate) fn leaf(&mut self, element: &str, text: &str) -> Result<()> {
        let text = escaped(text)
            .ok_or_else(|| Error::invalid(format!("{element} can't be {text:?}: it has a control character")))?;
        self.line(&format!("<{element}>{text}</{element}>"));
        Ok(())
    }

    /// As [`leaf`](Self::leaf), where there is a text.
    pub(crate) fn leaf_if(&mut self, element: &str, text: Option<&str>) -> Result<()> {
        text.map_or(Ok(()), |text| self.leaf(element, text))
    }

    /// Closes what is open, and returns the document.
    pub(crate) fn finish(mut self) -> String {
        while !self.open.is_empty() {
            self.close();
        }
        self.text
    }

    fn line(&mut self, line: &str) {
        let indent = 2 * self.open.len();
        // A string takes whatever is written.
        let _ = writeln!(self.text, "{:indent$}{line}", "");
    }
}

fn escaped(text: &str) -> Option<String> {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            // A reader would take these for mere layout.
            '\t' => escaped.push_str("&#9;"),
            '\n' => escaped.push_str("&#10;"),
            '\r' => escaped.push_str("&#13;"),
            '\u{FFFE}' | '\u{FFFF}' | '\0'..='\u{1F}' => return None,
            other => escaped.push(other),
        }
    }
    Some(escaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_and_elements_closed() {
        let mut xml = Xml::new();
        xml.open("A b=\"c\"");
        xml.leaf("D", "1 < 2 & \t").unwrap();
        xml.leaf_if("E", None).unwrap();
        assert!(xml.leaf("F", "\u{1}").is_err());
        let expected = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<A b=\"c\">\n  <D>1 &lt; 2 &amp; &#9;</D>\n</A>\n";
        assert_eq!(xml.finish(), expected);
    }
}
