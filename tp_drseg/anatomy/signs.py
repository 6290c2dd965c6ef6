"""Signs that the rules in use ask for, each with its numbers. They are no diagnosis.

The rules: the International Clinical Diabetic Retinopathy severity scale (Wilkinson et al.,
Ophthalmology 2003;110:1677-1682), whose first mark of severe retinopathy is the 4-2-1 rule's first
part; and the risk of macular oedema as IDRiD grades it (Porwal et al., Data 2018;3(3):25).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tp_drseg.anatomy.measurements import LesionMeasurements, Measurements

MANY_HAEMORRHAGES: Final = 20
"""In each of four quadrants: the first part of the 4-2-1 rule."""
NEAR_FOVEA: Final = 1.0
"""Disc diameters from the fovea: exudates as near are IDRiD's risk grade 2."""
RESEARCH_NOTICE: Final = (
    "For research. Not a medical device: signs are counted by a model that misses lesions and "
    "marks things that are none, and they are no diagnosis."
)
NOT_LOOKED_FOR: Final = (
    "Venous beading, intraretinal microvascular abnormalities and new vessels are not looked for, "
    "so the second and third part of the 4-2-1 rule and proliferative retinopathy are not judged."
)

MICROANEURYSM: Final = "microaneurysm"
HAEMORRHAGE: Final = "haemorrhage"
HARD_EXUDATE: Final = "hard exudate"
SOFT_EXUDATE: Final = "soft exudate"


@dataclass(frozen=True)
class Sign:
    """One sign.

    Attributes:
        name: What it is called.
        value: What was found; None where it cannot be told, such as without a fovea.
        numbers: What it follows from, by name.
        text: The same as a sentence.
    """

    name: str
    value: bool | int | None
    numbers: Mapping[str, float | int | None]
    text: str


@dataclass(frozen=True)
class Signs:
    """The signs of one photograph; a sign of a lesion that was not asked for has no value.

    Attributes:
        microaneurysms: Whether there is any.
        haemorrhage_quadrants: In how many quadrants there are haemorrhages.
        many_haemorrhages: Whether there are twenty or more in each of the four quadrants.
        macular_oedema_risk: 0 without exudates, 1 with, 2 with any within a disc diameter of the
            fovea.
        cotton_wool_spots: Whether there is any.
        notice: That it is for research, and what is not looked for.

    Example:
        >>> from tp_drseg import Anatomy, read_signs
        >>> from tp_drseg.anatomy import measure
        >>> signs = read_signs(measure({}, Anatomy()))
        >>> signs.microaneurysms.text
        'Microaneurysms: not asked for.'
    """

    microaneurysms: Sign
    haemorrhage_quadrants: Sign
    many_haemorrhages: Sign
    macular_oedema_risk: Sign
    cotton_wool_spots: Sign
    notice: str = f"{RESEARCH_NOTICE} {NOT_LOOKED_FOR}"

    def all(self) -> tuple[Sign, ...]:
        """Return the signs, in a fixed order."""
        return (
            self.microaneurysms,
            self.haemorrhage_quadrants,
            self.many_haemorrhages,
            self.macular_oedema_risk,
            self.cotton_wool_spots,
        )


def read_signs(measurements: Measurements) -> Signs:
    """Read the signs off what was measured.

    Example:
        >>> import numpy as np
        >>> from tp_drseg.anatomy import Anatomy, Disc, Point, measure, read_signs
        >>> mask = np.zeros((100, 200), bool)
        >>> mask[50:54, 60:64] = True
        >>> anatomy = Anatomy(Disc(150, 50, diameter=20), Point(50, 50), eye="right")
        >>> read_signs(measure({"hard exudate": mask}, anatomy)).macular_oedema_risk.value
        2
    """
    lesions = measurements.lesions
    haemorrhages = lesions.get(HAEMORRHAGE)
    return Signs(
        _presence("microaneurysms", lesions.get(MICROANEURYSM)),
        _quadrants(haemorrhages),
        _many(haemorrhages),
        _oedema_risk(lesions.get(HARD_EXUDATE)),
        _presence("cotton wool spots", lesions.get(SOFT_EXUDATE)),
    )


def _not_asked(name: str) -> Sign:
    return Sign(name, None, {}, f"{name.capitalize()}: not asked for.")


def _presence(name: str, found: LesionMeasurements | None) -> Sign:
    if found is None:
        return _not_asked(name)
    count = found.total.count
    return Sign(name, count > 0, {"count": count}, f"{name.capitalize()}: {count} found.")


def _quadrants(found: LesionMeasurements | None) -> Sign:
    name = "quadrants with haemorrhages"
    if found is None:
        return _not_asked(name)
    total = found.total.count
    if not found.quadrants:
        # none at all are none in every quadrant, wherever these are
        value = None if total else 0
        text = f"Haemorrhages: {total} found; quadrants need fovea and disc, which are not seen."
        return Sign(name, value, {"count": total}, text)
    counts = {quadrant: amount.count for quadrant, amount in found.quadrants.items()}
    value = sum(count > 0 for count in counts.values())
    listed = ", ".join(f"{quadrant} {count}" for quadrant, count in counts.items())
    return Sign(name, value, counts, f"Haemorrhages: in {value} of 4 quadrants ({listed}).")


def _many(found: LesionMeasurements | None) -> Sign:
    name = f"{MANY_HAEMORRHAGES} or more haemorrhages in each quadrant"
    if found is None:
        return _not_asked(name)
    total = found.total.count
    if not found.quadrants:
        value = False if total < 4 * MANY_HAEMORRHAGES else None
        said = "no, there are too few" if value is False else "not known without fovea and disc"
        return Sign(name, value, {"count": total}, f"{name}: {said}.")
    counts = {quadrant: amount.count for quadrant, amount in found.quadrants.items()}
    reached = sum(count >= MANY_HAEMORRHAGES for count in counts.values())
    text = (
        f"{name}: {'yes' if reached == 4 else 'no'}, reached in {reached} of 4 quadrants, as far "
        "as this one photograph shows them."
    )
    return Sign(name, reached == 4, {"quadrants": reached, **counts}, text)


def _oedema_risk(found: LesionMeasurements | None) -> Sign:
    name = "risk of macular oedema by exudates"
    if found is None:
        return _not_asked(name)
    count = found.total.count
    distance = found.scale.length(found.nearest_px).get("disc diameter")
    numbers = {"exudates": count, "nearest in disc diameters": distance}
    start = f"{name.capitalize()} (0, 1 or 2)"
    if not count:
        return Sign(name, 0, numbers, f"{start}: 0, no exudates found.")
    if distance is None:
        text = f"{start}: 1 or 2, {count} exudates found; fovea and disc are not both seen."
        return Sign(name, None, numbers, text)
    value = 2 if distance <= NEAR_FOVEA else 1
    text = (
        f"{start}: {value}, {count} exudates found, the nearest {distance:.2f} disc diameters "
        "from the fovea."
    )
    return Sign(name, value, numbers, text)
