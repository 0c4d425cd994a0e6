"""Finds spaces that cannot work before a search begins."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from numpy.random import Generator

from morphml_core.errors import GraphError
from morphml_core.graph.operations import Signature

if TYPE_CHECKING:
    from morphml_core.protocols import Space


def impossible(space: Space, signature: Signature, rng: Generator, tries: int = 50) -> str | None:
    """Why no network of a space can be built for data of a signature, or None where one of `tries` samples can.

    The sentence names the error that was met most often.
    """
    from morphml_core.graph.shapes import lower

    met: Counter[str] = Counter()
    for _ in range(tries):
        try:
            graph = space.express(space.decisions.sample(rng)).graph
            if graph is not None and space.operations is not None:
                lower(graph, space.operations, signature)
        except GraphError as error:
            met[str(error)] += 1
        else:
            return None
    if not met:
        return None
    (sentence, count), shape = met.most_common(1)[0], " x ".join(map(str, signature.shape))
    return (
        f"no network of this space fits samples of shape {shape}: none of {tries} drawn at random could be built; "
        f"{count} times: {sentence}"
    )
