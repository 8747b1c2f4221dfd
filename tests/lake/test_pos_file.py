"""Files of tills: what is read, and which rows are reported instead."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retail_ray.core.errors import DataError
from retail_ray.core.retail_records import Transaction
from retail_ray.core.time import to_us
from retail_ray.lake.pos_file import PosFile, PosFormat, read_pos_file

FORM = PosFormat("Europe/Rome", lanes=("lane-1", "lane-2"), lane_of={"Till 1": "lane-1"})
NINE_US = to_us(datetime(2026, 3, 2, 9, tzinfo=UTC))


def read(tmp_path: Path, text: str | bytes, form: PosFormat = FORM) -> PosFile:
    path = tmp_path / "sales.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_pos_file(path, form)


@pytest.mark.parametrize(
    "text",
    [
        "time,lane,transaction_id,amount,currency\n2026-03-02T10:00:00,lane-1,7,12.5,EUR\n",
        "\ufeffReceipt;Timestamp;TILL;Total;Currency\r\n7;2026-03-02 10:00:00;Till 1;12,50;EUR\r\n",
        "time\ttransaction_id\tshop\tlane\tamount\tcurrency\n2026-03-02T09:00:00Z\t7\tx\tlane-1\t12.5\tEUR\n\n",
        'id|time|lane|amount|currency\n7|"2026-03-02T04:00:00-05:00"|lane-1|12.5|EUR',
    ],
    ids=["comma", "semicolon, decimal comma, mark of order", "tab, another column, empty line", "quoted, offset"],
)
def test_forms_of_one_sale(tmp_path: Path, text: str) -> None:
    found = read(tmp_path, text)
    assert found.transactions == [(2, Transaction(NINE_US, "lane-1", "7", 12.5, "EUR"))]
    assert not found.broken


def test_what_is_not_told_stays_open(tmp_path: Path) -> None:
    ((_, row),) = read(tmp_path, "time,id\n2026-03-02T10:00:00,7\n").transactions
    assert (row.lane_id, row.currency, math.isnan(row.amount)) == (None, None, True)
    form = PosFormat("Asia/Kolkata", time_format="%d.%m.%Y %H:%M:%S")
    ((_, row),) = read(tmp_path, "time,id\n02.03.2026 14:30:00,7\n", form).transactions
    assert row.time_us == NINE_US


def test_broken_rows_are_told_by_line_and_the_rest_is_read(tmp_path: Path) -> None:
    rows = [
        "2026-03-02T10:00:00,lane-1,1,1",
        "yesterday,lane-1,2,1",
        "2026-03-02T10:00:00,lane-9,3,1",
        "2026-03-02T10:00:00,lane-1,,1",
        "2026-03-02T10:00:00,lane-1,5,twelve",
        "2026-03-02T10:00:00,lane-1,6,inf",
        "2026-03-02T10:00:00",
        "2026-03-29T02:30:00,lane-1,8,1",
        "2026-10-25T02:30:00,lane-1,9,1",
        "0001-01-01T00:00:00,lane-1,10,1",
        '2026-03-02T10:00:00,lane-1,"11"x,1',
        "2026-03-02T10:00:00,lane-1,12\x00,1",
        "2026-03-02T10:00:00,lane-2,13,1",
    ]
    found = read(tmp_path, "time,lane,id,amount\n" + "\n".join(rows) + "\n")
    assert [(line, row.transaction_id) for line, row in found.transactions] == [(2, "1"), (14, "13")]
    why = {row.line: row.why for row in found.broken}
    assert sorted(why) == list(range(3, 14))
    words = {
        3: "'yesterday' is no time",
        4: "'lane-9' is none of lane-1, lane-2",
        5: "transaction_id: missing",
        6: "'twelve' is no number",
        7: "'inf' is no amount",
        8: "missing: lane, transaction_id, amount",
        9: "did not happen in Europe/Rome",
        10: "happened twice in Europe/Rome",
        11: "not between the years",
    }
    for line, text in words.items():
        assert text in why[line]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no column for time and transaction_id"),
        ("time,amount\n", "no column for transaction_id"),
        ("time,id,receipt\n", "2 columns could be the transaction_id"),
        ("PK\x03\x04\x00\x00", "no column for"),
    ],
)
def test_files_without_the_columns_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message) as error:
        read(tmp_path, text)
    assert "sales.csv" in str(error.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.csv: cannot be read"):
        read_pos_file(tmp_path / "none.csv", FORM)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300), st.booleans())
def test_any_bytes_are_rows_broken_rows_or_one_refusal(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, headed: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes((b"time,id,lane,amount\n" if headed else b"") + content)
    try:
        found = read_pos_file(path, FORM)
    except DataError:
        assert not headed
        return
    lines = [line for line, _ in found.transactions] + [row.line for row in found.broken]
    assert len(set(lines)) == len(lines)
    assert all(line >= 1 for line in lines)
