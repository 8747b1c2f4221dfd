"""The usual row store beside the lake: SQLAlchemy models over SQLite, with the indexes such a scaffold has.

The same rows, the same questions, in turns; answers are compared, so both count the same thing.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import BigInteger, Float, Index, Integer, String, create_engine, func, insert, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from benchmarks.year_lake import DAY, YearLake, YearSettings
from retail_ray.core.time import US_PER_S
from retail_ray.lake.dwell import zone_summary
from retail_ray.lake.queries import footfall, stats
from retail_ray.lake.questions import Question, coverage
from retail_ray.lake.views import Lake, open_lake

HOUR_US: Final = 3600 * US_PER_S
TURNS: Final = 5
_INSERTED_AT_ONCE: Final = 50_000


class Base(DeclarativeBase):  # type: ignore[misc]
    """Rows with a number of their own, as ORM models have."""


class Detection(Base):
    __tablename__ = "detections"
    __table_args__ = (Index("detections_camera_time", "camera_id", "time_us"),)
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    camera_id: Mapped[str] = mapped_column(String)
    time_us: Mapped[int] = mapped_column(BigInteger, index=True)
    confidence: Mapped[float] = mapped_column(Float)
    local_id: Mapped[int | None] = mapped_column(BigInteger)
    floor_x_m: Mapped[float | None] = mapped_column(Float)
    floor_y_m: Mapped[float | None] = mapped_column(Float)


class Crossing(Base):
    __tablename__ = "line_crossings"
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    line_id: Mapped[str] = mapped_column(String, index=True)
    time_us: Mapped[int] = mapped_column(BigInteger, index=True)
    direction: Mapped[str] = mapped_column(String)
    turned_back: Mapped[bool] = mapped_column()


class Stay(Base):
    __tablename__ = "zone_visits"
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    zone_id: Mapped[str] = mapped_column(String, index=True)
    enter_us: Mapped[int] = mapped_column(BigInteger, index=True)
    dwell_s: Mapped[float] = mapped_column(Float)


class Tracklet(Base):
    """Its identity is written in, as resolved: the row store need not resolve decisions."""

    __tablename__ = "tracklets"
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    camera_id: Mapped[str] = mapped_column(String, index=True)
    first_us: Mapped[int] = mapped_column(BigInteger, index=True)
    last_us: Mapped[int] = mapped_column(BigInteger, index=True)
    person: Mapped[str | None] = mapped_column(String, index=True)


class CameraMinute(Base):
    __tablename__ = "coverage"
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    camera_id: Mapped[str] = mapped_column(String, index=True)
    time_us: Mapped[int] = mapped_column(BigInteger, index=True)
    expected: Mapped[int] = mapped_column(Integer)
    processed: Mapped[int] = mapped_column(Integer)


_ROWS: Final[dict[Any, str]] = {
    Crossing: "SELECT line_id, epoch_us(time) AS time_us, direction, turned_back FROM line_crossings ORDER BY time",
    Stay: "SELECT zone_id, epoch_us(enter_time) AS enter_us, dwell_s FROM zone_visits ORDER BY enter_time",
    Tracklet: """SELECT camera_id, epoch_us(first_time) AS first_us, epoch_us(last_time) AS last_us,
        run_id || session_id || identity_id AS person
        FROM tracklets LEFT JOIN tracklet_identity USING (site_id, run_id, camera_id, local_id) ORDER BY first_time""",
    CameraMinute: """SELECT camera_id, epoch_us(time) AS time_us, expected_frames AS expected,
        processed_frames AS processed FROM coverage ORDER BY time""",
}


def side_by_side(lake: YearLake, settings: YearSettings) -> dict[str, Any]:
    """Medians in milliseconds, and how many times faster the lake is; from kept sums, and from the facts alone."""
    file = lake.root.with_name("rows.sqlite")
    _fill(file, lake)
    engine = create_engine(f"sqlite:///{file}")
    end_us = DAY.start_us(lake.days[-1] + timedelta(days=1))
    whole, last_day = (
        Question(lake.site_id, DAY, DAY.start_us(day), end_us, lake.cameras) for day in (lake.days[0], lake.days[-1])
    )
    found = []
    with Session(engine) as session:
        inserted = {
            model.__tablename__: session.scalar(select(func.count()).select_from(model)) or 0
            for model in (*_ROWS, Detection)
        }
        for name, asked, of_lake, of_rows in (
            ("footfall by hour", whole, _lake_hours, _row_hours),
            ("stats", whole, _lake_people, _row_people),
            ("zone dwell, all zones", whole, partial(_lake_dwell, zones=lake.zones), _row_dwell),
            ("coverage by camera", whole, _lake_coverage, _row_coverage),
            ("detections of a day by camera", last_day, _lake_boxes, _row_boxes),
            ("detections of a day by floor cell", last_day, _lake_cells, _row_cells),
        ):
            found.append({"question": name, **_in_turns(lake, session, asked, of_lake, of_rows)})
            print(found[-1], flush=True)
    engine.dispose()
    return {
        "days": settings.days, "cameras": settings.cameras, "rows": inserted, "turns": TURNS,
        "sqlite_bytes": file.stat().st_size, "parquet_bytes": sum(lake.file_bytes[name] for name in inserted),
        "questions": found,
    }  # fmt: skip


def _in_turns(lake: YearLake, session: Session, asked: Question, of_lake: Any, of_rows: Any) -> dict[str, float]:
    """Kept: a lake that was asked before. Facts: one that was just opened, and keeps nothing yet. AssertionError where
    their answers differ from the row store's."""
    taken: dict[str, list[float]] = {"lake": [], "facts": [], "rows": []}
    with open_lake(lake.root, threads=2) as opened:
        for _ in range(1 + TURNS):
            with open_lake(lake.root, threads=2) as fresh:
                answers = []
                for who, ask in (
                    ("lake", partial(of_lake, opened, asked)),
                    ("facts", partial(of_lake, fresh, asked)),
                    ("rows", partial(of_rows, session, asked)),
                ):
                    began = time.perf_counter()
                    answers.append(ask())
                    taken[who].append((time.perf_counter() - began) * 1e3)
            if not answers[0] == answers[1] == answers[2]:
                raise AssertionError(f"lake and row store differ: {answers}")
    medians = {who: float(np.median(some[1:])) for who, some in taken.items()}
    ratios = {"ratio": medians["rows"] / medians["lake"], "facts_ratio": medians["rows"] / medians["facts"]}
    return {f"{who}_ms": round(taken_ms, 2) for who, taken_ms in medians.items()} | {
        name: round(ratio, 1) for name, ratio in ratios.items()
    }


