//! One line of JSON as a flat tape, and the places in it that somebody may read.
//!
//! `simd-json` checks the whole line: whatever it refuses, Python looks at. Of the mappings that
//! lead to a known path every key is looked up; everything else is passed over.

use std::borrow::Cow;

use memchr::memchr;
use rustc_hash::{FxHashMap, FxHashSet};
use simd_json::{Buffers, Node, StaticNode, Tape};

/// A place in an event that is read: the number of a path.
pub type Slot = usize;

/// How deep brackets may be nested, as in `carengine.jsontext`.
const DEPTH: usize = 128;

#[derive(Clone, Default)]
struct Branch {
    below: FxHashMap<Box<str>, (usize, bool)>,
    slot: Option<Slot>,
}

/// All paths that are read, as a tree of keys.
#[derive(Clone)]
pub struct Paths {
    branches: Vec<Branch>,
    number: usize,
    /// Places that must hold no mapping and no list: a wrapped event is Python's.
    wrappers: Vec<Slot>,
    /// Places that may hold the name of the channel of forwarded events.
    channels: Vec<Slot>,
    /// The fields of an event log that have no names, which may be a list below `#text`.
    unnamed: Slot,
    /// What people tell logs by, as `carengine.engine.report.unrecognised` has it.
    pub telling: Vec<Slot>,
    shapes: Shapes,
}

/// Where it shows that an event is in a shape that Python brings into another one first, as
/// `carengine.fieldmap.shapes` does.
#[derive(Clone, Default)]
struct Shapes {
    keys: Vec<Slot>,
    event: Slot,
    system: Slot,
    number: Slot,
    attributes: Slot,
    data: Slot,
}

const SHAPES: [&str; 9] = [
    "SyslogMessage",
    "System",
    "Payload",
    "EventData",
    "data",
    "LogName",
    "EventLog",
    "FilterRTID",
    "ConnectionId",
];
/// Of how many first keys, and how many characters of each, a look is made.
const FIRST_KEYS: usize = 12;
const KEY_TEXT: usize = 60;

const TELLING: [&[&str]; 16] = [
    &["Channel"],
    &["log_name"],
    &["winlog", "channel"],
    &["Event", "System", "Channel"],
    &["LogName"],
    &["channel"],
    &["SourceName"],
    &["source_name"],
    &["event", "dataset"],
    &["sourcetype"],
    &["_path"],
    &["@stream"],
    &["ActionType"],
    &["event_simpleName"],
    &["event_type"],
    &["eventName"],
];

impl Paths {
    pub fn new() -> Self {
        let mut paths = Paths {
            branches: vec![Branch::default()],
            number: 0,
            wrappers: Vec::new(),
            channels: Vec::new(),
            unnamed: 0,
            telling: Vec::new(),
            shapes: Shapes::default(),
        };
        paths.unnamed = paths.slot(&["Event", "EventData", "Data"]);
        for path in [
            &["_source"][..],
            &["result"],
            &["Event", "EventData", "Data"],
            &["EventData", "Data"],
        ] {
            let slot = paths.slot(path);
            paths.wrappers.push(slot);
        }
        for path in [
            &["Channel"][..],
            &["SourceName"],
            &["log_name"],
            &["winlog.channel"],
            &["winlog", "channel"],
            &["Event", "System", "Channel"],
            &["System", "Channel"],
        ] {
            let slot = paths.slot(path);
            paths.channels.push(slot);
        }
        for key in SHAPES {
            let slot = paths.slot(&[key]);
            paths.shapes.keys.push(slot);
        }
        paths.shapes.event = paths.slot(&["Event"]);
        paths.shapes.system = paths.slot(&["Event", "System"]);
        paths.shapes.number = paths.slot(&["Event", "System", "EventID"]);
        paths.shapes.attributes = paths.slot(&["Event", "System", "Provider_attributes"]);
        paths.shapes.data = paths.slot(&["Event", "EventData"]);
        for path in TELLING {
            let slot = paths.slot(path);
            paths.telling.push(slot);
        }
        paths
    }

    /// The slot of a path; it is made where there is none.
    pub fn slot<S: AsRef<str>>(&mut self, path: &[S]) -> Slot {
        let mut at = 0;
        for key in path {
            let key = key.as_ref();
            at = match self.branches[at].below.get(key) {
                Some((below, _)) => *below,
                None => {
                    let below = self.branches.len();
                    self.branches.push(Branch::default());
                    self.branches[at]
                        .below
                        .insert(key.into(), (below, is_odd(key)));
                    below
                }
            };
        }
        if let Some(slot) = self.branches[at].slot {
            return slot;
        }
        let slot = self.number;
        self.branches[at].slot = Some(slot);
        self.number += 1;
        slot
    }
}

