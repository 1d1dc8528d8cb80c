import { LEVELS } from "./data.js";

// What is shown: one state, and the matches that fit it.

const NOTHING = {
  text: "", levels: null, host: null, user: null, rule: null, tactic: null, technique: null,
  from: null, to: null,
};

/** Whether a technique is the one that was asked for, or below it. */
function belongs(technique, wanted) {
  return technique === wanted || technique.startsWith(`${wanted}.`);
}

/** The filters of a report, and who wants to know when they change. */
export class Filters {
  constructor(report) {
    this.report = report;
    this.state = { ...NOTHING };
    this.inside = null;
    this.listeners = [];
    this.matches = report.order;
    this.#count();
  }

  /** Change some filters, and tell everybody. */
  set(changes) {
    if ("text" in changes && changes.text !== this.state.text) this.inside = null;
    this.state = { ...this.state, ...changes };
    this.apply();
  }

  clear() {
    this.set(NOTHING);
  }

  /** Turn a value on, or off where it is on already. */
  toggle(name, value) {
    this.set({ [name]: this.state[name] === value ? null : value });
  }

  toggleLevel(level) {
    const levels = new Set(this.state.levels ?? []);
    if (!levels.delete(level)) levels.add(level);
    this.set({ levels: levels.size ? levels : null });
  }

  get active() {
    return Object.entries(this.state).some(([, value]) => value !== null && value !== "");
  }

  /** The words that a match must have. */
  get words() {
    return this.state.text.toLowerCase().split(/\s+/).filter(Boolean);
  }

  apply() {
    const { report, state, inside } = this;
    if (state.text.trim() && !report.allRead) {
      // Texts are read while nobody waits for them; a search right after opening does.
      this.waiting?.(true);
      report.searchable().then(() => {
        this.waiting?.(false);
        if (this.state === state) this.apply();
      });
      return;
    }
    if (!this.active) {
      this.#put(report.order);
      return;
    }
    const fits = report.rules.map((rule) => this.#fits(rule));
    const words = this.words.map((word) => ({
      has: report.having(word),
      rules: report.rules.map((rule) => rule.text.includes(word)),
    }));
    const host = state.host === null ? -1 : report.hosts.indexOf(state.host);
    const user = state.user === null ? -1 : report.users.indexOf(state.user);
    const fitting = new Uint32Array(report.size);
    let size = 0;
    for (const index of report.order) {
      const rule = report.rule[index];
      if (!fits[rule]) continue;
      if (state.host !== null && report.host[index] !== host) continue;
      if (state.user !== null && report.user[index] !== user) continue;
      if (state.from !== null) {
        const time = report.time[index];
        // What has no time is in no range of time.
        if (!(time >= state.from && time <= state.to)) continue;
      }
      if (!inside?.[index] && !words.every((word) => word.has[index] || word.rules[rule])) continue;
      fitting[size] = index;
      size += 1;
    }
    this.#put(fitting.subarray(0, size));
  }

  #put(matches) {
    this.matches = matches;
    this.#count();
    for (const listener of this.listeners) listener();
  }

  #fits(rule) {
    const { state } = this;
    if (state.levels !== null && !state.levels.has(LEVELS[rule.level])) return false;
    if (state.rule !== null && rule.id !== state.rule) return false;
    if (state.tactic !== null && !rule.tactics.includes(state.tactic)) return false;
    const { technique } = state;
    return technique === null || rule.techniques.some((one) => belongs(one, technique));
  }

  /** Search the words in all that the report has of the matches, whole events too. */
  async searchInside(tell) {
    const { report, words } = this;
    await report.searchable();
    const wanted = words.map((word) => ({
      escaped: JSON.stringify(word).slice(1, -1), has: report.having(word),
      rules: report.rules.map((rule) => rule.text.includes(word)),
    }));
    const { text } = this.state;
    const inside = new Uint8Array(report.size);
    const places = new Map();
    for (let index = 0; index < report.size; index += 1) {
      const block = report.blockNumbers[index];
      if (!places.has(block)) places.set(block, []);
      places.get(block).push(index);
    }
    let done = 0;
    for (const [block, indexes] of places) {
      const details = await report.detailsOf(block);
      for (const index of indexes) {
        const whole = JSON.stringify(details[report.place[index]]).toLowerCase();
        const rule = report.rule[index];
        if (wanted.every((word) => word.has[index] || word.rules[rule] || whole.includes(word.escaped))) {
          inside[index] = 1;
        }
      }
      done += indexes.length;
      tell(done);
      if (this.state.text !== text) return;
    }
    this.inside = inside;
    this.apply();
  }

  /** Count what fits: by rule, level and host, and by host and tactic. */
  #count() {
    const { report, matches } = this;
    const byRule = new Uint32Array(report.rules.length);
    const byHost = new Uint32Array(report.hosts.length);
    const byPair = new Map();
    const width = report.hosts.length;
    for (const index of matches) {
      byRule[report.rule[index]] += 1;
      byHost[report.host[index]] += 1;
      const pair = report.rule[index] * width + report.host[index];
      byPair.set(pair, (byPair.get(pair) ?? 0) + 1);
    }
    this.byRule = byRule;
    this.byHost = byHost;
    this.byPair = byPair;
    this.byLevel = LEVELS.map(() => 0);
    report.rules.forEach((rule, number) => {
      this.byLevel[rule.level] += byRule[number];
    });
  }
}
