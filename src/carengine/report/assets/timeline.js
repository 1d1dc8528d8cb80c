import { button, fill, h } from "./dom.js";
import { LEVELS } from "./data.js";
import { counted, time } from "./text.js";

// Matches over time, stacked by level. What is zoomed to is what is shown everywhere.

const BAR = 6;
const HEIGHT = 104;
const MONTH = 2592e6;
const YEAR = 31536e6;
const FOOT = 20;
const SHORTEST = 1; // millisecond
const STEPS = [
  1, 10, 100, 1e3, 5e3, 15e3, 6e4, 3e5, 9e5, 36e5, 108e5, 216e5, 864e5, 6048e5, 2592e6, 7776e6,
  31536e6, 157680e6, 315360e6,
];

/** The times of the axis: whole steps; of months and years the first days. */
function ticks(from, to, step) {
  const times = [];
  if (step < MONTH) {
    for (let at = Math.ceil(from / step) * step; at <= to; at += step) times.push(at);
    return times;
  }
  const months = step >= YEAR ? 12 * Math.round(step / YEAR) : Math.round(step / MONTH);
  const year = new Date(from).getUTCFullYear();
  for (let month = 0; ; month += months) {
    const at = Date.UTC(year - (year % Math.max(1, months / 12)), month);
    if (!(at <= to)) return times;
    if (at >= from) times.push(at);
  }
}

export class Timeline {
  constructor(report, filters) {
    Object.assign(this, { report, filters });
    this.canvas = h("canvas", {
      tabindex: "0", role: "img", height: HEIGHT,
      onpointerdown: (event) => this.#down(event),
      onpointermove: (event) => this.#move(event),
      onpointerup: (event) => this.#up(event),
      onpointerleave: () => this.#tell(),
      onkeydown: (event) => this.#key(event),
    });
    this.canvas.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    this.note = h("p", { class: "note" });
    this.from = this.#input("From");
    this.to = this.#input("To");
    this.element = h(
      "div",
      {},
      h(
        "div",
        { class: "bar" },
        h("h2", {}, "Timeline"),
        button("Zoom in", () => this.zoom(0.5)),
        button("Zoom out", () => this.zoom(2)),
        button("Earlier", () => this.#shift(-0.5)),
        button("Later", () => this.#shift(0.5)),
        button("Whole time", () => this.filters.set({ from: null, to: null })),
        h("label", {}, "From ", this.from),
        h("label", {}, "to ", this.to),
        h("span", { class: "note" }, "UTC"),
      ),
      this.canvas,
      this.note,
    );
    this.drag = null;
    new ResizeObserver(() => this.draw()).observe(this.canvas);
  }

  #input(label) {
    return h("input", {
      type: "text", size: 20, placeholder: "2024-05-20 07:41:12", "aria-label": `${label}, UTC`,
      onchange: () => this.#typed(),
    });
  }

  #typed() {
    const read = (input) => Date.parse(`${input.value.trim().replace(" ", "T").replace(/Z$/, "")}Z`);
    const [whole, end] = this.#whole();
    const from = this.from.value.trim() ? read(this.from) : whole;
    const to = this.to.value.trim() ? read(this.to) : end;
    const right = from <= to;
    for (const input of [this.from, this.to]) input.setAttribute("aria-invalid", !right);
    if (right) this.filters.set({ from, to });
    else this.#tell("A time is written 2024-05-20 07:41:12, and the first is before the second.");
  }

