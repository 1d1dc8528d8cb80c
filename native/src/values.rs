//! Values over the raw fields of one event, and tests of them with three outcomes.
//!
//! What a value or a test comes to is what `carengine.evaluate` says, or that Python is to tell
//! (`Worth::Open`, several bits of a `Truth`). It is never anything else.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use memchr::memmem;
use regex::bytes::{Regex, RegexBuilder};

use crate::json::{Event, Raw, Slot};
use crate::text::{folds_plainly, labelled, number_of, time_of, Number, Pattern};

/// The outcomes that are possible: one bit for each of true, false and unknown.
pub type Truth = u8;
pub const TRUE: Truth = 1;
pub const FALSE: Truth = 2;
pub const UNKNOWN: Truth = 4;
pub const ANY: Truth = 7;

pub type ValueId = usize;

/// A function of field maps that is known here.
#[derive(Clone, Copy, PartialEq)]
pub enum Function {
    First,
    Basename,
    ValueName,
    Unless,
    Choose,
    Concat,
    Account,
    HasBits,
    Labelled,
    LocalTime,
    /// Null where an argument is, and Python's otherwise.
    Strict,
    /// Always Python's.
    Other,
}

/// How a value is made.
pub enum Value {
    Raw {
        slot: Slot,
        empty: Vec<Box<str>>,
        timed: bool,
    },
    Text(Box<str>),
    Integer(i128),
    Bool(bool),
    Null,
    Call {
        function: Function,
        arguments: Vec<ValueId>,
        timed: bool,
    },
    Open,
}

/// What a value is worth in an event.
#[derive(Clone, Debug, PartialEq)]
pub enum Worth<'a> {
    Null,
    Text(Cow<'a, str>),
    Integer(i128),
    Bool(bool),
    Mapping,
    /// The texts of a list of texts, numbers and truth values.
    List(Vec<Cow<'a, str>>),
    /// A number of seconds that stands for this time, in microseconds.
    Instant(i64),
    /// It is not null, and more Python must tell.
    Some,
    /// Python must tell everything.
    Open,
}

impl<'a> Worth<'a> {
    /// The text that patterns look at: `Null` for what has none, `Open` where Python must tell.
    fn text(self) -> Worth<'a> {
        match self {
            Worth::Text(_) | Worth::Null | Worth::Open => self,
            Worth::Integer(number) => Worth::Text(number.to_string().into()),
            Worth::Bool(value) => Worth::Text(if value { "true" } else { "false" }.into()),
            Worth::Mapping => Worth::Null,
            Worth::Some | Worth::List(_) | Worth::Instant(_) => Worth::Open,
        }
    }

    fn number(&self, hexadecimal: bool) -> Number {
        match self {
            Worth::Text(text) => number_of(text, hexadecimal),
            Worth::Integer(number) => Number::Integer(*number),
            Worth::Bool(_) | Worth::Mapping | Worth::Null => Number::No,
            Worth::Some | Worth::List(_) | Worth::Instant(_) | Worth::Open => Number::Open,
        }
    }

    fn timed(self) -> Worth<'a> {
        match self {
            Worth::Null | Worth::Mapping => Worth::Null,
            Worth::Text(text) => match time_of(&text) {
                Some(time) => Worth::Integer(time.into()),
                None => Worth::Open,
            },
            Worth::Instant(time) => Worth::Integer(time.into()),
            // Microseconds stay what they are.
            Worth::Integer(time) if (100_000_000_000_000..100_000_000_000_000_000).contains(&time) => {
                Worth::Integer(time)
            }
            _ => Worth::Open,
        }
    }
}

fn text_worth(text: Option<&str>) -> Worth<'static> {
    match text {
        Some(text) if !text.is_empty() => Worth::Text(text.to_owned().into()),
        _ => Worth::Null,
    }
}

