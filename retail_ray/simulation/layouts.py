"""The ready stores: floor plans with fixtures, doors, checkouts, zones and cameras."""

from __future__ import annotations

from retail_ray.simulation.layout_parts import (
    box,
    camera,
    decoy,
    floor_around,
    front_door,
    outer_walls,
    pavement_ends,
    till,
    zone,
)
from retail_ray.simulation.store import StorePlan, Wall


def ready_layouts() -> dict[str, StorePlan]:
    """Every ready store by name."""
    plans = (convenience(), corner_shop(), supermarket(), boutique(), two_rooms())
    return {plan.name: plan for plan in plans}


def convenience() -> StorePlan:
    """A compact busy shop, 9 x 8 m: four cameras that all overlap, one door, one checkout near it."""
    shop = (0.0, 0.0, 9.0, 8.0)
    return StorePlan(
        name="convenience",
        floor_m=floor_around(shop),
        shop_m=shop,
        walls=outer_walls(shop, (0.9, 3.1)),
        fixtures=(
            box("counter", 1.0, 4.5, 0.95, 7.2, 1.5),
            box("shelf", 1.5, 2.1, 3.1, 6.4, 3.8),
            box("shelf", 1.5, 2.1, 5.1, 6.4, 5.8),
            box("shelf", 2.0, 0.6, 7.5, 7.8, 7.95),
            box("shelf", 1.8, 0.05, 3.2, 0.5, 7.0),
            box("freezer", 1.9, 8.35, 4.8, 8.95, 7.2),
            box("bin", 0.8, 1.55, 3.15, 2.1, 3.75),
        ),
        doors=(front_door("door", 0.9, 3.1),),
        checkouts=(till("lane-1", ((8.3, 3.7), (8.3, 1.98), (6.0, 1.98)), (5.1, 1.98), (5.1, 0.45)),),
        zones=(
            zone("entrance", "entrance", 0.5, 0.15, 3.5, 2.2),
            zone("promotion", "promotion", 0.55, 2.4, 2.1, 4.5),
            zone("snacks", "aisle", 2.2, 3.85, 6.4, 5.05),
            zone("drinks", "aisle", 2.2, 5.85, 6.6, 7.45),
            zone("frozen", "aisle", 6.9, 4.7, 8.3, 7.3),
        ),
        cameras=(
            camera("door", (2.2, 4.45, 2.9), (2.0, 0.0), 84, 29),
            camera("till", (8.75, 4.3, 2.7), (5.2, 1.6), 82, 31),
            camera("back", (0.3, 7.7, 2.8), (5.0, 2.9), 88, 26),
            camera("front", (8.7, 0.3, 2.8), (3.6, 4.7), 86, 26),
        ),
        decoys=(decoy("poster", 8.97, 3.0, 180), decoy("trolley", 3.9, 0.45, 90)),
        pavement_ends_m=pavement_ends(shop),
    )


def corner_shop() -> StorePlan:
    """A small grocer's, 10 x 8 m: shelves in rows across, four cameras in the corners."""
    shop = (0.0, 0.0, 10.0, 8.0)
    return StorePlan(
        name="corner-shop",
        floor_m=floor_around(shop),
        shop_m=shop,
        walls=outer_walls(shop, (6.6, 8.6)),
        fixtures=(
            box("counter", 1.0, 2.0, 0.95, 4.6, 1.55),
            box("shelf", 1.6, 2.3, 3.2, 3.0, 6.2),
            box("shelf", 1.6, 4.6, 3.2, 5.3, 6.2),
            box("shelf", 1.6, 6.9, 3.2, 7.6, 6.2),
            box("shelf", 2.0, 0.8, 7.5, 9.2, 7.95),
            box("shelf", 1.8, 9.5, 2.6, 9.95, 7.2),
            box("freezer", 1.9, 0.05, 4.2, 0.65, 7.2),
            box("bin", 0.8, 5.5, 2.0, 6.2, 2.7),
        ),
        doors=(front_door("door", 6.6, 8.6),),
        checkouts=(till("lane-1", ((1.2, 3.8), (1.2, 2.05), (3.1, 2.05)), (4.0, 2.05), (4.0, 0.45)),),
        zones=(
            zone("entrance", "entrance", 6.3, 0.15, 9.0, 2.0),
            zone("promotion", "promotion", 4.9, 1.4, 6.8, 3.15),
            zone("bakery", "aisle", 3.05, 3.2, 4.55, 6.2),
            zone("drinks", "aisle", 5.35, 3.2, 6.85, 6.2),
            zone("back-wall", "aisle", 1.0, 6.3, 9.0, 7.5),
        ),
        cameras=(
            camera("door", (7.4, 4.6, 3.0), (7.6, 0.0), 82, 29),
            camera("till", (0.3, 3.9, 2.7), (3.6, 1.6), 84, 31),
            camera("back", (9.7, 7.7, 2.9), (5.0, 3.2), 86, 27),
            camera("front", (0.3, 0.3, 2.8), (5.4, 5.0), 88, 26),
        ),
        decoys=(decoy("poster", 9.98, 1.6, 180), decoy("mannequin", 9.4, 0.5, 120)),
        pavement_ends_m=pavement_ends(shop),
    )


