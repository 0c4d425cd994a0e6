"""The report: one self-contained HTML page about an experiment, readable without a network.

`page.write(material, path)` writes it; `material.Material` is all that it needs to know.
"""
