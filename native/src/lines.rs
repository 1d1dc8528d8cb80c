//! Blocks of lines: for each line what is counted for it, or that Python is to read it.

use memchr::{memchr, memmem};
use rustc_hash::FxHashMap;

use crate::finder::Stage;
use crate::json::{Event, Parser};
use crate::matcher::{test, Atom, Scratch};
use crate::program::{Leaf, Node, NodeId, Program, Question, Telling};
use crate::values::{worth, Worth, ANY, FALSE, TRUE, UNKNOWN};

/// Of lines of 32 lengths one is asked for its check sum, and of 32 of these one is a sample: as
/// in `carengine.runner.processor`.
const ONE_IN: u32 = 31;
const ONE_RECORD_IN: usize = 1024;
/// Answers that are kept for a question, and how long a text among them may be.
const MOST_ANSWERS: usize = 512;
const LONGEST_ANSWER: usize = 256;

/// Why Python reads a line.
#[derive(Clone, Copy, PartialEq)]
pub enum Reason {
    /// It is one of those that are always read.
    Wanted,
    /// Nothing like it has been met before.
    Unmet,
    /// A rule could match it.
    Candidate,
    /// It could be read in more than one way here.
    Unusual,
    /// Python reads all events of its kind.
    Closed,
}

/// A line that Python is to read, and what came before it since the last one.
pub struct Undecided {
    pub start: usize,
    pub end: usize,
    pub before: Passed,
    pub reason: Reason,
    pub sampled: bool,
    /// What it is, and the stages that hold, if all that is known.
    pub known: Option<Holding>,
}

/// What an event is, and which stages of each of its leaf's matchers hold.
pub type Holding = (NodeId, Vec<Vec<Stage>>);

/// Lines that are dealt with.
#[derive(Clone, Default)]
pub struct Passed {
    pub records: usize,
    pub blank: usize,
    pub counts: Vec<(NodeId, usize)>,
    /// The latest time of them.
    pub time: Option<i64>,
    /// How many of which leaf have no fields.
    pub silent: Vec<(NodeId, usize)>,
    /// How many have which look, of those that no field map recognises.
    pub looks: Vec<(usize, usize)>,
}

/// `Passed` as it is gathered.
#[derive(Default)]
struct Gathered {
    passed: Passed,
    counts: FxHashMap<NodeId, usize>,
    silent: FxHashMap<NodeId, usize>,
    looks: FxHashMap<usize, usize>,
}

impl Gathered {
    fn add(&mut self, event: &PassedEvent) {
        self.passed.records += 1;
        self.passed.time = self.passed.time.max(event.time);
        *self.counts.entry(event.leaf).or_default() += 1;
        if event.silent {
            *self.silent.entry(event.leaf).or_default() += 1;
        }
        if let Some(look) = event.look {
            *self.looks.entry(look).or_default() += 1;
        }
    }

    fn take(&mut self) -> Passed {
        let mut passed = std::mem::take(&mut self.passed);
        passed.counts = self.counts.drain().collect();
        passed.silent = self.silent.drain().collect();
        passed.looks = self.looks.drain().collect();
        passed
    }
}

/// An event that no rule matches.
struct PassedEvent {
    leaf: NodeId,
    time: Option<i64>,
    /// It has no fields of its kind.
    silent: bool,
    /// What it looks like, where no field map recognises it.
    look: Option<usize>,
}

/// What was found in a block.
pub struct Scanned {
    pub undecided: Vec<Undecided>,
    pub after: Passed,
    /// The offset behind the last line that was looked at.
    pub end: usize,
}

/// How a block is to be looked at.
pub struct Wanted {
    /// So many lines at its beginning are Python's.
    pub whole: usize,
    /// After so many lines of kinds that were not met before the rest is left.
    pub unmet: usize,
    /// Lines of more bytes are Python's.
    pub limit: usize,
    /// Whether lines are taken as samples by their check sums.
    pub sampling: bool,
    /// Where lines are records of an event log, the number of the first: one in so many is a
    /// sample.
    pub record: Option<usize>,
    /// Whether the block ends with its text, so that its last line may lack a line end.
    pub last: bool,
}

/// What one thread needs to decide lines.
pub struct Worker {
    parser: Parser,
    scratch: Scratch,
    texts: FxHashMap<NodeId, FxHashMap<Box<str>, NodeId>>,
    outcome: Vec<u8>,
}

enum Decision {
    Passed(PassedEvent),
    /// Which stages hold, and whether that is why Python reads the line.
    Known(Reason, Holding),
    Python(Reason),
}