  #whole() {
    const { first, last } = this.report;
    if (!(first <= last)) return [0, 1];
    return [first, Math.max(last, first + SHORTEST)];
  }

  get range() {
    const { from, to } = this.filters.state;
    return from === null ? this.#whole() : [from, Math.max(to, from + SHORTEST)];
  }

  /** Make the range longer or shorter around a point; 0 is its start and 1 its end. */
  zoom(factor, around = 0.5) {
    const [from, to] = this.range;
    const length = Math.max(SHORTEST, (to - from) * factor);
    const middle = from + (to - from) * around;
    this.#go(middle - length * around, middle + length * (1 - around));
  }

  #shift(part) {
    const [from, to] = this.range;
    const by = (to - from) * part;
    this.#go(from + by, to + by);
  }

  #go(from, to) {
    const [start, end] = this.#whole();
    const length = to - from;
    if (length >= end - start) {
      this.filters.set({ from: null, to: null });
      return;
    }
    const at = Math.min(Math.max(from, start), end - length);
    this.filters.set({ from: at, to: at + length });
  }

  draw() {
    const width = this.canvas.clientWidth;
    if (!width) return;
    const ratio = window.devicePixelRatio || 1;
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(HEIGHT * ratio);
    const context = this.canvas.getContext("2d");
    context.scale(ratio, ratio);
    const style = getComputedStyle(document.documentElement);
    const color = (name) => style.getPropertyValue(name).trim();
    const [from, to] = this.range;
    const bars = Math.max(1, Math.floor(width / BAR));
    const bins = this.#bins(from, to, bars);
    const most = bins.totals.reduce((a, b) => Math.max(a, b), 1);
    const room = HEIGHT - FOOT - 14;
    this.#axis(context, from, to, width, color);
    const step = width / bars;
    for (let bar = 0; bar < bars; bar += 1) {
      if (!bins.totals[bar]) continue;
      // A bar of one is seen beside one of thousands: the scale is that of square roots.
      const height = Math.max(3, Math.sqrt(bins.totals[bar] / most) * room);
      let top = HEIGHT - FOOT;
      for (let level = LEVELS.length - 1; level >= 0; level -= 1) {
        const share = bins.levels[bar * LEVELS.length + level] / bins.totals[bar];
        if (!share) continue;
        context.fillStyle = color(`--c-${LEVELS[level]}`);
        context.fillRect(bar * step + 0.5, top - height * share, Math.max(1, step - 1), height * share);
        top -= height * share;
      }
    }
    context.fillStyle = color("--muted");
    context.fillText(`${most === 1 ? "1 match" : `up to ${counted(most, "match", "matches")}`} a bar, square-root scale`, 2, 10);
    if (this.drag) {
      context.globalAlpha = 0.25;
      context.fillStyle = color("--accent");
      const [a, b] = [this.drag.start, this.drag.end].sort((x, y) => x - y);
      context.fillRect(a, 0, b - a, HEIGHT - FOOT);
      context.globalAlpha = 1;
    }
    this.bins = bins;
    for (const [input, text] of [[this.from, from], [this.to, to]]) {
      if (document.activeElement !== input) input.value = time(text);
    }
    if (!this.drag) this.#tell();
  }

  #bins(from, to, bars) {
    const { report, filters } = this;
    const totals = new Uint32Array(bars);
    const levels = new Uint32Array(bars * LEVELS.length);
    let untimed = 0;
    for (const index of filters.matches) {
      const at = report.time[index];
      if (Number.isNaN(at)) {
        untimed += 1;
        continue;
      }
      const bar = Math.min(bars - 1, Math.max(0, Math.floor(((at - from) / (to - from)) * bars)));
      totals[bar] += 1;
      levels[bar * LEVELS.length + report.rules[report.rule[index]].level] += 1;
    }
    return { totals, levels, untimed, bars };
  }

  #axis(context, from, to, width, color) {
    context.font = "11px system-ui, sans-serif";
    const wanted = (to - from) / Math.max(1, Math.floor(width / 130));
    const step = STEPS.find((one) => one >= wanted) ?? STEPS.at(-1);
    const digits = step >= YEAR ? 4 : step >= MONTH ? 7 : step >= 864e5 ? 10 : step >= 6e4 ? 16 : step >= 1e3 ? 19 : 23;
    context.strokeStyle = color("--line");
    context.beginPath();
    for (const at of ticks(from, to, step)) {
      const x = ((at - from) / (to - from)) * width;
      context.moveTo(x, 14);
      context.lineTo(x, HEIGHT - FOOT + 4);
      context.fillStyle = color("--muted");
      const text = time(at, digits);
      const half = context.measureText(text).width / 2;
      context.fillText(text, Math.min(Math.max(0, x - half), width - 2 * half), HEIGHT - 5);
    }
    context.moveTo(0, HEIGHT - FOOT + 0.5);
    context.lineTo(width, HEIGHT - FOOT + 0.5);
    context.stroke();
  }

  #tell(text) {
    const { matches } = this.filters;
    const [from, to] = this.range;
    const untimed = this.bins?.untimed ?? 0;
    const more = untimed ? `; ${counted(untimed, "match", "matches")} without a time` : "";
    const all = `${counted(matches.length, "match", "matches")} from ${time(from)} to ${time(to)}${more}`;
    fill(this.note, text ?? all);
    this.canvas.setAttribute("aria-label", `${all}. Plus and minus zoom, arrows move, Home shows the whole time.`);
  }

  #place(event) {
    const box = this.canvas.getBoundingClientRect();
    return Math.min(box.width, Math.max(0, event.clientX - box.left));
  }

  #down(event) {
    if (event.button !== 0) return;
    this.canvas.setPointerCapture(event.pointerId);
    const start = this.#place(event);
    this.drag = { start, end: start };
  }

  #move(event) {
    const x = this.#place(event);
    if (this.drag) {
      this.drag.end = x;
      this.draw();
    }
    const { bins } = this;
    if (!bins) return;
    const [from, to] = this.range;
    const width = this.canvas.clientWidth;
    const bar = Math.min(bins.bars - 1, Math.floor((x / width) * bins.bars));
    const span = (to - from) / bins.bars;
    const parts = LEVELS.map((level, number) => [level, bins.levels[bar * LEVELS.length + number]]);
    const told = parts.filter(([, count]) => count).map(([level, count]) => `${count} ${level === "none" ? "no level" : level}`);
    this.#tell(`${time(from + bar * span, 23)}: ${told.join(", ") || "no match"}`);
  }

  #up() {
    if (!this.drag) return;
    const [a, b] = [this.drag.start, this.drag.end].sort((x, y) => x - y);
    this.drag = null;
    const [from, to] = this.range;
    const width = this.canvas.clientWidth;
    if (b - a < 4) {
      this.draw();
      return;
    }
    this.#go(from + (a / width) * (to - from), from + (b / width) * (to - from));
  }

  #wheel(event) {
    // Without a key the wheel scrolls the page, as everywhere.
    if (!event.ctrlKey && !event.shiftKey) return;
    event.preventDefault();
    const turn = event.deltaY || event.deltaX;
    this.zoom(turn > 0 ? 1.25 : 0.8, this.#place(event) / this.canvas.clientWidth);
  }

  #key(event) {
    const steps = {
      "+": () => this.zoom(0.5), "=": () => this.zoom(0.5), "-": () => this.zoom(2),
      ArrowLeft: () => this.#shift(-0.25), ArrowRight: () => this.#shift(0.25),
      Home: () => this.filters.set({ from: null, to: null }),
    };
    if (!(event.key in steps) || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    steps[event.key]();
  }
}
