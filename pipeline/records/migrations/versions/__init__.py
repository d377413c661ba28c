"""One file a revision, each behind the one before; what stands in them is never changed again."""
