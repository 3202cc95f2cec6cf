// Decisions of this tab, so that each can be taken back: its own row and no other that somebody made since.

import { Stored } from "./stored.js";

export const NO_ROW = "none"; // in place of the time of a row, where none counts or it was never written

/** The time by which the row of a decision is meant. */
export const timeOf = (decision) => (decision ? (decision.time ?? "") : NO_ROW);

/** What a download says of a row, of the picture with this hash. */
const cells = ({ action, label, by, note }, hash) => ({ action, label, by, note, hash: hash ?? "" });

export class Made {
  #made = []; // { key, id, time, former: { time or key, row } }, the last at the end
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
  former({ pending, decision, stale, seen, hash }) {
    if (!pending) return decision && { time: timeOf(decision), row: cells(decision, stale ? seen : hash) };
    if (pending.action !== "undo") return { key: pending.key, row: cells(pending, hash) };
    const row = pending.restoredRow;
    if (typeof pending.restored === "string") return { time: pending.restored, row };
    return pending.restoredKey ? { key: pending.restoredKey, row } : null;
  }

  /**
   * What an undo tells the server: the row that it takes back, and the one which that had overwritten. Null: a decision
   * that said what counted already has no row of its own.
   */
  takenBack(item, last, isShown) {
    const isLast = last && (!isShown || item.pending || last.time === timeOf(item.decision));
    if (!isLast) return { taken: timeOf(item.decision) };
    if (last.time !== null && last.time === last.former?.time) return null;
    return {
      ...(last.time === null ? { taken: NO_ROW, takenKey: last.key } : { taken: last.time }),
      ...(last.former?.key ? { restoredKey: last.former.key } : { restored: last.former?.time ?? null }),
      restoredRow: last.former?.row, // for a download: the server has it
    };
  }

  /**
   * The server answered an entry: from now on the row with this time counts, or none (NO_ROW). After a refusal that is
   * the row of before. Entries that wait, and later undos, name it by its time.
   */
  answered(entry, time, waiting, isRefused = false) {
    const isRow = time !== NO_ROW;
    const isRestored = entry.action === "undo" && isRow && !isRefused && typeof entry.restored === "string";
    if (isRefused) this.#made = this.#made.filter((one) => one.key !== entry.key);
    for (const one of this.#made) {
      if (one.key === entry.key) one.time = time;
      if (one.former?.key === entry.key) one.former = isRow ? { time, row: isRefused ? null : one.former.row } : null;
      if (!isRestored || one.id !== entry.id) continue;
      if (one.time === entry.restored) one.time = time; // its row was written anew
      if (one.former?.time === entry.restored) one.former.time = time;
    }
    for (const one of waiting) {
      if (one.takenKey === entry.key) one.taken = isRefused ? NO_ROW : time;
      if (one.restoredKey !== entry.key) continue;
      one.restored = isRow ? time : null;
      if (isRefused) delete one.restoredRow;
      delete one.restoredKey;
    }
    const next = waiting.find((one) => one.id === entry.id);
    if (next) next.former = time;
    this.#keep();
  }
}
