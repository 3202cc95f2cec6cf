"""How far a random view may stray from its image."""


def check_ranges(ranges: object) -> None:
    """Refuse ranges that leave nothing of an image.

    Args:
        ranges: a dataclass of them: ``rotate_degrees`` in [0, 360), every other a fraction in [0, 1).

    Raises:
        ValueError: one is out of range; with its name.
    """
    for name, value in vars(ranges).items():
        limit = 360 if name == "rotate_degrees" else 1
        if not 0 <= value < limit:
            raise ValueError(f"{name} must lie in [0, {limit}), got {value}")
