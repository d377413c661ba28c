"""A line while it runs: frames come when they come, each is told of in time, and none is lost."""