def supermarket() -> StorePlan:
    """22 x 16 m: high aisles, fresh goods, three checkouts; six cameras, some overlapping and some not."""
    shop = (0.0, 0.0, 22.0, 16.0)
    gondolas = tuple(box("shelf", 1.8, x, 9.0, x + 0.9, 13.6) for x in (5.5, 8.4, 11.3, 14.2, 17.1))
    counters = tuple(box("counter", 0.95, x, 2.3, x + 0.7, 4.7) for x in (8.8, 12.0, 15.2))
    return StorePlan(
        name="supermarket",
        floor_m=floor_around(shop),
        shop_m=shop,
        walls=outer_walls(shop, (2.0, 5.0)),
        fixtures=(
            *gondolas,
            *counters,
            box("freezer", 2.0, 1.5, 15.2, 20.5, 15.95),
            box("shelf", 1.9, 0.05, 6.5, 0.5, 14.0),
            box("shelf", 2.0, 21.45, 5.0, 21.95, 14.5),
            box("table", 0.9, 1.9, 5.2, 3.1, 6.4),
            box("table", 0.9, 4.5, 5.2, 5.7, 6.4),
            box("table", 0.9, 1.9, 8.3, 3.1, 9.7),
            box("bin", 0.9, 7.0, 5.9, 7.8, 7.1),
            box("freezer", 1.0, 18.6, 5.6, 19.6, 8.0),
            box("counter", 1.1, 18.1, 1.2, 18.6, 3.3),
            box("pillar", 3.2, 3.6, 11.4, 4.0, 11.8),
        ),
        doors=(front_door("door", 2.0, 5.0),),
        checkouts=tuple(
            till(f"lane-{number}", ((x + 0.6, 7.7), (x + 0.6, 4.4)), (x + 0.6, 3.5), (x - 1.2, 3.5))
            for number, x in enumerate((9.5, 12.7, 15.9), start=1)
        ),
        zones=(
            zone("entrance", "entrance", 1.5, 0.15, 5.5, 2.6),
            zone("fresh", "promotion", 1.0, 4.4, 6.4, 7.3),
            zone("offers", "promotion", 6.5, 5.2, 8.4, 7.8),
            zone("cereals", "aisle", 6.45, 9.0, 8.35, 13.6),
            zone("drinks", "aisle", 9.35, 9.0, 11.25, 13.6),
            zone("household", "aisle", 15.15, 9.0, 17.05, 13.6),
            zone("frozen", "aisle", 1.5, 13.8, 20.5, 15.2),
            zone("service-desk", "staff", 18.7, 0.2, 21.8, 3.4),
        ),
        cameras=(
            camera("door", (3.4, 4.9, 3.0), (3.5, 0.0), 88, 29),
            camera("tills", (17.4, 7.6, 3.1), (11.5, 3.6), 84, 28),
            camera("front", (21.7, 0.4, 3.1), (13.5, 5.2), 80, 23),
            camera("fresh", (0.3, 3.0, 3.0), (4.6, 8.2), 86, 26),
            camera("aisle-left", (7.4, 15.75, 3.0), (7.4, 9.6), 78, 30),
            camera("aisle-right", (16.1, 15.75, 3.0), (16.1, 9.6), 78, 30),
        ),
        decoys=(
            decoy("trolley", 6.3, 0.6, 90),
            decoy("trolley", 7.1, 0.6, 90),
            decoy("poster", 0.03, 4.5, 0),
            decoy("poster", 21.97, 4.2, 180),
        ),
        pavement_ends_m=pavement_ends(shop),
    )


