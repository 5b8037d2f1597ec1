"""What is not Slack and not the bot: the production database of the demo, an authenticator, the tour.

The bot runs in it unchanged, as a process of its own, and speaks Slack's protocol to the sandbox workspace.
"""
