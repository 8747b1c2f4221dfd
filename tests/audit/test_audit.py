"""An audit by a person who knows the truth of a simulated store, and by one who does not look."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import retail_ray
from retail_ray.audit.counting import Counting
from retail_ray.audit.drawing import sample
from retail_ray.audit.folder import Count, read_audit, read_counts, read_sealed, write_counts
from retail_ray.audit.recording import BLOCKS, pixelated
from retail_ray.audit.report import report
from retail_ray.audit.sample import Clip, draw_clips
from retail_ray.audit_cli import audit
from retail_ray.core.errors import ConfigError, DataError, LakeError, QueryError, SourceError
from retail_ray.evaluation.measures import Measure
from retail_ray.lake.truth import read_truth
from tests.video.clips import write_clip

CLIP_S = 10.0


@pytest.fixture(scope="module")
def folder(simulated_shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("audit") / "door"
    with retail_ray.open(simulated_shop / "lake") as lake:
        sample(lake, out, clips_per_line=12, clip_s=CLIP_S, seed=3)
    return out


@pytest.fixture(scope="module")
def census(simulated_shop: Path) -> list[Clip]:
    """Every clip there is: all weights are 1."""
    with retail_ray.open(simulated_shop / "lake") as lake:
        return draw_clips(lake, None, clips_per_line=10_000, clip_s=CLIP_S, seed=1)


def true_counts(shop: Path, clips: list[Clip]) -> list[Count]:
    """What somebody who misses nothing counts."""
    table = read_truth(shop / "truth").tables["crossings"]
    counts = []
    for clip in clips:
        after, before = table["time_us"] >= clip.start_us, table["time_us"] < clip.start_us + CLIP_S * 1e6
        here = after & before & (table["line_id"] == clip.line_id) & ~table["turned_back"]
        counts.append(Count(clip.clip_id, *(int((here & (table["direction"] == way)).sum()) for way in ("in", "out"))))
    return counts


def value(section: object, name: str, line: str = "all") -> float:
    measure = section[line][name]  # type: ignore[index]
    assert isinstance(measure, Measure), measure
    assert measure.value is not None, measure.why
    return measure.value


def test_who_knows_the_truth_finds_a_faultless_door_faultless(simulated_shop: Path, census: list[Clip]) -> None:
    found = report(census, true_counts(simulated_shop, census))
    for name in ("precision", "recall", "retail_accuracy"):
        assert value(found, name) == value(found, name, "door") == 1.0
    assert value(found, "controls_with_a_crossing") == 0.0


def test_who_does_not_look_finds_nothing_right(census: list[Clip]) -> None:
    """The control: one entry in every clip, whatever happens there."""
    found = report(census, [Count(clip.clip_id, 1, 0) for clip in census])
    entered = sum(clip.entries for clip in census)
    counted = entered + sum(clip.exits for clip in census)
    with_an_entry = sum(clip.entries > 0 for clip in census)
    assert value(found, "precision") == pytest.approx(with_an_entry / counted)
    assert value(found, "recall") == pytest.approx(with_an_entry / len(census))
    assert value(found, "controls_with_a_crossing") == 1.0


def test_crossings_that_the_system_missed_lower_recall_alone(simulated_shop: Path, census: list[Clip]) -> None:
    deaf = [replace(clip, exits=0) for clip in census]
    found = report(deaf, true_counts(simulated_shop, census))
    entries, exits = (sum(getattr(clip, name) for clip in census) for name in ("entries", "exits"))
    assert value(found, "precision") == 1.0
    assert value(found, "recall") == pytest.approx(entries / (entries + exits))
    assert value(found, "retail_accuracy") == pytest.approx(1 - exits / (entries + exits))


def test_false_and_missed_crossings_cancel_in_retail_accuracy_but_not_in_events() -> None:
    """Why precision and recall stand beside it."""
    clips = [Clip(f"clip-{n:03d}", "door", "door", n, "crossing", 1.0, n % 2, 0) for n in range(100)]
    found = report(clips, [Count(clip.clip_id, 1 - clip.entries, 0) for clip in clips])
    assert (value(found, "retail_accuracy"), value(found, "precision"), value(found, "recall")) == (1.0, 0.0, 0.0)


def test_weights_give_a_missed_crossing_its_share() -> None:
    """One of 10 quiet clips, each standing for 10, hides an entry: ten such are to be expected besides the 40 found."""
    clips = [Clip(f"a{n}", "door", "door", n, "crossing", 1.0, 1, 0) for n in range(40)]
    clips += [Clip(f"b{n}", "door", "door", n, "busy", 10.0, 0, 0) for n in range(10)]
    counts = [Count(clip.clip_id, int(clip.kind == "crossing" or clip.clip_id == "b0"), 0) for clip in clips]
    found = report(clips, counts)
    assert value(found, "recall") == pytest.approx(40 / 50)
    recall = found["all"]["recall"]  # type: ignore[index]
    assert recall.low < 0.7 < recall.high, "one heavy clip makes the interval wide"
    half = report(clips, [count for count in counts if count.clip_id not in {f"a{n}" for n in range(20)}])
    assert value(half, "recall") == pytest.approx(40 / 50), "clips not counted yet are stood for by those of their kind"


def test_a_few_crossings_are_too_few() -> None:
    clips = [Clip(f"a{n}", "door", "door", n, "crossing", 1.0, 1, 0) for n in range(19)]
    measure = report(clips, [Count(clip.clip_id, 1, 0) for clip in clips])["all"]["recall"]  # type: ignore[index]
    assert measure.value is None
    assert measure.why == "too few: 19 crossings of the person, 20 are needed; count more clips"


def test_the_sample_is_drawn_by_its_seed_and_stands_for_all_time(simulated_shop: Path, census: list[Clip]) -> None:
    with retail_ray.open(simulated_shop / "lake") as lake:
        one, again, other = (draw_clips(lake, None, clips_per_line=40, clip_s=CLIP_S, seed=seed) for seed in (5, 5, 6))
        with pytest.raises(QueryError, match="no clip of 10 s was analysed"):
            draw_clips(lake, "2027-01-01", clips_per_line=4, clip_s=CLIP_S, seed=1)
    assert one == again
    assert {clip.start_us for clip in one} != {clip.start_us for clip in other}
    assert {clip.kind for clip in one} == {"crossing", "busy", "empty"}
    assert sum(clip.weight for clip in one) == pytest.approx(len(census))
    assert len({clip.start_us for clip in census}) == len(census)


@given(st.integers(0, 10**6))
def test_every_clip_of_a_kind_has_the_same_chance(seed: int) -> None:
    from retail_ray.audit.sample import _systematic

    drawn = _systematic(37, 9, np.random.default_rng(seed))
    assert len(set(drawn.tolist())) == 9
    assert drawn.min() >= 0
    assert drawn.max() < 37


def test_clips_show_silhouettes_and_nothing_of_the_count(folder: Path) -> None:
    clip = read_sealed(folder)[0]
    with Image.open(folder / "clips" / f"{clip.clip_id}.gif") as picture:
        assert picture.n_frames > 1  # type: ignore[attr-defined]
        assert picture.size[0] == 480
    shown = json.loads((folder / "audit.json").read_text())
    assert set(shown) == {"format", "site_id", "basis", "seed", "clip_s", "clips"}
    assert all(len(entry) == 2 for entry in shown["clips"])


def press(folder: Path, keys: str) -> str:
    result = CliRunner().invoke(audit, ["count", str(folder)], input=keys, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_keys_count_undo_and_go_on_where_they_stopped(folder: Path, tmp_path: Path) -> None:
    """Blind: the sealed counts are not even there."""
    (tmp_path / "audit.json").write_bytes((folder / "audit.json").read_bytes())
    ids = [clip_id for clip_id, _ in read_audit(folder).clips]
    assert "1 clips counted, 11 left" in press(tmp_path, "iioun" + "i" + "q")
    assert read_counts(tmp_path, ids) == [Count(ids[0], 2, 0)]
    assert "2 clips counted, 10 left" in press(tmp_path, "xon" + "q")
    assert read_counts(tmp_path, ids) == [Count(ids[0], 2, 0), Count(ids[1], 0, 1)]
    press(tmp_path, "u" + "i" + "n" + "q")  # back to the clip before, whose count comes back
    assert read_counts(tmp_path, ids) == [Count(ids[0], 2, 0), Count(ids[1], 1, 1)]
    assert "12 clips counted, 0 left" in press(tmp_path, "n" * 10)
    assert Counting(tmp_path).left == []


def test_the_report_of_a_folder(folder: Path, simulated_shop: Path) -> None:
    write_counts(folder, true_counts(simulated_shop, read_sealed(folder)))
    shown = CliRunner().invoke(audit, ["report", str(folder), "--json"], catch_exceptions=False)
    lines = json.loads(shown.output)["lines"]
    assert lines["door"]["clips"] == {"value": 12.0, "n": 12, "of": "counted clips"}
    assert "too few" in lines["door"]["recall"].get("not_measured", "too few")
    text = CliRunner().invoke(audit, ["report", str(folder)], catch_exceptions=False).output
    assert "12 of 12 clips counted, from boxes" in text


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("clip,in,out\n", "line 1 must be clip,entries,exits"),
        ("clip,entries,exits\nclip-001,1\n", "line 2: 'clip-001,1' must be a clip and two whole numbers"),
        ("clip,entries,exits\nclip-001,1,-1\n", "line 2"),
        ("clip,entries,exits\nclip-999,1,0\n", "line 2: there is no clip 'clip-999'"),
        ("clip,entries,exits\nclip-001,1,0\nclip-001,1,0\n", "line 3: clip-001 was counted before"),
    ],
)
def test_broken_counts_are_named_by_line(tmp_path: Path, rows: str, words: str) -> None:
    (tmp_path / "counts.csv").write_text(rows)
    with pytest.raises(DataError, match=words):
        read_counts(tmp_path, ["clip-001"])


def test_folders_that_are_no_audit(folder: Path, simulated_shop: Path, tmp_path: Path) -> None:
    with pytest.raises(LakeError, match="begin with `retail-ray audit sample`"):
        Counting(tmp_path)
    (tmp_path / "audit.json").write_text('{"format": "other"}')
    with pytest.raises(LakeError, match="not written by"):
        Counting(tmp_path)
    with retail_ray.open(simulated_shop / "lake") as lake:
        with pytest.raises(ConfigError, match="never drawn over another"):
            sample(lake, folder)
        with pytest.raises(ConfigError, match="recordings are needed of all cameras with a counting line"):
            sample(lake, tmp_path / "new", videos={"tills": Path("tills.mp4")})


def test_recordings_are_averaged_over_squares() -> None:
    """Stripes narrower than a square are gone, whatever their contrast."""
    stripes = np.zeros((180, 320, 3), np.uint8)
    stripes[:, ::2] = 255
    shown = np.asarray(pixelated(Image.fromarray(stripes), (480, 270)))
    assert shown.shape == (270, 480, 3)
    assert np.ptp(shown) <= 1
    assert len(np.unique(np.asarray(pixelated(Image.effect_noise((640, 360), 99), (640, 360))), axis=1)[0]) <= BLOCKS


FIRST_MINUTE = ("2026-03-02T10:31", "2026-03-02T10:31:30")


def test_clips_of_a_recording(simulated_shop: Path, tmp_path: Path) -> None:
    """Two minutes that begin with the camera's recording: the clips are cut where they belong, and coarse."""
    recording = write_clip(tmp_path / "door.mp4", 600, times=range(0, 3600, 6))  # 5 pictures a second
    with retail_ray.open(simulated_shop / "lake") as lake:
        made = sample(lake, tmp_path / "a", FIRST_MINUTE, clips_per_line=3, clip_s=5, videos={"door": recording})
        assert made.basis == "video"
        for clip in read_sealed(tmp_path / "a"):
            with Image.open(tmp_path / "a" / "clips" / f"{clip.clip_id}.gif") as picture:
                assert picture.n_frames == 9 * 5  # type: ignore[attr-defined]
        short = write_clip(tmp_path / "short.mp4", 60)
        with pytest.raises(SourceError, match="does not reach clip-001"):
            sample(lake, tmp_path / "b", FIRST_MINUTE, clips_per_line=1, videos={"door": short})
        with pytest.raises(SourceError, match="nowhere"):
            sample(lake, tmp_path / "c", FIRST_MINUTE, clips_per_line=1, videos={"door": tmp_path / "nowhere.mp4"})
