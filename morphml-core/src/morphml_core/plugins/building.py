"""Builds a part, and gives what it complains of the place where its section, or its option, was written."""

from __future__ import annotations

from typing import Any

from morphml_core.errors import Complaint, ConfigurationError, MorphMLError, StorageError
from morphml_core.plugins.component import Part
from morphml_core.plugins.loader import owner_of
from morphml_core.plugins.refs import Located, place_of


def built(part: Part[Any], *collaborators: Any) -> Any:
    """The implementation; for the parts of a configuration, and for a part that another one wraps.

    Raises `ConfigurationError`.  Where its factory raises one, a complaint about the path `optimizer.weights` (any option of an optimizer) or
    `optimizer` goes to the place where that was written, one without a path to that of the section.
    """
    try:
        return part.create(*collaborators)
    except ConfigurationError as error:
        raise ConfigurationError([_placed(part, found) for found in error.complaints]) from error.__cause__
    except StorageError:
        raise
    except MorphMLError as error:
        raise complaint(part, f"{owner_of(part.ref)}: {error}") from error
    except ImportError as error:
        raise complaint(part, f"{owner_of(part.ref)} cannot be built: {type(error).__name__}: {error}") from error


def complaint(part: Part[Any], message: str) -> ConfigurationError:
    """An error of one complaint, at the place where the part stands in the configuration."""
    return ConfigurationError([Complaint(part.ref.where, message)])


def _placed(part: Part[Any], found: Complaint) -> Complaint:
    section, *keys = found.where.split(".")
    if section not in ("", part.ref.kind):
        return found
    places = part.ref.options.places if isinstance(part.ref.options, Located) else {}
    return Complaint(place_of(places, tuple(keys), part.ref.where) or found.where, found.message)
