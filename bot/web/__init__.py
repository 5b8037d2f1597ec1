"""What is served over HTTP: whether the server lives and is ready, and Slack's requests where it posts."""
