/* Elements from data. Rule: data becomes text nodes and attributes named here in the code, never mark-up; there is
 * no other way in these files by which something foreign reaches the document. */

const SAFE = new Set(["http:", "https:", "mailto:"]);
let made = 0;

/** An element: `attributes` are set as they are (true is an empty one; false, null and undefined are left out),
 * functions under `on` become listeners, children are nodes or text. */
export function make(tag, { on = {}, ...attributes } = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
        if (value === false || value === null || value === undefined) continue;
        element.setAttribute(name, value === true ? "" : value);
    }
    for (const [name, listener] of Object.entries(on)) element.addEventListener(name, listener);
    element.append(...children.filter((child) => child !== null && child !== undefined));
    return element;
}

/** Nodes side by side without an element around them. */
export function together(...children) {
    const fragment = document.createDocumentFragment();
    fragment.append(...children.filter((child) => child !== null && child !== undefined));
    return fragment;
}

/** An id that no other element of the page has. */
export function freshId(what) {
    made += 1;
    return `${what}-${made}`;
}

/** The address when it may be followed (http, https, mailto, absolute), else null. */
export function safeAddress(address) {
    try {
        const parsed = new URL(address);
        return SAFE.has(parsed.protocol) ? parsed.href : null;
    } catch {
        return null;
    }
}

/** A link that opens apart from this page and tells the other side nothing; the whole address is in its title,
 * because a label may claim another. */
export function link(address, context, ...children) {
    const href = safeAddress(address);
    if (href === null) return make("span", { class: "bk-dead-link" }, ...children);
    return make(
        "a",
        {
            href,
            title: href,
            target: "_blank",
            rel: "noopener noreferrer nofollow",
            on: { click: (event) => context.follow?.(href, event) },
        },
        ...children,
    );
}
