import { button, fill, h, levelMark, marked, value } from "./dom.js";
import { LEVELS, Report } from "./data.js";
import { Filters } from "./filters.js";
import { VirtualList } from "./list.js";
import { Timeline } from "./timeline.js";
import { AccountPanel, AttackPanel, BlindPanel, HostsPanel, RulesPanel } from "./panels.js";
import { showMatch } from "./detail.js";
import { counted, line, number, time } from "./text.js";

const PRINTED = 1_000;
const OPTIONS = 5_000;
const TYPING = 50; // milliseconds without a key before a search begins
const THEMES = ["system", "light", "dark"];

const byId = (id) => document.getElementById(id);

/** The switch between the system's colours, light and dark. */
function themeSwitch(redraw) {
  let theme = 0;
  byId("theme").addEventListener("click", () => {
    theme = (theme + 1) % THEMES.length;
    const name = THEMES[theme];
    if (name === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = name;
    fill(byId("theme"), `Theme: ${name}`);
    redraw();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
}

/** The list of matches with the detail of the chosen one. */
class MatchesPanel {
  constructor(report, filters) {
    Object.assign(this, { report, filters });
    this.name = "Matches";
    this.detail = h("article", { class: "detail", tabindex: "-1", "aria-label": "The chosen match" },
      h("p", { class: "note" }, "Choose a match: click it, or move through the list with the arrow keys."));
    this.list = new VirtualList({
      label: "Matches in the order of time",
      row: (index) => this.#row(index),
      choose: (index) => showMatch(this.detail, report, filters, index).catch(failed),
    });
    this.list.element.addEventListener("keydown", (event) => {
      if (event.key === "Enter") this.detail.focus();
    });
    this.detail.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.list.element.focus();
    });
    this.empty = h("p", { class: "note", hidden: true }, "No match fits these filters.");
  }

  /** What decided in a match; filled in when it was read, which is soon after the row is seen. */
  #summary(index) {
    const { report } = this;
    const text = report.text(index);
    if (text !== null) return marked(text.summary, text.marks);
    const place = h("span", {}, " ");
    report.block(report.blockNumbers[index]).then(() => {
      const read = report.text(index);
      fill(place, marked(read.summary, read.marks));
    }).catch(failed);
    return place;
  }

  #row(index) {
    const { report } = this;
    const rule = report.rules[report.rule[index]];
    return h(
      "div",
      { class: `match ${LEVELS[rule.level]}` },
      h("div", { class: "first" },
        h("span", { class: "time" }, time(report.time[index])),
        levelMark(LEVELS[rule.level]),
        value(rule.title, "title"),
        value(report.hosts[report.host[index]], "host"),
        value(report.users[report.user[index]], "user")),
      h("div", { class: "second" }, this.#summary(index)),
    );
  }

  draw(element) {
    if (!element.firstChild) {
      fill(element, h("div", { class: "matches" }, h("div", {}, this.empty, this.list.element), this.detail));
    }
    this.empty.hidden = this.filters.matches.length > 0;
    this.list.show(this.filters.matches);
  }
}

/** The tabs, of which one is drawn; the others are when they are looked at. */
class Tabs {
  constructor(panels, bar, place) {
    this.panels = panels;
    this.tabs = panels.map((panel, at) => button(panel.name, () => this.open(at), {
      role: "tab", id: `tab-${at}`, "aria-controls": `panel-${at}`,
      onkeydown: (event) => this.#key(event, at),
    }));
    this.elements = panels.map((panel, at) => h("div", { role: "tabpanel", id: `panel-${at}`, "aria-labelledby": `tab-${at}`, class: "panel" }));
    fill(bar, this.tabs);
    place.append(...this.elements);
    this.open(0);
  }

  open(at) {
    this.at = at;
    this.tabs.forEach((tab, place) => {
      tab.setAttribute("aria-selected", place === at);
      tab.tabIndex = place === at ? 0 : -1;
    });
    this.elements.forEach((element, place) => element.classList.toggle("open", place === at));
    this.draw();
  }

  draw() {
    const focused = document.activeElement;
    const element = this.elements[this.at];
    const buttons = () => [...element.querySelectorAll("button")];
    const place = element.contains(focused) ? buttons().indexOf(focused) : -1;
    this.panels[this.at].draw(element);
    // Drawing anew takes the buttons away; the keyboard stays where it was.
    if (place >= 0 && document.activeElement !== focused) buttons()[place]?.focus();
  }

