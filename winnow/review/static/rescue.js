// Decisions that no server took, as rows of overrides.csv or checked.csv.

const COLUMNS = ["sample", "action", "label", "by", "note", "time", "hash"];
const quote = (value) => (/[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);

/** The file's text: the header, then a row a decision in the order in which they were made. */
export function asRows(entries) {
  const rows = entries.map((entry) =>
    COLUMNS.map((column) => quote(String((column === "sample" ? (entry.sample ?? entry.id) : entry[column]) ?? ""))),
  );
  return [COLUMNS, ...rows].map((row) => `${row.join(",")}\n`).join("");
}

/** Let the browser save those of a task. */
export function download(entries, task) {
  const link = document.createElement("a");
  const rows = asRows(entries.filter((entry) => entry.task === task));
  link.href = URL.createObjectURL(new Blob([rows], { type: "text/csv" }));
  link.download = `decisions-${task}.csv`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
