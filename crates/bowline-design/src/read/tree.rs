//! Why a tree of our own: serde stops at the first mistake and forgets where values stood. The events of
//! serde-saphyr's parser give both, a place for every value and a way on after a syntax error.

use crate::read::limits::{BYTES_MAX, DEPTH_MAX, DOCUMENTS_MAX, NODES_MAX};
use serde_saphyr::granit_parser::{
    ErrorKind, Event, Options, Parser, ScalarStyle, ScanError, Span, StructureStyle, Tag,
};
use std::collections::HashMap;
use std::rc::Rc;

/// Where a value stands: line and column from one, the end just after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    /// Which of the texts that are read together: what an overlay changes stands in another one.
    pub(crate) text: u32,
    pub(crate) start: (u32, u32),
    pub(crate) end: (u32, u32),
}

/// A value and where it stands. Cheap to clone, so that an alias costs nothing.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) value: Value,
    /// What to point at: the value itself, or its key where the value is a block below it.
    pub(crate) extent: Extent,
    /// Values in it, itself and what aliases stand for included.
    size: usize,
    /// Levels in it.
    depth: usize,
}

/// What a value is.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Scalar(Rc<Scalar>),
    List(Rc<[Node]>),
    Map(Rc<[(Key, Node)]>),
}

/// Text, and whether it was written without quotes: then it may mean a number, `true` or nothing.
#[derive(Debug)]
pub(crate) struct Scalar {
    pub(crate) text: String,
    pub(crate) plain: bool,
}

/// A field's name.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) name: Rc<str>,
    pub(crate) extent: Extent,
}

/// What keeps a document from becoming a tree.
#[derive(Debug)]
pub(crate) struct Broken {
    pub(crate) code: &'static str,
    pub(crate) extent: Extent,
    pub(crate) found: String,
    pub(crate) expected: String,
    pub(crate) hint: Option<&'static str>,
}

/// The documents of a text, and what is broken in it. A broken document does not take the others along.
/// `number`: which of the texts it is.
pub(crate) fn parse(text: &str, number: u32) -> (Vec<Node>, Vec<Broken>) {
    let (mut documents, mut broken) = (Vec::new(), Vec::new());
    if text.len() > BYTES_MAX {
        broken.push(Broken::limit(
            Extent::start_of(number),
            format!("a text of {} bytes", text.len()),
            format!("at most {BYTES_MAX} bytes in one text; split it"),
        ));
        return (documents, broken);
    }
    let mut options = Options::default();
    options.set_emit_comments(false);
    options.emit_unresolved_aliases = true;
    // The scanner looks ahead of its events; it must not find another limit first.
    options.flow_nesting_limit = DEPTH_MAX + 1;
    options.block_nesting_limit = DEPTH_MAX + 1;
    let mut parser = Parser::new_from_str_with_options(text, options);
    let mut nodes_left = NODES_MAX;
    loop {
        let mut builder = Builder { text: number, nodes_left, ..Builder::default() };
        let read = loop {
            match parser.next_event() {
                None | Some(Ok((Event::StreamEnd, _))) => break Ok(false),
                Some(Ok((Event::DocumentEnd, _))) => break Ok(true),
                Some(Ok((event, span))) => {
                    if let Err(why) = builder.take(event, span) {
                        break Err(why);
                    }
                }
                Some(Err(error)) => break Err(syntax(&error, number)),
            }
        };
        nodes_left = builder.nodes_left;
        broken.append(&mut builder.broken);
        match read {
            Ok(more) => {
                documents.extend(builder.root);
                if !more {
                    break;
                }
            }
            Err(why) => {
                let enough = why.code == TOO_LARGE;
                broken.push(why);
                if enough || !parser.proceed_next_document().unwrap_or(false) {
                    break;
                }
            }
        }
        if documents.len() + broken.len() > DOCUMENTS_MAX {
            broken.push(Broken::limit(
                documents.last().map_or(Extent::start_of(number), |last| last.extent),
                format!("more than {DOCUMENTS_MAX} documents"),
                "fewer documents in one text; split it".to_owned(),
            ));
            break;
        }
    }
    (documents, broken)
}

/// The code of everything that is refused for its size.
const TOO_LARGE: &str = "too-large";