def boutique() -> StorePlan:
    """A clothes shop, 9 x 11 m, with mannequins, a mirror and posters that must not be counted."""
    shop = (0.0, 0.0, 9.0, 11.0)
    return StorePlan(
        name="boutique",
        floor_m=floor_around(shop),
        shop_m=shop,
        walls=outer_walls(shop, (3.5, 5.5)),
        fixtures=(
            box("table", 0.8, 1.9, 3.2, 3.4, 4.4),
            box("table", 0.8, 5.6, 3.2, 7.1, 4.4),
            box("shelf", 1.4, 2.1, 6.0, 3.1, 8.0),
            box("shelf", 1.4, 5.9, 6.0, 6.9, 8.0),
            box("shelf", 1.7, 0.05, 2.0, 0.55, 9.4),
            box("shelf", 1.7, 8.45, 2.0, 8.95, 7.2),
            box("counter", 1.0, 3.4, 9.2, 5.6, 9.8),
        ),
        doors=(front_door("door", 3.5, 5.5),),
        checkouts=(till("lane-1", ((4.5, 5.3), (4.5, 7.85)), (4.5, 8.75), (4.5, 10.4)),),
        zones=(
            zone("entrance", "entrance", 3.0, 0.15, 6.0, 2.2),
            zone("new-arrivals", "promotion", 1.2, 2.5, 4.0, 5.1),
            zone("sale", "promotion", 5.0, 2.5, 7.8, 5.1),
            zone("women", "aisle", 0.6, 5.4, 2.1, 9.4),
            zone("men", "aisle", 6.9, 5.4, 8.4, 8.0),
            zone("mirror", "aisle", 6.4, 8.3, 8.9, 10.8),
            zone("staff-corner", "staff", 2.6, 9.85, 6.3, 10.9),
        ),
        cameras=(
            camera("door", (4.5, 5.0, 3.0), (4.5, 0.0), 84, 29),
            camera("till", (7.6, 6.4, 2.8), (4.5, 8.9), 86, 33),
            camera("left", (0.3, 10.7, 2.9), (3.6, 6.2), 84, 28),
            camera("right", (8.7, 0.3, 2.9), (4.6, 5.0), 86, 27),
        ),
        decoys=(
            decoy("mannequin", 2.3, 1.1, 270),
            decoy("mannequin", 6.8, 1.1, 270),
            decoy("mannequin", 1.8, 10.4, 300),
            decoy("mirror", 8.96, 9.4, 180),
            decoy("poster", 7.6, 10.97, 270),
            decoy("poster", 0.03, 1.2, 0),
        ),
        pavement_ends_m=pavement_ends(shop),
    )


def two_rooms() -> StorePlan:
    """14 x 9 m in two rooms that are joined by a passage; no camera of one room sees into the other's views."""
    shop = (0.0, 0.0, 14.0, 9.0)
    partition = (Wall((8.0, 0.0), (8.0, 5.4)), Wall((8.0, 7.2), (8.0, 9.0)))
    return StorePlan(
        name="two-rooms",
        floor_m=floor_around(shop),
        shop_m=shop,
        walls=(*outer_walls(shop, (1.0, 3.0)), *partition),
        fixtures=(
            box("counter", 1.0, 4.6, 1.0, 6.7, 1.55),
            box("shelf", 1.5, 2.0, 4.0, 5.4, 4.7),
            box("shelf", 1.5, 2.0, 6.2, 5.4, 6.9),
            box("shelf", 1.9, 0.05, 3.0, 0.5, 8.0),
            box("shelf", 2.0, 0.8, 8.5, 7.0, 8.95),
            box("shelf", 1.9, 13.5, 1.0, 13.95, 8.0),
            box("shelf", 1.9, 8.7, 8.5, 13.0, 8.95),
            box("shelf", 1.9, 8.7, 0.05, 13.0, 0.5),
            box("table", 0.9, 10.0, 2.2, 11.8, 3.2),
            box("shelf", 1.4, 10.0, 4.9, 11.8, 5.6),
        ),
        doors=(front_door("door", 1.0, 3.0),),
        checkouts=(till("lane-1", ((7.3, 4.4), (7.3, 2.1), (6.1, 2.05)), (5.2, 2.05), (5.2, 0.45)),),
        zones=(
            zone("entrance", "entrance", 0.6, 0.15, 3.4, 2.2),
            zone("fresh", "aisle", 2.0, 4.75, 5.4, 6.15),
            zone("back-wall", "aisle", 0.8, 6.95, 6.6, 8.45),
            zone("wine", "promotion", 9.2, 1.4, 12.6, 4.0),
            zone("toys", "aisle", 9.2, 4.1, 12.6, 6.4),
            zone("till-inside", "staff", 4.2, 0.1, 7.9, 0.95),
        ),
        cameras=(
            camera("door", (2.2, 4.9, 2.9), (2.0, 0.0), 84, 29),
            camera("till", (7.8, 4.9, 2.8), (4.9, 1.7), 84, 30),
            camera("room-back", (8.3, 8.7, 2.8), (11.8, 4.4), 82, 27),
            camera("room-front", (8.3, 0.3, 2.8), (11.4, 4.8), 84, 27),
        ),
        decoys=(decoy("poster", 7.94, 3.2, 180), decoy("mannequin", 13.2, 0.7, 135), decoy("poster", 8.06, 2.6, 0)),
        pavement_ends_m=pavement_ends(shop),
    )
