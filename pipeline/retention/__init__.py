"""Retention: what is old enough goes, by a policy in days; what is reviewed stays longer. Knows no MLflow."""
