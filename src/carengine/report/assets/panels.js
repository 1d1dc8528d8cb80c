import { button, fill, h, levelMark, link, value } from "./dom.js";
import { LEVELS } from "./data.js";
import { counted, fromMicroseconds, number, time, visible } from "./text.js";

// The views beside the list: ATT&CK, hosts by tactics, rules, what was blind, the account.

const FIRST_ROWS = 100;

/** The worst level and the number of matches of some rules that fit the filters. */
function weight(rules, filters) {
  let worst = LEVELS.length - 1;
  let matches = 0;
  for (const rule of rules) {
    const count = filters.byRule[rule];
    if (!count) continue;
    matches += count;
    worst = Math.min(worst, filters.report.rules[rule].level);
  }
  return { matches, level: LEVELS[worst] };
}

function pressed(on) {
  return { "aria-pressed": on ? "true" : "false" };
}

/** The matrix: a column for each tactic; techniques that fired, and where wanted those watched. */
export class AttackPanel {
  constructor(report, filters) {
    Object.assign(this, { report, filters, all: false });
    this.name = "ATT&CK";
    this.rules = new Map();
    report.rules.forEach((rule, number) => {
      for (const id of rule.techniques) {
        if (!this.rules.has(id)) this.rules.set(id, []);
        this.rules.get(id).push(number);
      }
    });
  }

  draw(element) {
    const { report, filters } = this;
    const columns = report.tactics.map((tactic) => this.#column(tactic)).filter(Boolean);
    const { unknown, version, moved } = report.attack;
    const withoutTechnique = report.rules
      .map((rule, number) => (rule.techniques.length ? 0 : filters.byRule[number]))
      .reduce((a, b) => a + b, 0);
    const notes = [];
    if (withoutTechnique) {
      notes.push(`${counted(withoutTechnique, "match", "matches")} of rules that name no technique`);
    }
    if (unknown.length) notes.push(`ids that ATT&CK ${version} does not have: ${unknown.join(", ")}`);
    const moves = Object.entries(moved).map(([old, now]) => `${old} is ${now} now`);
    if (moves.length) notes.push(moves.join(", "));
    fill(
      element,
      h(
        "div",
        { class: "heading" },
        h("h2", {}, `ATT&CK ${version ?? ""}`),
        button(
          this.all ? "Show only what fired" : "Show what was watched, too",
          () => {
            this.all = !this.all;
            this.draw(element);
          },
          pressed(this.all),
        ),
      ),
      h(
        "p",
        { class: "note" },
        "A cell counts matches of the rules that name the technique; its edge has the colour of the worst level. ",
        "Faint cells were watched by rules that could run, and nothing fired.",
      ),
      columns.length
        ? h("div", { class: "matrix", tabindex: "0", role: "group", "aria-label": "ATT&CK matrix" }, columns)
        : h("p", {}, "No match names a technique."),
      notes.length ? h("ul", { class: "note" }, notes.map((note) => h("li", {}, value(note, "plain")))) : null,
    );
  }

  #column(tactic) {
    const { report, filters } = this;
    const rules = report.rules.flatMap((rule, index) => (rule.tactics.includes(tactic.id) ? [index] : []));
    const within = new Set(rules);
    const cells = [];
    for (const [id, technique] of report.techniques) {
      if (!technique.tactics.includes(tactic.id)) continue;
      // A rule may name a technique for one of its tactics only.
      const own = (this.rules.get(id) ?? []).filter((rule) => within.has(rule));
      const { matches, level } = weight(own, filters);
      if (matches || this.all) cells.push({ id, technique, matches, level });
    }
    const { matches } = weight(rules, filters);
    if (!cells.length && !matches) return null;
    cells.sort((a, b) => b.matches - a.matches || (a.id < b.id ? -1 : 1));
    return h(
      "div",
      { class: "tactic" },
      h("header", {}, h("h3", {}, button(tactic.name, () => filters.toggle("tactic", tactic.id), {
        class: "plain", ...pressed(filters.state.tactic === tactic.id),
      })),
        h("p", { class: "note" }, counted(matches, "match", "matches"), " · ", link(tactic.url, tactic.id))),
      cells.map((cell) => this.#cell(cell)),
    );
  }

  #cell({ id, technique, matches, level }) {
    const { filters } = this;
    const parent = technique.parent ? h("span", { class: "above" }, `${technique.parent}: `) : null;
    return button(
      [
        h("span", { class: "name" }, parent, technique.name),
        h("span", { class: "id" }, id),
        h("span", { class: "count" }, matches ? number(matches) : `watched by ${counted(technique.rules, "rule")}`),
      ],
      () => filters.toggle("technique", id),
      { class: `cell ${matches ? level : "silent"}`, ...pressed(filters.state.technique === id) },
    );
  }
}

