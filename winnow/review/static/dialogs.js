// The windows over the page: choose a class, look at another picture, apply the decisions, help.

import { ask, pictureAddress } from "./api.js";
import { make, named, visible } from "./text.js";

const SHOWN = 200; // classes listed at once; typing narrows them down
const by = (id) => document.getElementById(id);

/** Whether a window is open, so that keys are not for the page. */
export const isOpen = () => document.querySelector("dialog[open]") !== null;

export function closeWindows() {
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
}

/** Whether a pointer is beside a window; there, as in its padding, the window itself is the target. */
function isBeside(dialog, { target, clientX, clientY }) {
  const { left, right, top, bottom } = dialog.getBoundingClientRect();
  return target === dialog && (clientX < left || clientX > right || clientY < top || clientY > bottom);
}

/** Close buttons, and a click beside a window, close it; text selected past the window's edge does not. */
export function prepareDialogs() {
  for (const dialog of document.querySelectorAll("dialog")) {
    let isPressedBeside = false;
    dialog.addEventListener("pointerdown", (event) => {
      isPressedBeside = isBeside(dialog, event);
    });
    dialog.addEventListener("click", (event) => {
      if (event.target.closest(".close") || (isPressedBeside && isBeside(dialog, event))) dialog.close();
    });
  }
}

/** Classes that fit what was typed: equal, then beginning with it, then holding it. */
export function matching(classes, typed) {
  const wanted = typed.trim().toLowerCase();
  const rank = (name) => {
    const low = name.toLowerCase();
    if (low === wanted) return 0;
    return low.startsWith(wanted) ? 1 : low.includes(wanted) ? 2 : 3;
  };
  return classes
    .map((name) => [rank(name), name])
    .filter(([place]) => place < 3)
    .sort(([a], [b]) => a - b)
    .map(([, name]) => name);
}

export class Chooser {
  #found = [];
  #at = 0;
  #classes = [];
  #chosen = () => {};

  constructor() {
    by("class-text").addEventListener("input", () => this.#search());
    by("class-text").addEventListener("keydown", (event) => this.#key(event));
    by("class-list").addEventListener("click", (event) => {
      const option = event.target.closest("[role=option]");
      if (option) this.#take(Number(option.dataset.index));
    });
  }

  /** Ask for one of the classes; `likely` stand first while nothing is typed. */
  open(classes, likely, chosen) {
    this.#classes = [...new Set([...likely, ...classes])];
    this.#chosen = chosen;
    by("class-text").value = "";
    this.#search();
    by("chooser").showModal();
    by("class-text").focus();
  }

  #search() {
    this.#found = matching(this.#classes, by("class-text").value).slice(0, SHOWN);
    this.#at = 0;
    const options = this.#found.map((name, index) =>
      make("li", { role: "option", id: `class-${index}`, "data-index": index, "aria-selected": "false" }, named(name)),
    );
    by("class-list").replaceChildren(...options);
    if (!options.length)
      by("class-list").append(
        make("li", { role: "option", "aria-disabled": "true", "aria-selected": "false" }, "no class has this name"),
      );
    this.#mark();
  }

  #mark() {
    [...by("class-list").children].forEach((option, index) =>
      option.setAttribute("aria-selected", String(index === this.#at && this.#found.length > 0)),
    );
    if (this.#found.length) by("class-text").setAttribute("aria-activedescendant", `class-${this.#at}`);
    else by("class-text").removeAttribute("aria-activedescendant");
    by("class-list").children[this.#at]?.scrollIntoView({ block: "nearest" });
  }

  #key(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && this.#found.length) {
      event.preventDefault();
      this.#at = (this.#at + step + this.#found.length) % this.#found.length;
      this.#mark();
    } else if (event.key === "Enter" && !event.isComposing) {
      event.preventDefault();
      this.#take(this.#at);
    }
  }

  #take(index) {
    if (this.#found[index] === undefined) return;
    by("chooser").close();
    this.#chosen(this.#found[index]);
  }
}

/** Show another picture; `go` leads to it where it stands in the queue. */
export function peek(id, words, go) {
  const picture = make("img", { src: pictureAddress(id), alt: words });
  picture.addEventListener("load", () => {
    const scale = Math.min(8, 480 / Math.max(picture.naturalWidth, picture.naturalHeight));
    picture.classList.toggle("pixels", scale >= 3);
    picture.style.width = `${Math.round(Math.max(scale, 0.01) * picture.naturalWidth)}px`;
  });
  document.querySelector("#peek .frame").replaceChildren(picture);
  by("peek-text").replaceChildren(visible(words));
  by("peek-go").hidden = go === null;
  by("peek-go").onclick = () => {
    by("peek").close();
    go();
  };
  by("peek").showModal();
}

export class Applying {
  #done;
  #awaited = false; // a run whose end was not shown yet
  #looks = 0;
  #timer = null;

  /** done: called when the decisions were applied; unsaved: how many are still on their way. */
  constructor(done, unsaved) {
    this.#done = done;
    by("apply-open").addEventListener("click", () => {
      by("applying").showModal();
      this.#follow();
    });
    by("apply-start").addEventListener("click", () => this.#start(unsaved()));
  }

  #say(words, kind = "") {
    by("apply-state").className = kind;
    by("apply-state").textContent = words;
  }

  async #start(unsaved) {
    if (unsaved) return this.#say(`${unsaved} decisions are not saved yet. Wait until they are.`, "bad");
    by("apply-start").disabled = true;
    try {
      await ask("/api/apply", {});
      this.#awaited = true;
      await this.#follow();
    } catch (error) {
      this.#say(`Not started: ${error.message}`, "bad");
      by("apply-start").disabled = false;
    }
  }

  /** Show how it goes until it ends; an answer that fails is asked for again. The window may be opened at any time. */
  async #follow() {
    clearTimeout(this.#timer);
    const look = (this.#looks += 1);
    const told = await ask("/api/apply").catch(() => ({ running: this.#awaited, log: null, ok: null }));
    if (look !== this.#looks) return; // a later look goes on in its place
    if (told.log !== null) {
      const log = by("apply-log");
      log.hidden = !told.log;
      log.textContent = told.log;
      log.scrollTop = log.scrollHeight;
    }
    by("apply-start").disabled = told.running;
    if (told.running) {
      this.#awaited = true;
      this.#say("Running …");
      this.#timer = setTimeout(() => this.#follow(), 500);
    } else if (told.ok !== null) {
      this.#say(
        told.ok ? "✓ Done: the dataset has the decisions." : "✕ It failed. The log says why; nothing was lost.",
        told.ok ? "good" : "bad",
      );
      if (this.#awaited) this.#done(told.ok);
      this.#awaited = false;
    }
  }
}
