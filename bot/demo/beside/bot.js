/* The bot's process and its history: kill it, and check what it wrote. Rule: the words are those of the real command and of
 * the real process. */

import { button, clock, section, watched, write } from "/beside/parts.js";
import { make } from "/files/make.js";

const STATES = { running: "runs", starting: "is starting", down: "is down" };

export class Bot {
    #context;
    #ask;
    #state = make("p", { class: "bs-process", role: "status" });
    #kill;
    #deaths = make("ul", { class: "bs-deaths" });
    #trouble = make("p", { class: "bs-refused", role: "status" });
    #verdict = make("div", { class: "bs-result", "aria-live": "polite" });

    constructor(context, ask) {
        this.#context = context;
        this.#ask = ask;
        this.#kill = button("Kill the bot (SIGKILL)", () => this.#tell(this.#ask("kill", {})), "danger");
        const check = button("Verify the history", () => this.#verify(false));
        const forge = button("Forge a copy, and verify it", () => this.#verify(true));
        const head = make("h4", {}, "Its history");
        const explain = make("p", { class: "bs-quiet" }, "Runs the real breakglass verify, with the checkpoints that stand in the audit channel.");
        const row = make("div", { class: "bs-buttons" }, check, forge);
        Object.assign(this, section("bot", "The bot’s process", this.#state, make("div", { class: "bs-buttons" }, this.#kill), this.#deaths, head, explain, row, this.#trouble, this.#verdict));
    }

    draw(state) {
        const { bot } = state;
        this.#state.dataset.state = bot.state;
        write(this.#state, `Process ${bot.pid} ${STATES[bot.state]}, since ${clock(bot.since)}. ${bot.trouble}`.trim());
        this.#drawDeaths(bot.deaths);
        this.#drawVerdict(state.verdict);
    }

    async #verify(forged) {
        this.#verdict.replaceChildren(make("p", { class: "bs-quiet" }, forged ? "Copying, forging, and running breakglass verify …" : "Running breakglass verify …"));
        const asked = await this.#tell(this.#ask("verify", { forged }));
        if (asked.ok) this.#drawVerdict(asked.verdict);
        else this.#verdict.replaceChildren();
    }

    async #tell(asked) {
        const answer = await asked;
        write(this.#trouble, answer.ok ? "" : answer.error);
        return answer;
    }

    #drawDeaths = watched((deaths) => {
        const rows = deaths.map(({ at, sentence, words }) => make("li", {}, `${clock(at)}: ${sentence}`, words ? make("pre", { tabindex: "0", "aria-label": "Its last words" }, words) : ""));
        this.#deaths.replaceChildren(...rows.reverse());
    });

    #drawVerdict = watched((verdict) => {
        if (!verdict) return;
        const { code, words, forged, at } = verdict;
        const sound = code === 0;
        const head = make("p", { class: `bs-verdict ${sound ? "bs-allowed" : "bs-refused"}` }, make("strong", {}, sound ? "Sound" : forged ? "Found out" : "Not sound"), make("span", { class: "bs-quiet" }, `exit code ${code} · ${clock(at)}`));
        this.#verdict.replaceChildren(head, forged ? make("p", {}, forged) : "", make("pre", { tabindex: "0", "aria-label": "What the command said" }, words));
    });
}
