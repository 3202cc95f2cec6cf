// The picture at full size: fetched ahead, swapped in when decoded, zoomed, swiped.

import { pictureAddress } from "./api.js";
import { make, visible } from "./text.js";

const KEPT = 8; // pictures held ready
const SHARPEN = 3; // enlarged this many times, a picture shows its pixels instead of a blur
const LARGEST = 8; // a small picture is enlarged at most this many times
const SWIPE = 60; // CSS pixels

/** Pictures fetched ahead: address -> promise of a decoded <img>. */
const ready = new Map();

function fetchPicture(address) {
  let promise = ready.get(address);
  if (!promise) {
    const picture = new Image();
    picture.draggable = false;
    picture.src = address;
    promise = picture.decode().then(
      () => picture,
      () => null,
    );
    promise.then((loaded) => loaded ?? ready.delete(address)); // the next attempt asks again
  }
  ready.delete(address);
  ready.set(address, promise); // last used, last forgotten
  for (const old of [...ready.keys()].slice(0, Math.max(0, ready.size - KEPT))) ready.delete(old);
  return promise;
}

export const prefetch = (item) => fetchPicture(pictureAddress(item.id));

export class Stage {
  #box;
  #button;
  #turn = 0;

  /** swipe: called with +1 (left, on) or -1 (right, back). */
  constructor(box, button, swipe) {
    this.#box = box;
    this.#button = button;
    button.addEventListener("click", () => this.zoom());
    box.addEventListener("click", (event) => {
      if (event.target.closest(".frame")) this.zoom(event);
    });
    this.#listenForSwipes(swipe);
    new ResizeObserver(() => this.#fitAll()).observe(box);
  }

  /** Show an item's picture, both where it changed since its decision; true once it is there, false if another came. */
  async show(item) {
    const turn = (this.#turn += 1);
    this.#setZoom(false);
    const [before, now] = this.#box.querySelectorAll("figure");
    const seen = item.stale ? item.seen : null;
    const pictures = await Promise.all([
      fetchPicture(pictureAddress(item.id)),
      seen ? fetchPicture(pictureAddress(item.id, seen)) : null,
    ]);
    if (turn !== this.#turn) return false;
    before.hidden = !item.stale;
    now.querySelector("figcaption").hidden = !item.stale;
    this.#put(
      now,
      pictures[0],
      `${visible(item.name)}, delivered as ${visible(item.given)}`,
      "The picture could not be loaded.",
    );
    this.#put(before, pictures[1], "the picture when it was decided", "The picture of then was not kept.");
    this.#fitAll();
    this.#box.dataset.shown = item.id;
    return true;
  }

  /** Whether the item's picture is shown, or, if `orGone`, the message that it cannot be. */
  isThere(item, orGone) {
    return this.#box.dataset.shown === item.id && (orGone || this.#box.querySelector("#now img") !== null);
  }

  /** Zoom in, at a click's place or at the middle, or back out. */
  zoom(event) {
    const frame = event?.target.closest(".frame") ?? this.#box.querySelector("#now .frame");
    const picture = frame.querySelector("img");
    if (!picture) return;
    const at = picture.getBoundingClientRect();
    const x = event ? (event.clientX - at.left) / at.width : 0.5;
    const y = event ? (event.clientY - at.top) / at.height : 0.5;
    this.#setZoom(!this.isZoomed);
    if (this.isZoomed) {
      frame.scrollLeft = x * picture.clientWidth - frame.clientWidth / 2;
      frame.scrollTop = y * picture.clientHeight - frame.clientHeight / 2;
    }
  }

  get isZoomed() {
    return this.#box.classList.contains("zoomed");
  }

  #setZoom(on) {
    this.#box.classList.toggle("zoomed", on);
    this.#button.setAttribute("aria-pressed", String(on));
    for (const frame of this.#box.querySelectorAll(".frame")) {
      if (on)
        frame.tabIndex = 0; // scrolled by the arrow keys
      else frame.removeAttribute("tabindex");
    }
    this.#fitAll();
  }

  #put(figure, picture, words, otherwise) {
    const frame = figure.querySelector(".frame");
    if (picture) picture.alt = words;
    frame.replaceChildren(picture ?? make("p", { class: "missing" }, otherwise));
  }

  #fitAll() {
    for (const frame of this.#box.querySelectorAll(".frame")) {
      const picture = frame.querySelector("img");
      if (!picture || !frame.clientWidth) continue;
      const fit = Math.min(
        frame.clientWidth / picture.naturalWidth,
        frame.clientHeight / picture.naturalHeight,
        LARGEST,
      );
      const scale = this.isZoomed ? Math.max(1, 2.5 * fit) : fit;
      picture.style.width = `${Math.floor(scale * picture.naturalWidth)}px`;
      picture.style.height = `${Math.floor(scale * picture.naturalHeight)}px`;
      picture.classList.toggle("pixels", scale >= SHARPEN);
    }
  }

  #listenForSwipes(swipe) {
    let start = null;
    this.#box.addEventListener(
      "touchstart",
      (event) => {
        start = event.touches.length === 1 && !this.isZoomed ? event.touches[0] : null;
      },
      { passive: true },
    );
    this.#box.addEventListener(
      "touchend",
      (event) => {
        if (!start) return;
        const [end] = event.changedTouches;
        const [across, down] = [end.clientX - start.clientX, end.clientY - start.clientY];
        start = null;
        if (Math.abs(across) > SWIPE && Math.abs(across) > 2 * Math.abs(down)) swipe(across < 0 ? 1 : -1);
      },
      { passive: true },
    );
  }
}
