"""The Dagster UI as this project starts it: guarded against other web pages, with the processes that it needs."""
