"""Search algorithms for MorphML."""
