//! Texts as conditions compare them. Only plain ASCII is decided here.

use memchr::memmem;

/// A wildcard pattern, of folded text unless it is `cased`.
pub struct Pattern {
    pub cased: bool,
    pub shape: Shape,
    /// Whether it says the same of the bytes of any text, and not only of ASCII.
    anywhere: bool,
    pub tokens: Box<[Token]>,
}

/// What a pattern asks for.
pub enum Shape {
    Exact(Box<[u8]>),
    Prefix(Box<[u8]>),
    Suffix(Box<[u8]>),
    Within(memmem::Finder<'static>),
    Everything,
    /// Pieces between `*`; in each, `None` stands for any one character.
    Pieces(Vec<Box<[Option<u8>]>>),
    /// What is left to Python.
    Other,
}

/// One token of a pattern as Python has them.
#[derive(Clone)]
pub enum Token {
    Text(String),
    Any,
    One,
}

/// Longer pieces with free characters would cost the product of two lengths.
const LONGEST_PIECE: usize = 64;

impl Pattern {
    pub fn new(cased: bool, tokens: &[Token]) -> Self {
        use Token::{Any, Text};
        let bytes = |text: &String| text.as_bytes().to_vec().into_boxed_slice();
        let shape = match tokens {
            [] => Shape::Exact(Box::default()),
            [Text(text)] => Shape::Exact(bytes(text)),
            [Any] => Shape::Everything,
            [Text(text), Any] => Shape::Prefix(bytes(text)),
            [Any, Text(text)] => Shape::Suffix(bytes(text)),
            [Any, Text(text), Any] => {
                Shape::Within(memmem::Finder::new(text.as_bytes()).into_owned())
            }
            _ => pieces(tokens),
        };
        let anywhere = tokens.iter().all(|token| match token {
            Token::Text(text) => cased || text.is_ascii(),
            Token::Any => true,
            Token::One => false,
        });
        Pattern {
            cased,
            shape,
            anywhere,
            tokens: tokens.into(),
        }
    }

    /// Whether the pattern matches a text, which is lowered unless the pattern is cased; `None`
    /// where Python must tell. `ascii` tells whether the text is of ASCII only.
    pub fn matches(&self, text: &[u8], ascii: bool) -> Option<bool> {
        if !ascii && !self.anywhere {
            return None;
        }
        Some(match &self.shape {
            Shape::Exact(wanted) => **wanted == *text,
            Shape::Prefix(wanted) => text.starts_with(wanted),
            Shape::Suffix(wanted) => text.ends_with(wanted),
            Shape::Within(finder) => finder.find(text).is_some(),
            Shape::Everything => true,
            Shape::Pieces(pieces) => matches_pieces(pieces, text),
            Shape::Other => return None,
        })
    }
}

fn pieces(tokens: &[Token]) -> Shape {
    let mut pieces: Vec<Vec<Option<u8>>> = vec![Vec::new()];
    for token in tokens {
        match token {
            Token::Any => pieces.push(Vec::new()),
            Token::One => pieces.last_mut().expect("there is one").push(None),
            Token::Text(text) => pieces
                .last_mut()
                .expect("there is one")
                .extend(text.bytes().map(Some)),
        }
    }
    if pieces.iter().any(|piece| piece.len() > LONGEST_PIECE) {
        return Shape::Other;
    }
    Shape::Pieces(pieces.into_iter().map(Vec::into_boxed_slice).collect())
}

fn stands_at(piece: &[Option<u8>], text: &[u8]) -> bool {
    text.len() >= piece.len()
        && piece
            .iter()
            .zip(text)
            .all(|(wanted, byte)| wanted.is_none_or(|wanted| wanted == *byte))
}

fn matches_pieces(pieces: &[Box<[Option<u8>]>], text: &[u8]) -> bool {
    let (first, rest) = pieces.split_first().expect("there is one");
    let Some((last, middle)) = rest.split_last() else {
        return text.len() == first.len() && stands_at(first, text);
    };
    if text.len() < first.len() + last.len()
        || !stands_at(first, text)
        || !stands_at(last, &text[text.len() - last.len()..])
    {
        return false;
    }
    let mut left = &text[first.len()..text.len() - last.len()];
    for piece in middle {
        let Some(at) = (0..=left.len().saturating_sub(piece.len()))
            .find(|at| stands_at(piece, &left[*at..]))
        else {
            return false;
        };
        left = &left[at + piece.len()..];
    }
    true
}

/// What a text is as a number, as `carengine.values.number_of` reads it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    Integer(i128),
    /// It is none.
    No,
    /// Python is to tell.
    Open,
}

