"""How a person looks: build, colours, clothing; drawn from few clothing clusters, with near-twins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, TypeVar

import numpy as np

from retail_ray.core.errors import DataError

Colour = tuple[float, float, float]
"""Linear RGB albedo, 0 to 1."""

Pattern = Literal["plain", "stripes", "checks", "dots", "logo"]
Sleeves = Literal["long", "short"]
Legs = Literal["trousers", "shorts", "skirt"]
Hair = Literal["bald", "short", "long", "cap", "hood"]
Bag = Literal["none", "backpack", "shoulder", "basket"]
_Choice = TypeVar("_Choice")


@dataclass(frozen=True, slots=True)
class Appearance:
    """Everything that the renderer needs to draw one person; `cluster` is the clothing cluster it was drawn from.

    `build` scales widths (1 is average), `shoulder_share` is half the shoulders' distance over the height,
    `coat_m` is how far the top reaches below the hips. `twin_of` is the person_id of somebody dressed nearly alike.
    """

    cluster: int
    height_m: float
    build: float
    shoulder_share: float
    head_scale: float
    skin: Colour
    hair: Hair
    hair_colour: Colour
    top: Colour
    top_second: Colour
    top_pattern: Pattern
    sleeves: Sleeves
    bottom: Colour
    legs: Legs
    shoes: Colour
    bag: Bag
    bag_colour: Colour
    coat_m: float
    texture_seed: int
    twin_of: int | None = None


@dataclass(frozen=True, slots=True)
class _Cluster:
    """What a clothing cluster has in common; the person draws one of each and shifts the colours a little."""

    tops: tuple[Colour, ...]
    bottoms: tuple[Colour, ...]
    patterns: tuple[Pattern, ...]
    sleeves: tuple[Sleeves, ...] = ("long",)
    coat_m: tuple[float, ...] = (0.0,)
    legs: tuple[Legs, ...] = ("trousers",)


_BLACK: Final[Colour] = (0.02, 0.02, 0.022)
_ANTHRACITE: Final[Colour] = (0.055, 0.055, 0.06)
_GREY: Final[Colour] = (0.21, 0.21, 0.22)
_WHITE: Final[Colour] = (0.68, 0.67, 0.64)
_NAVY: Final[Colour] = (0.018, 0.03, 0.085)
_DENIM: Final[Colour] = (0.06, 0.105, 0.2)
_LIGHT_DENIM: Final[Colour] = (0.19, 0.27, 0.38)
_BEIGE: Final[Colour] = (0.42, 0.33, 0.22)
_BROWN: Final[Colour] = (0.11, 0.06, 0.035)
_OLIVE: Final[Colour] = (0.09, 0.1, 0.045)
_WINE: Final[Colour] = (0.21, 0.022, 0.035)
_ROSE: Final[Colour] = (0.55, 0.24, 0.27)
_SKY: Final[Colour] = (0.26, 0.42, 0.6)
_MUSTARD: Final[Colour] = (0.5, 0.3, 0.05)
_GREEN: Final[Colour] = (0.04, 0.19, 0.09)

_CLUSTERS: Final = (
    _Cluster((_BLACK, _ANTHRACITE), (_DENIM, _BLACK), ("plain", "plain", "logo"), coat_m=(0.0, 0.12, 0.3)),
    _Cluster((_GREY, _ANTHRACITE), (_BLACK, _DENIM), ("plain", "logo", "stripes"), coat_m=(0.0, 0.08)),
    _Cluster((_WHITE,), (_DENIM, _LIGHT_DENIM, _BEIGE), ("plain", "logo", "stripes"), ("short", "short", "long"),
             legs=("trousers", "trousers", "shorts")),
    _Cluster((_NAVY, _DENIM), (_DENIM, _BEIGE, _GREY), ("plain", "checks", "stripes"), ("long", "short")),
    _Cluster((_BEIGE, _BROWN, _OLIVE), (_BROWN, _BLACK, _DENIM), ("plain", "checks"), coat_m=(0.05, 0.25, 0.35)),
    _Cluster((_WINE, _MUSTARD), (_BLACK, _DENIM), ("plain", "checks", "dots"), ("long", "short"),
             legs=("trousers", "skirt")),
    _Cluster((_ROSE, _SKY, _WHITE), (_NAVY, _ROSE, _LIGHT_DENIM), ("dots", "plain", "stripes"), ("short", "long"),
             legs=("skirt", "trousers", "shorts")),
)  # fmt: skip
_UNIFORMS: Final[tuple[tuple[Colour, Colour], ...]] = (
    ((0.33, 0.02, 0.02), _BLACK),
    ((0.02, 0.1, 0.3), _ANTHRACITE),
    (_GREEN, _BROWN),
    ((0.5, 0.19, 0.02), _ANTHRACITE),
)
_SKINS: Final[tuple[Colour, ...]] = (
    (0.6, 0.4, 0.31), (0.54, 0.34, 0.25), (0.43, 0.25, 0.17), (0.27, 0.14, 0.085), (0.13, 0.065, 0.04),
)  # fmt: skip
_HAIR_COLOURS: Final[tuple[Colour, ...]] = (
    (0.013, 0.011, 0.01), (0.035, 0.02, 0.012), (0.11, 0.055, 0.025), (0.37, 0.25, 0.11), (0.33, 0.33, 0.33),
)  # fmt: skip
_SHOES: Final = (_BLACK, _WHITE, _BROWN, _GREY, _NAVY)
_BAG_COLOURS: Final = (_BLACK, _BROWN, _GREY, _NAVY, _WINE, _OLIVE)
_MEN, _WOMEN, _CHILDREN = 0, 1, 2
MOST_TWINS: Final = 0.5
"""Largest share of people who are somebody's near-twin: each needs a model who is none."""