def _fill(file: Path, lake: YearLake) -> None:
    """The rows of the lake as rows; made once."""
    if file.exists():
        return
    begun = file.with_name(f"{file.name}.part")
    begun.unlink(missing_ok=True)
    engine = create_engine(f"sqlite:///{begun}")
    Base.metadata.create_all(engine)
    with open_lake(lake.root, memory_limit="4GB", max_execution_s=600) as opened, Session(engine) as session:
        for model, query in _ROWS.items():
            for rows in _batches(opened.sql(query)):
                session.execute(insert(model), rows)
        for path in sorted((lake.root / "detections").rglob("*.parquet")):
            for rows in _batches(_detections(path)):
                session.execute(insert(Detection), rows)
        session.commit()
    engine.dispose()
    begun.rename(file)


def _detections(path: Path) -> pa.Table:
    names = ["camera_id", "time", "confidence", "local_id", "floor_x_m", "floor_y_m"]
    data = pq.read_table(path, columns=names, partitioning=None)
    return data.set_column(1, "time_us", data["time"].cast("int64"))


def _batches(data: pa.Table) -> Iterator[list[dict[str, Any]]]:
    for start in range(0, len(data), _INSERTED_AT_ONCE):
        yield data.slice(start, _INSERTED_AT_ONCE).to_pylist()


def _lake_hours(lake: Lake, question: Question) -> dict[int, int]:
    found = footfall(lake, question, "hour")
    return {bucket.start_us: bucket.crossings.entries for bucket in found.buckets if bucket.crossings.entries}


def _row_hours(session: Session, question: Question) -> dict[int, int]:
    hour = Crossing.time_us - Crossing.time_us % HOUR_US
    query = select(hour, func.count()).where(
        Crossing.time_us >= question.start_us, Crossing.time_us < question.end_us,
        Crossing.direction == "in", Crossing.turned_back.is_(False),
    ).group_by(hour)  # fmt: skip
    counted = {row[0]: row[1] for row in session.execute(query)}
    # Camera-minutes go with each hour, as in the lake's answer.
    _row_coverage(session, question)
    minute_hour = CameraMinute.time_us - CameraMinute.time_us % HOUR_US
    session.execute(
        select(minute_hour, func.sum(CameraMinute.processed), func.sum(CameraMinute.expected))
        .where(CameraMinute.time_us >= question.start_us, CameraMinute.time_us < question.end_us)
        .group_by(minute_hour)
    ).all()
    return counted


