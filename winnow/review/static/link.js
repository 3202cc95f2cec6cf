// What goes between the page and the server: decisions out, what others decided in, and words for what fails.

import { ask, Refused } from "./api.js";
import { forget } from "./evidence.js";
import { NO_ROW, timeOf } from "./made.js";
import { Outbox } from "./outbox.js";
import { Refusals } from "./refusals.js";
import { downloads } from "./rescue.js";
import { hasAny } from "./stored.js";
import { count, MARKS, spoken, visible } from "./text.js";
import * as view from "./view.js";

const POLL = 2000; // milliseconds between looks at what others decided

/** A sentence for a request that failed while so many decisions wait. */
export function troubleWords(error, waiting = 0) {
  if (!(error instanceof Refused)) {
    return "The server does not answer. Is winnow review still running? The page tries again by itself.";
  }
  if (error.status !== 401 && error.status !== 403) return error.message;
  return (
    "The server refuses the address of this page; it was probably started anew. " +
    (waiting ? "Download the decisions, and then open" : "Open") +
    " the address that it printed in this tab."
  );
}

export class Link {
  inTrouble = false;
  #repository = null;
  #review;
  #since = null;
  #polling = false;
  #resting = []; // what waits until every decision was answered
  #touched = new Set(); // ids answered since the last look at the changes began

  constructor(review, refused) {
    this.#review = review;
    this.refusals = new Refusals(refused, () => this.changed());
    const send = ({ task, id, action, label, note, taken, restored, former, waited }) =>
      ask("/api/decisions", { task, id, action, label, note, taken, restored, ...(waited ? { former } : {}) });
    this.outbox = new Outbox(send, {
      change: () => this.changed(),
      saved: (entry, answer) => this.saved(entry, answer),
      refused: (entry, error) => this.refused(entry, error),
      trouble: (error) => this.trouble(error),
    });
  }

  changed() {
    this.drawSaved();
    if (!this.waiting) for (const go of this.#resting.splice(0)) go();
  }

  drawSaved() {
    view.drawSaved(this.waiting, this.inTrouble, this.refusals.entries.length);
  }

  /** Until every decision was answered, but no longer than `most` milliseconds: the decision goes first. */
  rest(most) {
    if (!this.waiting) return Promise.resolve();
    return new Promise((go) => {
      this.#resting.push(go);
      setTimeout(go, most);
    });
  }

  /** How many decisions were not answered yet. */
  get waiting() {
    return this.outbox.entries.length;
  }

  /** Whether this tab has decisions that no file has. */
  get hasUnsaved() {
    if (this.#repository === null) return hasAny("outbox") || hasAny("refused");
    return this.waiting + this.refusals.entries.length > 0;
  }

  /** Take up what this tab kept of a repository. */
  load(repository) {
    if (repository === this.#repository) return;
    this.#repository = repository;
    this.#review.made.load(repository);
    this.refusals.load(repository);
    this.outbox.load(repository);
  }

  /** Send what an earlier visit left, and look from now on at what others decide. */
  start() {
    this.#since ??= this.#review.state.since;
    this.outbox.retry();
    setInterval(() => document.hidden || this.poll(), POLL);
    document.addEventListener("visibilitychange", () => document.hidden || this.poll());
  }

  saved(entry, answer) {
    const item = this.#review.byId.get(entry.id);
    this.#touched.add(entry.id);
    const task = this.#review.state.tasks.find((one) => one.name === entry.task);
    Object.assign(task, { decided: answer.decided, estimate: answer.estimate });
    this.answered(entry, timeOf(answer.decision));
    if (item) {
      const [stale, seen] = [answer.stale ?? false, answer.seen ?? null];
      const isOther = item.stale !== stale || (item.seen ?? null) !== seen;
      Object.assign(item, { decision: answer.decision, stale, seen });
      this.settle(item);
      if (isOther && item === this.#review.current) this.#review.show(item); // one picture again, not both
    } else this.#review.drawCounts();
    if (this.waiting) return;
    this.#review.say(
      `${MARKS[entry.action]} ${visible(entry.name)}: ${spoken(entry, entry.task !== "refine")}, saved.`,
    );
  }

  refused(entry, error) {
    const item = this.#review.byId.get(entry.id);
    this.answered(entry, entry.former ?? NO_ROW, true);
    this.#since = "0"; // what was decided elsewhere while this one waited was passed over
    if (item) this.settle(item);
    if (!entry.takenKey || entry.taken !== NO_ROW) this.refusals.add(entry, error.message);
    this.#review.say(`${visible(entry.name)}: not taken.`);
  }

  /** Let those that wait name the row that counts once an entry was answered. */
  answered(entry, time, isRefused = false) {
    this.#review.made.answered(entry, time, this.outbox.entries, isRefused);
    this.outbox.keep();
    if (entry.taken === NO_ROW) this.refusals.remove(entry.takenKey); // refused, and taken back by the person
  }

  settle(item) {
    item.pending = this.outbox.waiting(item.id);
    forget(item.id);
    this.#review.refresh(item);
    this.#review.drawCounts();
  }

  /** Say why decisions wait, or, with null, that nothing is wrong any more. */
  trouble(error) {
    this.inTrouble = error !== null;
    this.drawSaved();
    if (!error) {
      view.drawTrouble(null);
      this.#since = "0"; // another server counts anew
      this.#review.fillGaps();
      return undefined;
    }
    const waiting = this.waiting;
    const left = waiting ? ` ${count(waiting, "decision")} not saved yet.` : "";
    const words = troubleWords(error, waiting);
    const again = { "Try again now": () => (waiting ? this.outbox.retry() : this.poll()) };
    return view.drawTrouble(words + left, { ...again, ...downloads(this.outbox.entries, "Download them") });
  }

  async poll() {
    if (this.#polling) return;
    this.#polling = true;
    this.#touched.clear();
    try {
      const since = this.#since;
      const told = await ask(`/api/changes?since=${encodeURIComponent(since)}`);
      this.hear(told.decisions, told.stale ?? {});
      if (!this.#touched.size && !this.waiting) {
        if (this.#since === since) this.#since = told.since; // else it was set anew meanwhile
        this.#review.takeCounts(told.tasks ?? {});
      } // else these counts may not fit what the list shows: the next look tells them again
      if (!this.waiting && this.inTrouble) this.trouble(null);
    } catch (error) {
      if (!this.waiting) this.trouble(error);
    }
    this.#polling = false;
  }

  /** Take over what another tab, person or editor decided; of stale ones `stale` has the picture seen then, or null. */
  hear(decisions, stale) {
    for (const [id, decision] of Object.entries(decisions)) {
      const item = this.#review.byId.get(id);
      if (!item || item.pending || this.#touched.has(id)) continue;
      if (["time", "action", "label"].every((key) => item.decision?.[key] === decision?.[key])) continue;
      const isStale = Object.hasOwn(stale, id);
      const isOther = item.stale !== isStale || item.seen !== (stale[id] ?? null);
      Object.assign(item, { decision, stale: isStale, seen: stale[id] ?? null });
      this.settle(item);
      if (item !== this.#review.current) continue;
      if (isOther) this.#review.show(item); // both pictures, or one again
      const who = visible(decision?.by || "Somebody");
      if (!decision) this.#review.say("The decision was just undone elsewhere.");
      else this.#review.say(`${MARKS[decision.action]} ${who} decided just now: ${spoken(decision)}.`);
    }
  }
}
