// Keys and buttons. Every action has both.

const SWITCH = "winnow-review-keys"; // single keys on or off, of this browser
const by = (id) => document.getElementById(id);
// A field of a window just closed has the focus until the browser draws again: keys are for the page by then.
const isField = (element) =>
  element.matches("input:not([type=checkbox]), select, textarea") && element.checkVisibility();

/** Actions by name; the buttons of the page have the same ids. */
function actionsOf(review) {
  return {
    keep: () => review.decide("keep"),
    drop: () => review.decide("drop"),
    relabel: () =>
      review.current &&
      review.chooser.open(
        review.state.classes,
        review.current.likely.map((one) => one.label),
        (label) => review.relabel(label),
      ),
    skip: () => review.step(1),
    back: () => review.step(-1),
    undo: () => review.undo(),
    zoom: () => review.stage.zoom(),
    note: () => by("note").focus(),
    filter: () => by("filter").focus(),
    "help-open": () => by("help").showModal(),
  };
}

const KEYS = {
  k: "keep",
  d: "drop",
  x: "drop",
  r: "relabel",
  s: "skip",
  ArrowRight: "skip",
  ArrowLeft: "back",
  u: "undo",
  z: "zoom",
  n: "note",
  f: "filter",
  "?": "help-open",
};
const REPEATING = new Set(["skip", "back"]); // a key held down moves on, and decides nothing

export function listenForKeys(review, isOpen) {
  const actions = actionsOf(review);
  for (const id of ["keep", "drop", "relabel", "skip", "back", "undo", "help-open"])
    by(id).addEventListener("click", actions[id]);
  by("keys-on").checked = localStorage.getItem(SWITCH) !== "off";
  by("keys-on").addEventListener("change", () => localStorage.setItem(SWITCH, by("keys-on").checked ? "on" : "off"));
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing || isOpen()) return;
    if (isField(event.target)) return leaveField(event);
    const name = actionOf(event);
    if (name === undefined || (event.repeat && !REPEATING.has(name))) return;
    event.preventDefault();
    if (typeof name === "number") {
      const one = review.current?.likely[name];
      if (one) review.relabel(one.label);
    } else actions[name]();
  });
  for (const id of ["filter", "open-only"]) by(id).addEventListener("change", () => review.filter());
  giveKeysBack(by("filter"));
  prepareQueue();
}

/** The name of an action, the place of a label, or undefined. */
function actionOf(event) {
  const letter = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (event.ctrlKey || event.metaKey) return letter === "z" && !event.shiftKey ? "undo" : undefined;
  if (event.altKey || !by("keys-on").checked) return undefined;
  if ("123".includes(letter) && letter.length === 1) return Number(letter) - 1;
  const isScrolling = event.target.closest(".zoomed .frame, pre") && letter.startsWith("Arrow");
  return isScrolling ? undefined : KEYS[letter];
}

/** Chosen with the mouse, the filter leaves the next key to the page; with the keys, Escape or Enter does. */
function giveKeysBack(filter) {
  let isPointed = false;
  filter.addEventListener("pointerdown", () => {
    isPointed = true;
  });
  filter.addEventListener("keydown", () => {
    isPointed = false;
  });
  filter.addEventListener("change", () => isPointed && filter.blur());
}

/** Escape, and Enter in the note, give the keys back to the page. */
function leaveField(event) {
  if (event.key === "Escape" || (event.key === "Enter" && event.target.id === "note")) event.target.blur();
}

/** On a narrow screen the queue is opened and closed by buttons. */
function prepareQueue() {
  const show = (on) => {
    by("queue").classList.toggle("open", on);
    by("queue-open").setAttribute("aria-expanded", String(on));
    (on ? by("list") : by("queue-open")).focus();
  };
  by("queue-open").addEventListener("click", () => show(!by("queue").classList.contains("open")));
  by("queue-close").addEventListener("click", () => show(false));
  by("list").addEventListener("click", () => by("queue").classList.contains("open") && show(false));
  by("queue").addEventListener("keydown", (event) => {
    if (event.key === "Escape" && by("queue").classList.contains("open")) show(false);
  });
}
