"""MorphML on many machines: a gRPC master with workers, scheduling policies, Ray and Dask."""

import os

# gRPC's core reads this once, while it is imported; without it, it prints a line on stderr for each handshake that fails: whoever
# scans the master's port could fill its terminal.  What matters of it is said in sentences of our own.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

__version__ = "0.1.0"
