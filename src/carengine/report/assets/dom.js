import { line, safeAddress } from "./text.js";

// Elements are built here and nowhere else. A child that is a text becomes a text node.

/** An element. Properties that begin with "on" are listeners, all others are attributes. */
export function h(name, properties = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? "" : String(value));
  }
  append(element, children);
  return element;
}

/** Put children into an element: elements, texts, lists of both; nothing for null. */
export function append(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
}

/** Replace what an element holds. */
export function fill(element, ...children) {
  element.replaceChildren();
  append(element, children);
  return element;
}

/** A value of evidence: on one line, apart from its neighbours in direction. */
export function value(text, className = "value") {
  return h("bdi", { class: className }, line(text));
}

/** A value of evidence with parts of it marked: starts and ends, in order. */
export function marked(text, marks, className = "value") {
  const parts = [];
  let at = 0;
  for (let place = 0; place + 1 < marks.length; place += 2) {
    parts.push(line(text.slice(at, marks[place])), h("mark", {}, line(text.slice(marks[place], marks[place + 1]))));
    at = marks[place + 1];
  }
  return h("bdi", { class: className }, parts, line(text.slice(at)));
}

/** A link to a page outside; the bare text where the address is not one of the web. */
export function link(address, text = address) {
  const safe = safeAddress(address);
  if (safe === null) return value(text);
  const attributes = { href: safe, target: "_blank", rel: "noopener noreferrer" };
  return h("a", attributes, value(text, "plain"));
}

/** A button. */
export function button(text, onclick, properties = {}) {
  return h("button", { type: "button", onclick, ...properties }, text);
}

/** A level as a label. */
export function levelMark(level) {
  return h("span", { class: `level ${level}` }, level === "none" ? "no level" : level);
}
