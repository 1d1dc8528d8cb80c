import { button, fill, h, levelMark, marked, value } from "./dom.js";
import { LEVELS } from "./data.js";
import { aboutRule, eventTime, pairs, techniqueLinks } from "./panels.js";
import { counted, fromMicroseconds, line, number, shown, time, visible } from "./text.js";

// One match: its rule, its events, why it matched, and the processes around it.

const LONG = 20_000;
const RELATIVES = 80;
const DEEP = 4;
const VERDICTS = new Map([[true, "true"], [false, "false"], [null, "unknown"]]);

/** Show a match in an element. */
export async function showMatch(element, report, filters, index) {
  const rule = report.rules[report.rule[index]];
  element.dataset.index = index;
  const detail = await report.detail(index);
  if (element.dataset.index !== String(index)) return; // another was chosen meanwhile
  const host = report.hosts[report.host[index]];
  const user = report.users[report.user[index]];
  const events = h("div", {});
  fill(
    element,
    h("h2", {}, value(rule.title, "title")),
    h("p", { class: "tags" }, levelMark(LEVELS[rule.level]), h("span", {}, time(report.time[index], 23), " UTC"),
      host ? value(host) : null, user ? value(user) : null),
    techniqueLinks(report, rule),
    h("p", { class: "bar" },
      button("Only this rule", () => filters.set({ rule: rule.id })),
      host ? button("Only this host", () => filters.set({ host })) : null,
      user ? button("Only this user", () => filters.set({ user })) : null,
      Number.isNaN(report.time[index]) ? null : button("Five minutes around", () => {
        const at = report.time[index];
        filters.set({ rule: null, from: at - 300_000, to: at + 300_000 });
      })),
    h("details", {}, h("summary", {}, "About the rule"), aboutRule(report, rule)),
    columns(detail),
    events,
    detail.more ? h("p", { class: "note" }, `and ${counted(detail.more, "more event")} that the report does not hold`) : null,
  );
  const processes = await report.processes();
  if (element.dataset.index !== String(index)) return;
  fill(events, detail.events.map((event, place) => eventPart(event, place, detail.events.length, processes)));
}

function columns(detail) {
  const rows = Object.entries(detail.columns).map(([name, content]) => [value(name), value(shown(content))]);
  return rows.length ? [h("h3", {}, "What the rule computed"), pairs(rows)] : null;
}

function eventPart(event, place, size, processes) {
  const name = size > 1 ? `Event ${place + 1} of ${size}` : "Event";
  return h(
    "section",
    { class: "event", "aria-label": name },
    h("h3", {}, name, event.stream ? [" in ", value(event.stream)] : null, ": ", value(event.kind, "plain")),
    pairs([
      ["Time", event.time === null ? "none" : `${eventTime(event.time)} UTC`],
      ["Record", event.source ? value(`${event.source}:${event.record}`) : null],
      ...(event.also ?? []).map((record) => ["Told by another sensor", value(record)]),
    ]),
    event.deciding.length ? [h("h4", {}, "What decided"), deciding(event.deciding)] : null,
    event.failed ? h("p", { class: "failed" }, `The reason is missing: ${line(event.failed)}`) : null,
    event.why.length
      ? h("details", { class: "why" }, h("summary", {}, "Reason: the rule's conditions"), h("ul", { class: "tree" }, event.why.map(node)))
      : null,
    processPart(event, processes),
    h("details", {}, h("summary", {}, `Fields (${number(Object.keys(event.fields).length)})`), fields(event.fields)),
    raw(event),
  );
}

function deciding(items) {
  return h(
    "table",
    { class: "deciding" },
    h("thead", {}, h("tr", {}, ["Field", "Value", "Condition"].map((text) => h("th", { scope: "col" }, text)))),
    h("tbody", {}, items.map((item) => h("tr", {},
      h("td", {}, value(item.name), item.native && item.native !== item.name ? h("div", { class: "note native" }, line(item.native)) : null),
      h("td", {}, item.marks.length ? marked(item.value, item.marks) : h("mark", {}, value(shown(item.value)))),
      h("td", {}, value(item.condition))))),
  );
}