def draw_appearances(
    rng: np.random.Generator, person_ids: Sequence[int], *, staff: Sequence[bool], uniform: int, twin_share: float
) -> list[Appearance]:
    """One appearance for each person; at least `twin_share` of those without a uniform are somebody's near-twin.

    `uniform` chooses the staff's clothes. Raises DataError where the sequences differ in length or the share is
    outside 0 to MOST_TWINS. The twin of a near-twin never is a near-twin itself, so at most half of all can be.
    """
    if len(person_ids) != len(staff):
        raise DataError(f"appearances: {len(person_ids)} people and {len(staff)} staff marks; give one for each")
    if not 0 <= twin_share <= MOST_TWINS:
        raise DataError(f"appearances: twin_share is {twin_share}; it must be from 0 to {MOST_TWINS:g}")
    looks = [_staff(rng, uniform) if is_staff else _shopper(rng) for is_staff in staff]
    others = rng.permutation([i for i, is_staff in enumerate(staff) if not is_staff])
    twins = min(int(np.ceil(twin_share * len(others))), len(others) // 2)
    for copy, model in zip(others[:twins], others[twins : 2 * twins], strict=True):
        looks[copy] = _near_twin(rng, looks[model], person_ids[model])
    return looks


def _shopper(rng: np.random.Generator) -> Appearance:
    cluster = int(rng.integers(len(_CLUSTERS)))
    wardrobe = _CLUSTERS[cluster]
    kind = int(rng.choice(3, p=(0.46, 0.46, 0.08)))
    legs = _pick(rng, wardrobe.legs)
    top = _shifted(rng, _pick(rng, wardrobe.tops), 0.2)
    sleeves = _pick(rng, wardrobe.sleeves)
    body = _body(rng, kind)
    if body["hair"] == "hood" and sleeves == "short":
        body["hair"] = "short"
    return Appearance(
        cluster=cluster,
        **body,
        top=top,
        top_second=_second(rng, top),
        top_pattern=_pick(rng, wardrobe.patterns),
        sleeves=sleeves,
        bottom=_shifted(rng, _pick(rng, wardrobe.bottoms), 0.2),
        legs="shorts" if legs == "skirt" and kind == _MEN else legs,
        shoes=_shifted(rng, _pick(rng, _SHOES), 0.1),
        bag=_pick(rng, ("none", "none", "none", "backpack", "shoulder", "shoulder", "basket", "basket")),
        bag_colour=_shifted(rng, _pick(rng, _BAG_COLOURS), 0.1),
        coat_m=_pick(rng, wardrobe.coat_m),
    )


def _staff(rng: np.random.Generator, uniform: int) -> Appearance:
    top, bottom = _UNIFORMS[uniform % len(_UNIFORMS)]
    return Appearance(
        cluster=len(_CLUSTERS) + uniform % len(_UNIFORMS),
        **(_body(rng, int(rng.integers(2))) | {"hair": "short"}),
        top=top,
        top_second=_WHITE,
        top_pattern="logo",
        sleeves="short",
        bottom=bottom,
        legs="trousers",
        shoes=_BLACK,
        bag="none",
        bag_colour=_BLACK,
        coat_m=0.03,
    )


def _near_twin(rng: np.random.Generator, model: Appearance, model_id: int) -> Appearance:
    """Dressed as `model` but for a shade, of nearly the same build; face and hair tone are the person's own."""
    return replace(
        model,
        height_m=model.height_m * float(rng.uniform(0.985, 1.015)),
        build=model.build * float(rng.uniform(0.97, 1.03)),
        top=_shifted(rng, model.top, 0.06),
        bottom=_shifted(rng, model.bottom, 0.06),
        skin=_shifted(rng, model.skin, 0.1),
        hair_colour=_shifted(rng, model.hair_colour, 0.3),
        texture_seed=int(rng.integers(2**31)),
        twin_of=int(model_id),
    )


def _body(rng: np.random.Generator, kind: int) -> dict[str, Any]:
    """Height and build of a man, a woman or a child, with skin and hair."""
    woman = kind == _WOMEN or (kind == _CHILDREN and bool(rng.integers(2)))
    height_m = float(np.clip(rng.normal(1.65, 0.06) if woman else rng.normal(1.75, 0.07), 1.45, 1.98))
    long_hair = ("long", "long", "long", "short", "hood")
    short_hair = ("short", "short", "short", "short", "bald", "cap", "hood")
    skin = int(rng.integers(len(_SKINS)))
    hair_colours = _HAIR_COLOURS if skin < 2 else _HAIR_COLOURS[:2]
    return {
        "height_m": height_m * (0.72 if kind == _CHILDREN else 1.0),
        "build": float(np.clip(rng.normal(1.0, 0.09), 0.84, 1.3)),
        "shoulder_share": 0.096 if woman else 0.104,
        "head_scale": 1.15 if kind == _CHILDREN else 1.0,
        "skin": _shifted(rng, _SKINS[skin], 0.12),
        "hair": _pick(rng, long_hair if woman else short_hair),
        "hair_colour": _shifted(rng, _pick(rng, hair_colours), 0.25),
        "texture_seed": int(rng.integers(2**31)),
    }


def _pick(rng: np.random.Generator, choices: Sequence[_Choice]) -> _Choice:
    return choices[int(rng.integers(len(choices)))]


def _shifted(rng: np.random.Generator, colour: Colour, spread: float) -> Colour:
    """The colour a shade lighter or darker and slightly off in hue."""
    shade, hue = 1 + rng.uniform(-spread, spread), 1 + rng.uniform(-spread / 4, spread / 4, 3)
    red, green, blue = (float(np.clip(c * shade * h, 0.008, 0.9)) for c, h in zip(colour, hue, strict=True))
    return red, green, blue


def _second(rng: np.random.Generator, top: Colour) -> Colour:
    """A pattern's other colour: light on dark, dark on light."""
    choices = (_WHITE, _GREY, _BEIGE) if max(top) < 0.3 else (_NAVY, _ANTHRACITE, _WINE)
    return _shifted(rng, _pick(rng, choices), 0.15)
