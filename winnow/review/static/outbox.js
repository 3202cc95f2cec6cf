// Decisions on their way to the server: sent one after the other, kept until each was answered.

import { Refused } from "./api.js";
import { timeOf } from "./made.js";
import { Stored } from "./stored.js";

const WAITS = [500, 1000, 2000, 4000]; // milliseconds before the next attempt; the last one repeats

/** Statuses that say nothing against the decision: the page's address is refused, or overrides.csv cannot be read now. */
const PASSING = new Set([401, 403, 409]);
const isFinal = (error) => error instanceof Refused && error.status < 500 && !PASSING.has(error.status);

/** What is sent and kept of a decision or an undo of an item; `told`: what the person decided, by whom, of which task. */
export const makeEntry = (item, told) => ({
  key: `${Date.now()} ${Math.random()}`,
  id: item.id,
  name: item.name,
  sample: item.sample ?? item.name, // as rows call it
  hash: item.hash,
  label: null,
  note: "",
  time: new Date().toISOString(),
  former: timeOf(item.decision), // the row that it overwrites; behind others that wait, what those leave
  ...told,
});

export class Outbox {
  #send;
  #on;
  #attempts = 0;
  #running = false;
  #store = null;
  #timer = null;
  entries = [];

  /**
   * send: posts an entry and returns the answer.
   * on: { change(), saved(entry, answer), refused(entry, error), trouble(error | null) }
   */
  constructor(send, on) {
    this.#send = send;
    this.#on = on;
  }

  /** Take up what an earlier visit to this repository left. */
  load(repository) {
    this.#store = new Stored("outbox", repository);
    this.entries = this.#store.read();
    this.#markWaited();
  }

  /** Queue an entry behind those that wait. */
  add(entry) {
    entry.waited = this.#attempts > 0;
    this.entries.push(entry);
    this.keep();
    this.#pump();
  }

  /** The last entry that waits for an image. */
  waiting(id) {
    return this.entries.findLast((entry) => entry.id === id);
  }

  /** Try again now. */
  retry() {
    clearTimeout(this.#timer);
    this.#timer = null;
    this.#pump();
  }

  /** Store the entries as they are now. */
  keep() {
    this.#store.write(this.entries);
    this.#on.change();
  }

  /** Somebody may decide on these before they are sent, whom the person could not know of. */
  #markWaited() {
    for (const entry of this.entries) entry.waited = true;
    this.keep();
  }

  async #pump() {
    if (this.#running || this.#timer !== null) return;
    this.#running = true;
    while (this.entries.length) {
      const [entry] = this.entries;
      const [answer, error] = await this.#attempt(entry);
      if (error && !isFinal(error)) {
        this.#later(error);
        break;
      }
      this.entries.shift();
      this.keep();
      this.#recovered();
      if (error) this.#on.refused(entry, error);
      else this.#on.saved(entry, answer);
    }
    this.#running = false;
  }

  async #attempt(entry) {
    try {
      return [await this.#send(entry), null];
    } catch (error) {
      return [null, error];
    }
  }

  #recovered() {
    if (this.#attempts) this.#on.trouble(null);
    this.#attempts = 0;
  }

  #later(error) {
    const wait = WAITS[Math.min(this.#attempts, WAITS.length - 1)];
    this.#attempts += 1;
    this.#timer = setTimeout(() => this.retry(), wait);
    this.#markWaited();
    this.#on.trouble(error);
  }
}
