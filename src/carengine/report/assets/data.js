import { fromMicroseconds } from "./text.js";

// The report's data: blocks of compressed JSON in the page, read when they are needed.

export const LEVELS = ["critical", "high", "medium", "low", "informational", "none"];
const CACHED = 6;
const REMEMBERED = 16;

/** The bytes of a text in base64. */
function bytesOf(text) {
  if (typeof Uint8Array.fromBase64 === "function") return Uint8Array.fromBase64(text);
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i += 1) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

/** What a block holds. */
async function readBlock(id) {
  const element = document.getElementById(id);
  const bytes = bytesOf(element.textContent);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

function blocks(kind) {
  const all = document.querySelectorAll(`script.block[data-kind="${kind}"]`);
  return Array.from(all, (element) => element.id);
}

/** Numbers for names, in the order in which they come. */
class Names {
  constructor() {
    this.all = [];
    this.numbers = new Map();
  }

  number(name) {
    let number = this.numbers.get(name);
    if (number === undefined) {
      number = this.all.length;
      this.numbers.set(name, number);
      this.all.push(name);
    }
    return number;
  }
}

/** Everything about a rule that the page needs, whether the summary has it or not. */
function ruleOf(id, about) {
  const level = LEVELS.includes(about?.level) ? about.level : "none";
  return {
    id,
    title: about?.title || id,
    level: LEVELS.indexOf(level),
    tactics: about?.tactics ?? [],
    attack: about?.attack ?? [],
    about: about ?? {},
  };
}

/** All matches by columns, sorted by time; those without one are last. */
export class Report {
  static async read() {
    const report = new Report();
    report.summary = await readBlock("summary");
    const parts = await Promise.all(blocks("rows").map(readBlock));
    report.#put(parts);
    return report;
  }

  #put(parts) {
    const size = parts.reduce((sum, part) => sum + part.rule.length, 0);
    const rules = new Names();
    const hosts = new Names();
    const users = new Names();
    const columns = {
      rule: new Uint32Array(size),
      host: new Uint32Array(size),
      user: new Uint32Array(size),
      time: new Float64Array(size),
      block: new Uint32Array(size),
      place: new Uint32Array(size),
    };
    const summaries = new Array(size);
    const sources = new Array(size);
    let at = 0;
    this.starts = [];
    parts.forEach((part, block) => {
      this.starts.push(at);
      for (let place = 0; place < part.rule.length; place += 1, at += 1) {
        columns.rule[at] = rules.number(part.names[part.rule[place]]);
        columns.host[at] = hosts.number(part.names[part.host[place]]);
        columns.user[at] = users.number(part.names[part.user[place]]);
        columns.time[at] = fromMicroseconds(part.time[place]);
        columns.block[at] = block;
        columns.place[at] = place;
        summaries[at] = part.summary[place];
        sources[at] = part.source[place];
      }
    });
    const { time } = columns;
    const order = Uint32Array.from({ length: size }, (_, index) => index);
    const key = time.map((value) => (Number.isNaN(value) ? Infinity : value));
    const sorted = key.every((value, index) => index === 0 || key[index - 1] <= value);
    if (!sorted) order.sort((a, b) => (key[a] === key[b] ? a - b : key[a] - key[b]));
    const { block: blockNumbers, ...others } = columns;
    Object.assign(this, { size, order, summaries, sources, blockNumbers }, others);
    this.hosts = hosts.all;
    this.users = users.all;
    const described = new Map(Object.entries(this.summary.rules ?? {}));
    this.rules = rules.all.map((id) => ruleOf(id, described.get(id)));
    this.#followAttack();
    this.texts = [];
    this.words = new Map();
    for (const rule of this.rules) {
      rule.text = `${rule.title}\n${rule.id}\n${rule.attack.join("\n")}`.toLowerCase();
    }
    this.details = new Map();
    const known = time.filter((value) => !Number.isNaN(value));
    this.first = known.reduce((a, b) => Math.min(a, b), Infinity);
    this.last = known.reduce((a, b) => Math.max(a, b), -Infinity);
  }

  /** Retired techniques under the ids that ATT&CK has for them now. */
  #followAttack() {
    const attack = this.summary.attack ?? { tactics: [], techniques: {}, moved: {}, unknown: [] };
    this.attack = attack;
    this.techniques = new Map(Object.entries(attack.techniques));
    this.tactics = attack.tactics;
    const moved = new Map(Object.entries(attack.moved));
    for (const rule of this.rules) {
      const ids = rule.attack.map((id) => moved.get(id) ?? id);
      rule.techniques = [...new Set(ids)].filter((id) => this.techniques.has(id));
    }
  }

  /** Make the texts ready while nothing else is to be done. */
  prepare(block = 0) {
    if (block >= this.starts.length) return;
    this.#text(block);
    setTimeout(() => this.prepare(block + 1));
  }

  /** What is searched of the matches of a block: one text in small letters, and where each ends. */
  #text(block) {
    if (this.texts[block] === undefined) {
      const from = this.starts[block];
      const until = this.starts[block + 1] ?? this.size;
      const ends = new Uint32Array(until - from);
      const parts = [];
      let end = 0;
      for (let at = from; at < until; at += 1) {
        const host = this.hosts[this.host[at]];
        const user = this.users[this.user[at]];
        const text = `${this.summaries[at]}\n${host}\n${user}\n${this.sources[at]}\n`.toLowerCase();
        parts.push(text);
        end += text.length;
        ends[at - from] = end;
      }
      this.texts[block] = { from, ends, text: parts.join("") };
    }
    return this.texts[block];
  }

  /** Which matches have a word: 1 in their place. The last few words are remembered. */
  having(word) {
    const known = this.words.get(word);
    if (known !== undefined) return known;
    const has = new Uint8Array(this.size);
    for (let block = 0; block < this.starts.length; block += 1) {
      const { from, ends, text } = this.#text(block);
      let place = 0;
      for (let at = text.indexOf(word); at >= 0; at = text.indexOf(word, ends[place - 1])) {
        while (ends[place] <= at) place += 1;
        has[from + place] = 1;
        place += 1;
        if (place === ends.length) break;
      }
    }
    if (this.words.size >= REMEMBERED) this.words.delete(this.words.keys().next().value);
    this.words.set(word, has);
    return has;
  }

  /** The details of all matches of a block; the last few blocks are kept. */
  async block(number) {
    const kept = this.details.get(number);
    if (kept !== undefined) {
      this.details.delete(number);
      this.details.set(number, kept);
      return kept;
    }
    const details = readBlock(`detail-${number}`);
    this.details.set(number, details);
    if (this.details.size > CACHED) this.details.delete(this.details.keys().next().value);
    return details;
  }

  /** The detail of a match. */
  async detail(index) {
    return (await this.block(this.blockNumbers[index]))[this.place[index]];
  }

  /** The starts of processes around matches. */
  processes() {
    this.processesRead ??= Promise.all(blocks("processes").map(readBlock)).then(
      (parts) => new Processes(parts.flatMap((part) => part.rows)),
    );
    return this.processesRead;
  }
}

