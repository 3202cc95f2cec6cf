// The parts of the page that show an item, the queue and the state. They draw what they are given and decide nothing.

import { thumbnailAddress } from "./api.js";
import { count, make, MARKS, named, percent, spoken, swap, tail, visible } from "./text.js";

const by = (id) => document.getElementById(id);

/** What the two plain decisions are called: label book and test images are checked, not changed. */
const WORDS = {
  refine: { keep: "Keep", drop: "Drop", question: "What should become of it?" },
  other: { keep: "Right", drop: "Unusable", question: "Is the label right?" },
};
export const wordsOf = (task) => WORDS[task] ?? WORDS.other;

/** Whether an image is of a task that checks labels and changes no data. */
export const isChecked = (item) => item.split === "label_book" || item.split === "test";

/** A symbol and a word for an item's decision. */
function decisionMark(item) {
  if (item.pending) return make("span", { class: "mark wait" }, "… saving");
  if (item.stale) return make("span", { class: "mark stale" }, "! changed");
  if (!item.decision) return null;
  const { action } = item.decision;
  const word = action === "relabel" ? visible(item.decision.label) : spoken(item.decision, isChecked(item));
  return make("span", { class: `mark ${action}` }, `${MARKS[action]} ${word}`);
}

/** One row of the queue. The picture comes later, when the list rests. */
export function fillRow(row, item, neighbours) {
  const twins = item.group !== null && neighbours.some((other) => other?.group === item.group);
  row.classList.toggle("twin", twins);
  const lines = make(
    "span",
    { class: "lines" },
    make("span", { class: "file" }, tail(item.name)),
    make(
      "span",
      { class: "fine" },
      visible(item.given),
      item.label === item.given ? "" : ` → ${item.label === null ? "dropped" : visible(item.label)}`,
    ),
  );
  const old = row.querySelector("img");
  row.replaceChildren(old ?? make("span", { class: "blank" }), lines);
  const mark = decisionMark(item);
  if (mark) row.append(mark);
}

export function rowPicture(row, item) {
  const blank = row.querySelector(".blank");
  if (blank)
    blank.replaceWith(
      make("img", { alt: "", width: 40, height: 40, fetchpriority: "low", src: thumbnailAddress(item.id) }),
    );
}

export const TITLES = { refine: "Refine", label_book: "Label book", test: "Test sample" }; // short enough for a tab

/** Tabs of the tasks. */
export function drawTasks(tasks, current, open) {
  swap(
    by("tasks"),
    tasks.map((task) => {
      const button = make(
        "button",
        { "aria-current": task.name === current ? "true" : false, "data-task": task.name, title: visible(task.title) },
        TITLES[task.name] ?? visible(task.title),
        " ",
        make("span", { class: "fine" }, `${task.decided.toLocaleString("en")} of ${task.items.toLocaleString("en")}`),
      );
      button.addEventListener("click", () => open(task.name));
      return button;
    }),
  );
}

/** The three likeliest labels, a key each. */
export function drawLabels(item, choose) {
  swap(
    by("labels"),
    item.likely.slice(0, 3).map((one, index) => {
      const notes = [
        one.label === item.given ? "delivered" : null,
        one.label === item.label && item.label !== item.given ? "now" : null,
      ].filter(Boolean);
      const fill = make("span", { class: "fill" });
      fill.style.width = `${Math.round(100 * (one.probability ?? 0))}%`;
      const button = make(
        "button",
        { class: "label", "aria-keyshortcuts": String(index + 1) },
        make("kbd", {}, String(index + 1)),
        named(one.label, { class: "word" }),
        notes.length ? make("span", { class: "tag" }, notes.join(", ")) : "",
        make("span", { class: "share" }, percent(one.probability)),
        make("span", { class: "track", "aria-hidden": "true" }, fill),
      );
      if (isChosen(item, one.label)) button.setAttribute("aria-pressed", "true");
      button.addEventListener("click", () => choose(one.label));
      return button;
    }),
  );
}

const effective = (item) => item.pending ?? (item.stale ? null : item.decision);

function isChosen(item, label) {
  const decision = effective(item);
  return decision?.action === "relabel" && decision.label === label;
}

/** Everything that says what the item is and what was decided of it. */
export function drawItem(item, place, total, task) {
  const words = wordsOf(task);
  by("name").replaceChildren(named(item.name));
  const reasons = task === "refine" ? [item.why, item.split] : [];
  by("where").textContent = [
    `${place + 1} of ${total.toLocaleString("en")}`,
    ...reasons,
    item.support === null ? null : `support ${item.support.toFixed(2)}`,
  ]
    .filter(Boolean)
    .map(visible)
    .join(" · ");
  drawFate(item, task);
  by("question").textContent = words.question;
  by("keep").querySelector(".word").textContent =
    task === "refine" ? `${words.keep} ${visible(item.given)}` : words.keep;
  by("drop").querySelector(".word").textContent = words.drop;
  const decision = effective(item);
  for (const action of ["keep", "drop", "relabel"])
    by(action).setAttribute("aria-pressed", String(decision?.action === action));
}