fn syntax(error: &ScanError, text: u32) -> Broken {
    let mark = error.marker();
    let start = (mark.line().max(1) as u32, mark.col() as u32 + 1);
    let extent = Extent { text, start, end: (start.0, start.1 + 1) };
    if matches!(error.kind(), ErrorKind::RecursionLimitExceeded) {
        return too_deep(extent);
    }
    let tab = error.info().contains("tab");
    Broken {
        code: "syntax",
        extent,
        found: format!("a syntax error: {}", error.info()),
        expected: "YAML (or JSON, which is YAML too)".to_owned(),
        hint: tab.then_some("YAML is indented with spaces: put spaces in the place of each tab"),
    }
}

impl Broken {
    fn limit(extent: Extent, found: String, expected: String) -> Self {
        Self { code: TOO_LARGE, extent, found, expected, hint: None }
    }
}

impl Extent {
    /// The beginning of a text.
    const fn start_of(text: u32) -> Self {
        Self { text, start: (1, 1), end: (1, 2) }
    }

    fn of(span: Span, text: u32) -> Self {
        let at =
            |mark: serde_saphyr::granit_parser::Marker| (mark.line().max(1) as u32, mark.col() as u32 + 1);
        Self { text, start: at(span.start), end: at(span.end) }
    }
}

impl Node {
    /// Whether nothing is written: `~`, `null`, or no text at all.
    pub(crate) fn is_null(&self) -> bool {
        match &self.value {
            Value::Scalar(scalar) => scalar.is_null(),
            Value::List(_) | Value::Map(_) => false,
        }
    }

    /// The value of a field, when this is a mapping that has it.
    pub(crate) fn field(&self, name: &str) -> Option<&Self> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|(key, _)| &*key.name == name).map(|(_, node)| node),
            Value::Scalar(_) | Value::List(_) => None,
        }
    }

    /// How many values are in it, itself included.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// The text, when this is a scalar.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(scalar) => Some(&scalar.text),
            Value::List(_) | Value::Map(_) => None,
        }
    }
}

/// `target` with `patch` merged into it as RFC 7396 has it: mappings field by field, `null` takes a field
/// away, and everything else, lists among it, takes the place of what was there. What comes from the
/// patch stands where the patch stands.
pub(crate) fn merged(target: Option<&Node>, patch: &Node) -> Node {
    let Value::Map(changes) = &patch.value else { return patch.clone() };
    let (known, extent): (&[(Key, Node)], _) = match target {
        Some(Node { value: Value::Map(entries), extent, .. }) => (entries, *extent),
        _ => (&[], patch.extent),
    };
    let mut slots: Vec<Option<(Key, Node)>> = known.iter().cloned().map(Some).collect();
    let at: HashMap<&str, usize> = known.iter().enumerate().map(|(at, (key, _))| (&*key.name, at)).collect();
    for (key, change) in &**changes {
        let known = at.get(&*key.name).and_then(|at| slots.get_mut(*at));
        match (known, change.is_null()) {
            (Some(slot), true) => *slot = None,
            (None, true) => {}
            (Some(slot), false) => {
                *slot = slot.take().map(|(key, node)| (key, merged(Some(&node), change)));
            }
            (None, false) => slots.push(Some((key.clone(), merged(None, change)))),
        }
    }
    let entries: Vec<(Key, Node)> = slots.into_iter().flatten().collect();
    let (size, depth) = measure(entries.iter().map(|(_, node)| node));
    Node { value: Value::Map(entries.into()), extent, size: size + 1, depth: depth + 1 }
}

impl Scalar {
    pub(crate) fn is_null(&self) -> bool {
        self.plain && matches!(&*self.text, "" | "~" | "null" | "Null" | "NULL")
    }

    /// The truth it stands for, when it does.
    pub(crate) fn truth(&self) -> Option<bool> {
        match (self.plain, &*self.text) {
            (true, "true" | "True" | "TRUE") => Some(true),
            (true, "false" | "False" | "FALSE") => Some(false),
            _ => None,
        }
    }

    /// Whether YAML takes it for a number.
    pub(crate) fn is_number(&self) -> bool {
        let text = self.text.strip_prefix(['-', '+']).unwrap_or(&self.text);
        let hexadecimal = |digits: &str| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit());
        let octal = |digits: &str| !digits.is_empty() && digits.bytes().all(|b| matches!(b, b'0'..=b'7'));
        self.plain
            && (text.strip_prefix("0x").is_some_and(hexadecimal)
                || text.strip_prefix("0o").is_some_and(octal)
                || matches!(text, ".inf" | ".Inf" | ".INF" | ".nan" | ".NaN" | ".NAN")
                || (text.starts_with(|c: char| c.is_ascii_digit() || c == '.')
                    && text.parse::<f64>().is_ok()))
    }
}