/// Whether a name is found under another one as well: without its blanks, or without `_1`.
fn is_odd(key: &str) -> bool {
    memchr(b' ', key.as_bytes()).is_some() || key.ends_with("_1")
}

fn other_name(key: &str, branch: &Branch) -> bool {
    if let Some(base) = key.strip_suffix("_1") {
        if branch.below.contains_key(base) {
            return true;
        }
    }
    memchr(b' ', key.as_bytes()).is_some() && branch.below.contains_key(key.replace(' ', "").as_str())
}

/// What is reused from line to line.
pub struct Parser {
    line: Vec<u8>,
    buffers: Buffers,
    tape: Option<Tape<'static>>,
    slots: Vec<u32>,
}

/// A line that was parsed: its values by slot.
pub struct Event<'a> {
    nodes: &'a [Node<'a>],
    slots: &'a [u32],
}

/// What stands at a place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Raw<'a> {
    Null,
    Text(&'a str),
    Integer(i128),
    Bool(bool),
    /// A mapping.
    Mapping,
    /// A list in which something is that is not null.
    List,
    /// A number with a fraction or an exponent.
    Float,
}

impl Parser {
    pub fn new() -> Self {
        Parser {
            line: Vec::new(),
            buffers: Buffers::new(4096),
            tape: None,
            slots: Vec::new(),
        }
    }

    /// What `use_event` makes of a line; `None` for a line that Python is to decide, whatever is
    /// in it.
    pub fn with_event<T>(
        &mut self,
        line: &[u8],
        paths: &Paths,
        use_event: impl FnOnce(&Event) -> Option<T>,
    ) -> Option<T> {
        self.line.clear();
        self.line.extend_from_slice(line);
        let mut tape = self.tape.take().unwrap_or_else(Tape::null).reset();
        let parsed = simd_json::fill_tape(&mut self.line, &mut self.buffers, &mut tape);
        let mut result = None;
        if parsed.is_ok() && locate(&tape.0, paths, &mut self.slots) {
            let event = Event {
                nodes: &tape.0,
                slots: &self.slots,
            };
            if !event.is_unusual(paths) {
                result = use_event(&event);
            }
        }
        self.tape = Some(tape.reset());
        result
    }
}

/// Fill in where each known path leads; false for what only Python reads.
fn locate(nodes: &[Node], paths: &Paths, slots: &mut Vec<u32>) -> bool {
    slots.clear();
    slots.resize(paths.number, 0);
    if !matches!(nodes.first(), Some(Node::Object { .. })) {
        return false;
    }
    if nodes.len() > DEPTH && is_deep(nodes) {
        return false;
    }
    inside(nodes, 0, 0, paths, slots)
}

fn inside(nodes: &[Node], at: usize, branch: usize, paths: &Paths, slots: &mut [u32]) -> bool {
    let Node::Object { len, .. } = nodes[at] else {
        return true;
    };
    let branch = &paths.branches[branch];
    let mut place = at + 1;
    for _ in 0..len {
        let Node::String(key) = nodes[place] else {
            return false;
        };
        place += 1;
        match branch.below.get(key) {
            Some((below, odd)) => {
                if *odd && other_name(key, branch) {
                    return false;
                }
                let next = &paths.branches[*below];
                if let Some(slot) = next.slot {
                    if slots[slot] != 0 {
                        return false; // the same key twice
                    }
                    slots[slot] = place as u32;
                }
                if !next.below.is_empty() {
                    if next.slot.is_none() && met_before(nodes, at, place, key) {
                        return false;
                    }
                    if !inside(nodes, place, *below, paths, slots) {
                        return false;
                    }
                }
            }
            None => {
                if is_odd(key) && other_name(key, branch) {
                    return false;
                }
            }
        }
        place += width(&nodes[place]);
    }
    true
}

/// Whether a key stands in a mapping before the value at a place.
fn met_before(nodes: &[Node], at: usize, place: usize, key: &str) -> bool {
    let mut other = at + 1;
    while other + 1 < place {
        if nodes[other] == Node::String(key) {
            return true;
        }
        other += 1;
        other += width(&nodes[other]);
    }
    false
}

