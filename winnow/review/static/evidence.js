// What speaks for and against a label: verdicts, neighbours, trusted images harmed, typical images, near-duplicates.

import { ask, thumbnailAddress } from "./api.js";
import { make, named, percent, spoken, MARKS, visible } from "./text.js";

const KEPT = 60;
const answers = new Map(); // id -> promise

/** The evidence of an image; asked for once, unless that failed. */
export function evidenceOf(id) {
  if (!answers.has(id)) {
    const promise = ask(`/api/evidence/${encodeURIComponent(id)}`);
    promise.catch(() => answers.delete(id));
    answers.set(id, promise);
    if (answers.size > KEPT) answers.delete(answers.keys().next().value);
  }
  return answers.get(id);
}

/** Ask again at the next look: another person decided, or the decisions were applied. */
export const forget = (id) => (id === undefined ? answers.clear() : answers.delete(id));

function thumbnail(id, label, words, peek) {
  const button = make("button", { class: "thumb", "aria-label": words });
  const picture = make("img", { alt: "", width: 64, height: 64, fetchpriority: "low", src: thumbnailAddress(id) });
  picture.addEventListener("error", () => picture.replaceWith(make("span", { class: "gone" }, "not kept")));
  button.append(picture, named(label));
  button.addEventListener("click", () => peek(id, words));
  return make("li", {}, button);
}

function pictures(title, note, thumbs) {
  return make(
    "section",
    { class: "pictures" },
    make("h3", {}, title),
    note ? make("p", { class: "fine" }, note) : null,
    make("ul", { class: "thumbs" }, ...thumbs),
  );
}

function verdictLine(verdict) {
  const decision = { action: verdict.action, label: verdict.label };
  return make(
    "li",
    { class: verdict.action },
    make(
      "p",
      {},
      make("span", { class: "mark", "aria-hidden": "true" }, `${MARKS[verdict.action] ?? "·"} `),
      make("b", {}, spoken(decision) ?? visible(verdict.action)),
      make("span", { class: "fine" }, ` ${visible(verdict.where)}, by ${visible(verdict.by)}`),
    ),
    verdict.reason ? make("p", { class: "reason" }, visible(verdict.reason)) : null,
  );
}

/** Typical images of the label now and of the likely ones, the likeliest first. */
function typicalOf(item, evidence, peek) {
  const order = [...new Set([item.label, item.given, ...item.likely.map((one) => one.label)])];
  return order
    .filter((label) => label !== null && Object.hasOwn(evidence.typical, label) && evidence.typical[label].length)
    .map((label) =>
      pictures(
        `Typical of ${visible(label)}`,
        null,
        evidence.typical[label].map((id) => thumbnail(id, label, `typical image of ${visible(label)}`, peek)),
      ),
    );
}

/** Fill the box with the evidence of an item; twins: the other items of its near-duplicate group; peek(id, words). */
export function showEvidence(box, item, evidence, twins, peek) {
  const parts = [];
  if (twins.length) {
    parts.push(
      pictures(
        "Near-duplicates",
        null,
        twins.map((twin) =>
          thumbnail(
            twin.id,
            twin.label ?? "dropped",
            `near-duplicate ${visible(twin.name)}, delivered as ${visible(twin.given)}`,
            peek,
          ),
        ),
      ),
    );
  }
  if (evidence.verdicts.length) {
    parts.push(
      make(
        "section",
        {},
        make("h3", {}, "Verdicts so far"),
        make("ol", { class: "verdicts" }, ...evidence.verdicts.map(verdictLine)),
      ),
    );
  }
  if (evidence.neighbours.length) {
    parts.push(
      pictures(
        "Nearest neighbours",
        null,
        evidence.neighbours.map((near) =>
          thumbnail(
            near.id,
            near.label ?? "dropped",
            `neighbour, ${near.label === null ? "dropped" : `labelled ${visible(near.label)}`}, similarity ${percent(near.similarity)}`,
            peek,
          ),
        ),
      ),
    );
  }
  if (evidence.harmed.length) {
    parts.push(
      pictures(
        "Trusted images that it harms",
        "With it in training, these come out worse.",
        evidence.harmed.map((one) =>
          thumbnail(one.id, one.label, `trusted image, labelled ${visible(one.label)}`, peek),
        ),
      ),
    );
  }
  box.replaceChildren(...parts, ...typicalOf(item, evidence, peek));
  box.scrollTop = 0;
}
