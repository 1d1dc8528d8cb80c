// Texts of rules and events are untrusted: what would not be seen, or would change how its
// neighbours are read, is spelt out. Everything reaches the page as a text node all the same.

const UNSEEN = new RegExp(
  "[\\u0000-\\u0008\\u000b\\u000c\\u000e-\\u001f\\u007f-\\u009f\\u00ad\\u034f\\u061c\\u115f\\u1160" +
    "\\u17b4\\u17b5\\u180b-\\u180f\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\u3164\\ufe00-\\ufe0f" +
    "\\ufeff\\uffa0\\ufff0-\\ufffb]|[\\u{e0000}-\\u{e0fff}]|\\p{Surrogate}",
  "gu",
);
const BREAKS = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

function spelt(character) {
  const code = character.codePointAt(0);
  const digits = code.toString(16);
  return code > 0xffff ? `\\u{${digits}}` : `\\u${digits.padStart(4, "0")}`;
}

/** A text with everything spelt out that cannot be seen; line ends and tabs stay. */
export function visible(text) {
  return String(text).replace(UNSEEN, spelt);
}

/** The same on one line. */
export function line(text) {
  return visible(text).replace(/[\n\r\t]/g, (character) => BREAKS[character]);
}

/** A value as text: texts as they are, everything else as JSON. */
export function shown(value) {
  return typeof value === "string" ? value : JSON.stringify(value) ?? "";
}

const NUMBER = new Intl.NumberFormat("en");

/** A number with its thousands apart. */
export function number(value) {
  return NUMBER.format(value);
}

/** A number and what it counts: "1 match", "2 matches". */
export function counted(value, one, several = `${one}s`) {
  return `${number(value)} ${value === 1 ? one : several}`;
}

/** Milliseconds since 1970 as a time in UTC; what is no time as a dash. */
export function time(milliseconds, digits = 19) {
  const date = new Date(milliseconds);
  if (Number.isNaN(date.getTime())) return "–";
  return date.toISOString().slice(0, digits).replace("T", " ");
}

/** Microseconds since 1970 (or null) as milliseconds; NaN for none. */
export function fromMicroseconds(value) {
  return value === null || value === undefined ? NaN : value / 1000;
}

/** An address that a link may have: http and https only. Null for all others. */
export function safeAddress(text) {
  try {
    const address = new URL(text);
    return address.protocol === "https:" || address.protocol === "http:" ? address.href : null;
  } catch {
    return null;
  }
}