/** Hosts by tactics, the hosts with most matches first. */
export class HostsPanel {
  constructor(report, filters) {
    Object.assign(this, { report, filters, all: false });
    this.name = "Hosts";
  }

  draw(element) {
    const { report, filters } = this;
    const hosts = report.hosts
      .map((name, number) => ({ name, number, matches: filters.byHost[number] }))
      .filter((host) => host.matches)
      .sort((a, b) => b.matches - a.matches || (a.name < b.name ? -1 : 1));
    const tactics = report.tactics.filter((tactic) =>
      report.rules.some((rule, number) => filters.byRule[number] && rule.tactics.includes(tactic.id)),
    );
    const shownHosts = this.all ? hosts : hosts.slice(0, FIRST_ROWS);
    const cells = this.#cells();
    fill(
      element,
      h("h2", {}, "Hosts and tactics"),
      h("p", { class: "note" }, "Matches by host and tactic. A match with several tactics counts in each."),
      h(
        "div",
        { class: "wide", tabindex: "0", role: "group", "aria-label": "Hosts and tactics" },
        h(
          "table",
          { class: "heat" },
          h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Host"), h("th", { scope: "col" }, "Matches"),
            tactics.map((tactic) => h("th", { scope: "col" }, tactic.name)))),
          h("tbody", {}, shownHosts.map((host) => this.#row(host, tactics, cells))),
        ),
      ),
      this.#more(element, hosts.length),
    );
  }

  #more(element, size) {
    if (this.all || size <= FIRST_ROWS) return null;
    return button(`Show all ${number(size)} hosts`, () => {
      this.all = true;
      this.draw(element);
    });
  }

  /** The number of matches and the worst level for each host and tactic. */
  #cells() {
    const { report, filters } = this;
    const cells = new Map();
    const width = report.hosts.length;
    for (const [pair, count] of filters.byPair) {
      const rule = report.rules[Math.floor(pair / width)];
      for (const tactic of rule.tactics) {
        const key = `${pair % width} ${tactic}`;
        const cell = cells.get(key) ?? { count: 0, level: LEVELS.length - 1 };
        cell.count += count;
        cell.level = Math.min(cell.level, rule.level);
        cells.set(key, cell);
      }
    }
    return cells;
  }

  #row(host, tactics, cells) {
    const { filters } = this;
    return h(
      "tr",
      {},
      h("th", { scope: "row" }, button(host.name ? value(host.name) : "(no host)",
        () => filters.toggle("host", host.name), { class: "plain", ...pressed(filters.state.host === host.name) })),
      h("td", { class: "number" }, number(host.matches)),
      tactics.map((tactic) => {
        const cell = cells.get(`${host.number} ${tactic.id}`);
        if (cell === undefined) return h("td", {});
        const label = `${host.name || "no host"}, ${tactic.name}: ${counted(cell.count, "match", "matches")}`;
        return h("td", {}, button(number(cell.count),
          () => filters.set({ host: host.name, tactic: tactic.id }),
          { class: `cell ${LEVELS[cell.level]}`, "aria-label": label }));
      }),
    );
  }
}

/** The rules that matched, the worst first. */
export class RulesPanel {
  constructor(report, filters) {
    Object.assign(this, { report, filters, all: false });
    this.name = "Rules";
  }

