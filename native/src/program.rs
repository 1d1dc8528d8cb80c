//! The program that Python compiles rules and field maps to: plain data, read once.
//!
//! It grows: the tree of questions gets new nodes as new kinds of events come. Numbers of values,
//! atoms, matchers and nodes are their places in the order in which they were added.

use std::net::IpAddr;
use std::sync::Arc;

use aho_corasick::{AhoCorasickBuilder, MatchKind};
use memchr::memmem;
use rustc_hash::{FxHashMap, FxHashSet};
use serde_json::Value as Json;

use crate::anchors::anchor;
use crate::finder::{FinderBuilder, Stage};
use crate::json::{Paths, Slot};
use crate::matcher::{Atom, AtomId, Column, Condition, Matcher, Parts, Search};
use crate::text::{Pattern, Token};
use crate::values::{Function, Key, Reading, Relation, Search as Expression, Test, Value, ValueId};
use crate::values::{ANY, FALSE, TRUE, UNKNOWN};

/// What form of programs is understood.
pub const VERSION: u64 = 3;

pub type NodeId = usize;
type Read<T> = Result<T, String>;

/// A node of the tree of questions.
pub enum Node {
    /// Which of some keys are there?
    Keys(Vec<Slot>, FxHashMap<Vec<u8>, NodeId>),
    Value(Question),
    Leaf(Leaf),
    /// Nothing is known of it yet.
    Unknown,
}

/// What is a value, as far as conditions tell its values apart?
pub struct Question {
    pub value: ValueId,
    pub atoms: Vec<AtomId>,
    pub by_outcome: FxHashMap<Vec<u8>, NodeId>,
    pub texts: FxHashMap<Box<str>, NodeId>,
    pub integers: FxHashMap<i128, NodeId>,
    pub null: Option<NodeId>,
    pub mapping: Option<NodeId>,
}

/// What tells that an event has fields of its class.
pub enum Telling {
    Values(Vec<ValueId>),
    Below(Slot),
}

/// What events are that came to the same answers.
pub struct Leaf {
    /// Python reads all events of it.
    pub closed: bool,
    /// No field map recognises its events: they are counted by what people tell logs by.
    pub unrecognised: bool,
    pub matchers: Vec<usize>,
    /// For each class that wants to know: one of them must say something.
    pub telling: Vec<Telling>,
    /// The times of its classes, where joins and groups want them.
    pub times: Vec<ValueId>,
}

/// All that lines are decided with.
#[derive(Clone)]
pub struct Program {
    pub paths: Paths,
    pub values: Vec<Arc<Value>>,
    pub atoms: Vec<Arc<Atom>>,
    pub matchers: Vec<Arc<Matcher>>,
    pub nodes: Vec<Arc<Node>>,
    /// What unrecognised events look like that were met: for each telling place the texts, with the
    /// numbers of the looks.
    pub looks: Vec<FxHashMap<Box<str>, usize>>,
    /// The same of what is told from others by its first keys.
    pub keyed_looks: FxHashMap<Vec<Box<str>>, usize>,
    /// How many looks there are.
    known_looks: usize,
}

impl Program {
    pub fn new() -> Self {
        Program {
            paths: Paths::new(),
            values: Vec::new(),
            atoms: Vec::new(),
            matchers: Vec::new(),
            nodes: Vec::new(),
            looks: Vec::new(),
            keyed_looks: FxHashMap::default(),
            known_looks: 0,
        }
    }

