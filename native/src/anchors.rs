//! Which tests must be true for a condition to hold: what stages are found by.
//!
//! An anchor is necessary: where none of its tests is true the condition does not hold. Of several
//! that a condition has, the one is taken whose tests are true most rarely, as far as can be guessed.

use rustc_hash::FxHashSet;

use crate::matcher::{Atom, AtomId, Condition, Parts};
use crate::text::{Pattern, Token};
use crate::values::{Relation, Test, ValueId, FALSE, TRUE};

/// Tests of which one is true where a condition is as wanted, and a guess how often that is.
struct Anchor {
    atoms: Vec<AtomId>,
    cost: f64,
}

/// The tests of the best anchor; `None` where there is none. A condition that never holds has one
/// without tests. `used` are values that are looked at anyway; those of the anchor are added.
pub fn anchor(
    condition: &Condition,
    parts: Parts,
    used: &mut FxHashSet<ValueId>,
) -> Option<Vec<AtomId>> {
    let Some(anchors) = anchors(condition, true, parts) else {
        return Some(Vec::new());
    };
    let columns = |anchor: &Anchor| -> FxHashSet<ValueId> {
        let of = |id: &AtomId| match &*parts.atoms[*id] {
            Atom::Of(value, _) => Some(*value),
            Atom::Text(_) | Atom::Open => None,
        };
        anchor.atoms.iter().filter_map(of).collect()
    };
    let cost =
        |anchor: &Anchor| anchor.cost + 0.01 * columns(anchor).difference(used).count() as f64;
    let best = anchors.into_iter().min_by(|one, other| cost(one).total_cmp(&cost(other)))?;
    used.extend(columns(&best));
    Some(best.atoms)
}

/// The anchors of a condition that is wanted to be true, or false; `None` where it never is.
fn anchors(condition: &Condition, wanted: bool, parts: Parts) -> Option<Vec<Anchor>> {
    match (condition, wanted) {
        (Condition::Truth(truth), _) => {
            (truth & if wanted { TRUE } else { FALSE } != 0).then(Vec::new)
        }
        (Condition::Atom(id), true) => Some(match cost_of(&parts.atoms[*id]) {
            Some(cost) => vec![Anchor {
                atoms: vec![*id],
                cost,
            }],
            None => Vec::new(),
        }),
        (Condition::Atom(_), false) | (Condition::IsTrue(_), false) => Some(Vec::new()),
        (Condition::Not(item), _) => anchors(item, !wanted, parts),
        (Condition::IsTrue(item), true) => anchors(item, true, parts),
        (Condition::And(items), true) | (Condition::Or(items), false) => {
            let mut every = Vec::new();
            for item in items {
                every.extend(anchors(item, wanted, parts)?);
            }
            Some(every)
        }
        (Condition::Or(items), true) | (Condition::And(items), false) => {
            let mut some = Anchor {
                atoms: Vec::new(),
                cost: 0.0,
            };
            let (mut never, mut anchored) = (true, true);
            for item in items {
                let Some(found) = anchors(item, wanted, parts) else {
                    continue;
                };
                never = false;
                match found.into_iter().min_by(|one, other| one.cost.total_cmp(&other.cost)) {
                    Some(best) => {
                        some.atoms.extend(best.atoms);
                        some.cost += best.cost;
                    }
                    None => anchored = false,
                }
            }
            if never {
                return None;
            }
            Some(if anchored { vec![some] } else { Vec::new() })
        }
    }
}

/// A guess how often a test is true, as `carengine.engine.matcher.stages` has it; `None` for one
/// that is no anchor.
fn cost_of(atom: &Atom) -> Option<f64> {
    Some(match atom {
        Atom::Text(_) => 0.8,
        Atom::Open => return None,
        Atom::Of(_, test) => match test {
            Test::Null => 0.95,
            Test::Match(patterns) => patterns.iter().map(frequency).sum::<f64>().min(0.95),
            Test::Regex(search) => match &search.required {
                None => 0.5,
                Some(required) => required
                    .iter()
                    .map(|one| 0.7f64.powi(one.needle().len() as i32))
                    .sum::<f64>()
                    .min(0.5),
            },
            Test::Compare(Relation::Equal, ..) => 0.2,
            Test::Compare(..) | Test::Open => 0.5,
            Test::Network(_) => 0.3,
        },
    })
}

fn frequency(pattern: &Pattern) -> f64 {
    let length: usize = pattern
        .tokens
        .iter()
        .map(|token| match token {
            Token::Text(text) => text.chars().count(),
            Token::Any | Token::One => 0,
        })
        .sum();
    0.7f64.powi(length as i32).max(0.0005)
}
