// Lenta in a page: asks for posts, notices which are seen, sends views and likes, survives being offline.

const SHARE = 0.5; // of a post, or of the screen, for
const SEEN_MS = 1000; // so long: a viewable impression (Media Rating Council)
const LINGER_MS = 2000; // for other views
const WAIT_MS = 500; // after a failure; then twice
const BATCH = 100; // a closing page may send 64 KiB
const KEPT = 1000; // the oldest go

export class Lenta {
  // headers: or what gives them, each time. onRefused(event, problem): the gateway will never take it.
  constructor({ url, user, headers = {}, onRefused = console.warn }) {
    Object.assign(this, { url, user, headers, onRefused, wait: WAIT_MS, watched: new Map(), sending: Promise.resolve() });
    this.place = `lenta ${url} ${user}`;
    const threshold = [0, 0.1, 0.2, 0.3, 0.4, SHARE];
    this.observer = new IntersectionObserver((all) => all.forEach(this.#moved, this), { threshold });
    this.open = new AbortController();
    const { signal } = this.open;
    addEventListener("online", () => this.flush(), { signal });
    addEventListener("visibilitychange", () => document.hidden && this.#leave(), { signal });
    this.flush();
  }

  // {posts: [{id, text, topic}], requestId}
  async recommend(limit = 5) {
    const asked = new URLSearchParams({ id: this.user, limit });
    const answer = await this.#fetch(`/post/recommendations?${asked}`);
    const said = await answer.json();
    if (!answer.ok) throw new Error(said.message);
    return { posts: said.recommendations, requestId: answer.headers.get("X-Request-ID") };
  }

  // Sends a view once the user has seen the element.
  watch(element, postId, requestId) {
    this.watched.set(element, { postId, requestId });
    this.observer.observe(element);
  }

  // Resolves once it is durable, and the next answer honours it, or once it has to wait.
  like(postId, requestId) {
    this.#keep("like", postId, requestId);
    return this.flush();
  }

  flush() {
    this.timer = clearTimeout(this.timer);
    const send = () => this.#send();
    return (this.sending = this.sending.then(send, send));
  }

  close() {
    this.#leave();
    this.open.abort();
    this.observer.disconnect();
    this.watched.forEach((post) => clearInterval(post.timer));
    clearTimeout(this.timer);
  }

  #moved({ target, intersectionRatio, intersectionRect, rootBounds }) {
    const post = this.watched.get(target);
    if (!post) return;
    const seen = intersectionRatio >= SHARE || intersectionRect.height >= SHARE * rootBounds?.height;
    if (seen) post.timer ??= setInterval(() => document.hidden || this.#saw(target, post), SEEN_MS);
    else post.timer = clearInterval(post.timer);
  }

  #saw(element, post) {
    clearInterval(post.timer);
    this.observer.unobserve(element);
    this.watched.delete(element);
    this.#keep("view", post.postId, post.requestId);
    this.#later(LINGER_MS);
  }

  #keep(action, post_id, request_id) {
    const key = crypto.getRandomValues(new Uint32Array(4)).join("-");
    const event = { key, user_id: this.user, post_id, action, request_id, timestamp: new Date() };
    this.waiting = [...this.waiting, event].slice(-KEPT);
  }

  // Outlives the page, where there is room.
  get waiting() {
    try { return this.memory ?? JSON.parse(localStorage[this.place] ?? "[]"); } catch { return []; }
  }
  set waiting(events) {
    try { localStorage[this.place] = JSON.stringify(events); this.memory = null; } catch { this.memory = events; }
  }

  async #send() {
    for (let batch; (batch = this.waiting.slice(0, BATCH)).length; this.wait = WAIT_MS) {
      const answer = await this.#post(batch).catch(() => null);
      const problem = answer?.ok ? null : await answer?.json().catch(() => null);
      const [, place, field] = /^events\.(\d+)\.(\w+)/.exec(problem?.field) ?? [];
      if (answer?.ok) this.#drop(batch);
      else if (place) this.#mend(batch[place], field, problem);
      else return this.#later(1000 * answer?.headers.get("Retry-After") || (this.wait = Math.min(2 * this.wait, 60000)));
    }
  }

  #post(events) {
    return this.#fetch("/events", { method: "POST", body: JSON.stringify({ events }), keepalive: true });
  }

  async #fetch(path, options) {
    const said = this.headers.call ? await this.headers() : this.headers;
    return fetch(`${this.url}/v1${path}`, { ...options, headers: { "Content-Type": "application/json", ...said } });
  }

  // One of a wrong clock happens when it arrives.
  #mend(event, field, problem) {
    this.#drop([event]);
    if (field == "timestamp") this.waiting = [{ ...event, timestamp: undefined }, ...this.waiting];
    else this.onRefused(event, problem);
  }

  #drop(events) {
    this.waiting = this.waiting.filter(({ key }) => !events.some((event) => event.key === key));
  }

  #later(ms) {
    this.timer ??= setTimeout(() => this.flush(), ms);
  }

  // Stays stored until it is taken: sent twice, it counts once.
  #leave() {
    const batch = this.waiting.slice(0, BATCH);
    if (batch.length) this.#post(batch).then((answer) => answer.ok && this.#drop(batch), () => null);
  }
}
