"""Expressions of sympy compared by math-verify without its absolute tolerance, and written in one way."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

from scalinglab.tasks.numbers import alike, as_decimal, fewest, kept, rounded, written

_PRECISION = 60
"""Decimal digits to which two closed forms are compared."""
_SMALL = 40
"""Operations of an expression that is expanded at most."""


def verified(known: Any, said: Any) -> bool:
    """Whether math-verify calls an answer equal to the right one, which comes first: it is not symmetric.

    It compares numbers to six decimals, whatever their size, by which 1/2004! equals 1/2006!; here they are
    compared by ``_same_size``.
    """
    from math_verify import grader, verify

    grader.sympy_numeric_eq = _same_size
    return bool(verify([known], [said], timeout_seconds=None, raise_on_error=True))


def _same_size(one: Any, other: Any, *_: int) -> bool:
    """Two numbers, or matrices of them, exactly, or as far as a decimal among them was written out."""
    import sympy

    if isinstance(one, sympy.MatrixBase) and isinstance(other, sympy.MatrixBase):
        pairs = zip(one.flat(), other.flat(), strict=False)
        return one.shape == other.shape and all(_same_size(*pair) or pair[0] == pair[1] for pair in pairs)
    if (
        not isinstance(one, sympy.Expr)
        or not isinstance(other, sympy.Expr)
        or one.free_symbols
        or other.free_symbols
    ):
        return False
    bare = _without_percent(one), _without_percent(other)
    if (bare[0] is one) != (bare[1] is other) and _equal(*bare):
        return True
    return _equal(one, other)


def _equal(one: Any, other: Any) -> bool:
    import sympy

    (one, few), (other, more) = _exact(one), _exact(other)
    digits = fewest(few, more)
    if isinstance(one, sympy.Rational) and isinstance(other, sympy.Rational):
        return alike(Fraction(int(one.p), int(one.q)), Fraction(int(other.p), int(other.q)), digits)
    size = max(abs(sympy.N(one, _PRECISION)), abs(sympy.N(other, _PRECISION)))
    if digits is None or not (one.is_real and other.is_real):
        gap = abs(sympy.N(one, _PRECISION) - sympy.N(other, _PRECISION))
        return bool(size.is_finite and gap <= size * sympy.Float(10) ** -(_PRECISION * 2 // 3))
    return rounded(_decimal(one), kept(digits)) == rounded(_decimal(other), kept(digits))


def _exact(value: Any) -> tuple[Any, int | None]:
    """An expression with its decimals as the fractions that they are, worked out; and their fewest digits."""
    import sympy

    decimals = value.atoms(sympy.Float) if hasattr(value, "atoms") else ()
    exact = value.xreplace({x: sympy.nsimplify(x, rational=True) for x in decimals}) if decimals else value
    return exact.doit(), fewest(*(len(str(x).replace(".", "").strip("-0")) for x in decimals))


def _decimal(value: Any) -> Decimal:
    import sympy

    return Decimal(str(sympy.N(value, _PRECISION)))


def _without_percent(value: Any) -> Any:
    """What stands before a sign of per cent, which math-verify reads as times 1/100, not worked out."""
    import sympy

    hundredth = sympy.UnevaluatedExpr(sympy.Rational(1, 100))
    return value.args[0] if isinstance(value, sympy.Mul) and value.args[1:] == (hundredth,) else value


def in_one_way(value: Any, *, closed: bool) -> str | None:
    """Equal values in one way wherever that is simple; None for what would be a truth value.

    closed: roots and constants as they are, not as decimals of twelve digits.
    """
    import sympy

    def inner(part: Any) -> str:
        return in_one_way(part, closed=closed) or str(part)

    if isinstance(value, sympy.FiniteSet):
        parts = sorted({_named(part, inner) for part in value.args})
        return parts[0] if len(parts) == 1 else f"{{{', '.join(parts)}}}"
    if isinstance(value, sympy.Tuple):
        return f"({', '.join(map(inner, value.args))})"
    if isinstance(value, sympy.And) and all(isinstance(part, sympy.Eq) for part in value.args):
        return inner(getattr(value, "_unsorted_args", value.args)[-1].rhs)  # x = 2 + 3 = 5
    if isinstance(value, sympy.And):
        return " and ".join(sorted(map(inner, value.args)))
    if isinstance(value, sympy.Eq):
        return inner(value.rhs) if _only_names(value) else _equation(value)
    if isinstance(value, sympy.core.relational.Relational):
        return str(value.canonical) if value.free_symbols else None
    found, digits = _exact(_without_percent(value))
    if isinstance(found, (bool, sympy.logic.boolalg.BooleanAtom)):
        return None
    return _expression(found, digits, closed=closed) if isinstance(found, sympy.Expr) else str(found)


def _only_names(equation: Any) -> bool:
    """Whether the left side of an equation only names or leads to the right one: x, f(x), or 2 + 3."""
    from sympy.core.function import AppliedUndef

    return equation.lhs.is_Symbol or isinstance(equation.lhs, AppliedUndef) or not equation.free_symbols


def _named(part: Any, inner: Callable[[Any], str]) -> str:
    """A part of a list, with its variable: x = 1, y = 2 is not x = 2, y = 1."""
    import sympy

    return f"{part.lhs} = {inner(part.rhs)}" if isinstance(part, sympy.Eq) and part.lhs.is_Symbol else inner(part)


def _expression(value: Any, digits: int | None, *, closed: bool) -> str:
    import sympy

    if isinstance(value, sympy.Rational):
        return written(Fraction(int(value.p), int(value.q)), digits)
    if value.free_symbols:
        return str(sympy.cancel(value)) if value.count_ops() <= _SMALL and _is_low(value) else str(value)
    return str(value) if closed or not value.is_real or not value.is_finite else as_decimal(_decimal(value))


def _equation(value: Any) -> str:
    """The two sides' difference, which is 0, without a common factor and with a first sign of plus."""
    import sympy

    difference = value.lhs - value.rhs
    if isinstance(difference, sympy.Expr) and difference.count_ops() <= _SMALL and _is_low(difference):
        _, primitive = sympy.expand(_exact(difference)[0]).as_content_primitive()
        return f"{min(primitive, -primitive, key=lambda one: str(one).startswith('-'))} = 0"
    return f"{value.lhs} = {value.rhs}"


def _is_low(value: Any) -> bool:
    """Whether an expression has no high powers, which expand without end."""
    import sympy

    return all(
        (power.exp.is_Rational and abs(power.exp) <= 12) or not power.exp.is_number
        for power in value.atoms(sympy.Pow)
    )
