/* What the browser remembers for its reader: drafts, what was read, how it looks. Rule: losing it loses nothing real;
 * drafts and the persona belong to this tab, the rest to this browser. */

const guarded = (storage) => ({
    get(key, otherwise = null) {
        try {
            return JSON.parse(storage.getItem(key)) ?? otherwise;
        } catch {
            return otherwise;
        }
    },
    set(key, value) {
        try {
            if (value === null || value === "") storage.removeItem(key);
            else storage.setItem(key, JSON.stringify(value));
        } catch {
            // full or forbidden: the page works without
        }
    },
});

export const tab = guarded(window.sessionStorage);
export const browser = guarded(window.localStorage);