/// Events to one document's tree, without recursion: nesting comes from the text.
#[derive(Default)]
struct Builder {
    text: u32,
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    root: Option<Node>,
    broken: Vec<Broken>,
    nodes_left: usize,
}

/// A list or mapping whose end has not come yet.
struct Open {
    extent: Extent,
    block: bool,
    anchor: usize,
    parts: Parts,
}

enum Parts {
    List(Vec<Node>),
    Map { entries: Vec<(Key, Node)>, key: Option<Option<Key>> },
}

impl Builder {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Broken> {
        let extent = Extent::of(span, self.text);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain && !self.is_string(tag.as_deref(), extent);
                let value = Value::Scalar(Rc::new(Scalar { text: text.into_owned(), plain }));
                let block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
                self.close(Node { value, extent, size: 1, depth: 0 }, block, anchor, 1)
            }
            Event::SequenceStart(style, anchor, tag) => {
                self.is_string(tag.as_deref(), extent);
                self.start(extent, style, anchor, Parts::List(Vec::new()))
            }
            Event::MappingStart(style, anchor, tag) => {
                self.is_string(tag.as_deref(), extent);
                self.start(extent, style, anchor, Parts::Map { entries: Vec::new(), key: None })
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(open) => self.end(open, extent),
                None => Ok(()),
            },
            Event::Alias(anchor) => match self.anchors.get(&anchor).cloned() {
                // The place is the anchor's: that is where the value was written.
                Some(node) => {
                    let cost = node.size;
                    self.close(node, false, 0, cost)
                }
                None => Err(Broken {
                    code: "alias",
                    extent,
                    found: "an alias inside what it stands for".to_owned(),
                    expected: "a value that ends".to_owned(),
                    hint: None,
                }),
            },
            Event::UnresolvedAlias(name) => {
                self.broken.push(Broken {
                    code: "alias",
                    extent,
                    found: format!("`*{name}`, which stands for nothing"),
                    expected: format!("an anchor `&{name}` earlier in the document"),
                    hint: None,
                });
                let value = Value::Scalar(Rc::new(Scalar { text: String::new(), plain: true }));
                self.close(Node { value, extent, size: 1, depth: 0 }, false, 0, 1)
            }
            _ => Ok(()),
        }
    }

    /// Whether a tag makes a scalar a string. Tags beyond YAML's own are refused: nothing here knows them.
    fn is_string(&mut self, tag: Option<&Tag>, extent: Extent) -> bool {
        let Some(tag) = tag else { return false };
        let word = tag.to_string();
        let known = ["str", "int", "float", "bool", "null", "map", "seq"];
        let name = word.rsplit([':', '!']).next().unwrap_or_default();
        let own = word.starts_with("!!") || word.contains("tag:yaml.org,2002:") || word == "!";
        if !own || (word != "!" && !known.contains(&name)) {
            self.broken.push(Broken {
                code: "tag",
                extent,
                found: format!("the tag `{word}`"),
                expected: "a plain value; YAML's own tags are the only ones read".to_owned(),
                hint: None,
            });
        }
        name == "str" || word == "!"
    }

    fn start(
        &mut self,
        extent: Extent,
        style: StructureStyle,
        anchor: usize,
        parts: Parts,
    ) -> Result<(), Broken> {
        if self.open.len() >= DEPTH_MAX {
            return Err(too_deep(extent));
        }
        self.open.push(Open { extent, block: style == StructureStyle::Block, anchor, parts });
        Ok(())
    }

    fn end(&mut self, open: Open, end: Extent) -> Result<(), Broken> {
        let (value, size, depth) = match open.parts {
            Parts::List(items) => {
                let (size, depth) = measure(items.iter());
                (Value::List(items.into()), size, depth)
            }
            Parts::Map { entries, .. } => {
                let entries = merge(entries);
                let (size, depth) = measure(entries.iter().map(|(_, node)| node));
                (Value::Map(entries.into()), size, depth)
            }
        };
        // A block has no bracket to point at: its first word stands for it.
        let extent = match &value {
            _ if !open.block => Extent { end: end.end, ..open.extent },
            Value::Map(entries) => entries.first().map_or(open.extent, |(key, _)| key.extent),
            Value::List(_) | Value::Scalar(_) => open.extent,
        };
        self.close(Node { value, extent, size: size + 1, depth: depth + 1 }, open.block, open.anchor, 1)
    }

    /// A value is complete: it becomes an item, a key, a field's value or the document. `cost` is how
    /// many values it adds: an alias adds all it stands for.
    fn close(&mut self, mut node: Node, block: bool, anchor: usize, cost: usize) -> Result<(), Broken> {
        if self.open.len() + node.depth > DEPTH_MAX {
            return Err(too_deep(node.extent));
        }
        self.nodes_left = self.nodes_left.checked_sub(cost).ok_or_else(|| {
            let found = format!("more than {NODES_MAX} values, each alias counted as what it stands for");
            Broken::limit(node.extent, found, "fewer values in one text; split it".to_owned())
        })?;
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut().map(|open| &mut open.parts) {
            None => self.root = Some(node),
            Some(Parts::List(items)) => items.push(node),
            Some(Parts::Map { entries, key }) => match key.take() {
                None => match Key::of(&node) {
                    Some(name) => *key = Some(Some(name)),
                    None => {
                        *key = Some(None);
                        self.broken.push(Broken {
                            code: "bad-key",
                            extent: node.extent,
                            found: "a list or mapping as a field's name".to_owned(),
                            expected: "a word".to_owned(),
                            hint: None,
                        });
                    }
                },
                // The value of a name that was refused.
                Some(None) => {}
                Some(Some(name)) => {
                    if block || node.is_null() {
                        node.extent = name.extent;
                    }
                    entries.push((name, node));
                }
            },
        }
        Ok(())
    }
}