def _lake_people(lake: Lake, question: Question) -> tuple[int, int]:
    found = stats(lake, question)
    return found.tracklets, found.identities


def _row_people(session: Session, question: Question) -> tuple[int, int]:
    query = select(func.count(), func.count(Tracklet.person.distinct())).where(
        Tracklet.first_us < question.end_us, Tracklet.last_us >= question.start_us
    )
    tracklets, people = session.execute(query).one()
    _row_coverage(session, question)
    within = (Crossing.time_us >= question.start_us, Crossing.time_us < question.end_us)
    session.execute(select(Crossing.direction, func.count()).where(*within).group_by(Crossing.direction)).all()
    session.scalar(select(func.count()).where(Stay.enter_us >= question.start_us, Stay.enter_us < question.end_us))
    return tracklets, people


def _lake_dwell(lake: Lake, question: Question, zones: tuple[str, ...]) -> dict[str, tuple[int, float]]:
    found = zone_summary(lake, question, zones)
    return {zone.zone_id: (zone.visits, round(zone.median_dwell_s, 2)) for zone in found if zone.median_dwell_s}


def _row_dwell(session: Session, question: Question) -> dict[str, tuple[int, float]]:
    """SQLite has no median: the usual scaffold fetches the values."""
    within = (Stay.enter_us >= question.start_us, Stay.enter_us < question.end_us)
    found: dict[str, list[float]] = {}
    for zone_id, dwell_s in session.execute(select(Stay.zone_id, Stay.dwell_s).where(*within)):
        found.setdefault(zone_id, []).append(round(dwell_s, 1))
    return {name: (len(some), round(float(np.median(some)), 2)) for name, some in sorted(found.items())}


def _lake_coverage(lake: Lake, question: Question) -> dict[str, tuple[int, int]]:
    return {row.camera_id: (row.processed_frames, row.expected_frames) for row in coverage(lake, question).cameras}


def _row_coverage(session: Session, question: Question) -> dict[str, tuple[int, int]]:
    query = (
        select(CameraMinute.camera_id, func.sum(CameraMinute.processed), func.sum(CameraMinute.expected))
        .where(CameraMinute.time_us >= question.start_us, CameraMinute.time_us < question.end_us)
        .group_by(CameraMinute.camera_id)
    )
    return {camera_id: (processed, expected) for camera_id, processed, expected in session.execute(query)}


def _lake_boxes(lake: Lake, question: Question) -> dict[str, int]:
    rows = lake.rows(
        """SELECT camera_id, count(*) AS n, avg(confidence) FROM detections
        WHERE date BETWEEN $first_day AND $last_day AND time >= make_timestamptz($start_us)
          AND time < make_timestamptz($end_us) GROUP BY camera_id""",
        _interval(question),
    )
    return {row["camera_id"]: row["n"] for row in rows}


def _row_boxes(session: Session, question: Question) -> dict[str, int]:
    query = (
        select(Detection.camera_id, func.count(), func.avg(Detection.confidence))
        .where(Detection.time_us >= question.start_us, Detection.time_us < question.end_us)
        .group_by(Detection.camera_id)
    )
    return {camera_id: n for camera_id, n, _ in session.execute(query)}


def _lake_cells(lake: Lake, question: Question) -> int:
    return len(
        lake.rows(
            """SELECT floor(floor_x_m * 2)::INTEGER AS x, floor(floor_y_m * 2)::INTEGER AS y, count(*) AS n
            FROM detections WHERE date BETWEEN $first_day AND $last_day AND time >= make_timestamptz($start_us)
              AND time < make_timestamptz($end_us) AND floor_x_m IS NOT NULL GROUP BY x, y""",
            _interval(question),
        )
    )


def _row_cells(session: Session, question: Question) -> int:
    x, y = func.floor(Detection.floor_x_m * 2), func.floor(Detection.floor_y_m * 2)
    query = (
        select(x, y, func.count())
        .where(Detection.time_us >= question.start_us, Detection.time_us < question.end_us)
        .where(Detection.floor_x_m.is_not(None))
        .group_by(x, y)
    )
    return len(session.execute(query).all())


def _interval(question: Question) -> dict[str, Any]:
    return {name: question.params[name] for name in ("first_day", "last_day", "start_us", "end_us")}
