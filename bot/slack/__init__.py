"""Slack's counter of the desk: what people press and type comes in, what the history says goes out.

`listeners` acknowledge, parse, call one verb and show; `views` turn state into blocks and hold all text;
`delivery` tells; `channel` watches the audit channel; `people` is the directory. Messages render state and
are never records; buttons carry a request's id and nothing else.
"""
