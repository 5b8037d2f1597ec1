/* Moments in the reader's own time zone and hour cycle. Rule: unix seconds come in, text goes out; what cannot be
 * read as a moment gives null, and the caller shows the fallback that was sent for it.
 * Tokens: docs.slack.dev/messaging/formatting-message-text#date-formatting and the date element's page. */

const DAY = 86_400_000;
const SOON = { "-1": "yesterday", 0: "today", 1: "tomorrow" };
const STEPS = [
    ["year", 31_536_000],
    ["month", 2_592_000],
    ["day", 86_400],
    ["hour", 3600],
    ["minute", 60],
];

// The words are English, as the apps' are; only the hour cycle is the reader's.
const twelve = new Intl.DateTimeFormat(undefined, { hour: "numeric" }).resolvedOptions().hour12 ?? false;
const formatter = (options) => new Intl.DateTimeFormat("en", options);
const CLOCK = formatter({ hour: "numeric", minute: "2-digit", hour12: twelve });
const CLOCK_SECONDS = formatter({ hour: "numeric", minute: "2-digit", second: "2-digit", hour12: twelve });
const WHOLE = formatter({ dateStyle: "full", timeStyle: "long", hour12: twelve });
const DAY_LONG = formatter({ weekday: "long", month: "long", day: "numeric", year: "numeric" });
const DAY_OF_YEAR = formatter({ weekday: "long", month: "long", day: "numeric" });
const DAY_FULL = formatter({ month: "long", day: "numeric", year: "numeric" });
const DAY_SHORT = formatter({ month: "short", day: "numeric", year: "numeric" });
const AGO = new Intl.RelativeTimeFormat("en", { numeric: "auto" });

const two = (number) => String(number).padStart(2, "0");
const midnight = (date) => new Date(date.getFullYear(), date.getMonth(), date.getDate());

function moment(unixSeconds) {
    const date = new Date(Number(unixSeconds) * 1000);
    return unixSeconds === "" || Number.isNaN(date.getTime()) ? null : date;
}

/** today, yesterday, tomorrow, or null. Rounded, because a day at the change of clocks is not 24 hours long. */
function near(date) {
    return SOON[Math.round((midnight(date) - midnight(new Date())) / DAY)] ?? null;
}

function ago(date) {
    const seconds = (date.getTime() - Date.now()) / 1000;
    const [unit, length] = STEPS.find(([, step]) => Math.abs(seconds) >= step) ?? ["second", 1];
    return AGO.format(Math.trunc(seconds / length), unit);
}

const TOKENS = {
    date_num: (date) => `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`,
    date_slash: (date) => new Intl.DateTimeFormat().format(date),
    date_long: (date) => DAY_LONG.format(date),
    date_long_full: (date) => DAY_FULL.format(date),
    date_long_pretty: (date) => near(date) ?? DAY_LONG.format(date),
    date: (date) => DAY_FULL.format(date),
    date_pretty: (date) => near(date) ?? DAY_FULL.format(date),
    date_short: (date) => DAY_SHORT.format(date),
    date_short_pretty: (date) => near(date) ?? DAY_SHORT.format(date),
    day_divider_pretty: (date) => near(date) ?? dayOfYear(date),
    time: (date) => CLOCK.format(date),
    time_secs: (date) => CLOCK_SECONDS.format(date),
    ago,
};

function dayOfYear(date) {
    return date.getFullYear() === new Date().getFullYear() ? DAY_OF_YEAR.format(date) : DAY_LONG.format(date);
}

/** `6:39 AM` or `06:39`. */
export function clockTime(unixSeconds) {
    const date = moment(unixSeconds);
    return date === null ? null : CLOCK.format(date);
}

/** A day as a divider between messages names it: `Today`, `Tuesday, February 18`. */
export function longDate(unixSeconds) {
    const date = moment(unixSeconds);
    if (date === null) return null;
    const text = TOKENS.day_divider_pretty(date);
    return text[0].toUpperCase() + text.slice(1);
}

/** Date, time and zone in full, for titles: nobody should have to guess the zone. */
export function wholeMoment(unixSeconds) {
    const date = moment(unixSeconds);
    return date === null ? null : WHOLE.format(date);
}

/** For `<time datetime>`. */
export function machineTime(unixSeconds) {
    return moment(unixSeconds)?.toISOString() ?? null;
}

/** A format such as `{date_short_pretty} at {time}` filled in; null when there is no such moment. */
export function slackDate(format, unix) {
    const date = moment(unix);
    if (date === null || !/^\d+$/.test(String(unix))) return null;
    return format.replace(/\{(\w+)\}/g, (token, name) => (Object.hasOwn(TOKENS, name) ? TOKENS[name](date) : token));
}

/** Unix seconds as `datetime-local` wants it, in the reader's zone; and back. */
export function localInput(unixSeconds) {
    const date = moment(unixSeconds);
    return date === null ? "" : `${TOKENS.date_num(date)}T${two(date.getHours())}:${two(date.getMinutes())}`;
}

export function fromLocalInput(text) {
    const date = new Date(text);
    return text === "" || Number.isNaN(date.getTime()) ? null : Math.floor(date.getTime() / 1000);
}