  drawAll() {
    this.panels.forEach((panel, at) => panel.draw(this.elements[at]));
  }

  #key(event, at) {
    const steps = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: this.tabs.length - 1 };
    if (!(event.key in steps)) return;
    event.preventDefault();
    const next = (steps[event.key] + this.tabs.length) % this.tabs.length;
    this.open(next);
    this.tabs[next].focus();
  }
}

/** The search field and a list for each thing to filter by. */
class FilterBar {
  constructor(report, filters) {
    Object.assign(this, { report, filters });
    this.search = h("input", { type: "search", id: "search", placeholder: "Search: words, values, hosts, rules", "aria-label": "Search" });
    let waiting = 0;
    this.search.addEventListener("input", () => {
      clearTimeout(waiting);
      waiting = setTimeout(() => filters.set({ text: this.search.value }), TYPING);
    });
    this.inside = button("Search inside events", () => this.#inside(), { disabled: true });
    const hosts = [...report.hosts].sort();
    const users = [...report.users].sort();
    const rules = [...report.rules].sort((a, b) => a.level - b.level || (a.title < b.title ? -1 : 1));
    const fired = new Set(report.rules.flatMap((rule) => rule.techniques));
    const tactics = new Set(report.rules.flatMap((rule) => rule.tactics));
    this.selects = {
      host: select("Host", hosts.map((host) => [host, line(host) || "(no host)"])),
      user: select("User", users.map((user) => [user, line(user) || "(no user)"])),
      rule: select("Rule", rules.map((rule) => [rule.id, line(`${rule.title} (${LEVELS[rule.level]})`)])),
      tactic: select("Tactic", report.tactics.filter((one) => tactics.has(one.id)).map((one) => [one.id, one.name])),
      technique: select("Technique", [...fired].sort().map((id) => [id, `${id} ${report.techniques.get(id).name}`])),
    };
    for (const [name, one] of Object.entries(this.selects)) {
      one.addEventListener("change", () => filters.set({ [name]: one.selectedIndex ? one.values[one.selectedIndex - 1] : null }));
    }
    fill(byId("bar"), this.search, this.inside, Object.values(this.selects));
  }

  async #inside() {
    this.inside.disabled = true;
    await this.filters.searchInside((done) => fill(this.inside, `Searching: ${number(done)} of ${number(this.report.size)}`));
    this.inside.disabled = false;
    this.draw();
  }

  draw() {
    const { filters, report } = this;
    const { state } = filters;
    if (document.activeElement !== this.search) this.search.value = state.text;
    fill(this.inside, filters.inside ? "Searched inside events" : "Search inside events");
    this.inside.disabled = !filters.words.length;
    for (const [name, one] of Object.entries(this.selects)) {
      one.selectedIndex = state[name] === null ? 0 : one.values.indexOf(state[name]) + 1;
    }
    const chips = [];
    const chip = (text, changes) => chips.push(button([value(text, "plain"), " ×"], () => filters.set(changes), { class: "chip", "aria-label": `Remove the filter ${line(text)}` }));
    if (state.text) chip(`“${state.text}”`, { text: "" });
    for (const level of state.levels ?? []) {
      chips.push(button([level, " ×"], () => filters.toggleLevel(level), { class: "chip", "aria-label": `Remove the filter ${level}` }));
    }
    if (state.host !== null) chip(state.host || "(no host)", { host: null });
    if (state.user !== null) chip(state.user || "(no user)", { user: null });
    if (state.rule !== null) chip(report.rules.find((rule) => rule.id === state.rule)?.title ?? state.rule, { rule: null });
    if (state.tactic !== null) chip(report.tactics.find((one) => one.id === state.tactic)?.name ?? state.tactic, { tactic: null });
    if (state.technique !== null) chip(`${state.technique} ${report.techniques.get(state.technique)?.name ?? ""}`, { technique: null });
    if (state.from !== null) chip(`${time(state.from)} – ${time(state.to)}`, { from: null, to: null });
    const all = report.size;
    const shown = filters.matches.length;
    const text = filters.active ? `${number(shown)} of ${counted(all, "match", "matches")}` : counted(all, "match", "matches");
    fill(byId("chips"), h("output", {}, text), chips, chips.length > 1 ? button("Clear all", () => filters.clear()) : null);
  }
}

function select(name, options) {
  const taken = options.slice(0, OPTIONS);
  const element = h("select", { "aria-label": name }, h("option", {}, `${name}: any`), taken.map(([, text]) => h("option", {}, text)));
  element.values = taken.map(([key]) => key);
  return element;
}

