/* The signs for `:codes:`. Rule: a small map; a code that is not in it is shown as it was written. */

const SIGNS = {
    "+1": "👍", "-1": "👎", thumbsup: "👍", thumbsdown: "👎", clap: "👏", wave: "👋", pray: "🙏", muscle: "💪",
    white_check_mark: "✅", heavy_check_mark: "✔️", ballot_box_with_check: "☑️", x: "❌", cross_mark: "❌",
    heavy_plus_sign: "➕", heavy_minus_sign: "➖", warning: "⚠️", no_entry: "⛔", no_entry_sign: "🚫",
    octagonal_sign: "🛑", rotating_light: "🚨", police_car_light: "🚨", construction: "🚧", fire: "🔥",
    fire_extinguisher: "🧯", boom: "💥", zap: "⚡", bulb: "💡", electric_light_bulb: "💡",
    lock: "🔒", unlock: "🔓", key: "🔑", closed_lock_with_key: "🔐", old_key: "🗝️", shield: "🛡️",
    hourglass: "⌛", hourglass_flowing_sand: "⏳", stopwatch: "⏱️", alarm_clock: "⏰", timer_clock: "⏲️",
    bell: "🔔", no_bell: "🔕", mega: "📣", loudspeaker: "📢", eyes: "👀", speech_balloon: "💬",
    red_circle: "🔴", large_red_circle: "🔴", large_orange_circle: "🟠", large_yellow_circle: "🟡",
    large_green_circle: "🟢", large_blue_circle: "🔵", white_circle: "⚪", black_circle: "⚫",
    tada: "🎉", party_popper: "🎉", sparkles: "✨", star: "⭐", rocket: "🚀", heart: "❤️", hundred: "💯",
    smile: "😄", slightly_smiling_face: "🙂", smiley: "😃", joy: "😂", thinking_face: "🤔", sob: "😭", scream: "😱",
    slightly_frowning_face: "🙁", sweat_smile: "😅", robot_face: "🤖", ghost: "👻", skull: "💀", see_no_evil: "🙈",
    pushpin: "📌", round_pushpin: "📍", memo: "📝", clipboard: "📋", page_facing_up: "📄", lower_left_ballpoint_pen: "🖊️",
    bar_chart: "📊", chart_with_upwards_trend: "📈", chart_with_downwards_trend: "📉", calendar: "📅", date: "📅",
    mag: "🔍", link: "🔗", paperclip: "📎", wrench: "🔧", hammer: "🔨", gear: "⚙️", hammer_and_wrench: "🛠️",
    test_tube: "🧪", package: "📦", computer: "💻", desktop_computer: "🖥️", floppy_disk: "💾", iphone: "📱",
    cloud: "☁️", snowflake: "❄️", bug: "🐛", question: "❓", exclamation: "❗", information_source: "ℹ️",
    arrow_right: "➡️", arrow_left: "⬅️", arrow_up: "⬆️", arrow_down: "⬇️", arrows_counterclockwise: "🔄",
    repeat: "🔁", wastebasket: "🗑️", scroll: "📜", ledger: "📒", classical_building: "🏛️", scales: "⚖️",
};

/** The sign for a code without its colons, or undefined. */
export function sign(code) {
    return Object.hasOwn(SIGNS, code) ? SIGNS[code] : undefined;
}
