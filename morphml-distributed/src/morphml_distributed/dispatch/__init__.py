"""The master's mind: a pure state machine, with neither sockets nor a clock of its own."""
