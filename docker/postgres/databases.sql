-- The databases of a plant, made when PostgreSQL starts on an empty volume.
CREATE DATABASE records;
CREATE DATABASE mlflow;
CREATE DATABASE mlflow_users;
CREATE DATABASE prefect;
