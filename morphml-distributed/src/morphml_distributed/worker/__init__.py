"""The worker: joins a master, and runs its tasks."""
