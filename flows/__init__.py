"""WHEN inspections run: the Prefect flows and the command line that starts them."""
