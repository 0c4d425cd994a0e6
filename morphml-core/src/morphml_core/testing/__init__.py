"""Conformance suites: one pytest class per kind of component, each with one required fixture, `make`."""
