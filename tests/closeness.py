"""How closely the answers of a command agree, which chooses the number format of the processor."""

from anymic._internal.precision import has_fast_bfloat16

BFLOAT16 = (
    0.05  # of a probability: it has eight bits, and products of other sizes round differently
)


def of_commands(float32: float) -> float:
    """Return the difference that is allowed: this one, or more where bfloat16 may be chosen."""
    return BFLOAT16 if has_fast_bfloat16() else float32