impl Key {
    fn of(node: &Node) -> Option<Self> {
        node.text().map(|text| Self { name: text.into(), extent: node.extent })
    }
}

fn too_deep(extent: Extent) -> Broken {
    let found = format!("more than {DEPTH_MAX} lists and mappings inside one another");
    Broken::limit(extent, found, "fewer levels".to_owned())
}

/// Values in `nodes`, and the levels of the deepest.
fn measure<'n>(nodes: impl Iterator<Item = &'n Node>) -> (usize, usize) {
    nodes.fold((0, 0), |(size, depth), node| (node.size.saturating_add(size), node.depth.max(depth)))
}

/// Opens merge keys, `<<: *base`, as Kubernetes' reader does: what is written beside them wins.
fn merge(entries: Vec<(Key, Node)>) -> Vec<(Key, Node)> {
    let is_merge = |(key, node): &(Key, Node)| &*key.name == "<<" && !matches!(node.value, Value::Scalar(_));
    if !entries.iter().any(is_merge) {
        return entries;
    }
    let (merges, mut merged): (Vec<_>, Vec<_>) = entries.into_iter().partition(is_merge);
    let mut add = |node: &Node| {
        if let Value::Map(base) = &node.value {
            for (key, node) in &**base {
                if !merged.iter().any(|(written, _)| written.name == key.name) {
                    merged.push((key.clone(), node.clone()));
                }
            }
        }
    };
    for (_, node) in &merges {
        match &node.value {
            Value::List(bases) => bases.iter().for_each(&mut add),
            Value::Map(_) | Value::Scalar(_) => add(node),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Node {
        let (mut documents, broken) = parse(text, 0);
        assert!(broken.is_empty(), "{broken:?}");
        assert_eq!(documents.len(), 1);
        documents.remove(0)
    }

    #[test]
    fn a_value_points_at_itself_and_a_block_at_its_key() {
        let root = one("a: 1\nbb:\n  c: [x, y]\n  d: ~\n");
        assert_eq!(root.field("a").map(|a| a.extent), Some(Extent { text: 0, start: (1, 4), end: (1, 5) }));
        let block = root.field("bb").expect("bb");
        assert_eq!(block.extent, Extent { text: 0, start: (2, 1), end: (2, 3) });
        assert_eq!(block.field("c").map(|c| c.extent), Some(Extent { text: 0, start: (3, 6), end: (3, 12) }));
        assert_eq!(block.field("d").map(|d| d.extent), Some(Extent { text: 0, start: (4, 3), end: (4, 4) }));
    }

    #[test]
    fn a_broken_document_leaves_the_others_whole() {
        let (documents, broken) = parse("a: 1\n---\nb: [1, 2\nc: }\n---\nd: 4\n", 0);
        assert_eq!(broken.len(), 1, "{broken:?}");
        assert_eq!(broken[0].code, "syntax");
        let texts: Vec<_> = documents.iter().filter_map(|d| d.field("a").or(d.field("d"))?.text()).collect();
        assert_eq!(texts, ["1", "4"]);
    }

    #[test]
    fn aliases_and_merge_keys_stand_for_what_they_name() {
        let root = one("base: &b { x: 1, y: 2 }\nplain: *b\nmerged: { <<: *b, y: 3 }\n");
        assert_eq!(root.field("plain").and_then(|p| p.field("x")?.text()), Some("1"));
        let merged = root.field("merged").expect("merged");
        assert_eq!(merged.field("x").and_then(Node::text), Some("1"));
        assert_eq!(merged.field("y").and_then(Node::text), Some("3"));
    }

    #[test]
    fn an_alias_bomb_is_refused_for_its_size() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let before = level - 1;
            text += &format!("a{level}: &a{level} [{}]\n", vec![format!("*a{before}"); 9].join(", "));
        }
        let (documents, broken) = parse(&text, 0);
        assert!(documents.is_empty());
        assert_eq!(broken.iter().map(|b| b.code).collect::<Vec<_>>(), [TOO_LARGE]);
    }

    #[test]
    fn a_value_inside_itself_is_refused() {
        let (_, broken) = parse("a: &a [*a]\n", 0);
        assert_eq!(broken.iter().map(|b| b.code).collect::<Vec<_>>(), ["alias"]);
    }

    #[test]
    fn depth_and_size_have_limits() {
        let deep = "[".repeat(DEPTH_MAX + 1) + &"]".repeat(DEPTH_MAX + 1);
        assert_eq!(parse(&deep, 0).1[0].code, TOO_LARGE);
        let giant = "x".repeat(BYTES_MAX + 1);
        assert_eq!(parse(&giant, 0).1[0].code, TOO_LARGE);
    }

    #[test]
    fn a_patch_is_merged_field_by_field() {
        /// The examples of RFC 7396, appendix A, whose targets and patches are mappings.
        const CASES: [(&str, &str, &str); 11] = [
            ("{a: b}", "{a: c}", "{a: c}"),
            ("{a: b}", "{b: c}", "{a: b, b: c}"),
            ("{a: b}", "{a: null}", "{}"),
            ("{a: b, b: c}", "{a: null}", "{b: c}"),
            ("{a: [b]}", "{a: c}", "{a: c}"),
            ("{a: c}", "{a: [b]}", "{a: [b]}"),
            ("{a: {b: c}}", "{a: {b: d, c: null}}", "{a: {b: d}}"),
            ("{a: [{b: c}]}", "{a: [1]}", "{a: [1]}"),
            ("{e: null}", "{a: 1}", "{e: null, a: 1}"),
            ("[1, 2]", "{a: b, c: null}", "{a: b}"),
            ("{}", "{a: {bb: {ccc: null}}}", "{a: {bb: {}}}"),
        ];
        for (target, patch, expected) in CASES {
            let found = merged(Some(&one(target)), &one(patch));
            assert_eq!(written(&found), written(&one(expected)), "{target} + {patch}");
        }
    }

    fn written(node: &Node) -> String {
        match &node.value {
            Value::Scalar(scalar) => scalar.text.clone(),
            Value::List(items) => format!("{:?}", items.iter().map(written).collect::<Vec<_>>()),
            Value::Map(entries) => {
                let field = |(key, node): &(Key, Node)| format!("{}: {}", key.name, written(node));
                format!("{{{}}}", entries.iter().map(field).collect::<Vec<_>>().join(", "))
            }
        }
    }

    #[test]
    fn words_mean_what_yaml_says_they_mean() {
        let scalar = |text: &str| Scalar { text: text.to_owned(), plain: true };
        for number in ["1", "-1", "1.5", "+3", "1e3", ".5", "0x1F", "0o17", ".inf", "1."] {
            assert!(scalar(number).is_number(), "{number}");
        }
        for word in ["v1", "1.2.3", "127.0.0.1", "8ms", "no", "e3", "", ".", "inf", "nan", "0x"] {
            assert!(!scalar(word).is_number(), "{word}");
        }
        assert_eq!(scalar("True").truth(), Some(true));
        assert_eq!(scalar("yes").truth(), None);
    }
}
