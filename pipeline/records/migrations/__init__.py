"""How the tables of the records became what they are: Alembic's environment and its revisions."""
