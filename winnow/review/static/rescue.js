// Decisions that no server took, as rows of overrides.csv or checked.csv.

import { TITLES } from "./view.js";

const COLUMNS = ["sample", "action", "label", "by", "note", "time", "hash"];
const quote = (value) => (/[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);

/** The file's text: the header, then a row a decision in the order in which they were made. */
export function asRows(entries) {
  const rows = entries.map((entry) =>
    COLUMNS.map((column) => quote(String((column === "sample" ? (entry.sample ?? entry.id) : entry[column]) ?? ""))),
  );
  return [COLUMNS, ...rows].map((row) => `${row.join(",")}\n`).join("");
}

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
