"""What people see: pure functions from state to Slack payloads, and all human text of the Slack side.

    text      words, names, moments: made safe and cut to Slack's limits
    says      one sentence for each thing that can be true of a request
    card      the one live card of a request; buttons: what can be pressed on it
    form      the window in which access is asked for
    modals    the other windows: codes, decisions, reports, reviews, enrolment, a credential, a refusal
    notices   what a fact means for people: direct messages, lines in the card's thread, alarms
    audit     the history, line by line, for the audit channel
    guide     what the command answers: help, status, short sentences

Rule: no client, no await, no clock. A rendering can be made a hundred times and never touches anything.
"""
