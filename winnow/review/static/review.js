// The page of `winnow review`: one image, one key, one durable decision.

import { ask } from "./api.js";
import { Applying, Chooser, closeWindows, isOpen, peek, prepareDialogs } from "./dialogs.js";
import { evidenceOf, forget, showEvidence } from "./evidence.js";
import { listenForKeys } from "./keys.js";
import { Link, troubleWords } from "./link.js";
import { Made } from "./made.js";
import { makeEntry } from "./outbox.js";
import { prefetch, Stage } from "./stage.js";
import { make, MARKS, percent, spoken, visible } from "./text.js";
import * as view from "./view.js";
import { VirtualList } from "./virtual_list.js";

const ROW = 56; // pixels, as in review.css
const PATIENCE = 150; // milliseconds that the evidence waits for the answer to a decision
const AHEAD = 2; // pictures fetched before they are wanted
const by = (id) => document.getElementById(id);
const remembered = (key) => JSON.parse(sessionStorage.getItem(`winnow-review-${key}`) ?? "null");
const remember = (key, value) => sessionStorage.setItem(`winnow-review-${key}`, JSON.stringify(value));

/** An image is open while nobody decided about it as it is now. */
const isOpenItem = (item) => (item.pending ? item.pending.action === "undo" : !item.decision || item.stale);

/** After the next frame was painted. */
const painted = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));

class Review {
  items = [];
  more = { items: 0, decided: 0 }; // of the queue, beyond the items
  byId = new Map();
  order = []; // of the items that pass the filter
  current = null;
  task = null;
  turn = 0; // of the tasks opened
  changed = new Set(); // items with another decision since the task was last asked for
  made = new Made();

  constructor() {
    this.stage = new Stage(by("stage"), by("zoom"), (step) => this.step(step));
    this.chooser = new Chooser();
    this.list = new VirtualList(by("list"), ROW, {
      fill: (row, index) => view.fillRow(row, this.order[index], [this.order[index - 1], this.order[index + 1]]),
      picture: (row, index) => view.rowPicture(row, this.order[index]),
      pick: (index) => this.show(this.order[index]),
    });
    this.link = new Link(this, by("refused"));
    this.applying = new Applying(
      (ok) => ok && this.attempt(() => this.reload()),
      () => this.link.waiting,
    );
  }

  // ---- loading

  async start() {
    await this.openAddress();
    this.link.start();
  }

  /** Open the image that the end of the address names, if it does: #task=refine&id=... */
  async openAddress() {
    const named = new URLSearchParams(location.hash.slice(1));
    await this.reload(named.get("task"), named.get("id"));
    if (location.hash) history.replaceState(null, "", location.pathname + location.search);
  }

  async reload(task, id) {
    this.state = await ask("/api/state");
    this.link.load(this.state.repository);
    view.drawGaps(this.state);
    const names = this.state.tasks.map((one) => one.name);
    const wanted = [task, this.task, remembered("task")].find((name) => names.includes(name));
    await this.openTask(wanted ?? names[0], id);
  }

  async openTask(name, id) {
    const turn = (this.turn += 1);
    const place = () => remembered(`place-${name}`);
    const asked = id ?? place();
    const query = new URLSearchParams({ task: name, ...(asked ? { id: asked } : {}) });
    this.changed.clear();
    const { items, more = { items: 0, decided: 0 } } = await ask(`/api/queue?${query}`);
    if (turn !== this.turn) return; // another task was asked for meanwhile
    forget();
    this.task = name;
    remember("task", name);
    [this.items, this.more] = [items, more];
    this.byId = new Map(items.map((item) => [item.id, item]));
    // The server may have answered before these decisions.
    for (const { id: one, decision, stale, seen } of this.changed)
      if (this.byId.has(one)) Object.assign(this.byId.get(one), { decision, stale, seen });
    for (const item of items) item.pending = this.link.outbox.waiting(item.id);
    this.drawCounts();
    const { why = "", openOnly = false } = remembered(`filter-${name}`) ?? {};
    view.drawFilter(items, why);
    by("open-only").checked = openOnly;
    // While a reload is on its way, people go on: the place is that of now.
    this.filter([id, place(), asked].map((one) => this.byId.get(one)).find(Boolean));
    if (id && !this.byId.has(id)) {
      const instead = this.current ? "; this is another one" : "";
      this.say(`There is no image ${visible(id).slice(0, 40)} here${instead}.`);
    }
  }

