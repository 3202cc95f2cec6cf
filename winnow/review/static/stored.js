// Lists that a tab keeps over a reload.

export class Stored {
  #key;

  /** repository: as the state names it. Another one may be served at the same address later; it has its own lists. */
  constructor(name, repository) {
    this.#key = `winnow-review-${name}-${repository}`;
  }

  read() {
    return JSON.parse(sessionStorage.getItem(this.#key) ?? "[]");
  }

  write(list) {
    sessionStorage.setItem(this.#key, JSON.stringify(list));
  }
}
