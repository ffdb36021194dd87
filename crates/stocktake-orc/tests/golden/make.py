#!/usr/bin/env python3
"""Makes the golden files: rows written by the C++ writer of Apache ORC, in every way that it has.

    pip install pyarrow && python3 make.py [ROWS [PREFIX]]

The rows are computed as the test computes them, from the row's number alone. A hundred of them are the
seeds of the fuzz target: `python3 make.py 100 ../../../../fuzz/corpus/orc_file/ok-cpp-`.
"""
import datetime, os, sys

import pyarrow as pa
from pyarrow import orc

ROWS = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000
SUFFIX = "" if len(sys.argv) > 2 else ".orc"
PREFIX = sys.argv[2] if len(sys.argv) > 2 else os.path.dirname(os.path.abspath(__file__)) + os.sep
START = datetime.datetime(2026, 3, 1, 1, 0)
# A linear congruence: numbers without an order, of which one in 100 has many more bits.
noise = [(n * 6_364_136_223_846_793_005 + 1_442_695_040_888_963_407) % (1 << 64) for n in range(ROWS)]


def size(n):
    return noise[n] >> 17 if n % 100 == 7 else noise[n] >> 52


columns = {
    "bucket": pa.array(["photo-store"] * ROWS),
    "key": pa.array([f"photos/{n:05}\u00e9 +%.jpg" for n in range(ROWS)]),
    "size": pa.array([size(n) for n in range(ROWS)], pa.int64()),
    "last_modified_date": pa.array(
        [START + datetime.timedelta(seconds=n * n, milliseconds=n % 1000) for n in range(ROWS)], pa.timestamp("ns")
    ),
    "e_tag": pa.array([None if n % 7 == 0 else f"{noise[n]:016x}" for n in range(ROWS)]),
    "storage_class": pa.array([("STANDARD", "GLACIER", "DEEP_ARCHIVE", "STANDARD_IA")[noise[n] >> 62] for n in range(ROWS)]),
    "is_multipart_uploaded": pa.array([None if n % 11 == 0 else noise[n] >> 63 == 1 for n in range(ROWS)]),
    "small": pa.array([n % 256 - 128 for n in range(ROWS)], pa.int8()),
    "steps": pa.array([None if n % 50 == 3 else 1_000_000 - 3 * n for n in range(ROWS)], pa.int32()),
    "squares": pa.array([n * n for n in range(ROWS)], pa.int64()),
    "raw": pa.array([bytes([n % 256, 255, 0]) for n in range(ROWS)], pa.binary()),
}
table = pa.table(columns)
for name, options in {
    "plain": {},
    "zlib": {"compression": "zlib"},
    "snappy-dictionaries": {"compression": "snappy", "dictionary_key_size_threshold": 1.0},
    "zstd": {"compression": "zstd"},
    "many-stripes": {"stripe_size": 1024, "batch_size": 100, "row_index_stride": 100, "dictionary_key_size_threshold": 1.0},
    "version-0.11": {"compression": "zlib", "file_version": "0.11"},
    "version-0.11-dictionaries": {
        "compression": "zlib",
        "file_version": "0.11",
        "dictionary_key_size_threshold": 1.0,
    },
}.items():
    orc.write_table(table, f"{PREFIX}{name}{SUFFIX}", **options)
