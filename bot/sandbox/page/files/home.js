/* The Home tab of an app, in place of the conversation. */

import { renderBlocks } from "./blocks.js";
import { contextOf } from "./context.js";
import { make } from "./make.js";
import { personName } from "./names.js";

export class Home {
    #page;
    #title = make("h1", { class: "head-title", tabindex: "-1" });
    #body = make("div", { class: "home-body" });
    #wrong = make("p", { class: "wrong", role: "alert" });
    #opened = null;

    constructor(page) {
        this.#page = page;
        this.node = make(
            "div",
            { class: "conversation" },
            make("div", { class: "head" }, make("div", { class: "head-text" }, this.#title)),
            make("div", { class: "scroller home" }, this.#wrong, this.#body),
        );
    }

    draw() {
        const { store, place, you } = this.#page;
        const bot = store.all("person").find((person) => person.app_id === place.app);
        this.#title.textContent = `${bot ? personName(store, bot.id) : "App"} Home`;
        if (this.#opened !== `${you} ${place.app}` && bot) {
            this.#opened = `${you} ${place.app}`;
            this.#page.do("open_home", { app_id: place.app }); // the app hears of it and publishes in its own time
        }
        const home = store.get("home", place.app);
        if (!home?.view) {
            this.#renew(
                make(
                    "p",
                    { class: "empty" },
                    home ? "The app has not published its Home tab yet." : "This app has no Home tab.",
                ),
            );
            return;
        }
        if (!this.#body.classList.contains("bk")) this.#renew();
        const became = (answer) => {
            this.#wrong.textContent = answer.ok ? "" : answer.error;
        };
        renderBlocks(
            this.#body,
            home.view.blocks,
            contextOf(this.#page, { view: home.view.id }, { values: home.values, became }),
        );
    }

    forget() {
        this.#opened = null;
        this.#renew();
    }

    #renew(...content) {
        const fresh = make("div", { class: "home-body" }, ...content);
        this.#body.replaceWith(fresh);
        this.#body = fresh;
    }
}
