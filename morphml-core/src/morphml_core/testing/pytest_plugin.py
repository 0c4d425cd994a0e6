"""The pytest plugin of MorphML."""