impl Worker {
    pub fn new() -> Self {
        Worker {
            parser: Parser::new(),
            scratch: Scratch::default(),
            texts: FxHashMap::default(),
            outcome: Vec::new(),
        }
    }

    /// Decide the lines of a block.
    pub fn scan(&mut self, program: &Program, block: &[u8], wanted: &Wanted) -> Scanned {
        let mut scanned = Scanned {
            undecided: Vec::new(),
            after: Passed::default(),
            end: 0,
        };
        let mut gathered = Gathered::default();
        let mut whole = wanted.whole;
        let (mut unmet, mut at) = (0, 0);
        while scanned.end < block.len() {
            let rest = &block[scanned.end..];
            let length = match memchr(b'\n', rest) {
                Some(at) => at + 1,
                None if wanted.last => rest.len(),
                None => break,
            };
            let line = &rest[..length];
            let start = scanned.end;
            scanned.end += length;
            if line.iter().all(|byte| b" \t\r\n\x0b\x0c".contains(byte)) {
                gathered.passed.blank += 1;
                continue;
            }
            let (sampled, numbered) = match wanted.record {
                // Fields that are there twice have numbers, and are made whole by Python.
                Some(first) => (
                    (first + at) & (ONE_RECORD_IN - 1) == 0,
                    memmem::find(line, b"_1\":").is_some(),
                ),
                None => (
                    wanted.sampling
                        && length as u32 & ONE_IN == 0
                        && crc32fast::hash(line) & ONE_IN == 0,
                    false,
                ),
            };
            at += 1;
            let read = whole > 0 || sampled;
            whole = whole.saturating_sub(1);
            let decision = if numbered || length > wanted.limit {
                Decision::Python(Reason::Wanted)
            } else {
                self.decide(program, line, read)
            };
            let (reason, known) = match decision {
                Decision::Passed(event) => {
                    gathered.add(&event);
                    continue;
                }
                Decision::Known(reason, holding) => (reason, Some(holding)),
                Decision::Python(reason) => (reason, None),
            };
            scanned.undecided.push(Undecided {
                start,
                end: scanned.end,
                before: gathered.take(),
                reason,
                sampled,
                known,
            });
            if reason == Reason::Unmet {
                unmet += 1;
                if unmet >= wanted.unmet {
                    break;
                }
            }
        }
        scanned.after = gathered.take();
        scanned
    }

    /// Decide a line; `read` where Python reads it in any case.
    fn decide(&mut self, program: &Program, line: &[u8], read: bool) -> Decision {
        let Worker {
            parser,
            scratch,
            texts,
            outcome,
        } = self;
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        parser
            .with_event(line, &program.paths, |event| {
                scratch.begin(program.values.len());
                let mut asking = Asking {
                    program,
                    scratch,
                    texts,
                    outcome,
                    read,
                };
                Some(asking.decide(event, line))
            })
            .unwrap_or(Decision::Python(Reason::Unusual))
    }
}

/// An event being asked.
struct Asking<'a> {
    program: &'a Program,
    scratch: &'a mut Scratch,
    texts: &'a mut FxHashMap<NodeId, FxHashMap<Box<str>, NodeId>>,
    outcome: &'a mut Vec<u8>,
    /// Whether Python reads it in any case.
    read: bool,
}

