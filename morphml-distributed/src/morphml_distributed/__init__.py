"""MorphML on many machines: a gRPC master with workers, scheduling policies, Ray and Dask."""
