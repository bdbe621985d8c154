"""From Airflow's connections to what the clients take."""