/** The levels with their numbers; each is a filter. */
function drawLevels(filters) {
  const hosts = filters.byHost.reduce((sum, count) => sum + (count ? 1 : 0), 0);
  const rules = filters.byRule.reduce((sum, count) => sum + (count ? 1 : 0), 0);
  const { levels } = filters.state;
  const tiles = LEVELS.map((level, at) => [level, filters.byLevel[at]]).filter(([level, count]) => count || levels?.has(level) || level !== "none");
  fill(
    byId("levels"),
    tiles.map(([level, count]) => button([h("strong", {}, number(count)), h("span", {}, level === "none" ? "no level" : level)],
      () => filters.toggleLevel(level),
      { class: `tile ${level}`, "aria-pressed": levels?.has(level) ? "true" : "false" })),
    h("div", { class: "tile" }, h("strong", {}, number(hosts)), h("span", {}, hosts === 1 ? "host" : "hosts")),
    h("div", { class: "tile" }, h("strong", {}, number(rules)), h("span", {}, rules === 1 ? "rule" : "rules")),
  );
}

function drawTitle(report) {
  const { summary } = report;
  const title = summary.title || "carengine report";
  fill(byId("title"), value(title, "plain"));
  const span = report.first <= report.last ? `${time(report.first)} to ${time(report.last)} UTC · ` : "";
  fill(byId("subtitle"), span, `${counted((summary.evidence ?? []).length, "path")} of evidence · written ${summary.written ?? ""} by carengine ${summary.version ?? ""}`);
}

/** Paper has no list to scroll: the matches that fit are written out, up to a number. */
function printing(report, filters, tabs) {
  addEventListener("beforeprint", () => {
    tabs.drawAll();
    const { matches } = filters;
    const rows = Array.from(matches.subarray(0, PRINTED), (index) => {
      const rule = report.rules[report.rule[index]];
      return h("tr", {}, h("td", {}, time(report.time[index])), h("td", {}, LEVELS[rule.level]), h("td", {}, value(rule.title, "plain")),
        h("td", {}, value(report.hosts[report.host[index]])), h("td", {}, value(report.users[report.user[index]])),
        h("td", {}, value(report.text(index)?.summary ?? "")));
    });
    fill(
      byId("printed"),
      h("h2", {}, "Matches"),
      h("table", {}, h("thead", {}, h("tr", {}, ["Time (UTC)", "Level", "Rule", "Host", "User", "What decided"].map((text) => h("th", {}, text)))), h("tbody", {}, rows)),
      report.allRead ? null : h("p", {}, "The browser was still reading the matches: print again."),
      matches.length > PRINTED ? h("p", {}, `and ${counted(matches.length - PRINTED, "more match", "more matches")}: filter before printing`) : null,
    );
  });
  addEventListener("afterprint", () => fill(byId("printed")));
  byId("print").addEventListener("click", () => report.searchable().then(() => window.print()));
}

function failed(error) {
  const state = byId("state");
  state.hidden = false;
  state.className = "failed";
  fill(state, `The report cannot be shown: ${line(error.message ?? error)}. It needs a browser of 2023 or later, and the whole file.`);
  throw error;
}

async function start() {
  const report = await Report.read();
  const filters = new Filters(report);
  filters.waiting = (on) => {
    fill(byId("state"), "Reading all matches for the search …");
    byId("state").hidden = !on;
  };
  drawTitle(report);
  byId("main").hidden = false;
  const timeline = new Timeline(report, filters);
  fill(byId("timeline"), timeline.element);
  const bar = new FilterBar(report, filters);
  const panels = [
    new MatchesPanel(report, filters), new AttackPanel(report, filters), new HostsPanel(report, filters),
    new RulesPanel(report, filters), new BlindPanel(report), new AccountPanel(report),
  ];
  const tabs = new Tabs(panels, byId("tabs"), byId("panels"));
  filters.listeners.push(() => drawLevels(filters), () => bar.draw(), () => timeline.draw(), () => tabs.draw());
  drawLevels(filters);
  bar.draw();
  timeline.draw();
  themeSwitch(() => timeline.draw());
  printing(report, filters, tabs);
  addEventListener("keydown", (event) => {
    const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
    if (event.key === "/" && !typing) {
      event.preventDefault();
      bar.search.focus();
    }
  });
  byId("state").hidden = true;
  document.documentElement.dataset.ready = "";
  (globalThis.requestIdleCallback ?? setTimeout)(() => report.searchable().catch(failed));
}

start().catch(failed);