  /** Take the items that pass the filter; they stay in the list when a decision is made. */
  filter(start) {
    const why = by("filter").value;
    const openOnly = by("open-only").checked;
    remember(`filter-${this.task}`, { why, openOnly });
    this.order = this.items.filter(
      (item) =>
        (item === start || !openOnly || isOpenItem(item)) &&
        (!why || item.why === why || (why === "stale" && item.stale) || item === start),
    );
    this.list.reset(this.order.length);
    this.show(start ?? this.order.find(isOpenItem) ?? this.order[0] ?? null);
  }

  /** How many of the listed images are decided on as they are. */
  get listedDecided() {
    return this.items.filter((item) => item.decision && !item.stale).length;
  }

  /** Take over how far the tasks are, as the server has it, and their estimates. */
  takeCounts(tasks) {
    for (const task of this.state.tasks) Object.assign(task, tasks[task.name]);
    const here = tasks[this.task];
    if (here) this.more.decided = Math.max(0, here.decided - this.listedDecided);
    if (Object.keys(tasks).length) this.drawCounts();
  }

  drawCounts() {
    const decided = this.listedDecided + this.more.decided;
    const total = this.items.length + this.more.items;
    const task = this.state.tasks.find((one) => one.name === this.task);
    Object.assign(task, { decided, items: total });
    view.drawTasks(this.state.tasks, this.task, (name) => this.attempt(() => this.openTask(name)));
    view.drawProgress(decided, total, this.task, task.estimate, this.more.items);
  }

  // ---- showing

  async show(item) {
    if (item?.id !== this.current?.id) by("note").value = ""; // a reload makes other items of the same images
    this.current = item;
    for (const id of ["keep", "drop", "relabel", "back", "skip", "note"]) by(id).disabled = !item;
    if (!item)
      return view.drawNothing(this.items.length ? "No image passes the filter." : "There is nothing to look at here.");
    remember(`place-${this.task}`, item.id);
    by("work").dataset.id = item.id;
    this.redraw();
    this.list.select(this.order.indexOf(item));
    this.announce(item);
    const evidence = evidenceOf(item.id);
    this.lacksEvidence = false;
    by("evidence").setAttribute("aria-busy", "true");
    if (!(await this.stage.show(item))) return;
    await painted(); // the picture first
    await this.link.rest(PATIENCE);
    if (this.current !== item) return;
    this.fetchAhead();
    try {
      const told = await evidence;
      if (this.current === item) this.drawEvidence(item, told);
    } catch (error) {
      if (this.current !== item) return;
      this.lacksEvidence = true;
      by("evidence").replaceChildren(make("p", { class: "fine" }, `The evidence could not be read: ${error.message}`));
    }
  }

  drawEvidence(item, told) {
    const twins = item.group === null ? [] : this.items.filter((other) => other.group === item.group && other !== item);
    showEvidence(by("evidence"), item, told, twins, (id, words) =>
      peek(id, words, this.byId.has(id) ? () => this.goTo(id) : null),
    );
    by("evidence").setAttribute("aria-busy", "false");
  }

  /** Show an image of the task; one that the filter hides joins the list. */
  goTo(id) {
    const item = this.byId.get(id); // as it is now: a reload may have come since the id was shown
    if (!item) return this.say("The image is no longer in this list.");
    if (this.order.includes(item)) this.show(item);
    else this.filter(item);
  }

  redraw() {
    const item = this.current;
    view.drawItem(item, this.order.indexOf(item), this.order.length, this.task);
    view.drawLabels(item, (label) => this.relabel(label));
  }

