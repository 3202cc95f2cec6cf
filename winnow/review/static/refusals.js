// Decisions that the server did not take: listed, and to be downloaded, until the person dismisses them.

import { downloads } from "./rescue.js";
import { Stored } from "./stored.js";
import { count, make, spoken, swap, visible } from "./text.js";

export class Refusals {
  entries = []; // as the outbox had them, each with `why`
  #box;
  #changed;
  #store = null;

  /** box: the element that lists them. changed: is called whenever their number changes. */
  constructor(box, changed) {
    this.#box = box;
    this.#changed = changed;
  }

  load(repository) {
    this.#store = new Stored("refused", repository);
    this.entries = this.#store.read();
    this.#draw();
  }

  add(entry, why) {
    this.#keep([...this.entries, { ...entry, why }]);
  }

  remove(key) {
    this.#keep(this.entries.filter((entry) => entry.key !== key));
  }

  #keep(entries) {
    this.entries = entries;
    this.#store.write(entries);
    this.#draw();
    this.#changed();
  }

  #draw() {
    const { entries } = this;
    if (!entries.length) return this.#box.replaceChildren();
    const lines = entries.map((entry) =>
      make("li", {}, `${visible(entry.name)}: ${spoken(entry, entry.task !== "refine")}. ${visible(entry.why)}`),
    );
    const head = `! ${count(entries.length, "decision")} ${entries.length === 1 ? "was" : "were"} not taken:`;
    const list = make("ul", { tabindex: "0", "aria-label": "Decisions not taken" }, ...lines);
    const buttons = { ...downloads(entries, "Download"), Dismiss: () => this.#keep([]) };
    const made = Object.entries(buttons).map(([words, act]) => {
      const button = make("button", {}, words);
      button.addEventListener("click", act);
      return button;
    });
    return swap(this.#box, [make("p", {}, head), list, ...made]);
  }
}
