/* What has been read, by person and channel. Rule: a channel counts as read when its end is on the screen of a window that
 * is looked at. */

import { isQuiet } from "./message.js";
import { browser } from "./memory.js";

const key = (you, team, channel) => `read:${team}:${you}:${channel}`;

export class Reading {
    #store;
    #listeners = new Set();

    constructor(store) {
        this.#store = store;
    }

    onChange(callback) {
        this.#listeners.add(callback);
    }

    /** The ts up to which this channel was read. */
    upTo(channel) {
        return browser.get(key(this.#store.you, this.#store.team.url, channel), "0");
    }

    read(channel) {
        const last = this.#store.messages(channel).at(-1)?.ts ?? "0";
        if (last <= this.upTo(channel)) return;
        browser.set(key(this.#store.you, this.#store.team.url, channel), last);
        for (const callback of this.#listeners) callback(channel);
    }

    /** How many messages of others came since. */
    unread(channel) {
        const from = this.upTo(channel);
        let count = 0;
        const messages = this.#store.messages(channel);
        for (let place = messages.length - 1; place >= 0 && messages[place].ts > from; place -= 1) {
            if (messages[place].user !== this.#store.you && !isQuiet(messages[place])) count += 1;
        }
        return count;
    }
}
