//! Many tests of one value at once: which stages could be true of it?

use aho_corasick::{AhoCorasick, AhoCorasickBuilder, AhoCorasickKind, MatchKind};
use rustc_hash::FxHashMap;

use crate::text::{Pattern, Shape, Token};

/// A number of a stage in its matcher.
pub type Stage = u32;

/// So many characters tell prefixes and suffixes apart, mostly.
const EDGE: usize = 6;
/// A required text that is shorter tells little.
const SHORTEST: usize = 3;

type Stages = Box<[Stage]>;

/// Texts at one edge of others: short ones by their lengths, long ones by their outermost bytes.
#[derive(Default)]
struct Edge {
    short: Vec<(usize, FxHashMap<Box<[u8]>, Stages>)>,
    long: FxHashMap<[u8; EDGE], Vec<(Box<[u8]>, Stages)>>,
}

/// The tests of a value, made ready.
pub struct Finder {
    exact: FxHashMap<Box<[u8]>, Stages>,
    starts: Edge,
    ends: Edge,
    within: Option<AhoCorasick>,
    within_stages: Vec<Stages>,
    /// Stages that any text could make true.
    always: Stages,
    /// Stages that any text could make true that is not of ASCII.
    beyond: Stages,
}

/// The tests of a value as they are gathered.
#[derive(Default)]
pub struct FinderBuilder {
    exact: FxHashMap<Box<[u8]>, Vec<Stage>>,
    starts: FxHashMap<Box<[u8]>, Vec<Stage>>,
    ends: FxHashMap<Box<[u8]>, Vec<Stage>>,
    within: FxHashMap<Box<[u8]>, Vec<Stage>>,
    always: Vec<Stage>,
    beyond: Vec<Stage>,
}

impl FinderBuilder {
    /// A wildcard pattern whose texts were lowered; that is never a test too many.
    pub fn add_pattern(&mut self, tokens: &[Token], stage: Stage) {
        if tokens.iter().any(|token| matches!(token, Token::Text(text) if !text.is_ascii())) {
            self.beyond.push(stage);
        }
        let lowered: Vec<Token> = tokens
            .iter()
            .map(|token| match token {
                Token::Text(text) => Token::Text(text.to_ascii_lowercase()),
                Token::Any => Token::Any,
                Token::One => Token::One,
            })
            .collect();
        let table = match (Pattern::new(false, &lowered).shape, lowered.as_slice()) {
            (Shape::Exact(text), _) => self.exact.entry(text),
            (Shape::Prefix(text), _) if !text.is_empty() => self.starts.entry(text),
            (Shape::Suffix(text), _) if !text.is_empty() => self.ends.entry(text),
            (_, tokens) => {
                let longest = tokens
                    .iter()
                    .filter_map(|token| match token {
                        Token::Text(text) => Some(text.as_bytes()),
                        Token::Any | Token::One => None,
                    })
                    .max_by_key(|text| text.len())
                    .unwrap_or_default();
                return self.add_required(longest, stage);
            }
        };
        table.or_default().push(stage);
    }

    /// A test that only texts with a certain part can pass.
    pub fn add_required(&mut self, text: &[u8], stage: Stage) {
        if !text.is_ascii() {
            self.beyond.push(stage);
        }
        if text.len() < SHORTEST {
            self.always.push(stage);
        } else {
            self.within.entry(text.into()).or_default().push(stage);
        }
    }

    /// A test that any text could pass.
    pub fn add_always(&mut self, stage: Stage) {
        self.always.push(stage);
    }

