"""The commands worker, cluster and chaos."""
