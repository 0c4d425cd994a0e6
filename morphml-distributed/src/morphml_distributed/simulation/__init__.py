"""A cluster in simulated time: the real dispatcher and the real workers' bookkeeping, on a virtual clock and network, with faults."""
