"""MorphML on many machines: a gRPC master with workers, scheduling policies, Ray and Dask."""

__version__ = "0.1.0"