fn width(node: &Node) -> usize {
    match node {
        Node::Object { count, .. } | Node::Array { count, .. } => count + 1,
        Node::String(_) | Node::Static(_) => 1,
    }
}

/// Whether brackets are nested deeper than readers allow.
fn is_deep(nodes: &[Node]) -> bool {
    let mut ends: Vec<usize> = Vec::new();
    for (place, node) in nodes.iter().enumerate() {
        while ends.last().is_some_and(|end| *end <= place) {
            ends.pop();
        }
        if let Node::Object { count, .. } | Node::Array { count, .. } = node {
            ends.push(place + count + 1);
            if ends.len() > DEPTH {
                return true;
            }
        }
    }
    false
}

impl<'a> Event<'a> {
    /// Whether a key is there, whatever it holds.
    pub fn has(&self, slot: Slot) -> bool {
        self.slots[slot] != 0
    }

    pub fn get(&self, slot: Slot) -> Raw<'a> {
        match self.slots[slot] {
            0 => Raw::Null,
            place => self.at(place as usize),
        }
    }

    /// The texts of a list, without what is null; `None` where it holds anything but texts, whole
    /// numbers and truth values.
    pub fn texts(&self, slot: Slot) -> Option<Vec<Cow<'a, str>>> {
        let at = self.slots[slot] as usize;
        let end = at + width(&self.nodes[at]);
        let mut texts = Vec::new();
        let mut place = at + 1;
        while place < end {
            match self.at(place) {
                Raw::Null if self.nodes[place] == Node::Static(StaticNode::Null) => {}
                Raw::Text(text) => texts.push(Cow::Borrowed(text)),
                Raw::Integer(number) => texts.push(Cow::Owned(number.to_string())),
                Raw::Bool(value) => {
                    texts.push(Cow::Borrowed(if value { "true" } else { "false" }));
                }
                _ => return None,
            }
            place += 1;
        }
        Some(texts)
    }

    fn at(&self, place: usize) -> Raw<'a> {
        match self.nodes[place] {
            Node::String(text) => Raw::Text(text),
            Node::Object { .. } => Raw::Mapping,
            Node::Array { count, .. } => {
                let mut item = place + 1;
                while item <= place + count {
                    if self.nodes[item] != Node::Static(StaticNode::Null) {
                        return Raw::List;
                    }
                    item += 1;
                }
                Raw::Null
            }
            Node::Static(StaticNode::Null) => Raw::Null,
            Node::Static(StaticNode::Bool(value)) => Raw::Bool(value),
            Node::Static(StaticNode::I64(value)) => Raw::Integer(value.into()),
            Node::Static(StaticNode::U64(value)) => Raw::Integer(value.into()),
            Node::Static(_) => Raw::Float,
        }
    }

    /// Whether a mapping holds a text, a number or a truth value, also in a list; `None` where
    /// there are lists in lists.
    pub fn says_something(&self, slot: Slot) -> Option<bool> {
        let at = self.slots[slot] as usize;
        let Node::Object { len, .. } = self.nodes[at] else {
            return Some(false);
        };
        if at == 0 {
            return Some(false);
        }
        let mut place = at + 1;
        let mut open = false;
        for _ in 0..len {
            place += 1;
            match self.at(place) {
                Raw::Text(_) | Raw::Integer(_) | Raw::Bool(_) | Raw::Float => return Some(true),
                Raw::List => {
                    let end = place + width(&self.nodes[place]);
                    let mut item = place + 1;
                    while item < end {
                        match self.at(item) {
                            Raw::Null | Raw::Mapping => {}
                            Raw::List => open = true,
                            _ => return Some(true),
                        }
                        item += width(&self.nodes[item]);
                    }
                }
                Raw::Null | Raw::Mapping => {}
            }
            place += width(&self.nodes[place]);
        }
        if open {
            None
        } else {
            Some(false)
        }
    }

    /// The text that rules look into: compact JSON in which strings stand unescaped, as
    /// `carengine.values.raw_text` writes it. False where Python is to write it.
    pub fn write_text(&self, text: &mut String) -> bool {
        self.write_value(0, text).is_some()
    }

    /// Write a value; the place behind it.
    fn write_value(&self, place: usize, text: &mut String) -> Option<usize> {
        let mut next = place + 1;
        match self.nodes[place] {
            Node::String(one) => {
                text.push('"');
                text.push_str(one);
                text.push('"');
            }
            Node::Object { len, .. } => {
                // Of a key that is there twice only the last value counts.
                let mut keys: FxHashSet<&str> = FxHashSet::default();
                text.push('{');
                for number in 0..len {
                    let Node::String(key) = self.nodes[next] else {
                        return None;
                    };
                    if !keys.insert(key) {
                        return None;
                    }
                    if number > 0 {
                        text.push(',');
                    }
                    text.push('"');
                    text.push_str(key);
                    text.push_str("\":");
                    next = self.write_value(next + 1, text)?;
                }
                text.push('}');
            }
            Node::Array { len, .. } => {
                text.push('[');
                for number in 0..len {
                    if number > 0 {
                        text.push(',');
                    }
                    next = self.write_value(next, text)?;
                }
                text.push(']');
            }
            Node::Static(StaticNode::Null) => text.push_str("null"),
            Node::Static(StaticNode::Bool(value)) => {
                text.push_str(if value { "true" } else { "false" });
            }
            Node::Static(StaticNode::I64(value)) => text.push_str(&value.to_string()),
            Node::Static(StaticNode::U64(value)) => text.push_str(&value.to_string()),
            Node::Static(_) => return None,
        }
        Some(next)
    }

    /// Whether all that a mapping has is `#text`: the values of fields without names.
    fn is_text_alone(&self, slot: Slot) -> bool {
        let at = self.slots[slot] as usize;
        matches!(self.nodes[at], Node::Object { len: 1, .. })
            && self.nodes.get(at + 1) == Some(&Node::String("#text"))
    }

    /// The keys of a mapping.
    fn keys(&self, at: usize) -> impl Iterator<Item = &'a str> + '_ {
        let number = match self.nodes[at] {
            Node::Object { len, .. } => len,
            _ => 0,
        };
        let mut place = at + 1;
        (0..number).map_while(move |_| {
            let Node::String(key) = self.nodes[place] else {
                return None;
            };
            place += 1 + width(&self.nodes[place + 1]);
            Some(key)
        })
    }

    /// Whether Python recognises the event as it stands, or not at all.
    pub fn is_as_it_is(&self, paths: &Paths) -> bool {
        let shapes = &paths.shapes;
        if shapes.keys.iter().any(|slot| self.has(*slot)) {
            return false;
        }
        if !self.has(shapes.event) {
            return true;
        }
        let number = match self.get(shapes.number) {
            Raw::Integer(_) | Raw::Text(_) => true,
            Raw::Mapping => self
                .keys(self.slots[shapes.number] as usize)
                .all(|key| key == "#text" || key == "#attributes"),
            _ => false,
        };
        let data = match self.get(shapes.data) {
            Raw::Null => true,
            Raw::Mapping => {
                self.keys(self.slots[shapes.data] as usize).all(|key| !key.contains("_1"))
            }
            _ => false,
        };
        number
            && data
            && self.get(shapes.event) == Raw::Mapping
            && self.get(shapes.system) == Raw::Mapping
            && !self.has(shapes.attributes)
    }

    /// The first keys of the event, if it is told from others by these.
    pub fn first_keys(&self) -> Option<Vec<&'a str>> {
        let keys: Vec<&str> = self.keys(0).take(FIRST_KEYS).collect();
        let plain = keys.iter().enumerate().all(|(place, key)| {
            key.len() < KEY_TEXT && !key.contains(' ') && !keys[..place].contains(key)
        });
        plain.then_some(keys)
    }

    /// What people tell the event's log by, with the number of its place.
    pub fn mark(&self, paths: &Paths) -> Option<(usize, &'a str)> {
        let texts = paths.telling.iter().enumerate();
        texts.into_iter().find_map(|(place, slot)| match self.get(*slot) {
            Raw::Text(text) if !text.is_empty() => Some((place, text)),
            _ => None,
        })
    }

    /// Whether the event is in a wrapper, or was forwarded: Python unwraps it.
    fn is_unusual(&self, paths: &Paths) -> bool {
        paths.wrappers.iter().any(|slot| {
            matches!(self.get(*slot), Raw::Mapping | Raw::List)
                && !(*slot == paths.unnamed && self.is_text_alone(*slot))
        })
            || paths
                .channels
                .iter()
                .any(|slot| self.get(*slot) == Raw::Text("ForwardedEvents"))
    }
}
