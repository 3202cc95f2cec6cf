// Decisions of this tab, so that each can be taken back: its own row and no other that somebody made since.

import { Stored } from "./stored.js";

const NO_ROW = "none"; // in place of the time of a row that was never written

export class Made {
  #made = []; // { key, id, time, former }, the last at the end
  #store = null;

  load(repository) {
    this.#store = new Stored("made", repository);
    this.#made = this.#store.read();
  }

  #keep() {
    this.#store.write(this.#made);
  }

  /** A decision was sent; former: the row that counted before it. */
  add(key, id, former) {
    this.#made.push({ key, id, time: null, former });
    this.#keep();
  }

  /** The last decision about one of the images. */
  last(isMeant) {
    return this.#made.findLast((one) => isMeant(one.id));
  }

  forget(one) {
    this.#made = this.#made.filter((other) => other !== one);
    this.#keep();
  }

  /** The row that counts of an item: by its time, or by the key of what is on its way; null: none. */
  former(item) {
    if (item.pending) return item.pending.action === "undo" ? null : { key: item.pending.key };
    return item.decision && { time: item.decision.time ?? "" };
  }

  /** What an undo tells the server: the row that it takes back, and the one which that had overwritten. */
  takenBack(item, last, isShown) {
    const isLast = last && (!isShown || item.pending || last.time === (item.decision?.time ?? ""));
    if (!isLast) return { taken: item.decision?.time ?? "" };
    return {
      ...(last.time === null ? { taken: NO_ROW, takenKey: last.key } : { taken: last.time }),
      ...(last.former?.key ? { restoredKey: last.former.key } : { restored: last.former?.time ?? null }),
    };
  }

  /** The server answered: the row that counts has a time, by which those that wait mean it; null: it was refused. */
  answered(entry, decision, waiting) {
    const time = decision && (decision.time ?? "");
    const isRestored = entry.action === "undo" && time !== null && typeof entry.restored === "string";
    for (const one of this.#made) {
      if (one.key === entry.key) one.time = time;
      if (one.former?.key === entry.key) one.former = decision && { time };
      if (!isRestored || one.id !== entry.id) continue;
      if (one.time === entry.restored) one.time = time; // its row was written anew
      if (one.former?.time === entry.restored) one.former = { time };
    }
    for (const one of waiting) {
      if (one.takenKey === entry.key) one.taken = time ?? NO_ROW;
      if (one.restoredKey === entry.key) one.restored = time;
    }
    if (decision === null) this.#made = this.#made.filter((one) => one.key !== entry.key);
    this.#keep();
  }
}
