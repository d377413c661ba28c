"""Review: which parts people see, what they answered, and what follows from it. Knows no MLflow."""
