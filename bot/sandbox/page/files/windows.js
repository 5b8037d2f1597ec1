/* The windows (modals) that apps open for a person, as a stack of dialogs of which the top is shown. Rule: they belong to
 * the server: a reload finds them again, another person does not see them, and closing one is told to the app. */

import { focusFirstError, renderBlocks } from "./blocks.js";
import { contextOf, keepTyped } from "./context.js";
import { icon } from "./icons.js";
import { freshId, make } from "./make.js";
import { personName } from "./names.js";
import { peopleMenu } from "./people.js";
import { textOf } from "./text.js";

export class Windows {
    #page;
    #open = new Map(); // view id -> Window

    constructor(page) {
        this.#page = page;
        page.store.on("modal", () => this.draw());
        page.store.on("reset", () => this.#drop());
    }

    draw() {
        const modals = this.#page.store.all("modal").sort((a, b) => a.depth - b.depth);
        const here = new Set(modals.map((modal) => modal.id));
        for (const [id, window] of this.#open) {
            if (here.has(id)) continue;
            window.remove();
            this.#open.delete(id);
        }
        for (const modal of modals) {
            if (!this.#open.has(modal.id)) this.#open.set(modal.id, new Window(this.#page, modal));
        }
        for (const modal of modals) if (!modal.top) this.#open.get(modal.id).hide(); // before the top, which takes the focus
        for (const modal of modals) this.#open.get(modal.id).update(modal);
    }

    /** Somebody else's windows, or the same ones anew: not closed, only out of sight. */
    #drop() {
        for (const window of this.#open.values()) window.remove();
        this.#open.clear();
    }
}

class Window {
    #page;
    #modal;
    #errors = {};
    #general = "";
    #busy = false;
    #gone = false;
    #parts;

    constructor(page, modal) {
        this.#page = page;
        this.#modal = modal;
        const heading = make("h2", { id: freshId("title"), tabindex: "-1" });
        const app = make("p", { class: "window-app" });
        const body = make("div", { class: "window-body" });
        const wrong = make("p", { class: "wrong window-wrong", role: "alert", id: freshId("wrong") });
        const close = make("button", { type: "button", class: "button", on: { click: () => this.#close(false) } });
        const submit = make("button", { type: "submit", class: "button primary" });
        const cross = make(
            "button",
            {
                type: "button",
                class: "quiet-button cross",
                "aria-label": "Close everything",
                on: { click: () => this.#close(true) },
            },
            icon("close"),
        );
        const head = make("div", { class: "dialog-head" }, make("div", { class: "window-name" }, app, heading), cross);
        const foot = make("div", { class: "dialog-foot window-foot" }, close, submit);
        const form = make(
            "form",
            { class: "window-form", novalidate: true, "aria-describedby": wrong.id },
            head,
            body,
            wrong,
            foot,
        );
        const slot = make("div", { class: "modal-beside" });
        const main = make("div", { class: "window-main" }, form, slot);
        this.dialog = make("dialog", { class: "window", "aria-labelledby": heading.id }, peopleMenu(page), main);
        this.#parts = { heading, app, body, wrong, close, submit, slot, form };
        form.addEventListener("submit", (event) => {
            event.preventDefault();
            this.#submit();
        });
        this.dialog.addEventListener("cancel", (event) => {
            if (event.target !== this.dialog) return;
            event.preventDefault();
            this.#close(false);
        });
        // A browser may close a dialog without asking (Escape twice): the app is told all the same.
        this.dialog.addEventListener("close", () => !this.#gone && this.#modal.top && this.#close(false));
        document.body.append(this.dialog);
    }

    update(modal) {
        if (modal.view.hash !== this.#modal.view.hash) {
            this.#errors = {};
            this.#general = "";
        }
        this.#modal = modal;
        this.#draw();
        if (modal.top && !this.dialog.open && !this.#gone) this.#show();
    }

    hide() {
        if (!this.dialog.open) return;
        this.#modal = { ...this.#modal, top: false };
        this.#parts.slot.removeAttribute("id");
        this.dialog.close();
    }

    remove() {
        this.#gone = true;
        this.dialog.close();
        this.dialog.remove();
    }

    #show() {
        const { slot, body, heading } = this.#parts;
        slot.id = "modal-beside";
        this.dialog.showModal();
        this.#page.mountInWindow(slot);
        if (!body.querySelector("[autofocus]")) (firstField(body) ?? heading).focus();
    }

    #draw() {
        const { heading, app, body, wrong, close, submit, form } = this.#parts;
        const { view, values, suggested, top } = this.#modal;
        const context = contextOf(
            this.#page,
            { view: view.id },
            {
                values,
                suggested,
                errors: this.#errors,
                disabled: this.#busy || !top,
                became: (answer) => this.#became(answer),
                typed: (blockId) => this.#typed(blockId),
            },
        );
        const bot = this.#page.store.all("person").find((person) => person.app_id === view.app_id);
        heading.textContent = textOf(view.title, context);
        app.textContent = personName(this.#page.store, bot?.id);
        renderBlocks(body, view.blocks, context);
        wrong.textContent = this.#general;
        close.textContent = view.close ? textOf(view.close, context) : "Close";
        submit.hidden = !view.submit;
        submit.textContent = view.submit ? textOf(view.submit, context) : "";
        submit.setAttribute("aria-disabled", String(this.#busy));
        form.setAttribute("aria-busy", String(this.#busy));
        form.classList.toggle("busy", this.#busy);
    }

    #typed(blockId) {
        if (!(blockId in this.#errors) && !this.#general) return;
        delete this.#errors[blockId];
        this.#general = "";
        this.#draw();
    }

    #became(answer) {
        this.#general = answer.ok ? "" : answer.error;
        if (!this.#gone) this.#draw();
    }

    async #submit() {
        if (this.#busy || !this.#modal.view.submit) return;
        const hash = this.#modal.view.hash;
        this.#wait(true);
        const refusal = await keepTyped();
        const answer = refusal
            ? { ok: false, error: refusal }
            : await this.#page.act("submit", { view: this.#modal.id });
        this.#wait(false);
        if (this.#gone) return;
        if (!answer.ok && hash === this.#modal.view.hash) {
            this.#errors = answer.fields ?? {};
            this.#general = answer.error;
        }
        this.#draw();
        if (!answer.ok) focusFirstError(this.#parts.body);
    }

    #wait(busy) {
        this.#busy = busy;
        if (!this.#gone) this.#draw();
    }

    async #close(everything) {
        await keepTyped();
        const answer = await this.#page.act("close", { view: this.#modal.id, everything });
        if (!answer.ok && !this.#gone) {
            this.#became(answer);
            if (!this.dialog.open) this.dialog.showModal();
        }
    }
}

function firstField(body) {
    return body.querySelector("input:not([type=hidden]), select, textarea, button, a[href]");
}