/** Starts of processes, by their own id or by host and number. */
class Processes {
  constructor(rows) {
    this.byGuid = new Map();
    this.byNumber = new Map();
    this.children = new Map();
    for (const row of rows) {
      row.milliseconds = fromMicroseconds(row.time);
      if (row.guid) this.byGuid.set(row.guid, row);
      const key = `${row.host}\n${row.pid}`;
      if (!this.byNumber.has(key)) this.byNumber.set(key, []);
      this.byNumber.get(key).push(row);
    }
    for (const row of rows) {
      const parent = this.parentOf(row);
      if (parent === null) continue;
      if (!this.children.has(parent)) this.children.set(parent, []);
      this.children.get(parent).push(row);
    }
  }

  /** The start of a process that acted at a time; null where the log does not have it. */
  find(process, milliseconds) {
    if (process.guid) return this.byGuid.get(process.guid) ?? null;
    return this.#last(process.host, process.pid, milliseconds, null);
  }

  parentOf(row) {
    if (row.parent_guid) return this.byGuid.get(row.parent_guid) ?? null;
    // Where processes have ids of their own, a start without one is told by another log again.
    return row.ppid ? this.#last(row.host, row.ppid, row.milliseconds, row) : null;
  }

  #last(host, pid, milliseconds, except) {
    const starts = this.byNumber.get(`${host}\n${pid}`) ?? [];
    let last = null;
    for (const start of starts) {
      if (start !== except && !(start.milliseconds > milliseconds)) last = start;
    }
    return last;
  }

  childrenOf(row) {
    return this.children.get(row) ?? [];
  }
}
