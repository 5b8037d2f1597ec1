"""What is served over HTTP. For now: whether the server lives, and whether it is ready."""