/// The worth of a value in an event.
pub fn worth<'a>(values: &'a [Arc<Value>], id: ValueId, event: &Event<'a>) -> Worth<'a> {
    match &*values[id] {
        Value::Raw { slot, empty, timed } => {
            let found = match event.get(*slot) {
                Raw::Null => Worth::Null,
                Raw::Text(text) if empty.iter().any(|one| **one == *text) => Worth::Null,
                Raw::Text(text) => Worth::Text(Cow::Borrowed(text)),
                Raw::Integer(number) => Worth::Integer(number),
                Raw::Bool(value) => Worth::Bool(value),
                Raw::Mapping => Worth::Mapping,
                Raw::List => match event.texts(*slot) {
                    // The texts for "not known" are left out, and nothing may be left.
                    Some(texts) if texts.iter().any(|text| empty.iter().any(|one| **one == **text)) => {
                        Worth::Open
                    }
                    Some(texts) => Worth::List(texts),
                    None if empty.is_empty() => Worth::Some,
                    None => Worth::Open,
                },
                Raw::Float => Worth::Some,
            };
            if *timed {
                found.timed()
            } else {
                found
            }
        }
        Value::Text(text) => Worth::Text(Cow::Borrowed(text)),
        Value::Integer(number) => Worth::Integer(*number),
        Value::Bool(value) => Worth::Bool(*value),
        Value::Null => Worth::Null,
        Value::Open => Worth::Open,
        Value::Call {
            function,
            arguments,
            timed,
        } => {
            let found = call(values, *function, arguments, event);
            if *timed {
                found.timed()
            } else {
                found
            }
        }
    }
}

fn call<'a>(
    values: &'a [Arc<Value>],
    function: Function,
    arguments: &[ValueId],
    event: &Event<'a>,
) -> Worth<'a> {
    let argument = |place: usize| worth(values, arguments[place], event);
    match function {
        Function::First => {
            for id in arguments {
                match worth(values, *id, event) {
                    Worth::Null => {}
                    found => return found,
                }
            }
            Worth::Null
        }
        Function::Basename | Function::ValueName => match argument(0) {
            Worth::Some | Worth::List(_) | Worth::Instant(_) | Worth::Open => Worth::Open,
            found => match found.text() {
                Worth::Text(text) => {
                    let end = if function == Function::Basename {
                        text.rfind(['\\', '/'])
                    } else {
                        text.rfind('\\')
                    };
                    let from = end.map_or(0, |place| place + 1);
                    match text {
                        Cow::Borrowed(text) if from < text.len() => {
                            Worth::Text(Cow::Borrowed(&text[from..]))
                        }
                        text => text_worth(text.get(from..)),
                    }
                }
                found => found,
            },
        },
        Function::Unless => match argument(0) {
            Worth::Some | Worth::List(_) | Worth::Instant(_) => Worth::Open,
            Worth::Text(text) => {
                for id in &arguments[1..] {
                    match worth(values, *id, event) {
                        Worth::Text(other) if other == text => return Worth::Null,
                        Worth::Text(_) | Worth::Null | Worth::Integer(_) | Worth::Bool(_) => {}
                        _ => return Worth::Open,
                    }
                }
                Worth::Text(text)
            }
            found => found,
        },
        Function::Choose => {
            let Worth::Text(text) = argument(0).text() else {
                return match argument(0) {
                    Worth::Some | Worth::List(_) | Worth::Instant(_) | Worth::Open => Worth::Open,
                    _ => Worth::Null,
                };
            };
            if !text.is_ascii() {
                return Worth::Open;
            }
            let pairs = &arguments[1..];
            for pair in pairs.chunks_exact(2) {
                match worth(values, pair[0], event).text() {
                    Worth::Text(key) if key.is_ascii() => {
                        if text.eq_ignore_ascii_case(&key) {
                            return worth(values, pair[1], event);
                        }
                    }
                    Worth::Null => {
                        if text.is_empty() {
                            return worth(values, pair[1], event);
                        }
                    }
                    _ => return Worth::Open,
                }
            }
            match pairs.chunks_exact(2).remainder() {
                [other] => worth(values, *other, event),
                _ => Worth::Null,
            }
        }
        Function::Concat => {
            let mut whole = String::new();
            let mut open = false;
            for id in arguments {
                match worth(values, *id, event).text() {
                    Worth::Text(text) => whole.push_str(&text),
                    Worth::Null => return Worth::Null,
                    _ => open = true,
                }
            }
            if open {
                Worth::Open
            } else {
                Worth::Text(whole.into())
            }
        }
        Function::Account => {
            let user = match arguments.get(1) {
                None => Worth::Null,
                Some(id) => worth(values, *id, event).text(),
            };
            match (user, argument(0).text()) {
                (Worth::Null, _) => Worth::Null,
                (Worth::Text(user), _) if user.is_empty() => Worth::Null,
                (Worth::Text(user), Worth::Null) => Worth::Text(user),
                (Worth::Text(user), Worth::Text(domain)) if domain.is_empty() => Worth::Text(user),
                (Worth::Text(user), Worth::Text(domain)) => {
                    Worth::Text(format!("{domain}\\{user}").into())
                }
                _ => Worth::Open,
            }
        }
        Function::HasBits => match (argument(0), argument(1)) {
            (Worth::Null, _) | (_, Worth::Null) => Worth::Null,
            (value, mask) => match (value.number(true), mask.number(true)) {
                (Number::Open, _) | (_, Number::Open) => Worth::Open,
                (Number::Integer(number), Number::Integer(bits)) => {
                    Worth::Bool(number & bits != 0)
                }
                _ => Worth::Null,
            },
        },
        Function::Labelled => match (argument(0), argument(1)) {
            (Worth::Null, _) | (_, Worth::Null) => Worth::Null,
            (Worth::Text(message), Worth::Text(name)) if message.len() <= 1_000_000 => {
                match message {
                    Cow::Borrowed(message) => match labelled(message, &name) {
                        Some(found) => Worth::Text(Cow::Borrowed(found)),
                        None => Worth::Null,
                    },
                    Cow::Owned(message) => text_worth(labelled(&message, &name)),
                }
            }
            _ => Worth::Open,
        },
        Function::LocalTime => local_time(argument(0), argument(1), argument(2)),
        Function::Strict => {
            if arguments.iter().any(|id| worth(values, *id, event) == Worth::Null) {
                Worth::Null
            } else {
                Worth::Open
            }
        }
        Function::Other => Worth::Open,
    }
}

