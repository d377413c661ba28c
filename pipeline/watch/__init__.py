"""Watch: whether the line still looks as it did when its threshold was chosen, and if not, what changed."""
