//! The stages of one kind of events: could any of them hold?

use std::borrow::Cow;
use std::sync::Arc;

use aho_corasick::AhoCorasick;

use crate::finder::{Finder, Stage};
use crate::json::Event;
use crate::text::{folds_plainly, Pattern};
use crate::values::{worth, Lowered, Test, Tested, Truth, Value, ValueId, Worth};
use crate::values::{ANY, FALSE, TRUE, UNKNOWN};

pub type AtomId = usize;

/// A test of a value, or of the event's text.
pub enum Atom {
    Of(ValueId, Test),
    /// Patterns of the event's text, if they have a form here. False where the line has no word of those looked for.
    Text(Option<Vec<Pattern>>),
    Open,
}

/// A condition, with three outcomes.
pub enum Condition {
    Truth(Truth),
    Atom(AtomId),
    And(Vec<Condition>),
    Or(Vec<Condition>),
    Not(Box<Condition>),
    IsTrue(Box<Condition>),
}

/// What tells that a line has none of the words that stages look for in an event's text: quick
/// fragments first, then the words.
pub struct Search {
    pub quick: Option<AhoCorasick>,
    pub words: AhoCorasick,
}

impl Search {
    fn might_hold(&self, line: &[u8]) -> bool {
        self.quick.as_ref().is_none_or(|quick| quick.is_match(line)) && self.words.is_match(line)
    }
}

/// What is looked up of one value for all stages that have an anchor on it.
pub struct Column {
    pub value: ValueId,
    pub finder: Finder,
    /// Stages that hold where it is null.
    pub nulls: Box<[Stage]>,
    /// Tests that are made one by one.
    pub others: Vec<(AtomId, Box<[Stage]>)>,
}

/// The stages, and what finds those that could hold.
pub struct Matcher {
    pub stages: Vec<Condition>,
    pub columns: Vec<Column>,
    /// Stages without an anchor.
    pub always: Box<[Stage]>,
    /// Stages that have their anchor in the event's text.
    pub in_text: Box<[Stage]>,
    /// `None` where stages look for words that a line may hold in other ways.
    pub search: Option<Search>,
    pub looks_at_text: bool,
}

/// What is reused from event to event.
#[derive(Default)]
pub struct Scratch {
    /// For each value its lowered text.
    lowered: Vec<Lowered>,
    event: u64,
    text: EventText,
    seen: Vec<u64>,
    candidates: Vec<Stage>,
    round: u64,
}

impl Scratch {
    /// A new event.
    pub fn begin(&mut self, values: usize) {
        self.event += 1;
        if self.lowered.len() < values {
            self.lowered.resize_with(values, Default::default);
        }
    }
}

/// The event's text, written when a condition asks for it.
#[derive(Default)]
struct EventText {
    /// The event that it is of.
    event: u64,
    text: String,
    lowered: Vec<u8>,
    ascii: bool,
    /// Whether it is what Python has.
    known: bool,
}

impl EventText {
    fn of(&mut self, event: &Event, number: u64) {
        if self.event == number {
            return;
        }
        self.event = number;
        self.text.clear();
        self.lowered.clear();
        self.known = event.write_text(&mut self.text) && folds_plainly(&self.text);
        self.ascii = self.text.is_ascii();
        self.lowered.extend_from_slice(self.text.as_bytes());
        self.lowered.make_ascii_lowercase();
    }

    fn test(&self, patterns: &[Pattern]) -> Truth {
        if !self.known {
            return TRUE | FALSE;
        }
        let mut open = false;
        for pattern in patterns {
            let text = if pattern.cased { self.text.as_bytes() } else { &self.lowered };
            match pattern.matches(text, self.ascii) {
                Some(true) => return TRUE,
                Some(false) => {}
                None => open = true,
            }
        }
        if open {
            TRUE | FALSE
        } else {
            FALSE
        }
    }
}

/// The parts of a program that conditions refer to.
#[derive(Clone, Copy)]
pub struct Parts<'p> {
    pub values: &'p [Arc<Value>],
    pub atoms: &'p [Arc<Atom>],
}

/// The possible outcomes of a test of a value in an event.
pub fn test(parts: Parts, id: ValueId, of: &Test, event: &Event, scratch: &mut Scratch) -> Truth {
    let found = worth(parts.values, id, event);
    with_tested(id, &found, scratch, |tested| tested.test(of))
}

/// Make tests of one value, whose lowered text is kept for the next ones of the event.
pub fn with_tested<T>(
    id: ValueId,
    found: &Worth,
    scratch: &mut Scratch,
    tests: impl FnOnce(&mut Tested) -> T,
) -> T {
    tests(&mut Tested::new(found, &mut scratch.lowered[id], scratch.event))
}