    pub fn parts(&self) -> Parts<'_> {
        Parts {
            values: &self.values,
            atoms: &self.atoms,
        }
    }

    /// A program with what is in some JSON beside what this one has.
    pub fn with(&self, data: &[u8]) -> Read<Program> {
        let json: Json = serde_json::from_slice(data).map_err(|error| error.to_string())?;
        if json["version"].as_u64() != Some(VERSION) {
            return Err(format!("the program is not of version {VERSION}"));
        }
        let mut made = self.clone();
        for item in list(&json["values"])? {
            let value = read_value(item, made.values.len(), &mut made.paths)?;
            made.values.push(Arc::new(value));
        }
        for item in list(&json["atoms"])? {
            let atom = read_atom(item, made.values.len())?;
            made.atoms.push(Arc::new(atom));
        }
        for item in list(&json["matchers"])? {
            let matcher = made.read_matcher(item)?;
            made.matchers.push(Arc::new(matcher));
        }
        for item in list(&json["nodes"])? {
            let id = number(&item["id"])?;
            if id > 1 << 20 {
                return Err("there are too many nodes".into());
            }
            let node = made.read_node(item)?;
            while made.nodes.len() <= id {
                made.nodes.push(Arc::new(Node::Unknown));
            }
            made.nodes[id] = Arc::new(node);
        }
        made.looks.resize_with(made.paths.telling.len(), FxHashMap::default);
        for item in list(&json["looks"])? {
            if let Some(keys) = item.as_array().filter(|_| item[0].is_array()) {
                let keys = list(&keys[0])?.iter().map(|key| text(key).map(Box::from));
                made.keyed_looks.insert(keys.collect::<Read<_>>()?, made.known_looks);
            } else {
                let place = below(number(&item[0])?, made.looks.len())?;
                made.looks[place].insert(text(&item[1])?.into(), made.known_looks);
            }
            made.known_looks += 1;
        }
        Ok(made)
    }

    fn value_id(&self, json: &Json) -> Read<ValueId> {
        below(number(json)?, self.values.len())
    }

    fn atom_id(&self, json: &Json) -> Read<AtomId> {
        below(number(json)?, self.atoms.len())
    }

    fn read_node(&mut self, json: &Json) -> Read<Node> {
        if let Some(keys) = json["keys"].as_array() {
            let mut slots = Vec::new();
            for key in keys {
                slots.push(self.paths.slot(&[text(key)?]));
            }
            return Ok(Node::Keys(slots, children(&json["children"])?));
        }
        if json["leaf"].is_object() {
            return Ok(Node::Leaf(self.read_leaf(&json["leaf"])?));
        }
        let mut question = Question {
            value: self.value_id(&json["value"])?,
            atoms: Vec::new(),
            by_outcome: children(&json["children"])?,
            texts: FxHashMap::default(),
            integers: FxHashMap::default(),
            null: None,
            mapping: None,
        };
        for atom in list(&json["atoms"])? {
            question.atoms.push(self.atom_id(atom)?);
        }
        for entry in list(&json["table"])? {
            let node = number(&entry[1])?;
            match &entry[0] {
                Json::String(text) => {
                    question.texts.insert(text.as_str().into(), node);
                }
                Json::Null => question.null = Some(node),
                Json::Bool(_) => question.mapping = Some(node),
                json => {
                    question.integers.insert(integer(json)?, node);
                }
            }
        }
        Ok(Node::Value(question))
    }

    fn read_leaf(&mut self, json: &Json) -> Read<Leaf> {
        let mut leaf = Leaf {
            closed: json["closed"].as_bool() == Some(true),
            unrecognised: json["unrecognised"].as_bool() == Some(true),
            matchers: Vec::new(),
            telling: Vec::new(),
            times: Vec::new(),
        };
        for matcher in list(&json["matchers"])? {
            leaf.matchers
                .push(below(number(matcher)?, self.matchers.len())?);
        }
        for class in list(&json["telling"])? {
            leaf.telling.push(match class["below"].as_array() {
                Some(path) => Telling::Below(slot_of(path, &mut self.paths)?),
                None => {
                    let values = list(&class["values"])?.iter();
                    Telling::Values(values.map(|id| self.value_id(id)).collect::<Read<_>>()?)
                }
            });
        }
        for time in list(&json["times"])? {
            leaf.times.push(self.value_id(time)?);
        }
        Ok(leaf)
    }

    fn read_matcher(&self, json: &Json) -> Read<Matcher> {
        let mut stages = Vec::new();
        let mut always = Vec::new();
        let mut in_text = Vec::new();
        let mut builders: FxHashMap<ValueId, Building> = FxHashMap::default();
        let mut used: FxHashSet<ValueId> = FxHashSet::default();
        for (place, stage) in list(&json["stages"])?.iter().enumerate() {
            let place = Stage::try_from(place).map_err(|error| error.to_string())?;
            let condition = self.read_condition(stage, 0)?;
            match anchor(&condition, self.parts(), &mut used) {
                None => always.push(place),
                Some(atoms) => {
                    for id in atoms {
                        match &*self.atoms[id] {
                            Atom::Text(_) => in_text.push(place),
                            Atom::Open => always.push(place),
                            Atom::Of(value, test) => {
                                builders.entry(*value).or_default().add(id, test, place);
                            }
                        }
                    }
                }
            }
            stages.push(condition);
        }
        let mut columns = Vec::new();
        for (value, building) in builders {
            columns.push(Column {
                value,
                finder: building.finder.build()?,
                nulls: building.nulls.into_boxed_slice(),
                others: building
                    .others
                    .into_iter()
                    .map(|(atom, stages)| (atom, stages.into_boxed_slice()))
                    .collect(),
            });
        }
        columns.sort_by_key(|column| column.value);
        let looks_at_text = json["text"].as_bool() == Some(true);
        Ok(Matcher {
            stages,
            columns,
            always: always.into(),
            in_text: in_text.into(),
            search: read_search(&json["search"])?,
            looks_at_text,
        })
    }

    fn read_condition(&self, json: &Json, depth: usize) -> Read<Condition> {
        if depth > 200 {
            return Ok(Condition::Truth(ANY));
        }
        let Some(parts) = json.as_array() else {
            return Ok(match json {
                Json::Bool(true) => Condition::Truth(TRUE),
                Json::Bool(false) => Condition::Truth(FALSE),
                Json::Null => Condition::Truth(UNKNOWN),
                json => Condition::Atom(self.atom_id(json)?),
            });
        };
        let [kind, items @ ..] = parts.as_slice() else {
            return Err("a condition is empty".into());
        };
        let mut inner = Vec::new();
        for item in items {
            inner.push(self.read_condition(item, depth + 1)?);
        }
        match (text(kind)?, inner.len()) {
            ("and", _) => Ok(Condition::And(inner)),
            ("or", _) => Ok(Condition::Or(inner)),
            ("not", 1) => Ok(Condition::Not(Box::new(inner.remove(0)))),
            ("true", 1) => Ok(Condition::IsTrue(Box::new(inner.remove(0)))),
            (other, _) => Err(format!("there is no condition {other:?}")),
        }
    }
}

