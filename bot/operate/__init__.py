"""What an operator does from the command line: look, end, verify, check, enrol, make keys.

Rule: none of it needs Slack, except `checking`; ending access needs no server either. Each function returns
plain values for programs; the `*_text` beside it says the same to a person.
"""
