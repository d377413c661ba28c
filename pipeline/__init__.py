"""IN WHAT ORDER a frame becomes a verdict: read, inspect, record, report, track. Plain functions."""
