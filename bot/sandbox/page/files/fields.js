/* Fields of a form: which entry each holds, and how a change reaches the app. Rule: an entry has the shape of Slack's
 * state.values; what a person typed wins over what an app sends later, for as long as the field is the same one.
 *
 * A control is {node, target, marks, set(entry), get()}: `target` is what a label names (null for a group, which is
 * named by its legend), `marks` are the elements that say aria-invalid. */

/** type -> [key in the entry, key of the initial value] (docs.slack.dev/reference/block-kit/block-elements). */
const KINDS = {
    plain_text_input: ["value", "initial_value"],
    email_text_input: ["value", "initial_value"],
    url_text_input: ["value", "initial_value"],
    number_input: ["value", "initial_value"],
    rich_text_input: ["rich_text_value", "initial_value"],
    static_select: ["selected_option", "initial_option"],
    external_select: ["selected_option", "initial_option"],
    radio_buttons: ["selected_option", "initial_option"],
    checkboxes: ["selected_options", "initial_options"],
    multi_static_select: ["selected_options", "initial_options"],
    multi_external_select: ["selected_options", "initial_options"],
    users_select: ["selected_user", "initial_user"],
    multi_users_select: ["selected_users", "initial_users"],
    conversations_select: ["selected_conversation", "initial_conversation"],
    multi_conversations_select: ["selected_conversations", "initial_conversations"],
    channels_select: ["selected_channel", "initial_channel"],
    multi_channels_select: ["selected_channels", "initial_channels"],
    datepicker: ["selected_date", "initial_date"],
    timepicker: ["selected_time", "initial_time"],
    datetimepicker: ["selected_date_time", "initial_date_time"],
    file_input: ["files", ""],
};

export function isField(element) {
    return Object.hasOwn(KINDS, element.type);
}

/** What a field holds in an entry, or null. */
export function held(entry) {
    return entry[KINDS[entry.type][0]] ?? null;
}

/** The entry of a field that holds `value`: null, or [] for many, when empty. */
export function entryOf(element, value) {
    return { type: element.type, [KINDS[element.type][0]]: value };
}

export function initialEntry(element) {
    const [key, initial] = KINDS[element.type];
    const many = key.endsWith("s");
    return entryOf(element, element[initial] ?? (many ? [] : null));
}

/** What every control carries: a name unless a label names it, and where it stands, for the focus to come back. */
export function common(scope, label) {
    return {
        "aria-label": label,
        "data-block": scope.block.block_id,
        "data-action": scope.element.action_id,
        autofocus: scope.element.focus_on_load === true,
    };
}

/** A field in its place: `block` it stands in, the newest context, and what happens to its changes. */
export class Scope {
    constructor(shown, block, element, carried) {
        this.shown = shown;
        this.block = block;
        this.element = element;
        this.touched = carried !== undefined;
        this.last = carried ?? this.known();
    }

    /** The newest context: the shell gives one with every update. */
    get context() {
        return this.shown.context;
    }

    /** What the server holds for this field, as long as it is of the same kind. */
    known() {
        const entry = this.context.values?.[this.block.block_id]?.[this.element.action_id];
        return entry?.type === this.element.type ? entry : initialEntry(this.element);
    }

    /** Whether the app hears of every change: always outside input blocks. */
    get dispatches() {
        return this.block.type !== "input" || this.block.dispatch_action === true;
    }

    /** Keep a change, as it is typed; nobody hears of it yet. */
    put(entry) {
        this.touched = true;
        this.last = entry;
        this.context.put(this.block.block_id, this.element.action_id, entry);
    }

    /** Let go of a field: the app hears of it where the field dispatches. A no in the confirm dialog takes the change
     * back through `restore`. */
    async change(entry, restore) {
        if (!this.dispatches) {
            this.put(entry);
            return;
        }
        const before = this.last;
        const { element, context } = this;
        if (element.confirm && !(await context.confirm(element.confirm))) {
            restore(before);
            return;
        }
        this.touched = true;
        this.last = entry;
        await this.context.act(this.block.block_id, element.action_id, { entry });
    }
}
