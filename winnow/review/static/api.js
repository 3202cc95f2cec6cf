// Requests to the server that served this page. Every one carries the token of the page's address.

const TOKEN = new URLSearchParams(location.search).get("token") ?? "";
const PATIENCE = 20000; // milliseconds until a request without an answer counts as failed

/** The server answered that it will not do this; `status` is the HTTP status. */
export class Refused extends Error {
  constructor(status, sentence) {
    super(sentence);
    this.status = status;
  }
}

/** The JSON that a path answers; posts `body` where there is one. Throws Refused, or a TypeError without an answer. */
export async function ask(path, body) {
  const request = { headers: { "X-Winnow-Token": TOKEN }, signal: AbortSignal.timeout(PATIENCE), cache: "no-store" };
  if (body !== undefined) {
    request.method = "POST";
    request.headers["Content-Type"] = "application/json";
    request.body = JSON.stringify(body);
  }
  const answer = await fetch(path, request);
  if (!answer.ok) {
    const told = await answer.json().catch(() => ({}));
    throw new Refused(answer.status, told.error ?? `the server answered with status ${answer.status}`);
  }
  return answer.json();
}

const address = (kind, id, more) => {
  const query = new URLSearchParams({ ...more, token: TOKEN });
  return `/api/${kind}/${encodeURIComponent(id)}?${query}`;
};

/** Address of the picture at full size; of the one that was seen when the decision was made, if `seen` is given. */
export const pictureAddress = (id, seen) => address("image", id, seen ? { seen } : {});

/** Address of the small picture. */
export const thumbnailAddress = (id) => address("thumbnail", id, {});
