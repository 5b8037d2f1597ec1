/* What stands beside the workspace and is no part of it. Rule: it gets what the contract names and nothing else, and when
 * it cannot be loaded the workspace works without. */

import { icon } from "./icons.js";
import { make } from "./make.js";
import { browser } from "./memory.js";

/** Load the panel into `element`; {mountInModal(slot)}, or null when there is none. */
export async function mountPanel(element, page) {
    const sheet = make("link", { rel: "stylesheet", href: "/beside/panel.css" });
    document.head.append(sheet);
    let panel;
    try {
        panel = await import("/beside/panel.js");
    } catch (error) {
        console.error(error);
        page.notice("The panel beside the workspace could not be loaded. The workspace works without it.");
        return null;
    }
    const context = {
        you: () => page.you,
        onPersona: page.onPersona,
        person: (id) => page.store.get("person", id),
        request: page.request,
        subscribe: (kind, callback) => page.store.on(kind, callback),
        become: page.become,
        goTo: (channel, ts) => page.go(channel, ts),
        insert: page.insert,
        say: page.say,
    };
    folding(element);
    const inside = make("div", { class: "panel-body" });
    element.append(inside);
    panel.mount(inside, context);
    return { mountInModal: (slot) => panel.mountInModal?.(slot, context) };
}

/** The panel can be put away where it stands beside; on a phone it is a view of its own. */
function folding(element) {
    element.hidden = false;
    const show = (open) => {
        document.body.classList.toggle("no-panel", !open);
        button.setAttribute("aria-pressed", String(open));
        browser.set("panel", open ? "open" : "closed");
    };
    const button = make(
        "button",
        { type: "button", class: "bar-button wide-only" },
        icon("panel"),
        make("span", {}, "Panel"),
    );
    button.addEventListener("click", () => show(document.body.classList.contains("no-panel")));
    document.getElementById("tools").prepend(button);
    show(browser.get("panel", "open") === "open");
}
