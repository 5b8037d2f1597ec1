/* Requests to the page's own server. Rule: a request never hangs and never throws at its caller: what went wrong comes
 * back as {ok: false, error: a sentence}. */

const KEY = meta("page-key");
const PATIENCE = 20_000; // ms; the server itself answers within a few seconds
const LOST = "The demo has ended or cannot be reached.";

export function meta(name) {
    return document.querySelector(`meta[name="${name}"]`)?.content ?? "";
}

/** Where the changes that `who` sees come from; an EventSource cannot send the key as a header. */
export function streamAddress(who) {
    return `/stream?${new URLSearchParams({ as: who, key: KEY })}`;
}

/** JSON from a path of this server: GET, or POST when there is a body. */
export async function request(path, body) {
    const headers = { "X-Page-Key": KEY };
    const options = { headers, signal: AbortSignal.timeout(PATIENCE) };
    if (body !== undefined) {
        Object.assign(options, { method: "POST", body: JSON.stringify(body) });
        headers["Content-Type"] = "application/json";
    }
    const answer = await fetch(path, options);
    if (answer.status === 413) throw new Error("That is too much for one message. Shorten it.");
    if (!answer.ok) throw new Error(await answer.text());
    return answer.json();
}

/** Do something as `who`: {ok: true, ...} or {ok: false, error, fields?, code?}. */
export async function actAs(who, verb, args = {}) {
    try {
        return await request("/act", { ...args, as: who, verb });
    } catch (error) {
        const lost = error instanceof TypeError || error.name === "TimeoutError";
        return { ok: false, error: lost ? `${LOST} Nothing was lost; try again.` : error.message };
    }
}
