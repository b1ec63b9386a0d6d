//! What a rule found, and the smallest edits that mend it.

use crate::edit::Edit;
use bowline_design::{Place, Text};

/// How sure a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth knowing; the design lacks the numbers to say more.
    Info,
    /// It may go wrong, and the design does not hold the numbers that would rule it out.
    Warning,
    /// The design proves that it goes wrong.
    Error,
}

impl Severity {
    /// The word printed before the rule's name.
    ///
    /// ```
    /// assert_eq!(bowline_check::Severity::Warning.as_str(), "warning");
    /// ```
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// Something that a rule found.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The rule, `T08`.
    pub rule: &'static str,
    /// How sure it is.
    pub severity: Severity,
    /// What is wrong, as one sentence without its full stop.
    pub what: String,
    /// Where.
    pub place: Place,
    /// What the caret under the place says.
    pub label: String,
    /// The way through the graph that leads to it; empty where one route alone is at fault.
    pub path: Vec<String>,
    /// The formula with its numbers.
    pub formula: String,
    /// What to do, as a sentence.
    pub advice: String,
    /// The advice as edits of the texts, all of which together mend it; none where somebody has to
    /// choose first.
    pub edits: Vec<Edit>,
}

impl Finding {
    /// The texts with every edit made; `None` where there is none, or a text is not the one that was
    /// checked.
    ///
    /// ```
    /// use bowline_design::{Text, read, resolve};
    ///
    /// let text = "apiVersion: networking.istio.io/v1
    /// kind: VirtualService
    /// metadata: { name: ratings }
    /// spec:
    ///   hosts: [ ratings ]
    ///   http:
    ///   - route: [ { destination: { host: ratings } } ]
    ///     timeout: 3s
    ///     retries: { attempts: 3, perTryTimeout: 2s }
    /// ";
    /// let texts = [Text { name: "routes.yaml".into(), text: text.to_owned() }];
    /// let check = |texts: &[Text]| {
    ///     let reading = read(texts);
    ///     bowline_check::check(&resolve(&reading).unwrap(), &reading.documents)
    /// };
    /// let findings = check(&texts);
    /// assert_eq!(findings[0].rule, "T08");
    /// let mended = findings[0].mended(&texts).unwrap();
    /// assert!(mended[0].text.contains("perTryTimeout: 680ms"));
    /// assert!(check(&mended).is_empty());
    /// ```
    #[must_use]
    pub fn mended(&self, texts: &[Text]) -> Option<Vec<Text>> {
        let mut edits: Vec<&Edit> = self.edits.iter().collect();
        // From the end of a text to its beginning: an edit moves only what stands behind it.
        edits.sort_by_key(|edit| std::cmp::Reverse((edit.place().line, edit.place().column)));
        let mut mended = texts.to_vec();
        for edit in &edits {
            let text = mended.iter_mut().find(|text| text.name == edit.place().file)?;
            text.text = edit.apply(&text.text)?;
        }
        (!edits.is_empty()).then_some(mended)
    }
}
