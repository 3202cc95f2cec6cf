// Filters, sorting, links and decisions of the report. Nothing is fetched, and every text enters the page as text.
"use strict";
(() => {
  const element = (id) => document.getElementById(id);
  const data = JSON.parse(element("data").textContent);
  const make = (tag, text, attributes = {}) => {
    const made = document.createElement(tag);
    made.textContent = text;
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  };
  // As the page shows names: what is invisible, or would turn the line around, is written out.
  const visible = (text) =>
    text.replace(/\p{C}|(?! )\p{Z}/gu, (one) => `\\u${one.codePointAt(0).toString(16).padStart(4, "0")}`);
  const searched = (text) => text.normalize("NFC").toLowerCase();

  const images = data.images.map(([id, name, given, hash]) => ({ id, name, given, hash, groups: [] }));
  const nodes = document.querySelectorAll(".card");
  const cards = data.cards.map(([place, stage, action, before, after, support], number) => {
    const image = images[place], node = nodes[number], reason = node.querySelector(".reason").textContent;
    const words = searched([image.name, image.id, reason].join("\n"));
    return { image, node, stage, action, before, after, support, words, home: node.parentNode };
  });

  // --- the decisions that this browser keeps, by image; where it may keep none, as in a sandbox, the page does --------

  const KEY = `winnow decisions ${data.source}`, SIGNED = "winnow name", inPage = new Map();
  let lasting = true;
  const load = (key) => {
    try {
      if (lasting) return localStorage.getItem(key);
    } catch {
      lasting = false;
    }
    return inPage.get(key) ?? null;
  };
  const keep = (key, value) => {
    inPage.set(key, value);
    try {
      if (lasting) localStorage.setItem(key, value);
    } catch {
      lasting = false;
    }
  };
  const isRow = (row) =>
    ["name", "action", "label", "by", "time", "hash"].every((key) => typeof row?.[key] === "string") &&
    !Number.isNaN(micros(row.time));
  const read = () => {
    try {
      return new Map(Object.entries(JSON.parse(load(KEY) ?? "{}")).filter(([, row]) => isRow(row)));
    } catch {
      return new Map();
    }
  };
  const write = (rows) => keep(KEY, JSON.stringify(Object.fromEntries(rows)));

  // ISO 8601 in UTC with microseconds. Of two rows about an image the later one counts, so that no two are equal.
  const micros = (time) => Date.parse(time) * 1000 + Number(time.slice(23, 26));
  const later = (rows) => {
    const now = Math.max(Date.now() * 1000, ...[...rows.values()].map((row) => micros(row.time) + 1));
    return new Date(Math.floor(now / 1000)).toISOString().slice(0, 23) + `${now % 1000}`.padStart(3, "0") + "Z";
  };
  // `sent`: this row is in a file that was downloaded; `told`: a row about the image is, so that undo takes a row.
  const record = (rows, image, action, label) => {
    const { id, name, hash } = image, told = rows.get(id)?.told === true;
    if (action === "undo" && !told) rows.delete(id);
    else rows.set(id, { name, action, label, by: "", time: later(rows), hash, sent: false, told });
  };
  const decide = (image, action, label = "") => {
    const rows = read();
    record(rows, image, action, label);
    write(rows);
    show();
  };

  // --- controls of a card --------------------------------------------------------------------------------------------

  const addControls = ({ image, node, after }) => {
    const group = make("div", "", { class: "decide", role: "group", "aria-label": `Decision on ${visible(image.name)}` });
    const button = (text, action) => {
      const made = make("button", text, { type: "button", "data-action": action });
      made.addEventListener("click", () => decide(image, action));
      group.append(made);
    };
    button(`keep ${visible(image.given)}`, "keep");
    button("drop", "drop");
    const select = make("select", "", { "aria-label": "Relabel" });
    select.append(make("option", "relabel …", { value: "" }));
    const fill = () => { // on the first use: a page may have many cards and many classes
      if (select.length > 1) return;
      const others = data.classes.filter((label) => label !== image.given);
      others.sort((one, other) => (other === after) - (one === after));
      select.append(...others.map((label) => make("option", visible(label), { value: data.classes.indexOf(label) })));
    };
    for (const kind of ["pointerdown", "focus"]) select.addEventListener(kind, fill);
    select.addEventListener("change", () => {
      if (select.value) decide(image, "relabel", data.classes[select.value]);
    });
    group.append(select);
    button("undo", "undo");
    node.append(group);
    const refresh = (row) => {
      const action = row && row.action !== "undo" ? row.action : "";
      for (const one of group.querySelectorAll("button")) {
        if (one.dataset.action === "undo") one.hidden = !action;
        else one.setAttribute("aria-pressed", one.dataset.action === action);
      }
      if (action === "relabel") fill();
      select.value = action === "relabel" ? data.classes.indexOf(row.label) : "";
      select.classList.toggle("chosen", action === "relabel");
      node.classList.toggle("decided", Boolean(action));
    };
    image.groups.push(refresh);
  };
  for (const card of cards) {
    card.node.querySelector(".told").append(make("p", data.stages[card.stage], { class: "fine where" }));
    addControls(card);
  }

  const bar = element("bar"), told = element("told"), by = element("by");
  const show = (message = "") => {
    const rows = read(), all = [...rows.values()];
    const decided = all.filter((row) => row.action !== "undo").length, open = all.filter((row) => !row.sent).length;
    for (const image of images) for (const refresh of image.groups) refresh(rows.get(image.id));
    bar.hidden = !all.length;
    const place = lasting ? "Kept in this browser." : "Kept in this page alone: download before you close it.";
    const count = `${decided} decision${decided === 1 ? "" : "s"}, ${open} not in a downloaded file yet.`;
    told.textContent = message || `${count} ${place}`;
  };
  by.value = load(SIGNED) ?? "";
  by.addEventListener("change", () => keep(SIGNED, by.value.trim()));
  addEventListener("storage", () => show()); // another tab decided
  addEventListener("beforeunload", (event) => {
    if (!lasting && [...read().values()].some((row) => !row.sent)) event.preventDefault();
  });

  // --- overrides.csv -------------------------------------------------------------------------------------------------

  // A spreadsheet would run a text that begins so; Winnow reads it without the apostrophe.
  const FORMULA = /^[=+\-@＝＋－＠'\x00-\x1f\x7f]/, NUMBER = /^[+-]?[0-9]+(\.[0-9]+)?$/;
  const cell = (text) => {
    const plain = FORMULA.test(text) && !NUMBER.test(text) ? `'${text}` : text;
    return /[",\r\n]/.test(plain) ? `"${plain.replaceAll('"', '""')}"` : plain;
  };
  const csv = (rows) => {
    const lines = [...rows.values()]
      .sort((one, other) => micros(one.time) - micros(other.time))
      .map((row) => [row.name, row.action, row.label, row.by, "", row.time, row.hash].map(cell).join(","));
    return [data.columns.join(","), ...lines, ""].join("\n");
  };
  element("download").addEventListener("click", () => {
    const name = by.value.trim();
    if (!name || name.toLowerCase() === "winnow") {
      by.focus();
      return show("Write your name first: every row is signed by whoever decided.");
    }
    keep(SIGNED, name);
    const rows = read();
    for (const row of rows.values()) Object.assign(row, { by: row.by || name, sent: true, told: true });
    write(rows);
    const address = URL.createObjectURL(new Blob([csv(rows)], { type: "text/csv" }));
    const link = make("a", "", { href: address, download: "overrides.csv" });
    link.click();
    setTimeout(() => URL.revokeObjectURL(address), 60000);
    show("Downloaded. Whoever has the repository takes the decisions over with: winnow decide overrides.csv");
  });
  element("discard").addEventListener("click", () => {
    const rows = read();
    if (!confirm("Take back all of your decisions on this page?")) return;
    for (const [id, row] of [...rows]) record(rows, { id, ...row }, "undo", "");
    write(rows);
    show();
  });

  // --- filters, order, links -----------------------------------------------------------------------------------------

  const CONTROLS = ["text", "action", "stage", "class", "mine", "order"].map(element);
  const found = element("found"), chapters = element("chapters");
  const names = new Intl.Collator("en", { numeric: true });
  const places = new Map(data.classes.map((label, place) => [label, place]));
  const place = (label) => places.get(label) ?? data.classes.length; // a dropped image stands after every class
  const ORDERS = {
    support: (one, other) => (one.support ?? Infinity) - (other.support ?? Infinity) || 0, // both unknown: NaN
    name: (one, other) => names.compare(one.image.name, other.image.name),
    class: (one, other) => place(one.before) - place(other.before) || place(one.after) - place(other.after),
  };
  const apply = () => {
    const [text, action, stage, label, mine, order] = CONTROLS.map((control) => control.value);
    const rows = read(), wanted = searched(text).trim(), ofClass = data.classes[label];
    const isDecided = (image) => (rows.get(image.id)?.action ?? "undo") !== "undo";
    const matches = (card) =>
      card.words.includes(wanted) &&
      (!action || card.action === action) &&
      (!stage || card.stage === Number(stage)) &&
      (!label || [card.before, card.after, card.image.given].includes(ofClass)) &&
      (!mine || isDecided(card.image) === (mine === "1"));
    if (!found.hidden) for (const card of cards) card.home.append(card.node); // in the order of the page
    const plain = CONTROLS.every((control) => !control.value.trim());
    const shown = cards.filter(matches);
    if (order) shown.sort(ORDERS[order]);
    if (!plain) found.append(...shown.map((card) => card.node));
    [found.hidden, chapters.hidden] = [plain, !plain];
    element("count").textContent = `${shown.length} of ${cards.length} pictures`;
  };
  const clear = () => {
    for (const control of CONTROLS) control.value = "";
    apply();
  };
  for (const control of CONTROLS) control.addEventListener("input", apply);
  element("clear").addEventListener("click", clear);

  const go = () => {
    const target = location.hash && document.querySelector(`[id="${CSS.escape(location.hash.slice(1))}"]`);
    const card = target && target.closest(".card");
    if (!card) return;
    if (!found.hidden && !found.contains(card)) clear();
    for (let one = card.closest("details"); one; one = one.parentNode.closest("details")) one.open = true;
    card.scrollIntoView({ block: "center" });
  };
  const copied = make("span", "", { role: "status" });
  for (const link of document.querySelectorAll(".link")) {
    link.addEventListener("click", () => {
      link.after(copied);
      copied.textContent = "";
      navigator.clipboard?.writeText(link.href).then(() => (copied.textContent = " link copied"), () => {});
    });
  }
  addEventListener("hashchange", go);
  element("tools").hidden = false;
  apply();
  show();
  go();
})();