impl Asking<'_> {
    fn decide(&mut self, event: &Event, line: &[u8]) -> Decision {
        let mut at: NodeId = 0;
        // No way through a tree is longer than the tree.
        for _ in 0..=self.program.nodes.len() {
            let Some(node) = self.program.nodes.get(at) else {
                break;
            };
            let next = match &**node {
                Node::Unknown => None,
                Node::Leaf(leaf) => return self.at_leaf(at, leaf, event, line),
                Node::Keys(slots, children) => {
                    self.outcome.clear();
                    let present = slots.iter().map(|slot| b'0' + u8::from(event.has(*slot)));
                    self.outcome.extend(present);
                    children.get(self.outcome.as_slice()).copied()
                }
                Node::Value(question) => match self.answer(at, question, event) {
                    Ok(next) => next,
                    Err(()) => return Decision::Python(Reason::Unusual),
                },
            };
            match next {
                Some(next) => at = next,
                None => break,
            }
        }
        Decision::Python(Reason::Unmet)
    }

    /// Where an answer leads, if it was met before; an error where Python must answer.
    fn answer(
        &mut self,
        at: NodeId,
        question: &Question,
        event: &Event,
    ) -> Result<Option<NodeId>, ()> {
        let found = worth(&self.program.values, question.value, event);
        match &found {
            Worth::Null if question.null.is_some() => return Ok(question.null),
            Worth::Mapping if question.mapping.is_some() => return Ok(question.mapping),
            Worth::Integer(number) => {
                if let Some(next) = question.integers.get(number) {
                    return Ok(Some(*next));
                }
            }
            Worth::Text(text) => {
                let known = question.texts.get(&**text);
                let known = known.or_else(|| self.texts.get(&at)?.get(&**text));
                if let Some(next) = known {
                    return Ok(Some(*next));
                }
            }
            Worth::Open => return Err(()),
            _ => {}
        }
        self.outcome.clear();
        self.outcome.push(if found == Worth::Null { b'T' } else { b'F' });
        for atom in &question.atoms {
            let truth = match &*self.program.atoms[*atom] {
                Atom::Of(id, of) => test(self.program.parts(), *id, of, event, self.scratch),
                Atom::Text(_) | Atom::Open => ANY,
            };
            self.outcome.push(match truth {
                TRUE => b'T',
                FALSE => b'F',
                UNKNOWN => b'N',
                _ => return Err(()),
            });
        }
        let next = question.by_outcome.get(self.outcome.as_slice()).copied();
        if let (Some(next), Worth::Text(text)) = (next, &found) {
            let known = self.texts.entry(at).or_default();
            if known.len() < MOST_ANSWERS && text.len() <= LONGEST_ANSWER {
                known.insert(text.as_ref().into(), next);
            }
        }
        Ok(next)
    }

    fn at_leaf(&mut self, at: NodeId, leaf: &Leaf, event: &Event, line: &[u8]) -> Decision {
        if leaf.unrecognised {
            return self.unrecognised(at, event);
        }
        let parts = self.program.parts();
        let silent = match self.silent(leaf, event) {
            Some(silent) => silent,
            None => return Decision::Python(Reason::Unusual),
        };
        let mut latest = None;
        for id in &leaf.times {
            match worth(parts.values, *id, event) {
                Worth::Null => {}
                Worth::Integer(time) => match i64::try_from(time) {
                    Ok(time) => latest = latest.max(Some(time)),
                    Err(_) => return Decision::Python(Reason::Unusual),
                },
                _ => return Decision::Python(Reason::Unusual),
            }
        }
        let mut holding = Vec::new();
        for matcher in &leaf.matchers {
            let mut stages = Vec::new();
            let matcher = &self.program.matchers[*matcher];
            if !matcher.find(parts, event, line, self.scratch, &mut stages) {
                return Decision::Python(Reason::Candidate);
            }
            holding.push(stages);
        }
        let holds = holding.iter().any(|stages| !stages.is_empty());
        let reason = if holds {
            Reason::Candidate
        } else if leaf.closed {
            Reason::Closed
        } else if self.read {
            Reason::Wanted
        } else {
            return Decision::Passed(PassedEvent {
                leaf: at,
                time: latest,
                silent,
                look: None,
            });
        };
        if silent {
            // Python counts what is without fields where it reads a line.
            return Decision::Python(reason);
        }
        Decision::Known(reason, (at, holding))
    }

    fn unrecognised(&self, at: NodeId, event: &Event) -> Decision {
        if self.read {
            return Decision::Python(Reason::Wanted);
        }
        let program = self.program;
        if !event.is_as_it_is(&program.paths) {
            return Decision::Python(Reason::Unusual);
        }
        let look = match event.mark(&program.paths) {
            Some((place, text)) => program.looks.get(place).and_then(|looks| looks.get(text)),
            None => event.first_keys().and_then(|keys| {
                let keys: Vec<Box<str>> = keys.into_iter().map(Box::from).collect();
                program.keyed_looks.get(&keys)
            }),
        };
        let look = look.copied();
        match look {
            None => Decision::Python(Reason::Closed),
            Some(_) => Decision::Passed(PassedEvent {
                leaf: at,
                time: None,
                silent: false,
                look,
            }),
        }
    }

    /// Whether an event has no fields of its kind; `None` where Python must tell.
    fn silent(&self, leaf: &Leaf, event: &Event) -> Option<bool> {
        let mut open = false;
        for telling in &leaf.telling {
            match self.tells(telling, event) {
                Some(true) => return Some(false),
                Some(false) => {}
                None => open = true,
            }
        }
        (!open).then_some(!leaf.telling.is_empty())
    }

    fn tells(&self, telling: &Telling, event: &Event) -> Option<bool> {
        match telling {
            Telling::Below(slot) => event.says_something(*slot),
            Telling::Values(values) => {
                let mut open = false;
                for id in values {
                    match worth(&self.program.values, *id, event) {
                        Worth::Null => {}
                        Worth::Open => open = true,
                        _ => return Some(true),
                    }
                }
                (!open).then_some(false)
            }
        }
    }
}