/// A column as it is gathered.
#[derive(Default)]
struct Building {
    finder: FinderBuilder,
    nulls: Vec<Stage>,
    others: FxHashMap<AtomId, Vec<Stage>>,
}

impl Building {
    fn add(&mut self, id: AtomId, test: &Test, stage: Stage) {
        match test {
            Test::Null => self.nulls.push(stage),
            Test::Match(patterns) => {
                for pattern in patterns {
                    self.finder.add_pattern(&pattern.tokens, stage);
                }
            }
            Test::Regex(Expression {
                required: Some(required),
                ..
            }) => {
                for one in required {
                    self.finder.add_required(one.needle(), stage);
                }
            }
            Test::Regex(_) => self.finder.add_always(stage),
            Test::Compare(..) | Test::Network(_) | Test::Open => {
                self.others.entry(id).or_default().push(stage);
            }
        }
    }
}

fn read_search(json: &Json) -> Read<Option<Search>> {
    let Some(words) = json["words"].as_array() else {
        return Ok(None);
    };
    let texts = |items: &[Json]| -> Read<Vec<String>> {
        items.iter().map(|item| text(item).map(str::to_owned)).collect()
    };
    let words = AhoCorasickBuilder::new()
        .ascii_case_insensitive(true)
        .build(texts(words)?)
        .map_err(|error| error.to_string())?;
    let quick = match json["quick"].as_array() {
        None => None,
        Some(items) => Some(
            AhoCorasickBuilder::new()
                .match_kind(MatchKind::LeftmostFirst)
                .build(texts(items)?)
                .map_err(|error| error.to_string())?,
        ),
    };
    Ok(Some(Search { quick, words }))
}

fn read_value(json: &Json, known: usize, paths: &mut Paths) -> Read<Value> {
    let parts = list(json)?;
    let kind = text(parts.first().ok_or("a value is empty")?)?;
    let part = |place: usize| parts.get(place).unwrap_or(&Json::Null);
    Ok(match kind {
        "raw" => Value::Raw {
            slot: slot_of(list(part(1))?, paths)?,
            empty: list(part(2))?
                .iter()
                .map(|one| text(one).map(Box::from))
                .collect::<Read<_>>()?,
            timed: part(3) == &Json::Bool(true),
        },
        "constant" => match part(1) {
            Json::Null => Value::Null,
            Json::Bool(value) => Value::Bool(*value),
            Json::String(text) => Value::Text(text.as_str().into()),
            json => integer(json).map_or(Value::Open, Value::Integer),
        },
        "call" => {
            let mut arguments = Vec::new();
            for id in list(part(2))? {
                arguments.push(below(number(id)?, known)?);
            }
            let strict = part(3) == &Json::Bool(true);
            let function = match (text(part(1))?, arguments.len()) {
                ("first", 1..) => Function::First,
                ("basename", 1) => Function::Basename,
                ("value_name", 1) => Function::ValueName,
                ("unless", 1..) => Function::Unless,
                ("choose", 1..) => Function::Choose,
                ("concat", _) => Function::Concat,
                ("account", 1 | 2) => Function::Account,
                ("has_bits", 2) => Function::HasBits,
                ("labelled", 2) => Function::Labelled,
                ("local_time", 3) => Function::LocalTime,
                _ if strict => Function::Strict,
                _ => Function::Other,
            };
            Value::Call {
                function,
                arguments,
                timed: part(4) == &Json::Bool(true),
            }
        }
        "open" => Value::Open,
        other => return Err(format!("there is no value {other:?}")),
    })
}