/// A time that says no zone, in UTC, as `carengine.localtime.in_utc` tells it.
fn local_time<'a>(event: Worth<'a>, received: Worth<'a>, arrived: Worth<'a>) -> Worth<'a> {
    const SECOND: i64 = 1_000_000;
    const QUARTER: i64 = 900 * SECOND;
    // What Python makes of so many seconds is the same time again.
    const SURE: std::ops::Range<i64> = 100_000_000 * SECOND..10_000_000_000 * SECOND;
    let Worth::Text(text) = &event else {
        return if event == Worth::Null { Worth::Null } else { Worth::Open };
    };
    let read = |worth: &Worth| match worth {
        Worth::Null => Some(None),
        Worth::Text(text) => time_of(text).map(Some),
        _ => None,
    };
    let (Some(time), Some(end), Some(local)) = (time_of(text), read(&arrived), read(&received))
    else {
        return Worth::Open;
    };
    let Some(end) = end else {
        return event;
    };
    if text.ends_with('Z') {
        return event;
    }
    let behind = end - local.unwrap_or(time);
    let moved = (behind as f64 / QUARTER as f64).round_ties_even() as i64 * QUARTER;
    if moved.abs() > 14 * 3_600 * SECOND || !(-SECOND..=300 * SECOND).contains(&(behind - moved)) {
        return event;
    }
    let time = time + moved;
    if time % SECOND == 0 && (0..SECOND).contains(&(end - time)) {
        return arrived;
    }
    match moved {
        0 => event,
        _ if time % SECOND == 0 && SURE.contains(&time) => Worth::Instant(time),
        _ => Worth::Open,
    }
}

/// What a comparison is made with.
pub enum Key {
    Integer(i128),
    /// A folded text.
    Text(Box<str>),
    /// The constant has no reading as the type.
    Nothing,
    /// Python's.
    Open,
}

/// How values are read for a comparison.
#[derive(Clone, Copy, PartialEq)]
pub enum Reading {
    Integer,
    Number,
    Text,
    Any,
    /// Python's.
    Other,
}

#[derive(Clone, Copy, PartialEq)]
pub enum Relation {
    Equal,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

/// A test of one value.
pub enum Test {
    Null,
    Match(Vec<Pattern>),
    Regex(Search),
    Compare(Relation, Key, Reading),
    Network(Vec<(IpAddr, u8)>),
    Open,
}

/// A regular expression.
pub struct Search {
    /// One of these texts is in every folded text that passes, if that is known of some.
    pub required: Option<Vec<memmem::Finder<'static>>>,
    /// The expression as it is written for texts of ASCII; empty where Python tells.
    pub pattern: Box<str>,
    /// It is compiled when it is first asked for; `None` for one that cannot be.
    compiled: OnceLock<Option<Regex>>,
}

/// Longer texts Python looks at, which counts what that costs.
const LONGEST_SEARCHED: usize = 1 << 16;

impl Search {
    pub fn new(required: Option<Vec<memmem::Finder<'static>>>, pattern: &str) -> Self {
        Search {
            required,
            pattern: pattern.into(),
            compiled: OnceLock::new(),
        }
    }