function drawFate(item, task) {
  const parts = ["Delivered as ", named(item.given, { class: "strong" })];
  if (task !== "refine") parts.push("");
  else if (item.label === null) parts.push(", now ", make("b", { class: "drop" }, "✕ dropped"));
  else if (item.label !== item.given) parts.push(", now ", make("b", { class: "relabel" }, "→ ", named(item.label)));
  else parts.push(", kept so far");
  const decision = effective(item);
  if (item.stale)
    parts.push(make("span", { class: "decided stale" }, "! The file changed since its decision. Decide again."));
  else if (decision && decision.action !== "undo") {
    const who = item.pending
      ? "being saved"
      : `by ${visible(decision.by || "unnamed")}${decision.time ? `, ${decision.time.slice(0, 10)}` : ""}`;
    parts.push(
      make(
        "span",
        { class: `decided ${decision.action}` },
        `${MARKS[decision.action]} Decided: ${spoken(decision, isChecked(item))} `,
        make("span", { class: "fine" }, who),
      ),
    );
  }
  by("fate").replaceChildren(...parts);
}

/** Nothing to show: an empty queue, or a filter that no image passes. */
export function drawNothing(words) {
  by("name").textContent = words;
  for (const id of ["where", "fate", "question"]) by(id).textContent = "";
  for (const id of ["labels", "evidence"]) by(id).replaceChildren();
  for (const frame of document.querySelectorAll("#stage .frame")) frame.replaceChildren();
  by("before").hidden = true;
}

/** Decided so far, and the faults that the pipeline left as the random sample estimates them. */
export function drawProgress(decided, total, task, estimate, unlisted = 0) {
  by("progress").max = Math.max(1, total);
  by("progress").value = decided;
  const listed = unlisted ? `, ${unlisted.toLocaleString("en")} more follow once these are: load the page again` : "";
  by("progress-text").textContent =
    `${decided.toLocaleString("en")} of ${total.toLocaleString("en")} decided${listed}`;
  const what = task === "refine" ? "Faults that the pipeline left" : "Wrong";
  const looked = `${estimate.sampled.toLocaleString("en")}${estimate.of ? ` of ${estimate.of.toLocaleString("en")}` : ""} ${task === "refine" ? "random images" : "images"} seen`;
  const more = (estimate.later ?? 0).toLocaleString("en");
  const later = estimate.later ? `; ${more} more count once those before are decided` : "";
  by("estimate").replaceChildren(...drawEstimate(estimate, what, looked + later));
}

/** An interval where a random sample gives it; of what is asked about in another order, counts until all is seen. */
function drawEstimate({ sampled, faults, share, low, high }, what, looked) {
  if (!sampled) return [`${what}: not known yet, ${looked}`];
  if (low !== null) {
    const interval = ` (95 % interval ${percent(low)} to ${percent(high)}); `;
    return [`${what}: `, make("b", {}, percent(share)), interval, looked];
  }
  const known = share === null ? "" : ` (${percent(share)} of all)`;
  return [`${what}: `, make("b", {}, faults.toLocaleString("en")), `${known}, ${looked}`];
}

/** What the server could not read of the run, and rows of people about images that are not here. */
export function drawGaps({ missing = [], unknown_rows: unknown = {}, replaced = [] }) {
  const lines = missing.map((name) => `${visible(name)} is not there; the queue does without it.`);
  for (const [file, rows] of Object.entries(unknown)) {
    if (rows) lines.push(`${visible(file)}: ${count(rows, "row")} about images that are not in this dataset.`);
  }
  if (replaced.length)
    lines.push(
      `Another program saved a file without rows that it had. The old file is kept: ${replaced.map(visible).join(", ")}`,
    );
  by("gaps").replaceChildren(...lines.map((line) => make("li", {}, line)));
}

/** How many decisions are on their way, or else how many the server did not take. */
export function drawSaved(waiting, inTrouble, refused) {
  const isBad = waiting ? inTrouble : refused > 0;
  by("saved").className = `saved ${isBad ? "bad" : waiting ? "wait" : ""}`;
  const words = waiting ? `${waiting} not saved` : refused ? `${refused} not taken` : "All saved";
  by("saved").textContent = `${isBad ? "!" : waiting ? "…" : "✓"} ${words}`;
}

let trouble = { shown: null, buttons: {} };

/** A message that stays until it is answered: `buttons` maps words to actions. Said again, it keeps the focus. */
export function drawTrouble(words, buttons = {}) {
  const box = by("trouble");
  const shown = words === null ? null : JSON.stringify([words, Object.keys(buttons)]);
  const isSame = shown === trouble.shown;
  trouble = { shown, buttons };
  if (isSame) return undefined;
  if (words === null) return box.replaceChildren();
  box.replaceChildren(
    make("p", {}, "! ", visible(words)),
    ...Object.keys(buttons).map((name) => {
      const button = make("button", {}, name);
      button.addEventListener("click", () => trouble.buttons[name]());
      return button;
    }),
  );
  return undefined;
}

/** The filter's choices: reasons with their counts. */
export function drawFilter(items, chosen) {
  const counts = new Map();
  for (const item of items) counts.set(item.why, (counts.get(item.why) ?? 0) + 1);
  const options = [
    ["", `all reasons (${items.length.toLocaleString("en")})`],
    ...[...counts].map(([why, n]) => [why, `${visible(why)} (${n.toLocaleString("en")})`]),
  ];
  const stale = items.filter((item) => item.stale).length;
  if (stale) options.push(["stale", `file changed (${stale.toLocaleString("en")})`]);
  by("filter").replaceChildren(
    ...options.map(([value, words]) => make("option", { value, selected: value === chosen }, words)),
  );
}
