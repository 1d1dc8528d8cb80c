import { fill, h } from "./dom.js";

// A list of any length: only the rows that are seen are in the page.

const TALLEST = 8_000_000; // browsers draw no element that is much taller
const BEYOND = 6;

/** A list box of `size` rows, all of the height that the style sheet gives to `--row`. */
export class VirtualList {
  constructor({ label, row, choose }) {
    this.row = row;
    this.choose = choose;
    this.items = [];
    this.chosen = -1;
    this.space = h("div", { class: "space" });
    this.element = h(
      "div",
      {
        class: "list", role: "listbox", tabindex: "0", "aria-label": label,
        onscroll: () => this.draw(),
        onkeydown: (event) => this.#key(event),
        onclick: (event) => this.#click(event),
      },
      this.space,
    );
    new ResizeObserver(() => this.draw()).observe(this.element);
  }

  show(items) {
    const before = this.items[this.chosen];
    this.items = items;
    this.chosen = before === undefined ? -1 : items.indexOf(before);
    if (this.chosen < 0) this.element.scrollTop = 0;
    this.draw();
  }

  get height() {
    return parseFloat(getComputedStyle(this.element).getPropertyValue("--row")) || 56;
  }

  draw() {
    const seen = this.element.clientHeight;
    if (!seen) return;
    const { height } = this;
    const whole = this.items.length * height;
    const drawn = Math.min(whole, TALLEST);
    this.space.style.height = `${drawn}px`;
    const scroll = this.element.scrollTop;
    // Past the tallest element the bar moves faster than the rows.
    const shift = whole > drawn && drawn > seen ? (scroll / (drawn - seen)) * (whole - drawn) : 0;
    const first = Math.max(0, Math.floor((scroll + shift) / height) - BEYOND);
    const last = Math.min(this.items.length, Math.ceil((scroll + shift + seen) / height) + BEYOND);
    const rows = [];
    for (let at = first; at < last; at += 1) {
      const element = this.row(this.items[at]);
      element.id = `row-${at}`;
      element.dataset.at = at;
      element.setAttribute("role", "option");
      element.setAttribute("aria-posinset", at + 1);
      element.setAttribute("aria-setsize", this.items.length);
      element.setAttribute("aria-selected", at === this.chosen);
      element.style.transform = `translateY(${at * height - shift}px)`;
      rows.push(element);
    }
    fill(this.space, rows);
    const active = this.chosen >= first && this.chosen < last;
    if (active) this.element.setAttribute("aria-activedescendant", `row-${this.chosen}`);
    else this.element.removeAttribute("aria-activedescendant");
  }

  select(at) {
    if (!this.items.length) return;
    this.chosen = Math.max(0, Math.min(this.items.length - 1, at));
    this.#reveal();
    this.draw();
    this.choose(this.items[this.chosen]);
  }

  #reveal() {
    const { height } = this;
    const seen = this.element.clientHeight;
    const whole = this.items.length * height;
    const drawn = Math.min(whole, TALLEST);
    if (whole > drawn) {
      this.element.scrollTop = (this.chosen / this.items.length) * (drawn - seen);
      return;
    }
    const top = this.chosen * height;
    if (top < this.element.scrollTop) this.element.scrollTop = top;
    else if (top + height > this.element.scrollTop + seen) {
      this.element.scrollTop = top + height - seen;
    }
  }

  #click(event) {
    const row = event.target.closest("[data-at]");
    if (row) this.select(Number(row.dataset.at));
  }

  #key(event) {
    const page = Math.max(1, Math.floor(this.element.clientHeight / this.height) - 1);
    const steps = {
      ArrowDown: this.chosen + 1,
      ArrowUp: this.chosen - 1,
      PageDown: this.chosen + page,
      PageUp: this.chosen - page,
      Home: 0,
      End: this.items.length - 1,
    };
    if (!(event.key in steps) || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    this.select(steps[event.key]);
  }
}
