"""Tables of a simulated lake's size and of the time that it takes, from events.json."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.markdown import table


def event_tables(report: Mapping[str, Any] | None) -> dict[str, str]:
    """Name -> Markdown; none where nothing was measured."""
    if report is None:
        return {}
    return {"events, day": day(report), "events, tables": sizes(report)}


def day(report: Mapping[str, Any]) -> str:
    machine, hour = report["measured_on"], report["interchange_hour"]
    on = f"{machine['cores_usable']} cores ({machine['cpu']}, load {machine['load_1min']:g} when it began)"
    return (
        f"{report['hours']:g} hours of {report['cameras']} cameras: {report['wall_s']:g} s on {on}, "
        f"{_mb(sum(report['bytes'].values()))}, "
        f"at most {report['peak_memory_mib']} MiB of memory. The interchange files of one busy hour: "
        f"{hour['wall_s']:g} s, {_mb(sum(hour['bytes'].values()))}.\n"
    )


def sizes(report: Mapping[str, Any]) -> str:
    """The largest tables first."""
    names = sorted(report["rows"], key=lambda name: (-report["bytes"][name], name))
    return table(
        ["table", "rows", "size"], ([name, f"{report['rows'][name]:,}", _mb(report["bytes"][name])] for name in names)
    )


def _mb(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.1f} MB" if size_bytes >= 1e5 else f"{size_bytes / 1e3:.1f} kB"
