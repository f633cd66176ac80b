"""Numbers as they are written, compared exactly, or as far as a decimal was written out: never by a distance."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Context, Decimal
from fractions import Fraction

_SIGN = r"[-+]?"
_DECIMAL = r"(?:\d+(?:,\d{3})*(?:\.\d*)?|\.\d+)"
_POWER = r"(?:\s*(?:\\times|\\cdot|\*|x)\s*10\s*\^\s*(?:\{\s*([-+]?\d{1,4})\s*\}|([-+]?\d)))?"
_PLAIN = re.compile(rf"({_SIGN})\s*(?:\\?[$\u20ac\u00a3\u00a5])?\s*({_SIGN}{_DECIMAL}){_POWER}\s*(\\?%)?")
_FRACTION = re.compile(
    rf"({_SIGN})\s*(\d*)\s*(?:\\[dtc]?frac\s*(?:\{{\s*(-?\d+)\s*\}}\s*\{{\s*(\d+)\s*\}}|(\d)\s*(\d))"
    r"|(?<!\d)(\d+)\s*/\s*(\d+))\s*(\\?%)?"
)
_WRITTEN = 6
"""Significant digits from which a decimal may stand for a number that it only approaches."""
_NOISE = 12
"""Significant digits beyond which a decimal differs by the rounding of a computer."""
_EXACT = Context(prec=60)


@dataclass(frozen=True)
class Number:
    """A number. digits: the significant digits of a decimal, None where it is no decimal; percent: of hundred."""

    value: Fraction
    digits: int | None = None
    percent: bool = False


def number(text: str) -> Number | None:
    """A text that is one number (18, 1,234.50, 3/4, 1\\frac{1}{4}, 1.6\\times10^{-19}, 50\\%), or None."""
    if found := _PLAIN.fullmatch(text):
        sign, body, power, short, percent = found.groups()
        plain = body.replace(",", "")
        value = Fraction(plain.rstrip(".") or "0") * Fraction(10) ** int(power or short or 0)
        return Number(-value if sign == "-" else value, _digits(plain), percent is not None)
    if found := _FRACTION.fullmatch(text):
        sign, whole, *parts, percent = found.groups()
        above, below = (int(part) for part in parts if part)
        if below == 0:
            return None
        value = int(whole or 0) + Fraction(above, below)
        return Number(-value if sign == "-" else value, None, percent is not None)
    return None


def same_number(one: Number, other: Number) -> bool:
    """Whether two numbers are the same, per cent or not: 9 % is 9, and it is 0.09."""
    digits = fewest(one.digits, other.digits)
    pairs = [(one.value, other.value)]
    if one.percent != other.percent:
        part, whole = (one, other) if one.percent else (other, one)
        pairs.append((part.value / 100, whole.value))
    return any(alike(a, b, digits) for a, b in pairs)


def alike(one: Fraction, other: Fraction, digits: int | None) -> bool:
    """Whether two numbers are equal; where a decimal of so many significant digits is among them, to those.

    A short decimal (0.33) stands for itself alone.
    """
    if one == other or digits is None:
        return one == other
    return rounded(one, kept(digits)) == rounded(other, kept(digits))


def kept(digits: int) -> int:
    """The significant digits to which a decimal of so many is compared."""
    return _NOISE if digits < _WRITTEN else min(digits, _NOISE)


def rounded(value: Fraction | Decimal, digits: int) -> str:
    """A number to so many significant digits."""
    exact = (
        value
        if isinstance(value, Decimal)
        else _EXACT.divide(Decimal(value.numerator), Decimal(value.denominator))
    )
    return f"{exact:.{digits - 1}e}" if exact else "0"


def fewest(*digits: int | None) -> int | None:
    """The fewest digits of the decimals among several numbers; None where none is one."""
    return min((one for one in digits if one is not None), default=None)


def written(value: Fraction, digits: int | None) -> str:
    """A number in one way: a decimal that only approaches a simple fraction as that (0.333333 as 1/3)."""
    if digits is not None and digits >= _WRITTEN:
        simple = value.limit_denominator(100)
        if alike(simple, value, digits):
            return str(simple)
        if digits >= _NOISE:
            return as_decimal(value)
    return str(value)


def as_decimal(value: Fraction | Decimal) -> str:
    """A number to twelve digits, as which a root and the decimal that was worked out of it are the same."""
    return format(Decimal(rounded(value, _NOISE)).normalize(), "f")


def _digits(decimal: str) -> int | None:
    """The significant digits of a decimal with a point."""
    return len(re.sub(r"^[-+0.]+|\.", "", decimal)) if "." in decimal.rstrip(".") else None
