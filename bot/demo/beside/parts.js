/* Small parts that the panel's sections share. */

import { make } from "/files/make.js";

/** A section with a heading that can be jumped to: {node, heading}. */
export function section(name, title, ...children) {
    const heading = make("h3", { id: `bs-${name}`, tabindex: "-1" }, title);
    const node = make("section", { class: `bs-part bs-${name}`, "aria-labelledby": heading.id }, heading, ...children);
    return { node, heading };
}

/** A button. It is out of use while `work` is under way; focus stays on it. */
export function button(text, work, look = "") {
    const node = make("button", { type: "button", class: `button small ${look}`.trim() }, text);
    let busy = false;
    node.addEventListener("click", async () => {
        if (busy) return;
        busy = true;
        node.setAttribute("aria-disabled", "true");
        try {
            await work(node);
        } finally {
            busy = false;
            node.removeAttribute("aria-disabled");
        }
    });
    return node;
}

/** Calls `draw` only when the value is another than the last time. */
export function watched(draw) {
    let last;
    return (value) => {
        const text = JSON.stringify(value);
        if (text === last) return;
        last = text;
        draw(value);
    };
}

/** Sets text without touching the node when it is the same: a selection in it survives. */
export function write(node, text) {
    if (node.textContent !== text) node.textContent = text;
}

/** A table of rows of text; its caption is for screen readers. */
export function table(caption, columns, rows) {
    const cells = (row) => make("tr", {}, ...row.map((cell) => make("td", {}, cell)));
    return make(
        "table",
        { class: "bs-table" },
        make("caption", { class: "unseen" }, caption),
        make("thead", {}, make("tr", {}, ...columns.map((name) => make("th", { scope: "col" }, name)))),
        make("tbody", {}, ...rows.map(cells)),
    );
}

const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });

/** The reader's clock, with seconds. */
export function clock(unixSeconds) {
    return CLOCK.format(new Date(unixSeconds * 1000));
}

/** "Alice": the first word of a person's name. */
export function firstName(person) {
    return person?.name?.split(/[\s,]/)[0] || person?.handle || "somebody";
}

/** Copies `text`; where the browser forbids it, says so. */
export async function copy(text, what, say) {
    try {
        await navigator.clipboard.writeText(text);
        say(`${what} copied.`);
        return true;
    } catch {
        say("The browser did not allow copying. Type it instead.");
        return false;
    }
}