    /// Whether the expression is in a text of ASCII; `None` where Python must tell.
    fn is_in(&self, text: &[u8]) -> Option<bool> {
        if self.pattern.is_empty() || text.len() > LONGEST_SEARCHED {
            return None;
        }
        let regex = self.compiled.get_or_init(|| {
            RegexBuilder::new(&self.pattern)
                .unicode(false)
                .size_limit(1 << 20)
                .dfa_size_limit(1 << 18)
                .build()
                .ok()
        });
        regex.as_ref().map(|regex| regex.is_match(text))
    }
}

/// The lowered text of a value, kept for the tests of one event.
#[derive(Default)]
pub struct Lowered {
    /// The number of the event that it is of.
    pub event: u64,
    pub text: Vec<u8>,
    pub ascii: bool,
    /// Whether it is the folded text, see `folds_plainly`.
    pub folded: bool,
}

/// A value with the text that tests look at, lowered when the first of them asks.
pub struct Tested<'a, 'b> {
    pub worth: &'b Worth<'a>,
    /// The text, if it has one.
    text: Option<Cow<'b, str>>,
    lowered: &'b mut Lowered,
    event: u64,
}

impl<'a, 'b> Tested<'a, 'b> {
    pub fn new(worth: &'b Worth<'a>, lowered: &'b mut Lowered, event: u64) -> Self {
        let text = match worth {
            Worth::Text(text) => Some(Cow::Borrowed(&**text)),
            Worth::Integer(number) => Some(Cow::Owned(number.to_string())),
            Worth::Bool(true) => Some(Cow::Borrowed("true")),
            Worth::Bool(false) => Some(Cow::Borrowed("false")),
            _ => None,
        };
        Tested {
            worth,
            text,
            lowered,
            event,
        }
    }

    /// The text with its letters of ASCII in lower case, and whether it is of ASCII; `None` where
    /// that is not the folded text as far as ASCII goes.
    pub fn folded(&mut self) -> Option<(&[u8], bool)> {
        let text = self.text.as_ref()?;
        let lowered = &mut *self.lowered;
        if lowered.event != self.event {
            lowered.event = self.event;
            lowered.text.clear();
            lowered.ascii = text.is_ascii();
            lowered.folded = lowered.ascii || folds_plainly(text);
            if lowered.folded {
                lowered.text.extend_from_slice(text.as_bytes());
                lowered.text.make_ascii_lowercase();
            }
        }
        lowered.folded.then_some((&lowered.text, lowered.ascii))
    }

    /// The possible outcomes of a test.
    pub fn test(&mut self, test: &Test) -> Truth {
        match (test, self.worth) {
            (Test::Open, _) => ANY,
            (Test::Null, Worth::Null) => TRUE,
            (Test::Null, Worth::Open) => TRUE | FALSE,
            (Test::Null, _) => FALSE,
            (_, Worth::Null | Worth::Mapping) => UNKNOWN,
            (_, Worth::Some | Worth::Instant(_) | Worth::Open) => ANY,
            (Test::Compare(..), Worth::List(_)) => ANY,
            (_, Worth::List(texts)) => {
                // A list passes where one of its elements does.
                let mut result = FALSE;
                for text in texts {
                    let element = Worth::Text(Cow::Borrowed(text));
                    let mut lowered = Lowered::default();
                    let outcome = Tested::new(&element, &mut lowered, 1).test(test);
                    if outcome == TRUE {
                        return TRUE;
                    }
                    result |= outcome;
                }
                result
            }
            (Test::Match(patterns), _) => self.matches(patterns),
            (Test::Regex(search), _) => self.searched(search),
            (Test::Compare(relation, key, reading), _) => self.compare(*relation, key, *reading),
            (Test::Network(networks), _) => self.in_networks(networks),
        }
    }

