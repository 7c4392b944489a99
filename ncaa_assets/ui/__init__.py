"""The Dagster UI and the gallery as this project serves them: guarded against other web pages, with the processes that
the UI needs."""
