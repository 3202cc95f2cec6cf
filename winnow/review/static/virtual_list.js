// A list of any length that has only the rows in sight in the page.

const SPARE = 6; // rows above and below those in sight
const REST = 120; // milliseconds without scrolling until pictures load

export class VirtualList {
  #box;
  #rows;
  #drawn = new Map(); // index -> element
  #height;
  #timer = null;
  #on;
  length = 0;
  current = -1;

  /** on: { fill(element, index), picture(element, index), pick(index) }; rowHeight in pixels, as in the style sheet. */
  constructor(box, rowHeight, on) {
    this.#box = box;
    this.#rows = box.querySelector(".rows");
    this.#height = rowHeight;
    this.#on = on;
    box.addEventListener("scroll", () => this.#draw(), { passive: true });
    new ResizeObserver(() => this.#draw()).observe(box);
    box.addEventListener("click", (event) => {
      const row = event.target.closest("[role=option]");
      if (row) on.pick(Number(row.dataset.index));
    });
    box.addEventListener("keydown", (event) => this.#key(event));
  }

  /** Take another list of `length` rows. */
  reset(length) {
    this.length = length;
    this.current = -1;
    this.#rows.style.height = `${length * this.#height}px`;
    for (const row of this.#drawn.values()) row.remove();
    this.#drawn.clear();
    this.#box.removeAttribute("aria-activedescendant");
    this.#draw();
  }

  /** Mark a row as the one shown, and bring it into sight. */
  select(index) {
    const before = this.current;
    this.current = index;
    this.refresh(before);
    const top = index * this.#height;
    const { scrollTop, clientHeight } = this.#box;
    if (index >= 0 && (top < scrollTop || top + this.#height > scrollTop + clientHeight)) {
      this.#box.scrollTop = top - Math.max(0, (clientHeight - this.#height) / 2);
    }
    this.#draw();
    this.refresh(index);
    if (this.#drawn.has(index)) this.#box.setAttribute("aria-activedescendant", `row-${index}`);
    else this.#box.removeAttribute("aria-activedescendant");
  }

  /** Draw a row again, if it is in sight. */
  refresh(index) {
    const row = this.#drawn.get(index);
    if (!row) return;
    row.setAttribute("aria-selected", String(index === this.current));
    this.#on.fill(row, index);
  }

  /** Draw again what is in sight. */
  refreshAll() {
    for (const index of this.#drawn.keys()) this.refresh(index);
  }

  #draw() {
    const { scrollTop, clientHeight } = this.#box;
    const first = Math.max(0, Math.floor(scrollTop / this.#height) - SPARE);
    const last = Math.min(this.length - 1, Math.ceil((scrollTop + clientHeight) / this.#height) + SPARE);
    for (const [index, row] of this.#drawn) {
      if (index < first || index > last) {
        row.remove();
        this.#drawn.delete(index);
      }
    }
    for (let index = first; index <= last; index += 1) {
      if (!this.#drawn.has(index)) this.#add(index);
    }
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      for (const [index, row] of this.#drawn) this.#on.picture(row, index);
    }, REST);
  }

  #add(index) {
    const row = document.createElement("div");
    row.setAttribute("role", "option");
    row.id = `row-${index}`;
    row.dataset.index = String(index);
    row.className = "row";
    row.setAttribute("aria-setsize", String(this.length));
    row.setAttribute("aria-posinset", String(index + 1));
    row.style.top = `${index * this.#height}px`;
    const next = [...this.#drawn.entries()].filter(([other]) => other > index).sort(([a], [b]) => a - b)[0];
    this.#rows.insertBefore(row, next ? next[1] : null); // in the order of the list, for those who read it
    this.#drawn.set(index, row);
    this.refresh(index);
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor(this.#box.clientHeight / this.#height) - 1);
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -this.length, End: this.length }[
      event.key
    ];
    if (step === undefined || !this.length) return;
    event.preventDefault();
    this.#on.pick(Math.min(this.length - 1, Math.max(0, this.current + step)));
  }
}
