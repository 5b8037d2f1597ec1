/* What the stream said, by kind and id. Rule: the server's word is the only truth; nothing here is guessed ahead of it.
 *
 * on(kind, callback): after each batch of changes, with {put: [values], gone: [ids]} of that kind; on("reset", ...) when
 * everything is forgotten, on("link", ...) with true or false when the stream stands or is lost. */

import { streamAddress } from "./api.js";

export class Store {
    #kinds = new Map();
    #listeners = new Map();
    #source = null;
    #linked = false;
    #channels = new Map(); // channel -> ts -> message, in the order of their time
    you = "";
    team = {};
    since = "0"; // when this reader came, as a ts

    on(kind, callback) {
        if (!this.#listeners.has(kind)) this.#listeners.set(kind, new Set());
        this.#listeners.get(kind).add(callback);
        return () => this.#listeners.get(kind).delete(callback);
    }

    get(kind, id) {
        return this.#kinds.get(kind)?.get(id);
    }

    all(kind) {
        return [...(this.#kinds.get(kind)?.values() ?? [])];
    }

    /** The messages of a channel, replies among them, oldest first. */
    messages(channel) {
        return [...(this.#channels.get(channel)?.values() ?? [])];
    }

    message(channel, ts) {
        return this.#channels.get(channel)?.get(ts);
    }

    get linked() {
        return this.#linked;
    }

    /** See the workspace as `who` from now on. */
    connect(who) {
        this.#source?.close();
        this.#forget(who);
        const source = new EventSource(streamAddress(who));
        this.#source = source;
        source.addEventListener("reset", (event) => {
            const { you, team, now } = JSON.parse(event.data);
            this.team = team;
            this.since = now.toFixed(6);
            this.#forget(you);
            this.#link(true);
        });
        source.addEventListener("changes", (event) => this.#apply(JSON.parse(event.data)));
        source.addEventListener("error", () => {
            this.#link(false);
            if (source.readyState === EventSource.CLOSED) source.close();
        });
    }

    /** Whether the stream will not come back by itself. */
    get ended() {
        return this.#source === null || this.#source.readyState === EventSource.CLOSED;
    }

    #forget(who) {
        this.you = who;
        this.#kinds.clear();
        this.#channels.clear();
        this.#tell("reset", who);
    }

    #link(stands) {
        if (stands === this.#linked) return;
        this.#linked = stands;
        this.#tell("link", stands);
    }

    #apply({ put, gone }) {
        const changed = new Map();
        const of = (kind) => {
            if (!changed.has(kind)) changed.set(kind, { put: [], gone: [] });
            return changed.get(kind);
        };
        for (const { kind, id, value } of put) {
            if (!this.#kinds.has(kind)) this.#kinds.set(kind, new Map());
            this.#kinds.get(kind).set(id, value);
            if (kind === "message") this.#keep(value);
            of(kind).put.push(value);
        }
        for (const { kind, id } of gone) {
            const value = this.get(kind, id);
            this.#kinds.get(kind)?.delete(id);
            if (kind === "message" && value) this.#channels.get(value.channel)?.delete(value.ts);
            of(kind).gone.push(id);
        }
        for (const [kind, what] of changed) this.#tell(kind, what);
        this.#tell("*", changed);
    }

    #keep(message) {
        if (!this.#channels.has(message.channel)) this.#channels.set(message.channel, new Map());
        this.#channels.get(message.channel).set(message.ts, message);
    }

    #tell(kind, what) {
        for (const callback of this.#listeners.get(kind) ?? []) callback(what);
    }
}
