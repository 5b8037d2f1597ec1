/* What a rendering of blocks may ask for and do. Rule: looking up is free; acting goes through the page, and what is
 * typed is kept on the server a moment later, so that a reload loses nothing. */

import { askAsApp } from "./dialogs.js";

const PAUSE = 150; // ms of no typing after which a field is kept

/** Fields on their way to the server, the last entry of each. */
class Puts {
    #waiting = new Map();
    #timer = null;
    #sending = Promise.resolve();

    constructor(page) {
        this.page = page;
    }

    add(where, block_id, action_id, entry) {
        const as = this.page.you;
        this.#waiting.set(JSON.stringify([as, where, block_id, action_id]), {
            as,
            args: { where, block_id, action_id, entry },
        });
        clearTimeout(this.#timer);
        this.#timer = setTimeout(() => this.flush(), PAUSE);
    }

    /** Send what waits; resolves when everything typed so far is kept. Gives the last refusal, if any. */
    flush() {
        clearTimeout(this.#timer);
        const waiting = [...this.#waiting.values()];
        this.#waiting.clear();
        this.#sending = this.#sending.then(async () => {
            let refusal = null;
            for (const { as, args } of waiting) {
                const answer = await this.page.actAs(as, "put", args);
                if (!answer.ok) refusal = answer.error;
            }
            return refusal;
        });
        return this.#sending;
    }
}

let puts = null;

/** All that was typed is on the server afterwards. */
export function keepTyped() {
    return puts === null ? Promise.resolve(null) : puts.flush();
}

/** The context of one rendering. `became(answer)` hears how an act ended; `typed(blockId)` that a field changed. */
export function contextOf(
    page,
    where,
    { values = {}, errors = {}, suggested = {}, disabled = false, became, typed } = {},
) {
    const { store } = page;
    puts ??= new Puts(page);
    const context = {
        you: page.you,
        person: (id) => store.get("person", id),
        channel: (id) => store.get("channel", id),
        group: (id) => store.get("group", id),
        people: () => store.all("person").filter((person) => !person.deleted),
        conversations: () => store.all("channel").filter((channel) => !channel.is_archived),
        values,
        errors,
        suggested,
        disabled,
        put(blockId, actionId, entry) {
            puts.add(where, blockId, actionId, entry);
            typed?.(blockId);
        },
        async act(blockId, actionId, what = {}) {
            await puts.flush();
            const answer = await page.act("act", { where, block_id: blockId, action_id: actionId, ...what });
            if (became) became(answer);
            else if (!answer.ok) page.say(answer.error);
            return answer;
        },
        async suggest(blockId, actionId, typedSoFar) {
            const answer = await page.act("suggest", {
                where,
                block_id: blockId,
                action_id: actionId,
                typed: typedSoFar,
            });
            if (!answer.ok) throw new Error(answer.error);
            return answer.options;
        },
        confirm: (confirm) => askAsApp(confirm, context),
        follow: page.follow,
    };
    return context;
}