fn read_atom(json: &Json, values: usize) -> Read<Atom> {
    let parts = list(json)?;
    let kind = text(parts.first().ok_or("an atom is empty")?)?;
    let part = |place: usize| parts.get(place).unwrap_or(&Json::Null);
    let test = match kind {
        "text" => {
            let patterns = match part(1) {
                Json::Null => None,
                patterns => Some(read_patterns(patterns)?),
            };
            return Ok(Atom::Text(patterns));
        }
        "open" => return Ok(Atom::Open),
        "null" => Test::Null,
        "match" => Test::Match(read_patterns(part(2))?),
        "regex" => {
            let required = match part(2).as_array() {
                None => None,
                Some(texts) => Some(
                    texts
                        .iter()
                        .map(|one| Ok(memmem::Finder::new(text(one)?.as_bytes()).into_owned()))
                        .collect::<Read<_>>()?,
                ),
            };
            Test::Regex(Expression::new(required, text(part(3))?))
        }
        "compare" => {
            let relation = match text(part(2))? {
                "=" => Relation::Equal,
                "<" => Relation::Less,
                "<=" => Relation::LessEqual,
                ">" => Relation::Greater,
                ">=" => Relation::GreaterEqual,
                other => return Err(format!("there is no relation {other:?}")),
            };
            let key = match part(3) {
                Json::String(text) => Key::Text(text.as_str().into()),
                Json::Null => Key::Nothing,
                Json::Bool(_) => Key::Open,
                json => integer(json).map_or(Key::Open, Key::Integer),
            };
            let reading = match text(part(4))? {
                "integer" => Reading::Integer,
                "number" => Reading::Number,
                "text" | "boolean" => Reading::Text,
                "any" => Reading::Any,
                _ => Reading::Other,
            };
            Test::Compare(relation, key, reading)
        }
        "network" => {
            let mut networks = Vec::new();
            for network in list(part(2))? {
                let base: IpAddr = text(&network[0])?
                    .parse()
                    .map_err(|_| "a network is none".to_string())?;
                let bits = u8::try_from(number(&network[1])?).map_err(|e| e.to_string())?;
                networks.push((base, bits));
            }
            Test::Network(networks)
        }
        "unread" => Test::Open,
        other => return Err(format!("there is no atom {other:?}")),
    };
    Ok(Atom::Of(below(number(part(1))?, values)?, test))
}

fn read_patterns(json: &Json) -> Read<Vec<Pattern>> {
    let mut patterns = Vec::new();
    for pattern in list(json)? {
        let (cased, tokens) = read_tokens(pattern)?;
        patterns.push(Pattern::new(cased, &tokens));
    }
    Ok(patterns)
}

/// A pattern as `[cased, tokens]`: texts, 0 for any run of characters, 1 for any one of them.
fn read_tokens(json: &Json) -> Read<(bool, Vec<Token>)> {
    let mut tokens = Vec::new();
    for token in list(&json[1])? {
        tokens.push(match token {
            Json::String(text) => Token::Text(text.clone()),
            json if json.as_u64() == Some(0) => Token::Any,
            _ => Token::One,
        });
    }
    Ok((json[0] == Json::Bool(true), tokens))
}

fn children(json: &Json) -> Read<FxHashMap<Vec<u8>, NodeId>> {
    let mut table = FxHashMap::default();
    for entry in list(json)? {
        table.insert(text(&entry[0])?.as_bytes().to_vec(), number(&entry[1])?);
    }
    Ok(table)
}

fn slot_of(path: &[Json], paths: &mut Paths) -> Read<Slot> {
    let keys: Vec<&str> = path.iter().map(text).collect::<Read<_>>()?;
    if keys.is_empty() {
        return Err("a path is empty".into());
    }
    Ok(paths.slot(&keys))
}

fn list(json: &Json) -> Read<&[Json]> {
    match json {
        Json::Array(items) => Ok(items),
        Json::Null => Ok(&[]),
        _ => Err("a list is none".into()),
    }
}

fn text(json: &Json) -> Read<&str> {
    json.as_str().ok_or_else(|| "a text is none".into())
}

fn number(json: &Json) -> Read<usize> {
    json.as_u64()
        .and_then(|number| usize::try_from(number).ok())
        .ok_or_else(|| "a number is none".into())
}

fn integer(json: &Json) -> Read<i128> {
    json.as_i64()
        .map(i128::from)
        .or_else(|| json.as_u64().map(i128::from))
        .ok_or_else(|| "an integer is none".into())
}

fn below(number: usize, end: usize) -> Read<usize> {
    if number < end {
        Ok(number)
    } else {
        Err("a number leads nowhere".into())
    }
}