  draw(element) {
    const { report, filters } = this;
    const rules = report.rules
      .map((rule, index) => ({ rule, matches: filters.byRule[index] }))
      .filter((one) => one.matches)
      .sort((a, b) => a.rule.level - b.rule.level || b.matches - a.matches);
    const shownRules = this.all ? rules : rules.slice(0, FIRST_ROWS);
    fill(
      element,
      h("h2", {}, `${counted(rules.length, "rule")} matched`),
      h("div", { class: "rules" }, shownRules.map(({ rule, matches }) => this.#rule(rule, matches))),
      rules.length > shownRules.length
        ? button(`Show all ${number(rules.length)} rules`, () => {
            this.all = true;
            this.draw(element);
          })
        : null,
    );
  }

  #rule(rule, matches) {
    const { filters } = this;
    const body = h("div", { class: "body" });
    const details = h(
      "details",
      {
        class: "rule",
        ontoggle: () => {
          if (details.open && !body.firstChild) fill(body, aboutRule(this.report, rule));
        },
      },
      h("summary", {}, levelMark(LEVELS[rule.level]), " ", value(rule.title, "title"), " ",
        h("span", { class: "note" }, counted(matches, "match", "matches"))),
      button("Only this rule", () => filters.toggle("rule", rule.id), pressed(filters.state.rule === rule.id)),
      body,
    );
    return details;
  }
}

/** What a rule says of itself. */
export function aboutRule(report, rule) {
  const { about } = rule;
  const rows = [
    ["Id", value(rule.id)],
    ["File", about.path ? value(about.path) : null],
    ["Page", about.page ? link(about.page) : null],
    ["Status", about.status ? value(about.status) : null],
    ["Author", about.author ? value(about.author) : null],
    ["Techniques", techniqueLinks(report, rule)],
    ["References", about.references?.length ? h("ul", {}, about.references.map((one) => h("li", {}, link(one)))) : null],
    ["False positives", about.falsePositives?.length
      ? h("ul", {}, about.falsePositives.map((one) => h("li", {}, value(one, "plain")))) : null],
  ];
  return [
    about.description ? h("p", { class: "prose" }, value(about.description, "plain")) : null,
    pairs(rows),
    ruleText(report, rule),
  ];
}

/** The rule as it is written in its file; read when it is looked at. */
function ruleText(report, rule) {
  const body = h("div", {});
  const details = h("details", {
    ontoggle: async () => {
      if (!details.open || body.firstChild) return;
      const text = (await report.ruleTexts()).get(rule.id);
      fill(body, text === undefined
        ? h("p", { class: "note" }, "The report does not hold its text: it is longer than 64 KiB, or was compiled without it.")
        : h("pre", { tabindex: "0" }, visible(text)));
    },
  }, h("summary", {}, "The rule as it is written"), body);
  return details;
}

/** Names with what they have; those without anything are left out. */
export function pairs(rows) {
  const there = rows.filter(([, content]) => content !== null && content !== undefined);
  if (!there.length) return null;
  return h("dl", {}, there.map(([name, content]) => h("div", {}, h("dt", {}, name), h("dd", {}, content))));
}

/** A rule's techniques as links to ATT&CK. */
export function techniqueLinks(report, rule) {
  if (!rule.techniques.length) return null;
  return h("ul", { class: "inline" }, rule.techniques.map((id) => {
    const technique = report.techniques.get(id);
    const name = technique.parent ? `${technique.parent}: ${technique.name}` : technique.name;
    return h("li", {}, link(technique.url, `${id} ${name}`));
  }));
}

/** What the run could not see. */
export class BlindPanel {
  constructor(report) {
    this.report = report;
    this.name = "Blind spots";
  }

  draw(element) {
    const blind = this.report.summary.blind ?? [];
    if (element.firstChild) return;
    fill(
      element,
      h("h2", {}, "What this run could not see"),
      h("p", { class: "note" }, "No match says something only where a rule could have matched."),
      blind.length ? null : h("p", {}, "Nothing was blind: all rules could run, and every record was read and recognised."),
      blind.map((note) =>
        h(
          "details",
          {},
          h("summary", {}, `${note.title}: ${number(note.number)}`),
          note.groups
            ? note.groups.map((group) => h("details", { class: "group" },
                h("summary", {}, value(group.reason, "plain"), " ", h("span", { class: "note" }, counted(group.number, "rule"))),
                listed(group.items, group.number)))
            : listed(note.items, note.number),
        ),
      ),
    );
  }
}

function listed(items, size) {
  return [
    h("ul", {}, items.map((item) => h("li", {}, value(item, "plain")))),
    size > items.length && items.length >= 2000 ? h("p", { class: "note" }, `and ${number(size - items.length)} more`) : null,
  ];
}

/** What went in, and what became of it. */
export class AccountPanel {
  constructor(report) {
    this.report = report;
    this.name = "Account";
  }

  draw(element) {
    if (element.firstChild) return;
    const { summary } = this.report;
    const kinds = summary.kinds ?? [];
    fill(
      element,
      h("h2", {}, "Account"),
      h("ul", {}, (summary.account ?? []).map((text) => h("li", {}, value(text, "plain")))),
      h("h3", {}, "Evidence"),
      h("ul", {}, (summary.evidence ?? []).map((path) => h("li", {}, value(path)))),
      h("h3", {}, "Events by kind"),
      h("div", { class: "wide", tabindex: "0", role: "group", "aria-label": "Events by kind" },
        h("table", {},
          h("thead", {}, h("tr", {}, ["Field map", "Kind", "Events"].map((text) => h("th", { scope: "col" }, text)))),
          h("tbody", {}, kinds.map((one) => h("tr", {}, h("td", {}, value(one.map)), h("td", {}, value(one.kind)),
            h("td", { class: "number" }, number(one.events))))))),
      h("p", { class: "note" }, `Written by carengine ${summary.version ?? ""} at ${summary.written ?? ""}.`),
    );
  }
}

/** Microseconds as a time, to the millisecond. */
export function eventTime(microseconds) {
  return time(fromMicroseconds(microseconds), 23);
}
