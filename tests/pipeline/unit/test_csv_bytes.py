"""The pass over a CSV file's bytes: what passes, DuckDB reads to its end; what does not, is refused by its line."""

from __future__ import annotations

import gzip
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pipeline.errors import LentaError
from pipeline.tables.csv_bytes import CHUNK, RECORD_MAX, check_bytes
from pipeline.tables.formats import FilePattern

HEADER = b"id,text,topic\n"
LAST = b"the,last,row\n"
pieces = st.lists(st.sampled_from([b'"', b'""', b",", b"\n", b"a", b" ", b'1,"a\nb",c\n', b"2,d,e\n"]), max_size=12)


@given(pieces.map(b"".join), st.sampled_from([1, 2, 3, 7, CHUNK]))
@example(b'1,5" disk,x\n2,"open,y\n', CHUNK)
@example(b'1,ab"c,x\n', CHUNK)
@example(b'1,"a ""b"" c",x\n', 1)
@example(b'  "2,d,e\n"\n', 1)
@example(b'  ","\n', CHUNK)
@example(b'1, "a\nb",c\n', 2)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_passes_is_read_to_its_end_or_refused_by_duckdb(tmp_path: Path, body: bytes, chunk_bytes: int) -> None:
    path = tmp_path / "posts.csv"
    path.write_bytes(HEADER + body)
    try:
        check_bytes(path, chunk_bytes)
    except LentaError:
        return
    path.write_bytes(HEADER + body + LAST)
    try:
        scan = FilePattern(str(path), True, "", ("id", "text", "topic")).scan
        rows = duckdb.execute(f"FROM {scan}").fetchall()
    except duckdb.Error:
        return
    assert rows[-1] == ("the", "last", "row")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'1,a,b\n2,"never closed,b\n3,c,d\n', "line 3: a quote is opened and never closed"),
        (b'1,"a\nb",c\n2,"cut off', "line 4: a quote is opened and never closed"),
        (b'1,5" disk,b\n2,"never closed,b\n', "line 3: a quote is opened and never closed"),
        (b'1,"a ""quoted"" word",b\n2,c,d', "line 3: the file breaks off"),
        (b'1,a,b\n2,c,"d"', "line 3: the file breaks off"),
        (b"1,a,b\n2,c\0,d\n", "line 3: holds a NUL character"),
        (b'1,"a\n\n\0",b\n', "line 4: holds a NUL character"),
    ],
)
@pytest.mark.parametrize("chunk_bytes", [1, 5, CHUNK])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_what_is_broken_is_refused_by_line(
    tmp_path: Path, body: bytes, said: str, chunk_bytes: int, pack: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / ("posts.csv" if pack is bytes else "posts.csv.gz")
    path.write_bytes(pack(HEADER + body))
    with pytest.raises(LentaError, match=said):
        check_bytes(path, chunk_bytes)


@pytest.mark.parametrize("body", [b"", b'1,"a\nb","c"\n', b'1,"",""\n', b'1,5" disk and 3" disk,b\n', b'1,"a" , "b"\n'])
def test_what_is_whole_passes(tmp_path: Path, body: bytes) -> None:
    path = tmp_path / "posts.csv"
    path.write_bytes(HEADER + body)
    for chunk_bytes in (1, 2, CHUNK):
        check_bytes(path, chunk_bytes)


def test_a_compressed_file_that_breaks_off_is_refused_by_line(tmp_path: Path) -> None:
    path = tmp_path / "feed.csv.gz"
    path.write_bytes(gzip.compress(HEADER + b"".join(b"%d,a,b\n" % number for number in range(10_000)))[:-2_000])
    with pytest.raises(LentaError, match=r"feed.csv.gz, line \d+: the file breaks off"):
        check_bytes(path)


@pytest.mark.parametrize(
    ("piece", "said"),
    [
        (b"a" * 2**20, f"line 2: a row of more than {RECORD_MAX // 10**6} MB"),
        (b'"' + b"a\n" * 2**19 + b'"', f"line 2: a row of more than {RECORD_MAX // 10**6} MB"),
        (b"1,a,b\n" * 2**18, r"line \d+: the file unpacks to more than 200 times its size"),
    ],
)
def test_a_bomb_is_refused_in_constant_memory(tmp_path: Path, piece: bytes, said: str) -> None:
    path = tmp_path / "posts.csv.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(HEADER)
        for _ in range(200):
            file.write(piece)
    tracemalloc.start()
    with pytest.raises(LentaError, match=said):
        check_bytes(path)
    assert tracemalloc.get_traced_memory()[1] < 40 * 2**20
    tracemalloc.stop()
