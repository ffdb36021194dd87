#!/usr/bin/env python3
"""Two days of inventories compared, beside DuckDB on the same files, in one go.

    cargo build --release -p stocktake-benches --bin diff-bench
    python3 benches/peers/diff.py target/release/diff-bench [ROWS] [FOLDER] [LAYOUT...]

For each layout (sorted; runs: sorted in each of ten files; shuffled; backdated:
shuffled, and what is new does not tell so by its time) a pair of S3 Parquet
inventories is made once in FOLDER and kept; with -csv behind its name, one of
gzipped CSV files. DuckDB, with as many threads
as there are cores, does a full outer join on the key, classifies each row as
stocktake does, writes what differs to a file and counts it. stocktake compares
the two inventories, and the second one with a snapshot of the first in its
catalog. All must find the same numbers. Every figure of DuckDB is that of the
whole process, measured by the operating system when it ended; of stocktake, of
one of two comparisons in one process, with the MD5 of the data files and without,
and the peak of the process.
"""
import glob, os, re, subprocess, sys, time

DIFFERENCES = """
set threads = {threads};
copy (select * from
  (select case when a.key is null then 'deleted'
               when b.key is null then 'added'
               when a.e_tag <> b.e_tag or a.size <> b.size then 'changed'
               when a.last_modified_date <> b.last_modified_date then 'metadata_changed'
               when a.storage_class <> b.storage_class then 'class_changed'
          end as change, key,
          b.size as previous_size, b.e_tag as previous_e_tag, b.last_modified_date as previous_last_modified,
          b.storage_class as previous_class, a.size, a.e_tag, a.last_modified_date, a.storage_class
   from {before} b full outer join {after} a using (key))
  where change is not null) to '{folder}/differences.parquet';
select change, count(*) from '{folder}/differences.parquet' group by change;
"""


def measured(command):
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status) != 0:
        sys.exit(f"{command} failed")
    return output, usage.ru_utime + usage.ru_stime, time.monotonic() - began, usage.ru_maxrss // 1024


# As the manifest says: a CSV inventory has no header. Its keys are percent-encoded, on both sides alike.
CSV_COLUMNS = "bucket key size last_modified_date e_tag storage_class is_multipart_uploaded encryption_status".split()


def rows_of(day):
    """What DuckDB reads the rows of a day from."""
    if glob.glob(f"{day}/**/*.parquet", recursive=True):
        return f"read_parquet('{day}/**/*.parquet')"
    columns = {name: "bigint" if name == "size" else "varchar" for name in CSV_COLUMNS}
    return f"read_csv('{day}/**/*.csv.gz', header = false, delim = ',', quote = '\"', columns = {columns})"


def peer(folder):
    """Runs in a process of its own, with DuckDB at hand."""
    import duckdb

    before, after = (rows_of(f"{folder}/{day}") for day in ["before", "after"])
    query = DIFFERENCES.format(folder=folder, before=before, after=after, threads=os.cpu_count())
    found = duckdb.connect().execute(query)
    for change, objects in found.fetchall():
        print(change, objects)


def python_with_duckdb(folder):
    python = f"{folder}/venv/bin/python"
    if not os.path.exists(python):
        subprocess.run([sys.executable, "-m", "venv", f"{folder}/venv"], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "duckdb"], check=True)
    return python


def counts(text):
    found = re.findall(r"\b(added|changed|deleted|metadata_changed|class_changed) (\d+)", text)
    return {change: int(objects) for change, objects in found if int(objects)}


def main():
    program = os.path.abspath(sys.argv[1])
    rows = sys.argv[2] if len(sys.argv) > 2 else "10000000"
    base = os.path.abspath(sys.argv[3] if len(sys.argv) > 3 else "target/bench-diff")
    layouts = sys.argv[4:] or ["sorted", "runs", "shuffled"]
    python = python_with_duckdb(base)
    for layout in layouts:
        folder = f"{base}/{rows}-{layout}"
        order, _, csv = layout.partition("-")
        subprocess.run([program, "generate", folder, rows, order, "10", *filter(None, [csv])], check=True)
        theirs, cpu, wall, peak = measured([python, __file__, "peer", folder])
        expected = counts(theirs)
        print(f"{rows} rows, {layout}: {expected}")
        print(f"  DuckDB                   {cpu:6.2f} s cpu {wall:6.2f} s wall {peak:5} MiB", flush=True)
        for sides in ["inventories", "catalog"]:
            ours, _, _, our_peak = measured([program, sides, folder])
            found = counts(ours.split("MD5 known")[1])
            if found != expected:
                sys.exit(f"{found} is not what DuckDB found: {expected}")
            for name, our_cpu, our_wall in re.findall(r"(with MD5|MD5 known): ([\d.]+) s cpu, ([\d.]+) s wall", ours):
                figures = f"{our_cpu:>6} s cpu {our_wall:>6} s wall {our_peak:5} MiB"
                print(f"  {sides:11}, {name:9}   {figures}  {float(our_cpu) / cpu:.2f} of DuckDB's cpu")
            print("    " + re.findall(r"spilled \d+ bytes.*", ours)[-1], flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["peer"]:
        peer(sys.argv[2])
    else:
        main()