  announce(item) {
    const likely = item.likely
      .slice(0, 3)
      .map((one, index) => `${index + 1} ${visible(one.label)} ${percent(one.probability)}`);
    const fate =
      item.label === null ? "dropped" : item.label === item.given ? "kept" : `relabelled ${visible(item.label)}`;
    by("live").textContent =
      `Image ${this.order.indexOf(item) + 1} of ${this.order.length}, ${visible(item.name)}, ${visible(item.why)}. Delivered as ${visible(item.given)}, ${fate}. Likeliest: ${likely.join(", ")}.`;
  }

  fetchAhead() {
    let from = this.current;
    for (let step = 0; step < AHEAD; step += 1) {
      from = this.nextOpen(from);
      if (!from || from === this.current) return;
      prefetch(from);
      if (step === 0) evidenceOf(from.id).catch(() => {});
    }
  }

  // ---- deciding

  nextOpen(item) {
    const at = this.order.indexOf(item);
    const after = this.order.findIndex((other, index) => index > at && isOpenItem(other));
    return after >= 0 ? this.order[after] : this.order.find((other) => other !== item && isOpenItem(other));
  }

  step(places) {
    const next = this.order[this.order.indexOf(this.current) + places];
    if (next) this.show(next);
    else this.say(places > 0 ? "This is the last image of the list." : "This is the first image of the list.");
  }

  relabel(label) {
    if (label === this.current.given) this.decide("keep");
    else this.decide("relabel", label);
  }

  decide(action, label = null) {
    const item = this.current;
    if (!item) return;
    if (!this.stage.isThere(item, !this.link.inTrouble)) return this.say("The picture is not there yet.");
    const former = this.made.former(item);
    const note = by("note").value.trim();
    by("note").value = "";
    this.made.add(this.send(item, { action, label, note }).key, item.id, former);
    const next = this.nextOpen(item);
    if (next) this.show(next);
    else {
      this.redraw();
      by("live").textContent = "Every image of this list has a decision.";
    }
  }

  send(item, told) {
    const entry = makeEntry(item, { task: this.task, by: this.state.by, ...told });
    item.pending = entry;
    this.link.outbox.add(entry);
    this.say(`${MARKS[entry.action]} ${visible(item.name)}: ${spoken(entry, view.isChecked(item))}, saving …`);
    this.refresh(item);
    return entry;
  }

  /** Take back the decision shown, else the last one of this tab, and show its image. */
  undo() {
    const { current } = this;
    const isDecided = current && (current.pending ? current.pending.action !== "undo" : current.decision);
    const shown = isDecided ? current : null;
    const last = this.made.last((id) => (shown ? id === shown.id : this.byId.has(id)));
    const item = shown ?? this.byId.get(last?.id);
    if (!item) return this.say("There is nothing to undo.");
    const rows = this.made.takenBack(item, last, shown !== null);
    if (rows) this.send(item, { action: "undo", ...rows });
    else this.say(`${visible(item.name)}: it was decided so before; that decision stays.`);
    this.made.forget(last);
    const note = by("note").value; // for the next decision, also where that is about another image
    this.goTo(item.id);
    by("note").value = note;
  }

  refresh(item) {
    this.changed.add(item);
    this.list.refresh(this.order.indexOf(item));
    if (item === this.current) this.redraw();
  }

  say(words) {
    by("last").textContent = words;
  }

  /** Show again what could not be loaded. */
  fillGaps() {
    const item = this.current;
    if (item && (this.lacksEvidence || !this.stage.isThere(item, false))) this.show(item);
  }

  /** Run something that asks the server, and say it when that fails. */
  async attempt(work) {
    try {
      await work();
    } catch (error) {
      view.drawTrouble(troubleWords(error), {
        "Try again": () => {
          view.drawTrouble(null);
          this.attempt(work);
        },
      });
    }
  }
}

const review = new Review();
prepareDialogs();
listenForKeys(review, isOpen);
// Other fragments, such as that of the link to the image, name nothing.
addEventListener("hashchange", () => {
  if (!new URLSearchParams(location.hash.slice(1)).has("id")) return;
  closeWindows(); // what was chosen in one would be for the other image
  review.attempt(() => review.openAddress());
});
addEventListener("beforeunload", (event) => review.link.hasUnsaved && event.preventDefault());
review.attempt(() => review.start());