impl Matcher {
    /// Put the stages that hold for an event to `holding`, in order; false where Python must tell
    /// of one.
    pub fn find(
        &self,
        parts: Parts,
        event: &Event,
        line: &[u8],
        scratch: &mut Scratch,
        holding: &mut Vec<Stage>,
    ) -> bool {
        scratch.round += 1;
        scratch.candidates.clear();
        scratch.seen.resize(scratch.seen.len().max(self.stages.len()), 0);
        self.gather(parts, event, scratch);
        let mut has_words = true;
        if self.looks_at_text {
            if let Some(search) = &self.search {
                has_words = search.might_hold(line);
            }
        }
        note(scratch, &self.always);
        if has_words {
            note(scratch, &self.in_text);
        }
        let candidates = std::mem::take(&mut scratch.candidates);
        let sure = candidates.iter().all(|stage| {
            let condition = &self.stages[*stage as usize];
            match evaluate(condition, parts, event, has_words, scratch) {
                TRUE => holding.push(*stage),
                outcome if outcome & TRUE != 0 => return false,
                _ => {}
            }
            true
        });
        scratch.candidates = candidates;
        holding.sort_unstable();
        sure
    }

    fn gather(&self, parts: Parts, event: &Event, scratch: &mut Scratch) {
        for column in &self.columns {
            let found = worth(parts.values, column.value, event);
            if found == Worth::Null {
                note(scratch, &column.nulls);
                continue;
            }
            let mut hits: Vec<&[Stage]> = Vec::new();
            let mut keep = |stages: &[Stage]| {
                if !stages.is_empty() {
                    note_in(&mut scratch.seen, &mut scratch.candidates, scratch.round, stages);
                }
            };
            match found {
                Worth::Mapping => {}
                Worth::List(ref texts) => {
                    for text in texts {
                        let element = Worth::Text(Cow::Borrowed(text));
                        let mut lowered = Lowered::default();
                        match Tested::new(&element, &mut lowered, 1).folded() {
                            Some((text, ascii)) => column.finder.find(text, ascii, &mut keep),
                            None => column.finder.everything(&mut keep),
                        }
                    }
                }
                Worth::Some | Worth::Instant(_) | Worth::Open => {
                    column.finder.everything(&mut keep);
                    keep(&column.nulls);
                }
                _ => {
                    let lowered = &mut scratch.lowered[column.value];
                    match Tested::new(&found, lowered, scratch.event).folded() {
                        Some((text, ascii)) => column.finder.find(text, ascii, &mut keep),
                        None => column.finder.everything(&mut keep),
                    }
                }
            }
            for (atom, stages) in &column.others {
                let outcome = match &*parts.atoms[*atom] {
                    Atom::Of(id, of) => {
                        with_tested(*id, &found, scratch, |tested| tested.test(of))
                    }
                    Atom::Text(_) | Atom::Open => ANY,
                };
                if outcome & TRUE != 0 {
                    hits.push(stages);
                }
            }
            for stages in hits {
                note(scratch, stages);
            }
        }
    }
}

fn note(scratch: &mut Scratch, stages: &[Stage]) {
    note_in(&mut scratch.seen, &mut scratch.candidates, scratch.round, stages);
}

fn note_in(seen: &mut [u64], candidates: &mut Vec<Stage>, round: u64, stages: &[Stage]) {
    for stage in stages {
        let last = &mut seen[*stage as usize];
        if *last != round {
            *last = round;
            candidates.push(*stage);
        }
    }
}

/// The possible outcomes of a condition.
fn evaluate(
    condition: &Condition,
    parts: Parts,
    event: &Event,
    has_words: bool,
    scratch: &mut Scratch,
) -> Truth {
    match condition {
        Condition::Truth(truth) => *truth,
        Condition::Atom(id) => match &*parts.atoms[*id] {
            Atom::Of(value, of) => test(parts, *value, of, event, scratch),
            Atom::Text(_) if !has_words => FALSE,
            Atom::Text(None) => TRUE | FALSE,
            Atom::Text(Some(patterns)) => {
                scratch.text.of(event, scratch.event);
                scratch.text.test(patterns)
            }
            Atom::Open => ANY,
        },
        Condition::And(items) => {
            // True where all are, false where one may be, unknown where one may be.
            let mut result = TRUE;
            for item in items {
                result = and(result, evaluate(item, parts, event, has_words, scratch));
                if result == FALSE {
                    break;
                }
            }
            result
        }
        Condition::Or(items) => {
            let mut result = FALSE;
            for item in items {
                let item = evaluate(item, parts, event, has_words, scratch);
                result = not(and(not(result), not(item)));
                if result == TRUE {
                    break;
                }
            }
            result
        }
        Condition::Not(item) => not(evaluate(item, parts, event, has_words, scratch)),
        Condition::IsTrue(item) => {
            let item = evaluate(item, parts, event, has_words, scratch);
            (item & TRUE) | if item & !TRUE != 0 { FALSE } else { 0 }
        }
    }
}

/// The outcomes of a negation.
pub fn not(truth: Truth) -> Truth {
    (truth & UNKNOWN)
        | if truth & TRUE != 0 { FALSE } else { 0 }
        | if truth & FALSE != 0 { TRUE } else { 0 }
}

/// The outcomes of a conjunction of two conditions.
pub fn and(one: Truth, other: Truth) -> Truth {
    let mut result = one & other & TRUE;
    if (one | other) & FALSE != 0 {
        result |= FALSE;
    }
    if (one & UNKNOWN != 0 && other & (TRUE | UNKNOWN) != 0)
        || (other & UNKNOWN != 0 && one & (TRUE | UNKNOWN) != 0)
    {
        result |= UNKNOWN;
    }
    result
}
