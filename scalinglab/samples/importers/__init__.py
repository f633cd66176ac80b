"""Other people's logs as samples tables: one function and one record a kind, with the same checks for all.

A further kind is one function and one record: ``register(Importer("mine", files, read))``.
"""

from scalinglab.samples.importers.reading import read_logs
from scalinglab.samples.importers.record import Asked, Importer, Log, choice, importers, register

__all__ = ["Asked", "Importer", "Log", "choice", "importers", "read_logs", "register"]
