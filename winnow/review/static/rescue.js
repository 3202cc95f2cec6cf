// Decisions that no server took, as rows of overrides.csv or checked.csv.

import { TITLES } from "./view.js";

const COLUMNS = ["sample", "action", "label", "by", "note", "time", "hash"];
const TEXTS = new Set(["sample", "label", "by", "note"]);
// As winnow/pipeline/spreadsheet.py has them.
const FORMULA = /^[=+\-@＝＋－＠'\x00-\x1f\x7f]/;
const NUMBER = /^[+-]?[0-9]+(\.[0-9]+)?$/;

/** The cell as text in any spreadsheet. */
const disarmed = (cell) => (FORMULA.test(cell) && !NUMBER.test(cell) ? `'${cell}` : cell);
const quote = (cell) => (/[",\r\n]|^\s|\s$/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell);

/** Without decisions that were taken back before they were sent: what counted before them still does. */
function withoutPairs(entries) {
  const undos = entries.filter((entry) => entry.takenKey);
  const keys = new Set(entries.map((entry) => entry.key));
  const takenBack = new Set(undos.map((undo) => undo.takenKey).filter((key) => keys.has(key)));
  return entries.filter((entry) => !takenBack.has(entry.key) && !takenBack.has(entry.takenKey));
}

/** A row: an undo that brings an earlier decision back is that decision anew, as the server writes it. */
function asRow(entry) {
  const row = { ...entry, sample: entry.sample ?? entry.id, ...entry.restoredRow };
  return COLUMNS.map((column) => {
    const cell = String(row[column] ?? "");
    return quote(TEXTS.has(column) ? disarmed(cell) : cell);
  });
}

/** The file's text: the header, then a row a decision in the order in which they were made. */
export const asRows = (entries) =>
  [COLUMNS, ...withoutPairs(entries).map(asRow)].map((row) => `${row.join(",")}\n`).join("");

/** An action for each task that has entries, by the words of its button: training images and checks have two files. */
export function downloads(entries, words) {
  const tasks = [...new Set(entries.map((entry) => entry.task))];
  const name = (task) => (tasks.length === 1 ? words : `${words}: ${TITLES[task] ?? task}`);
  return Object.fromEntries(tasks.map((task) => [name(task), () => download(entries, task)]));
}

/** Let the browser save those of a task. */
function download(entries, task) {
  const link = document.createElement("a");
  const rows = asRows(entries.filter((entry) => entry.task === task));
  link.href = URL.createObjectURL(new Blob([rows], { type: "text/csv" }));
  link.download = `decisions-${task}.csv`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
