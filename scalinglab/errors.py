"""Every error the library raises on purpose. Each is also the builtin it replaces."""


class ScalingLabError(Exception):
    """An error in three parts: what was given, what is allowed, what to do about it."""

    def __init__(self, given: str, allowed: str, do: str) -> None:
        super().__init__(given, allowed, do)

    def __str__(self) -> str:
        given, allowed, do = self.args
        return " ".join(f"{given}; expected {allowed}; {do}".splitlines())


class SpecError(ScalingLabError, ValueError):
    """A model's shape, or an accounting rule applied to it, makes no sense."""


class DataError(ScalingLabError, ValueError):
    """Recorded data cannot be read, or cannot mean what it says."""


class FitError(ScalingLabError, ArithmeticError):
    """A law cannot be fitted to the data given."""


class EngineError(ScalingLabError, RuntimeError):
    """An inference engine or server failed."""


class UnreadError(EngineError):
    """A verifier that cannot read one solution, and could not another time."""


class DeadEngineError(EngineError):
    """An engine or server of which no further call can succeed: whoever collects stops at once."""
