"""Executors that run on many machines."""