    fn searched(&mut self, search: &Search) -> Truth {
        let Some((text, ascii)) = self.folded() else {
            return TRUE | FALSE;
        };
        if let Some(required) = &search.required {
            let sure = ascii || required.iter().all(|one| one.needle().is_ascii());
            if sure && !required.iter().any(|one| one.find(text).is_some()) {
                return FALSE;
            }
        }
        let plain = self.text.as_ref().map_or("", |text| text).as_bytes();
        match ascii.then(|| search.is_in(plain)).flatten() {
            Some(true) => TRUE,
            Some(false) => FALSE,
            None => TRUE | FALSE,
        }
    }

    fn matches(&mut self, patterns: &[Pattern]) -> Truth {
        if self.folded().is_none() {
            return TRUE | FALSE;
        }
        let plain = self.text.as_ref().map_or("", |text| text).as_bytes();
        let Lowered { text, ascii, .. } = &*self.lowered;
        let mut open = false;
        for pattern in patterns {
            match pattern.matches(if pattern.cased { plain } else { text }, *ascii) {
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

    fn compare(&mut self, relation: Relation, key: &Key, reading: Reading) -> Truth {
        let decided = |value: bool| if value { TRUE } else { FALSE };
        if reading == Reading::Other || matches!(key, Key::Open) {
            return ANY;
        }
        let numeric = matches!(reading, Reading::Integer | Reading::Number);
        // An order compares numbers wherever both sides are some, also as texts.
        let number = if relation == Relation::Equal && reading == Reading::Text {
            Number::No
        } else {
            self.worth.number(reading == Reading::Integer)
        };
        match (number, key) {
            (Number::Open, _) => ANY,
            (Number::Integer(number), Key::Integer(wanted)) => decided(match relation {
                Relation::Equal => number == *wanted,
                Relation::Less => number < *wanted,
                Relation::LessEqual => number <= *wanted,
                Relation::Greater => number > *wanted,
                Relation::GreaterEqual => number >= *wanted,
            }),
            _ if relation == Relation::Equal => match (number, key) {
                (Number::No, Key::Text(wanted)) if !numeric => match self.folded() {
                    Some((text, ascii)) if ascii || wanted.is_ascii() => {
                        decided(text == wanted.as_bytes())
                    }
                    _ => TRUE | FALSE,
                },
                _ => FALSE,
            },
            (Number::No, Key::Text(wanted)) if !numeric && wanted.is_ascii() => {
                match self.folded() {
                    Some((text, true)) => decided(match relation {
                        Relation::Less => text < wanted.as_bytes(),
                        Relation::LessEqual => text <= wanted.as_bytes(),
                        Relation::Greater => text > wanted.as_bytes(),
                        _ => text >= wanted.as_bytes(),
                    }),
                    _ => TRUE | FALSE,
                }
            }
            (_, Key::Text(_)) if !numeric => ANY,
            _ => UNKNOWN,
        }
    }

    fn in_networks(&mut self, networks: &[(IpAddr, u8)]) -> Truth {
        let text = self.text.as_ref().map_or("", |text| text);
        if let Ok(address) = text.parse::<IpAddr>() {
            let address = match address {
                IpAddr::V6(six) => six.to_ipv4_mapped().map_or(address, IpAddr::V4),
                IpAddr::V4(_) => address,
            };
            let inside = networks.iter().any(|(base, bits)| within(address, *base, *bits));
            return if inside { TRUE } else { FALSE };
        }
        let like_an_address = |byte: u8| byte.is_ascii_hexdigit() || byte == b':' || byte == b'.';
        if text.is_ascii()
            && text.bytes().any(|byte| {
                !like_an_address(byte) && byte != b'%' && !byte.is_ascii_whitespace() && byte > 0x1f
            })
            && !text.contains('%')
        {
            return FALSE;
        }
        TRUE | FALSE
    }
}

fn within(address: IpAddr, base: IpAddr, bits: u8) -> bool {
    match (address, base) {
        (IpAddr::V4(address), IpAddr::V4(base)) => {
            let shift = 32 - u32::from(bits.min(32));
            let mask = u32::MAX.checked_shl(shift).unwrap_or(0);
            u32::from(address) & mask == u32::from(base) & mask
        }
        (IpAddr::V6(address), IpAddr::V6(base)) => {
            let shift = 128 - u32::from(bits.min(128));
            let mask = u128::MAX.checked_shl(shift).unwrap_or(0);
            u128::from(address) & mask == u128::from(base) & mask
        }
        _ => false,
    }
}
