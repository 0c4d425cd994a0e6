"""The master: sockets around the state machine."""