    pub fn build(self) -> Result<Finder, String> {
        let (within, within_stages): (Vec<_>, Vec<_>) = self
            .within
            .into_iter()
            .map(|(text, stages)| (text, distinct(stages)))
            .unzip();
        let automaton = if within.is_empty() {
            None
        } else {
            let kind = if within.len() <= 300 {
                AhoCorasickKind::DFA
            } else {
                AhoCorasickKind::ContiguousNFA
            };
            let built = AhoCorasickBuilder::new()
                .match_kind(MatchKind::Standard)
                .kind(Some(kind))
                .build(&within)
                .map_err(|error| error.to_string())?;
            Some(built)
        };
        Ok(Finder {
            exact: tables(self.exact),
            starts: Edge::new(self.starts, |text| &text[..EDGE]),
            ends: Edge::new(self.ends, |text| &text[text.len() - EDGE..]),
            within: automaton,
            within_stages,
            always: distinct(self.always),
            beyond: distinct(self.beyond),
        })
    }
}

fn tables(table: FxHashMap<Box<[u8]>, Vec<Stage>>) -> FxHashMap<Box<[u8]>, Stages> {
    table
        .into_iter()
        .map(|(text, stages)| (text, distinct(stages)))
        .collect()
}

fn distinct(mut stages: Vec<Stage>) -> Stages {
    stages.sort_unstable();
    stages.dedup();
    stages.into_boxed_slice()
}

impl Edge {
    fn new(texts: FxHashMap<Box<[u8]>, Vec<Stage>>, edge: fn(&[u8]) -> &[u8]) -> Self {
        let mut short: FxHashMap<usize, FxHashMap<Box<[u8]>, Stages>> = FxHashMap::default();
        let mut long: FxHashMap<[u8; EDGE], Vec<(Box<[u8]>, Stages)>> = FxHashMap::default();
        for (text, stages) in texts {
            let stages = distinct(stages);
            if text.len() < EDGE {
                short.entry(text.len()).or_default().insert(text, stages);
            } else if let Ok(key) = <[u8; EDGE]>::try_from(edge(&text)) {
                long.entry(key).or_default().push((text, stages));
            }
        }
        Edge {
            short: short.into_iter().collect(),
            long,
        }
    }
}

impl Finder {
    /// Hand over the stages of all tests that a lowered text could pass; some more than once.
    pub fn find(&self, text: &[u8], ascii: bool, found: &mut impl FnMut(&[Stage])) {
        found(&self.always);
        if !ascii {
            found(&self.beyond);
        }
        if let Some(stages) = self.exact.get(text) {
            found(stages);
        }
        for (length, table) in &self.starts.short {
            if let Some(stages) = text.get(..*length).and_then(|start| table.get(start)) {
                found(stages);
            }
        }
        if !self.starts.long.is_empty() {
            if let Some(start) = text.first_chunk::<EDGE>() {
                for (whole, stages) in self.starts.long.get(start).into_iter().flatten() {
                    if text.starts_with(whole) {
                        found(stages);
                    }
                }
            }
        }
        for (length, table) in &self.ends.short {
            let end = text.len().checked_sub(*length).map(|from| &text[from..]);
            if let Some(stages) = end.and_then(|end| table.get(end)) {
                found(stages);
            }
        }
        if !self.ends.long.is_empty() {
            if let Some(end) = text.last_chunk::<EDGE>() {
                for (whole, stages) in self.ends.long.get(end).into_iter().flatten() {
                    if text.ends_with(whole) {
                        found(stages);
                    }
                }
            }
        }
        if let Some(automaton) = &self.within {
            for place in automaton.find_overlapping_iter(text) {
                found(&self.within_stages[place.pattern().as_usize()]);
            }
        }
    }

    /// Hand over all stages.
    pub fn everything(&self, found: &mut impl FnMut(&[Stage])) {
        found(&self.always);
        self.exact.values().for_each(|stages| found(stages));
        for edge in [&self.starts, &self.ends] {
            for (_, table) in &edge.short {
                table.values().for_each(|stages| found(stages));
            }
            for entries in edge.long.values() {
                entries.iter().for_each(|(_, stages)| found(stages));
            }
        }
        self.within_stages.iter().for_each(|stages| found(stages));
    }
}
