// Counts the requests that were made, never with a credential in it: queries and headers are not kept, and a
// credential's value that turns up in a path is struck out.
const LOG_LENGTH = 1000;

export class Stats {
  #secrets;
  #total = 0;
  #byPath = new Map();
  #notModified = 0;
  #unauthorized = 0;
  #log = [];

  constructor(credentials) {
    this.#secrets = Object.values(credentials).flatMap((keys) => Object.values(keys));
  }

  // Counts a request when it arrives, and its status when it is known (null: it never was answered).
  count(request, response, path) {
    const shown = this.#secrets.reduce((text, secret) => text.replaceAll(secret, "[redacted]"), path);
    const entry = {
      time: new Date().toISOString(),
      method: request.method,
      path: shown,
      status: null,
      host: request.headers.host ?? null,
      conditional: "if-none-match" in request.headers || "if-modified-since" in request.headers,
      credentials: "authorization" in request.headers || /[?&]api-key=/.test(request.url),
    };
    ++this.#total;
    this.#byPath.set(shown, (this.#byPath.get(shown) ?? 0) + 1);
    this.#log.push(entry);
    if (this.#log.length > LOG_LENGTH) this.#log.shift();
    response.on("close", () => {
      if (!response.headersSent) return;
      entry.status = response.statusCode;
      if (response.statusCode === 304) ++this.#notModified;
      if (response.statusCode === 401) ++this.#unauthorized;
    });
  }

  report() {
    return {
      total: this.#total,
      by_path: Object.fromEntries(this.#byPath),
      not_modified: this.#notModified,
      unauthorized: this.#unauthorized,
      log: this.#log,
    };
  }
}
