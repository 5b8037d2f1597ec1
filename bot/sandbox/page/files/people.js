/* Who one is: always visible, always changeable. In the header a group of radio buttons; in a window, from which the header
 * cannot be reached, a menu. */

import { freshId, make } from "./make.js";
import { initials, tint } from "./names.js";

/** People one can be: everybody but bots and closed accounts. */
export function candidates(store) {
    return store.all("person").filter((person) => !person.is_bot && !person.deleted);
}

export class People {
    #page;
    #node;
    #drawn = "";
    #awaited = false; // somebody else was chosen, and the focus may have gone with what was on the screen

    constructor(node, page) {
        this.#page = page;
        this.#node = node;
        page.store.on("person", () => this.draw());
        page.onPersona(() => {
            this.draw();
            this.#awaited = true;
        });
    }

    draw() {
        const people = candidates(this.#page.store);
        if (people.length > 0 && this.#awaited) requestAnimationFrame(() => this.#catchFocus());
        const drawn = JSON.stringify([this.#page.you, people]);
        if (people.length === 0 || drawn === this.#drawn) return;
        this.#drawn = drawn;
        const hadFocus = this.#node.contains(document.activeElement);
        const legend = make("legend", {}, "You are");
        this.#node.replaceChildren(
            make("fieldset", { class: "people" }, legend, ...people.map((person) => this.#choice(person))),
        );
        const chosen = this.#node.querySelector("input:checked");
        if (hadFocus) chosen?.focus();
        chosen?.closest("label").scrollIntoView({ block: "nearest", inline: "nearest" });
    }

    #catchFocus() {
        this.#awaited = false;
        if (document.activeElement === document.body) this.#node.querySelector("input:checked")?.focus();
    }

    #choice(person) {
        const you = person.id === this.#page.you;
        const input = make("input", {
            type: "radio",
            name: "persona",
            value: person.id,
            checked: you,
            class: "unseen",
        });
        input.addEventListener("change", () => this.#page.become(person.id));
        const [name, role] = person.name.split(/,\s*/, 2);
        const admin = person.is_admin || person.is_owner ? "admin" : "";
        const about = [
            role,
            admin !== role ? admin : "",
            person.is_guest && "guest",
            person.is_stranger && "other organisation",
        ]
            .filter(Boolean)
            .join(", ");
        return make(
            "label",
            { class: you ? "person you" : "person", title: person.name },
            input,
            make("span", { class: `face ${tint(person.id)}`, "aria-hidden": "true" }, initials(person.name)),
            make(
                "span",
                { class: "person-text" },
                make("bdi", { class: "person-name" }, name),
                about ? make("span", { class: "person-role" }, make("span", { class: "unseen" }, ", "), about) : null,
            ),
        );
    }
}

/** The same choice as a menu. */
export function peopleMenu(page) {
    const id = freshId("persona");
    const select = make("select", { id, class: "persona-select" });
    select.append(
        ...candidates(page.store).map((person) =>
            make("option", { value: person.id, selected: person.id === page.you }, person.name),
        ),
    );
    select.addEventListener("change", () => page.become(select.value));
    return make("div", { class: "persona-menu" }, make("label", { for: id }, "You are"), select);
}
