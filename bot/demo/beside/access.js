/* Trying the access: queries and an open session at the real production database. Rule: what stands here is the database's
 * own answer, in its own words. */

import { button, clock, firstName, section, table, watched, write } from "/beside/parts.js";
import { freshId, make } from "/files/make.js";

export class Access {
    #context;
    #ask;
    #you = "";
    #own;
    #shown;
    #ownText = make("span", {}, "Own login"); // whose it is, once the state is there
    #user;
    #password;
    #fields;
    #queries = make("div", { class: "bs-buttons" });
    #result = make("div", { class: "bs-result" });
    #sessions = make("ul", { class: "bs-sessions" });
    #keep;
    #catalogue = make("div", { class: "bs-catalogue" });

    constructor(context, ask) {
        this.#context = context;
        this.#ask = ask;
        const name = freshId("bs-login");
        const choice = (value, text) => {
            const input = make("input", { type: "radio", name, value, on: { change: () => this.#choose() } });
            return [input, make("label", { class: "bs-choice" }, input, text)];
        };
        const [own, ownLabel] = choice("own", this.#ownText);
        const [shown, shownLabel] = choice("shown", "The credential from Slack");
        own.checked = true;
        this.#own = own;
        this.#shown = shown;
        this.#user = make("input", { class: "field", autocomplete: "off", spellcheck: "false", autocapitalize: "none", maxlength: "200" });
        this.#password = make("input", { class: "field", type: "password", autocomplete: "off", maxlength: "200" });
        this.#fields = make("div", { class: "bs-fields" }, labelled("User", this.#user), labelled("Password", this.#password));
        this.#keep = button("Keep a session open", () => this.#open());
        const login = make("fieldset", { class: "bs-logins" }, make("legend", {}, "Log in with"), ownLabel, shownLabel, this.#fields);
        const truth = make("details", { class: "bs-truth", open: true }, make("summary", {}, "What the database itself says"), this.#catalogue);
        Object.assign(this, section("access", "Try the access", login, this.#queries, this.#result, this.#sessions, truth));
        this.#result.setAttribute("aria-live", "polite");
        this.#choose();
    }

    draw(state, now) {
        const you = this.#context.you();
        if (you !== this.#you) this.#become(you);
        write(this.#ownText, `${firstName(this.#context.person(you))}’s own login`);
        this.#drawQueries(state.access.queries);
        if (state.you === you) this.#drawResult(state.access.last);
        this.#drawSessions(state.access.sessions, now);
        this.#drawCatalogue(state.catalogue);
    }

    #become(you) {
        this.#you = you;
        this.#drawResult(null); // until the server has said this person's, there is none
        this.#own.checked = true;
        this.#user.value = this.#password.value = "";
        this.#choose();
    }

    #choose() {
        this.#fields.hidden = !this.#shown.checked;
    }

    #login() {
        return this.#shown.checked ? { user: this.#user.value, password: this.#password.value } : {};
    }

    #drawQueries = watched((queries) => {
        const made = queries.map(({ id, title, sql }) => {
            const node = button(title, () => this.#query(id));
            node.title = sql;
            return node;
        });
        this.#queries.replaceChildren(...made, this.#keep);
    });

    async #query(id) {
        const answer = await this.#asked("query", { query: id });
        if (answer?.ok) this.#drawResult(answer.attempt);
        else if (answer) this.#complain(answer.error);
    }

    async #open() {
        const answer = await this.#asked("open", {});
        if (!answer) return;
        if (!answer.ok) this.#complain(answer.error);
        else if (answer.refused) this.#complain(answer.refused, "The database refused");
    }

    /** Asks as who one is by now; null when one is somebody else when the answer comes: it is not theirs. */
    async #asked(verb, body) {
        const as = this.#you;
        const answer = await this.#ask(verb, { as, ...body, ...this.#login() });
        return as === this.#you ? answer : null;
    }

    #complain(text, lead = "Not asked") {
        this.#result.replaceChildren(make("p", { class: "bs-verdict bs-refused" }, make("strong", {}, lead), ` ${text}`));
    }

    #drawResult = watched((attempt) => {
        if (!attempt) {
            this.#result.replaceChildren();
            return;
        }
        const { refused, rows, columns, title, login, at } = attempt;
        const when = make("span", { class: "bs-quiet" }, `${title} · ${login} · ${clock(at)}`);
        if (refused) {
            this.#result.replaceChildren(make("p", { class: "bs-verdict bs-refused" }, make("strong", {}, "Refused"), make("q", {}, refused), when));
            return;
        }
        const head = make("p", { class: "bs-verdict bs-allowed" }, make("strong", {}, "Allowed"), when);
        this.#result.replaceChildren(head, rows.length ? table(title, columns, rows) : make("p", { class: "bs-quiet" }, "No rows."));
    });

    #rows = new Map(); // id of a session: its row, which stays, so that focus stays on its button

    #drawSessions(sessions, now) {
        const ids = new Set(sessions.map(({ id }) => id));
        for (const [id, row] of this.#rows) {
            if (ids.has(id)) continue;
            row.node.remove();
            this.#rows.delete(id);
        }
        for (const kept of sessions) {
            if (!this.#rows.has(kept.id)) {
                this.#rows.set(kept.id, this.#row(kept));
                this.#sessions.append(this.#rows.get(kept.id).node);
            }
            this.#drawSession(this.#rows.get(kept.id), kept, now);
        }
    }

    #row({ id, login }) {
        const mark = make("span", { class: "bs-dot", "aria-hidden": "true" });
        const words = make("span");
        const last = make("q", { hidden: true });
        const end = button("", () => this.#ask("close", { id }), "bs-plain");
        const said = make("span", { class: "bs-grow" }, make("strong", {}, `Session of ${login} `), words, last);
        return { node: make("li", {}, mark, said, end), mark, words, last, end, open: true };
    }

    #drawSession(row, { login, opened_at, cut_at, words }, now) {
        const open = cut_at === null;
        if (row.open && !open) this.#context.say(`The session of ${login} was cut by the database.`);
        row.open = open;
        row.mark.className = open ? "bs-dot bs-on" : "bs-dot bs-off";
        row.last.hidden = open;
        write(row.words, open ? `open for ${Math.max(0, Math.floor(now - opened_at))} s` : `cut at ${clock(cut_at)}`);
        write(row.last, words);
        write(row.end, open ? "Hang up" : "Forget");
    }

    #drawCatalogue = watched(({ roles, sessions, trouble }) => {
        if (trouble) {
            this.#catalogue.replaceChildren(make("p", { class: "bs-refused" }, `It does not answer: ${trouble}`));
            return;
        }
        const marked = roles.map(({ name, login, until, roles: held, holders }) => {
            const who = login ? `a login of its own, in ${held.join(", ") || "nothing"}` : `gives ${held.join(", ") || "nothing"} to ${holders.join(", ") || "nobody"}`;
            return make("li", {}, make("code", {}, name), ` ${who}`, until ? `, valid until ${clock(until)}` : "");
        });
        const open = sessions.map(({ login, since }) => make("li", {}, make("code", {}, login), ` is connected since ${clock(since)}`));
        this.#catalogue.replaceChildren(
            make("p", { class: "bs-quiet" }, marked.length ? "Roles with Breakglass’s mark:" : "No role with Breakglass’s mark: nobody has access."),
            make("ul", {}, ...marked),
            open.length ? make("p", { class: "bs-quiet" }, "Sessions:") : "",
            make("ul", {}, ...open),
        );
    });
}

function labelled(text, input) {
    input.id = freshId("bs-field");
    return make("div", {}, make("label", { class: "label", for: input.id }, text), input);
}
