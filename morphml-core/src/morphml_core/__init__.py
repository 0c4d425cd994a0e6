"""MorphML: neural architecture search."""
