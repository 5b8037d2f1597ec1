"""What is not Slack and not the bot: the demo in a browser, the tour, and the stage that both play on.

    stage       sets it: workspace, people, production database, keys, authenticators; supervisor runs the bot
    plan        what differs from an installation: shorter times, how things are connected
    tour        the whole story, headless
    demo        the same stage with its page; panel and beside/ are what stands beside the workspace there
    guide       what a visitor may try, ticked by what really happened

The bot runs in it unchanged, as a process of its own, and speaks Slack's protocol to the sandbox workspace.
"""