function node(one) {
  const verdict = VERDICTS.get(one.verdict);
  return h(
    "li",
    { class: one.decides ? "decides" : "" },
    h("span", { class: `verdict ${verdict}` }, verdict),
    " ",
    value(one.text, "condition"),
    one.reason ? h("div", { class: "note" }, line(one.reason)) : null,
    (one.values ?? []).map((item) => h("div", { class: "note" }, line(item.native || item.car), " = ", value(item.value === null ? "null" : shown(item.value)))),
    one.parts ? h("ul", {}, one.parts.map(node)) : null,
    one.hidden ? h("div", { class: "note" }, `and ${counted(one.hidden, "more part")} not shown here`) : null,
  );
}

function fields(all) {
  const rows = Object.entries(all).map(([name, content]) => h("tr", {}, h("th", { scope: "row" }, value(name)), h("td", {}, value(shown(content)))));
  return h("table", { class: "fields" }, h("tbody", {}, rows));
}

function raw(event) {
  if (event.tooLarge) {
    return h("p", { class: "note" }, `The event has ${number(event.tooLarge)} bytes and is not in the report; its record is named above.`);
  }
  const body = h("div", {});
  const details = h("details", {
    ontoggle: () => {
      if (details.open && !body.firstChild) fill(body, longText(visible(JSON.stringify(event.event, null, 2))));
    },
  }, h("summary", {}, "Event as it was read"), body);
  return details;
}

function longText(text) {
  const pre = h("pre", { tabindex: "0" }, text.slice(0, LONG));
  if (text.length <= LONG) return pre;
  const more = button(`Show all ${number(text.length)} characters`, () => {
    fill(pre, text);
    more.remove();
  });
  return [pre, more];
}

function processPart(event, processes) {
  const { process } = event;
  if (!process) return null;
  const start = processes.find(process, fromMicroseconds(event.time));
  const list = h("ul", { class: "tree processes" });
  if (start === null) {
    putNoted(list, processRow({ ...process, command_line: process.commandLine }, true), "its start is not in the evidence");
    return h("details", {}, h("summary", {}, "Process"), list);
  }
  const above = [];
  for (let at = processes.parentOf(start); at && above.length < 32 && !above.includes(at); at = processes.parentOf(at)) {
    above.unshift(at);
  }
  let inner = list;
  const top = above[0] ?? start;
  if (top.parent_image && !processes.parentOf(top)) {
    const item = h("li", {}, h("span", { class: "note" }, line(top.parent_image), " (its start is not in the evidence)"));
    inner.append(item);
    inner = item.appendChild(h("ul", {}));
  }
  for (const one of above) {
    const item = processRow(one, false);
    inner.append(item);
    inner = item.appendChild(h("ul", {}));
  }
  const own = processRow(start, true);
  inner.append(own);
  const room = { left: RELATIVES };
  started(own, start, processes, DEEP, room, new Set([start]));
  return h("details", { open: true }, h("summary", {}, "Process tree"), list);
}

function putNoted(list, item, note) {
  item.append(h("div", { class: "note" }, note));
  list.append(item);
}

function started(item, row, processes, depth, room, seen) {
  const children = processes.childrenOf(row).filter((child) => !seen.has(child));
  if (!children.length || !depth) return;
  const list = item.appendChild(h("ul", {}));
  for (const [place, child] of children.entries()) {
    if (!room.left) {
      list.append(h("li", { class: "note" }, `and ${counted(children.length - place, "more process", "more processes")}`));
      return;
    }
    room.left -= 1;
    seen.add(child);
    const own = processRow(child, false);
    list.append(own);
    started(own, child, processes, depth - 1, room, seen);
  }
}

function processRow(row, own) {
  const name = String(row.image || "(no image)").split(/[\\/]/).at(-1);
  return h(
    "li",
    { class: own ? "own" : "" },
    value(name, "name"),
    " ",
    h("span", { class: "note" }, [row.pid ? `pid ${line(row.pid)}` : null, row.time ? eventTime(row.time) : null, row.user ? line(row.user) : null].filter(Boolean).join(" · ")),
    own ? h("strong", { class: "note" }, " this match") : null,
    row.command_line ? h("div", {}, value(row.command_line)) : null,
  );
}
