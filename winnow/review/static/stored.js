// Lists that a tab keeps over a reload.

const PREFIX = "winnow-review-";

/** Whether the tab has anything in such a list of any repository: a page that cannot read its state knows no more. */
export const hasAny = (name) =>
  Object.entries(sessionStorage).some(([key, list]) => key.startsWith(`${PREFIX}${name}-`) && list !== "[]");

export class Stored {
  #key;

  /** repository: as the state names it. Another one may be served at the same address later; it has its own lists. */
  constructor(name, repository) {
    this.#key = `${PREFIX}${name}-${repository}`;
  }

  read() {
    return JSON.parse(sessionStorage.getItem(this.#key) ?? "[]");
  }

  write(list) {
    sessionStorage.setItem(this.#key, JSON.stringify(list));
  }
}
