/* Where in the page one is, as the part of the address after "#": #/C.., #/C../ts, #/C../ts/thread, #/home/A.., #/wire.
 * Rule: every place has an address, so that a reload, a bookmark and the back button work. */

const PLACE = /^#\/([CD][A-Z0-9]+)(?:\/(\d+\.\d+))?(\/thread)?$/;
const ARCHIVE = /^\/archives\/([CD][A-Z0-9]+)\/p(\d+)(\d{6})$/;

/** {view: "conversation", channel, ts?, thread?} | {view: "home", app} | {view: "wire"} */
export function read(hash) {
    const place = PLACE.exec(hash);
    if (place) return { view: "conversation", channel: place[1], ts: place[2] ?? null, thread: Boolean(place[3]) };
    const home = /^#\/home\/(A[A-Z0-9]+)$/.exec(hash);
    if (home) return { view: "home", app: home[1] };
    if (hash === "#/wire") return { view: "wire" };
    return { view: "conversation", channel: null, ts: null, thread: false };
}

export function toChannel(channel, ts = null, thread = false) {
    return `#/${channel}${ts ? `/${ts}` : ""}${ts && thread ? "/thread" : ""}`;
}

export function toHome(app) {
    return `#/home/${app}`;
}

/** The place that a permalink of this workspace leads to, or null. */
export function permalink(address, origins) {
    try {
        const url = new URL(address, location.origin);
        const place = origins.includes(url.origin) ? ARCHIVE.exec(url.pathname) : null;
        return place ? { channel: place[1], ts: `${place[2]}.${place[3]}` } : null;
    } catch {
        return null;
    }
}
