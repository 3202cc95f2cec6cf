"""What scale is held to."""

MOST_TIME = 1.05  # exponent of CPU seconds
MOST_MEMORY = 0.3  # exponent of the bytes held
MOST_BYTES = 4 * 10**9  # at 70,000 images
LARGE = 70_000
BOUNDED = (  # steps that are held to these
    "prepare",
    "pixels",
    "features",
    "embed",
    "cleanse_influence",
    "cleanse_neighbours",
    "cleanse_final",
    "augment",
    "augment_edge_cases",
    "export",
    "summarise",
    "report",
    "diff",
    "diff --md",
)
