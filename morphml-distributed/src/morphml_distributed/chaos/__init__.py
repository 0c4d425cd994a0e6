"""Faults on purpose: what a search must survive."""
