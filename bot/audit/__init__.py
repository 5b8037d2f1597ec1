"""The history as evidence: canonical bytes, an RFC 6962 tree, signed checkpoints, the channel, the verifier.

Knows `core` only. The channel is reached through a callable: nothing here knows Slack.
"""
