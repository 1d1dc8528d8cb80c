import { fromMicroseconds } from "./text.js";

// The report's data: blocks of compressed JSON in the page, read when they are needed.

export const LEVELS = ["critical", "high", "medium", "low", "informational", "none"];
const CACHED = 6;
const REMEMBERED = 16;
const TOGETHER = 8;

/** The bytes of a text in base64. */
function bytesOf(text) {
  if (typeof Uint8Array.fromBase64 === "function") return Uint8Array.fromBase64(text);
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i += 1) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

/** The bytes of a block. */
async function readBytes(id) {
  const bytes = bytesOf(document.getElementById(id).textContent);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}

/** What a block of JSON holds. */
async function readBlock(id) {
  return JSON.parse(new TextDecoder().decode(await readBytes(id)));
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

  number(name, key = name) {
    let number = this.numbers.get(key);
    if (number === undefined) {
      number = this.all.length;
      this.numbers.set(key, number);
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

/** All matches by columns, in the order of time; those without one are last. */
export class Report {
  static async read() {
    const report = new Report();
    const indexes = blocks("index");
    const [summary, names, columns] = await Promise.all([
      readBlock("summary"),
      Promise.all(indexes.map((id) => readBlock(id.replace("index", "names")))),
      Promise.all(indexes.map(readBytes)),
    ]);
    report.summary = summary;
    report.#put(names, columns);
    return report;
  }

  /** Put the parts of the index together: names are numbered part by part in the file. */
  #put(names, parts) {
    const WIDTH = 8 + 5 * 4;
    const size = parts.reduce((sum, part) => sum + part.byteLength / WIDTH, 0);
    const rules = new Names();
    const hosts = new Names();
    const users = new Names();
    this.size = size;
    this.time = new Float64Array(size);
    for (const name of ["rule", "host", "user", "blockNumbers", "place"]) this[name] = new Uint32Array(size);
    let at = 0;
    parts.forEach((part, number) => {
      const length = part.byteLength / WIDTH;
      const column = (place) => new Uint32Array(part, length * (8 + 4 * place), length);
      this.time.set(new Float64Array(part, 0, length), at);
      this.blockNumbers.set(column(3), at);
      this.place.set(column(4), at);
      const known = names[number];
      const renumbered = [
        ["rule", known.rules.map((name) => rules.number(name))],
        // Logs write one host in small letters and in capitals.
        ["host", known.hosts.map((name) => hosts.number(name, name.toUpperCase()))],
        ["user", known.users.map((name) => users.number(name))],
      ];
      renumbered.forEach(([name, numbers], place) => {
        const from = column(place);
        const to = this[name];
        for (let row = 0; row < length; row += 1) to[at + row] = numbers[from[row]];
      });
      at += length;
    });
    this.order = Uint32Array.from({ length: size }, (_, index) => index);
    this.hosts = hosts.all;
    this.users = users.all;
    const described = new Map(Object.entries(this.summary.rules ?? {}));
    this.rules = rules.all.map((id) => ruleOf(id, described.get(id)));
    this.#followAttack();
    for (const rule of this.rules) {
      rule.text = `${rule.title}\n${rule.id}\n${rule.attack.join("\n")}`.toLowerCase();
    }
    this.texts = [];
    this.reading = [];
    this.words = new Map();
    this.details = new Map();
    let timed = size;
    while (timed && Number.isNaN(this.time[timed - 1])) timed -= 1;
    this.first = timed ? this.time[0] : Infinity;
    this.last = timed ? this.time[timed - 1] : -Infinity;
    this.#places();
  }

  /** Which matches are in a block, by their place there. */
  #places() {
    const sizes = new Uint32Array((this.summary.blocks ?? 0) + 1);
    for (const block of this.blockNumbers) sizes[block + 1] += 1;
    for (let block = 1; block < sizes.length; block += 1) sizes[block] += sizes[block - 1];
    this.starts = sizes;
    this.stored = new Uint32Array(this.size);
    for (let index = 0; index < this.size; index += 1) {
      this.stored[sizes[this.blockNumbers[index]] + this.place[index]] = index;
    }
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

  /** The texts of the matches of a block; a promise until they were read. */
  block(number) {
    this.reading[number] ??= readBlock(`texts-${number}`).then((texts) => {
      this.texts[number] = texts;
      return texts;
    });
    return this.reading[number];
  }

  /** Summary, parts that decided and record of a match; null where they were not read yet. */
  text(index) {
    const texts = this.texts[this.blockNumbers[index]];
    if (texts === undefined) return null;
    const place = this.place[index];
    return { summary: texts.summary[place], marks: texts.marks[place], source: texts.source[place] };
  }

  /** Read the texts of all matches, for searching. Some blocks at once: the page stays alive. */
  searchable() {
    this.searching ??= (async () => {
      const size = this.summary.blocks ?? 0;
      for (let from = 0; from < size; from += TOGETHER) {
        const numbers = Array.from({ length: Math.min(TOGETHER, size - from) }, (_, at) => from + at);
        await Promise.all(numbers.map((number) => this.block(number)));
        numbers.forEach((number) => this.#searched(number));
        await new Promise((done) => setTimeout(done));
      }
      this.allRead = true;
    })();
    return this.searching;
  }

  /** What is searched of the matches of a block: one text in small letters, and where each ends. */
  #searched(number) {
    const texts = this.texts[number];
    if (texts.searched === undefined) {
      const { summary, source } = texts;
      const start = this.starts[number];
      const ends = new Uint32Array(summary.length);
      const parts = [];
      let end = 0;
      for (let place = 0; place < summary.length; place += 1) {
        const index = this.stored[start + place];
        const host = this.hosts[this.host[index]];
        const user = this.users[this.user[index]];
        const text = `${summary[place]}\n${host}\n${user}\n${source[place]}\n`.toLowerCase();
        parts.push(text);
        end += text.length;
        ends[place] = end;
      }
      texts.searched = { ends, text: parts.join("") };
    }
    return texts.searched;
  }

  /** Which matches have a word: 1 in their place. The last few words are remembered. */
  having(word) {
    const known = this.words.get(word);
    if (known !== undefined) return known;
    const has = new Uint8Array(this.size);
    for (let block = 0; block < this.texts.length; block += 1) {
      const { ends, text } = this.#searched(block);
      const start = this.starts[block];
      let place = 0;
      for (let at = text.indexOf(word); at >= 0; at = text.indexOf(word, ends[place - 1])) {
        while (ends[place] <= at) place += 1;
        has[this.stored[start + place]] = 1;
        place += 1;
        if (place === ends.length) break;
      }
    }
    if (this.words.size >= REMEMBERED) this.words.delete(this.words.keys().next().value);
    this.words.set(word, has);
    return has;
  }

  /** The details of all matches of a block; the last few blocks are kept. */
  async detailsOf(number) {
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
    return (await this.detailsOf(this.blockNumbers[index]))[this.place[index]];
  }

  /** The rules that matched, as they are written in their files. */
  ruleTexts() {
    this.rulesRead ??= readBlock("rules").then((texts) => new Map(Object.entries(texts)));
    return this.rulesRead;
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