/// The number that a text spells.
pub fn number_of(text: &str, hexadecimal: bool) -> Number {
    if !text.is_ascii() {
        return Number::Open;
    }
    let bytes = text.as_bytes();
    if !bytes.is_empty() && bytes.len() <= 18 && bytes.iter().all(u8::is_ascii_digit) {
        return text.parse().map_or(Number::Open, Number::Integer);
    }
    let plain = text.trim_matches([' ', '\t', '\n', '\r', '\x0b', '\x0c']);
    // Python's `\s` takes the separators of ASCII as well.
    if bytes.iter().any(|byte| (0x1c..=0x1f).contains(byte)) {
        return Number::Open;
    }
    if plain.starts_with("0x") || plain.starts_with("0X") {
        let digits = &plain[2..];
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Number::No;
        }
        if !hexadecimal || digits.len() > 32 {
            return Number::No;
        }
        return match i128::from_str_radix(digits, 16) {
            Ok(number) => Number::Integer(number),
            Err(_) => Number::Open,
        };
    }
    let digits = plain.strip_prefix(['+', '-']).unwrap_or(plain);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return Number::No;
    }
    if digits.len() <= 18 && !digits.contains('.') {
        let number: i128 = digits.parse().unwrap_or_default();
        return Number::Integer(if plain.starts_with('-') { -number } else { number });
    }
    Number::Open
}

/// The time that a text spells in ISO 8601, in microseconds since 1970 UTC; `None` for any other
/// spelling, which Python is to read.
///
/// `2020-10-20 10:00:00`, with `T` for the blank, a fraction of up to six digits, and `Z`.
pub fn time_of(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let digits = |from: usize, to: usize| -> Option<i64> {
        bytes.get(from..to)?.iter().try_fold(0, |sum, byte| {
            byte.is_ascii_digit().then(|| sum * 10 + i64::from(byte - b'0'))
        })
    };
    let is = |at: usize, wanted: &[u8]| bytes.get(at).is_some_and(|byte| wanted.contains(byte));
    if !(is(4, b"-") && is(7, b"-") && is(10, b"T ") && is(13, b":") && is(16, b":")) {
        return None;
    }
    let (year, month, day) = (digits(0, 4)?, digits(5, 7)?, digits(8, 10)?);
    let (hour, minute, second) = (digits(11, 13)?, digits(14, 16)?, digits(17, 19)?);
    let mut end = 19;
    let mut fraction = 0;
    if is(end, b".") {
        let from = end + 1;
        end = from;
        while is(end, b"0123456789") {
            end += 1;
        }
        let length = end - from;
        if !(1..=6).contains(&length) {
            return None;
        }
        fraction = digits(from, end)? * 10_i64.pow(6 - length as u32);
    }
    if is(end, b"Z") {
        end += 1;
    }
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return None,
    };
    if end != bytes.len() || year == 0 || !(1..=length).contains(&day) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    // Days since 1970 of the proleptic Gregorian calendar; years begin in March.
    let shifted = if month <= 2 { year - 1 } else { year };
    let era = shifted.div_euclid(400);
    let of_era = shifted.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    Some(((days * 24 + hour) * 60 + minute) * 60_000_000 + second * 1_000_000 + fraction)
}

/// Whether a text folds to its letters of ASCII in lower case, and all else to what is not ASCII.
///
/// The Kelvin sign and the long s are the only characters that fold to a letter of ASCII.
pub fn folds_plainly(text: &str) -> bool {
    text.is_ascii() || !text.contains(['\u{212a}', '\u{17f}'])
}

/// What a message says behind a label at the start of a line, as `functions._labelled` reads it.
pub fn labelled<'a>(message: &'a str, label: &str) -> Option<&'a str> {
    let blank = |character: char| character == ' ' || character == '\t';
    for line in message.split('\n') {
        let Some(rest) = line
            .trim_start_matches(blank)
            .strip_prefix(label)
            .and_then(|rest| rest.strip_prefix(':'))
        else {
            continue;
        };
        let rest = rest.strip_suffix('\r').unwrap_or(rest);
        if rest.contains('\r') {
            continue;
        }
        let found = rest.trim_matches(blank);
        return (!found.is_empty()).then_some(found);
    }
    None
}
