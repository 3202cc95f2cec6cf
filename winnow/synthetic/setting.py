"""How hard the source is: how often its writers are ambiguous, and how plausible its faults."""

from winnow.pipeline.fields import Share, section


@section
class Setting:
    """One of `synthesise.settings`; all 0 is a source of clear hands and coarse faults."""

    ambiguous_hands: Share  # share of a split's writers whose numerals lean towards others
    leaning: Share  # share of such a hand's numerals that do, of those that may be taken for another
    strength: Share  # how far they lean, and confused labels' images too: 1 is as far as they stay legible
    confused: Share  # share of the wrong labels whose image leans towards the numeral it is filed under
    near_junk: Share  # share of the junk that is almost a numeral i to x
    filed: Share  # share of that which is almost the numeral under which it is filed
    lone: Share  # share of the images whose writer wrote no other


USUAL = Setting(ambiguous_hands=0.0, leaning=0.0, strength=0.0, confused=0.0, near_junk=0.0, filed=0.0, lone=0.0)
