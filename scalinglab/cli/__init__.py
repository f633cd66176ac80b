"""The command line: one subcommand a verb, each parse -> one library call -> render."""

from scalinglab.cli.verbs import app, main

__all__ = ["app", "main"]
