"""Scheduling policies: which waiting task goes to which worker."""
