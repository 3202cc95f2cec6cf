// Words and elements. All text from data reaches the page as text nodes, never as markup.

/** Control characters, and those that turn or hide text, written out; nothing else changes. */
export const visible = (text) =>
  String(text).replace(/[\p{C}\p{Z}]/gu, (letter) =>
    letter === " " ? letter : `\\u${letter.codePointAt(0).toString(16).padStart(4, "0")}`,
  );

/** An element with attributes and children; text becomes text nodes. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(key, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** Put other children into an element; the one at the place of the one that had the focus gets it. */
export function swap(box, children) {
  const place = [...box.children].indexOf(document.activeElement);
  box.replaceChildren(...children);
  if (place >= 0) box.children[place]?.focus();
}

/** A name from the data: isolated, so that its direction changes nothing around it. */
export const named = (text, attributes = {}) => make("bdi", attributes, visible(text));

export const percent = (share) =>
  share === null || share === undefined ? "–" : `${(100 * share).toFixed(share > 0 && share < 0.1 ? 1 : 0)} %`;

export const count = (n, word) => `${n.toLocaleString("en")} ${word}${n === 1 ? "" : "s"}`;

/** The last part of a path. */
export const tail = (name) => visible(name).split("/").pop();

/** What a decision did, in words: `dropped`, `kept`, `relabelled vi`; of an image that is only checked: `right`. */
export function spoken(decision, isChecked = false) {
  if (decision.action === "relabel") return `${isChecked ? "should be" : "relabelled"} ${visible(decision.label)}`;
  const words = isChecked ? { keep: "right", drop: "unusable" } : { keep: "kept", drop: "dropped" };
  return words[decision.action] ?? "undone";
}

export const MARKS = { keep: "✓", drop: "✕", relabel: "→", undo: "↶" };
